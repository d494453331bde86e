"""The rolling ball: ImageJ's own results, and a plain restatement of its text."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from her2sr_proc.kernels import rolling_ball

SHARED = Path(
    os.environ.get("HER2SR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
)
GOLDEN = SHARED / "rolling_ball_imagej.npz"
needs_golden = pytest.mark.skipif(
    not GOLDEN.exists(), reason="ImageJ's results are not on this machine"
)
F32 = np.float32
SIZES = [(1, 1), (1, 40), (3, 2), (17, 33), (45, 61), (32, 40)]
RADII = [0.3, 1, 2.5, 5, 10, 10.1, 15, 15.5, 29.9, 31, 60, 100, 100.5, 250]


def smoothed(image):
    """Return the mean of three along rows, then along columns."""
    for axis in (1, 0):
        edges = [(1, 1) if axis == a else (0, 0) for a in (0, 1)]
        p = np.pad(image, edges, mode="edge")
        n = image.shape[axis]
        a, b, c = (np.take(p, range(k, k + n), axis) for k in range(3))
        image = ((a + b) + c) * F32(0.333333333)
    return image


def ball(radius):
    """Return the shrink factor and the whole patch of heights."""
    shrink, trim = next(
        (s, t)
        for most, s, t in ((10, 1, 24), (30, 2, 24), (100, 4, 32), (math.inf, 8, 40))
        if radius <= most
    )
    r = max(1.0, radius / shrink)
    half = math.floor(r - int(trim * r) // 100 + 0.5)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    root = r * r - x * x - y * y
    return shrink, np.sqrt(np.where(root > 0, root, 0)).astype(F32)


def opened(small, patch):
    """Return the lowest, then the highest, that each tap of the patch gives."""
    half, size = patch.shape[0] // 2, patch.shape[0]
    h, w = small.shape
    padded = np.pad(small, 2 * half, constant_values=np.inf)
    low = np.full((h + 2 * half, w + 2 * half), np.inf, F32)
    for i in range(size):
        for j in range(size):
            part = padded[i : i + low.shape[0], j : j + low.shape[1]]
            low = np.minimum(low, part - patch[i, j])
    high = np.full((h, w), -np.inf, F32)
    for i in range(size):
        for j in range(size):
            high = np.maximum(high, low[i : i + h, j : j + w] + patch[i, j])
    return high


def enlarged(small, axis, size, shrink):
    """Return one axis at full size, by ImageJ's indices and weights."""
    length = small.shape[axis]
    if length == 1:
        return np.repeat(small, size, axis)
    i = np.arange(size)
    k = np.minimum(np.trunc((i - shrink // 2) / shrink).astype(int), length - 2)
    weight = F32(1) - ((i.astype(F32) + F32(0.5)) / F32(shrink) - (k + F32(0.5)))
    weight = weight.astype(F32).reshape((-1, 1) if axis == 0 else (1, -1))
    a, b = (np.take(small, k + n, axis) for n in (0, 1))
    return a * weight + b * (F32(1) - weight)


def background(image, radius, is_smoothed=True):
    """Return the background of a frame as float32, by domain and not by speed."""
    image = image.astype(F32)
    if is_smoothed:
        image = smoothed(image)
    shrink, patch = ball(radius)
    if shrink == 1:
        return opened(image, patch)
    h, w = image.shape
    edges = [(0, -side % shrink) for side in (h, w)]
    blocks = np.pad(image, edges, constant_values=np.inf)
    rows, columns = (side // shrink for side in blocks.shape)
    small = blocks.reshape(rows, shrink, columns, shrink).min(axis=(1, 3))
    return enlarged(enlarged(opened(small, patch), 1, w, shrink), 0, h, shrink)


def rounded(counts, ground):
    value = counts.astype(F32) - ground + F32(0.5)
    return np.clip(value, F32(0), F32(65535)).astype(np.uint16)


def counts(shape, seed=3, high=3000):
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint16)


def run(kernel, frame, radius, is_smoothed, dtype):
    made = rolling_ball.new_ball(radius)
    room = rolling_ball.new_room(*frame.shape, made)
    out = np.zeros(frame.shape, dtype)
    for rows in (frame[::-1], frame):  # what is left in the room changes nothing
        message = np.ascontiguousarray(rows)
        message.flags.writeable = False  # as frames come; compiled for one kind
        kernel(message, made, is_smoothed, room, out)
    return out


@needs_golden
@pytest.mark.parametrize("radius", [5, 15])
def test_imagej_gave_the_same_counts(radius):
    data = np.load(GOLDEN)
    out = run(rolling_ball.subtract_counts, data["a96x96_in"], radius, True, np.uint16)
    np.testing.assert_array_equal(out, data[f"a96x96_r{radius}_sub_u16"])


@needs_golden
def test_imagej_gave_the_same_background_to_the_last_bit():
    data = np.load(GOLDEN)
    frame = data["a96x96_in"].astype(F32)
    out = run(rolling_ball.subtract_values, frame, 15, True, F32)
    np.testing.assert_array_equal(out, frame - data["a96x96_r15_bg_f32"])


@needs_golden
def test_the_restatement_that_judges_gives_what_imagej_gave():
    data = np.load(GOLDEN)
    ground = background(data["a96x96_in"], 15)
    np.testing.assert_array_equal(ground, data["a96x96_r15_bg_f32"])


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("is_smoothed", [True, False], ids=["smoothed", "raw"])
def test_counts_are_those_of_the_restatement(radius, is_smoothed):
    for shape in SIZES:
        frame = counts(shape)
        out = run(rolling_ball.subtract_counts, frame, radius, is_smoothed, np.uint16)
        wanted = rounded(frame, background(frame, radius, is_smoothed))
        np.testing.assert_array_equal(out, wanted, err_msg=str(shape))


@pytest.mark.parametrize("radius", [4, 15, 47.5])
def test_values_are_those_of_the_restatement_and_may_be_negative(radius):
    rng = np.random.default_rng(4)
    frame = rng.normal(50, 200, (41, 58)).astype(F32)
    out = run(rolling_ball.subtract_values, frame, radius, True, F32)
    np.testing.assert_array_equal(out, frame - background(frame, radius))
    assert out.min() < 0


def test_the_ends_of_the_range_are_clipped_and_not_wrapped():
    frame = counts((40, 40), high=65536)
    frame[5:9, 5:9], frame[20:, 20:] = 65535, 0
    out = run(rolling_ball.subtract_counts, frame, 6, True, np.uint16)
    np.testing.assert_array_equal(out, rounded(frame, background(frame, 6)))
    assert out.min() == 0


def test_a_ball_is_shrunk_and_cut_as_imagej_does():
    cases = {5: (1, 4), 10: (1, 8), 15: (2, 7), 15.5: (2, 7), 50: (4, 9), 60: (4, 11)}
    made = {r: rolling_ball.new_ball(r)[:2] for r in cases}
    assert made == cases


def test_python_and_machine_code_agree():
    frame = counts((23, 31))
    kernel = rolling_ball.subtract_counts
    plain = getattr(kernel, "py_func", kernel)
    a, b = (run(k, frame, 15, True, np.uint16) for k in (kernel, plain))
    np.testing.assert_array_equal(a, b)
