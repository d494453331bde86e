"""Speed of the paper's cleaning, and its agreement with ImageJ; run by hand.

    python tests/bench/bench_background.py
    python tests/bench/bench_background.py --imagej /usr/share/java/ij.jar

Times are of one thread's processor time, the best and the median of several frames, so
that a loaded machine changes them little. With ``--imagej`` (Debian's libij-java, and
JPype1 beside a Java runtime) every result is compared with ImageJ's own, pixel by
pixel.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from her2sr_proc.background import Cleaning, RollingBall
from her2sr_proc.report import plots
from her2sr_proc.schema.threshold import CleaningParams
from her2sr_proc.threshold import figures_of

RADIUS = 15.0
ASKED_MS = {512: 4.0, 2048: 80.0}
ASKED_TIMES = 20
SHAPES = [(1, 64), (64, 64), (67, 101), (101, 67), (96, 96), (300, 257), (512, 512)]
RADII = [0.5, 1, 3.3, 5, 10, 10.5, 15, 15.5, 25.25, 30, 31, 50, 60, 100, 101, 180.7]


def frame_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return counts like a FISH frame: uneven ground, blobs, spots and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    mean = 120 + 0.2 * x + 0.1 * y
    for count, sigma, peak in ((8, 30.0, 300.0), (60, 1.6, 1500.0)):
        for _ in range(count):
            b, a = rng.uniform(0, height), rng.uniform(0, width)
            y0, y1 = (int(np.clip(b + s * 5 * sigma, 0, height)) for s in (-1, 1))
            x0, x1 = (int(np.clip(a + s * 5 * sigma, 0, width)) for s in (-1, 1))
            part = (slice(y0, y1), slice(x0, x1))
            squares = (y[part] - b) ** 2 + (x[part] - a) ** 2
            mean[part] += peak * np.exp(-squares / (2 * sigma**2))
    return (100 + rng.poisson(mean * 0.46) / 0.46).clip(0, 65535).astype(np.uint16)


def cpu_ms(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the least and the median processor time of this thread."""
    work()
    spent = []
    for _ in range(times):
        begun = time.thread_time()
        work()
        spent.append(1000 * (time.thread_time() - begun))
    return min(spent), float(np.median(spent))


def speeds() -> None:
    """Print what a frame costs, step by step."""
    print("step                         size   best ms  median ms   asked ms")
    for side in (512, 1024, 2048):
        frames = frame_of(side, side)[None]
        size, times = (side, side), 40 if side == 512 else 12
        steps: dict[str, Callable[[], object]] = {}
        for radius in (5, 10, RADIUS, 50, 120):
            ball = RollingBall(size, radius_px=radius)
            steps[f"rolling ball, radius {radius:g}"] = partial(ball.block, frames)
        cleaning = Cleaning(size, CleaningParams(), channel="488")
        steps["ball and threshold"] = partial(cleaning.block, frames, first_frame=0)
        for name, work in steps.items():
            best, median = cpu_ms(work, times)
            asked = (
                f"{ASKED_MS[side]:8.1f}"
                if "radius 15" in name and side in ASKED_MS
                else ""
            )
            print(f"{name:26s} {side:6d}  {best:8.2f}   {median:8.2f}   {asked}")


def against_skimage(figure: Path | None) -> None:
    """Print how much slower, and how different, scikit-image's rolling ball is."""
    from skimage.restoration import rolling_ball

    frame = frame_of(512, 512)
    ball = RollingBall((512, 512), radius_px=RADIUS)
    ours, _ = cpu_ms(lambda: ball.block(frame[None]), 40)
    values = frame.astype(np.float32)

    def theirs() -> np.ndarray:
        return rolling_ball(values, radius=RADIUS, workers=1)

    begun = time.process_time()
    ground = theirs()
    other = 1000 * (time.process_time() - begun)
    flat = ball.block(values[None])[0]
    mine, rest = values - flat, values - ground
    print(
        f"scikit-image rolling_ball(radius=15), 512 x 512: {other:.0f} ms, ours "
        f"{ours:.2f} ms: {other / ours:.0f} times as fast (asked {ASKED_TIMES})"
    )
    if figure is not None:
        draw(figure, values, mine, ground)
    limits = [figures_of(p.astype(np.float32)) for p in (flat, rest)]
    at = [f.mean_adu + 4.84 * f.sd_adu for f in limits]
    print(
        f"their background is {np.mean(mine - ground):.1f} ADU lower on average (most "
        f"{np.max(np.abs(mine - ground)):.0f}); what is left correlates by "
        f"{np.corrcoef(flat.ravel(), rest.ravel())[0, 1]:.3f}; mean + 4.84 SD is "
        f"{at[1]:.0f} ADU there and {at[0]:.0f} here"
    )


