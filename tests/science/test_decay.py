"""The simulated decay beside that of one real 488 stack.

Real figures: mean, standard deviation and maximum of background-subtracted frames
of 512 x 512 pixels (Peg et al. 2024, the authors' repository). The specimens differ,
so what is compared is the course: every figure over its own first value.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import ndimage

from simulators.movie import record
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

FRAMES = (1, 300, 500, 1000, 2000, 3000, 4000, 4999)
REAL = np.array(
    [
        [212.85, 128.70, 112.80, 93.73, 79.08, 73.75, 68.93, 66.88],
        [438.83, 234.87, 194.45, 147.34, 113.96, 101.85, 92.10, 87.38],
        [19859, 8037, 5977, 3969, 2370, 2051, 1570, 1368],
    ]
)
FRAME_S = 0.03


def view(nm: int) -> View:
    return View(0.0, 0.0, 1.5, FRAME_S, (Light(nm, 0.4),))


def without_background(adu: np.ndarray, radius: float = 15.0) -> np.ndarray:
    """Subtract a rolling ball: smooth, shrink by block minimum, open with a ball."""
    smooth = ndimage.uniform_filter(adu.astype(np.float64), 3, mode="nearest")
    height, width = smooth.shape
    small = smooth.reshape(height // 2, 2, width // 2, 2).min(axis=(1, 3))
    y, x = np.mgrid[-6:7, -6:7]
    ball = np.sqrt(np.clip((radius / 2) ** 2 - y**2 - x**2, 0.0, None))
    eroded = ndimage.grey_erosion(small, structure=ball, mode="nearest")
    opened = ndimage.grey_dilation(eroded, structure=ball, mode="nearest")
    ground = ndimage.zoom(opened, 2, order=1, mode="nearest", grid_mode=True)
    return np.clip(adu - ground, 0.0, None)


def course(seed: int) -> np.ndarray:
    """Return mean, SD and maximum at `FRAMES`; light falls in between as in frames."""
    options = SimulationOptions(seed=seed, height=512, width=512)
    world, done, found = World(options), 0, []
    out = np.zeros((512, 512), np.uint16)
    for frame in FRAMES:
        world.illuminate(view(488), (frame - done) * FRAME_S)
        world.expose(view(488), out)
        done = frame + 1
        clean = without_background(out)
        found.append((clean.mean(), clean.std(), clean.max()))
    return np.array(found).T


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    """Shape (seeds, figures, frames)."""
    return np.array([course(seed) for seed in (1, 2, 3)])


@pytest.mark.parametrize(
    ("figure", "factor"), [(0, 1.25), (1, 1.35), (2, 1.6)], ids=["mean", "sd", "max"]
)
def test_frames_fade_as_in_the_real_stack(
    simulated: np.ndarray, figure: int, factor: float
) -> None:
    ours = simulated[:, figure] / simulated[:, figure, :1]
    middle = np.exp(np.log(ours).mean(axis=0))
    apart = middle / (REAL[figure] / REAL[figure, 0])
    assert np.all(apart < factor), apart
    assert np.all(apart > 1.0 / factor), apart


def test_the_first_frames_are_as_bright_as_the_real_ones(
    simulated: np.ndarray,
) -> None:
    """The maximum matches; real spots are wider, so their mean is higher."""
    first = simulated[:, :, 0].mean(axis=0)
    assert 0.7 < first[2] / REAL[2, 0] < 1.4
    assert 0.4 < first[0] / REAL[0, 0] < 1.0


@pytest.fixture(scope="module")
def true_decay(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, Path]:
    """5000 frames, one after the other, nothing compressed; and their truth."""
    options = SimulationOptions(seed=2, height=128, width=128)
    world = World(options)
    movie = record(options, view(561), 5000, world)
    folder = tmp_path_factory.mktemp("decay")
    world.write_truth(folder)
    return movie, folder


@pytest.mark.slow
def test_the_maximum_falls_fourteenfold_over_five_thousand_frames(
    true_decay: tuple[np.ndarray, Path],
) -> None:
    movie, _ = true_decay
    first, last = (
        np.median([without_background(adu).max() for adu in part])
        for part in (movie[:10], movie[-100:])
    )
    assert 14.0 / 1.6 < first / last < 14.0 * 1.6


@pytest.mark.slow
def test_an_ensemble_comes_first_and_sparse_short_blinks_later(
    true_decay: tuple[np.ndarray, Path],
) -> None:
    _, folder = true_decay
    loci = pq.read_table(folder / "loci.parquet")
    middle = np.hypot(loci["x_um"].to_numpy(), loci["y_um"].to_numpy()) < 7.0
    middle &= loci["probe"].to_numpy(zero_copy_only=False) == "HER2"
    table = pq.read_table(folder / "intervals.parquet")
    signal, first, last = (
        table[name].to_numpy()[
            np.isin(table["signal"], loci["signal"].to_numpy()[middle])
        ]
        for name in ("signal", "first_frame", "last_frame")
    )

    def shining(frame: int) -> np.ndarray:
        on = (first <= frame) & (last >= frame)
        return np.unique(signal[on], return_counts=True)[1]

    assert np.median(shining(1)) > 30
    late = np.concatenate([shining(frame) for frame in range(4000, 5000, 50)])
    assert np.median(late) <= 3
    lengths = (last - first + 1)[first > 3000]
    assert 2 <= np.median(lengths) <= 3


@pytest.mark.slow
def test_every_frame_was_bleached_by_the_frames_before(
    true_decay: tuple[np.ndarray, Path],
) -> None:
    """The same slide, lit for as long without a camera, looks the same at the end."""
    movie, _ = true_decay
    options = SimulationOptions(seed=2, height=128, width=128)
    world = World(options)
    world.illuminate(view(561), 4990 * FRAME_S)
    end = record(options, view(561), 10, world)
    assert end.mean() == pytest.approx(movie[-10:].mean(), rel=0.01)