def draw(path: Path, values: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Write one row of a frame with its two backgrounds."""
    row = int(np.argmax(values.max(axis=1)))
    with mpl.rc_context(plots.STYLE):
        figure = Figure(figsize=(7.2, 3.2))
        axes = figure.add_axes((0.09, 0.2, 0.89, 0.72))
        axes.plot(values[row], color=plots.FAINT, lw=0.8, label="frame")
        axes.plot(ours[row], color=plots.SUPERRESOLUTION, label="ImageJ's, and ours")
        axes.plot(theirs[row], color=plots.CONVENTIONAL, label="scikit-image's")
        axes.set_ylim(theirs[row].min() - 60, ours[row].max() + 700)
        axes.set_xlabel(f"column of row {row}, px")
        axes.set_ylabel("ADU")
        axes.legend(frameon=False, loc="upper right", ncols=3)
    path.write_bytes(plots.save(figure, "png"))


def against_imagej(jar: str) -> None:
    """Compare every pixel with ImageJ's, for many sizes and radii; print its time."""
    import jpype

    jpype.startJVM("-Djava.awt.headless=true", classpath=[jar])
    process = jpype.JPackage("ij").process
    subtracter = jpype.JPackage("ij").plugin.filter.BackgroundSubtracter()

    def theirs(frame: np.ndarray, radius: float, is_smoothed: bool) -> np.ndarray:
        height, width = frame.shape
        flags = (False, False, False, is_smoothed, False)
        if frame.dtype == np.uint16:
            pixels = jpype.JArray.of(frame.ravel().view(np.int16))
            made = process.ShortProcessor(width, height, pixels, None)
        else:
            made = process.FloatProcessor(width, height, jpype.JArray.of(frame.ravel()))
        subtracter.rollingBallBackground(made, radius, *flags)
        got = np.array(made.getPixels()).reshape(frame.shape)
        return got.view(np.uint16) if frame.dtype == np.uint16 else got

    compared = different = 0
    for shape in SHAPES:
        for radius in RADII:
            if radius > min(shape):
                continue
            for seed, dtype in enumerate((np.uint16, np.float32)):
                frame = frame_of(*shape, seed=seed).astype(dtype)
                for is_smoothed in (True, False):
                    ball = RollingBall(shape, radius_px=radius, is_smoothed=is_smoothed)
                    ours = ball.block(frame[None])[0]
                    wanted = theirs(frame, radius, is_smoothed)
                    compared += frame.size
                    different += int(np.count_nonzero(ours != wanted))
    print(f"ImageJ: {different} of {compared} pixels differ")
    frame = frame_of(512, 512)
    for _ in range(5):
        theirs(frame, RADIUS, True)
    begun = time.process_time()
    for _ in range(10):
        theirs(frame, RADIUS, True)
    print(f"ImageJ, 512 x 512, radius 15: {100 * (time.process_time() - begun):.0f} ms")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--imagej", metavar="IJ.JAR", help="compare with ImageJ's own")
    parser.add_argument("--figure", type=Path, help="F.png: one row of all of them")
    options = parser.parse_args()
    speeds()
    against_skimage(options.figure)
    if options.imagej:
        against_imagej(options.imagej)


if __name__ == "__main__":
    main()
