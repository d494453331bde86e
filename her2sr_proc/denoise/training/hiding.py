"""Which pixels a network must guess in training, and what it sees in their place.

Pixels are hidden one in a box of a grid, so that they are spread evenly. What replaces
one is a pixel of its window, uniformly but never itself (Noise2Void; Krull et al.
2019), or the window's median (N2V2; Höck et al. 2022). Along the line of structN2V all
are replaced and none replaces (Broaddus et al. 2020,
doi:10.1109/ISBIWorkshops50223.2020.9153336). Knows nothing of networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.denoise import TrainParams

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Patches to show, and the pixels to be guessed."""

    shown: F32
    """Shape (patches, height, width)."""
    patch: I64
    """Shape (hidden,), as y and x."""
    y: I64
    x: I64


def hide(patches: F32, params: TrainParams, rng: np.random.Generator) -> Hidden:
    """Return the patches with pixels replaced.

    Parameters
    ----------
    patches : float32 array, shape (patches, height, width)
        Not changed.
    params : TrainParams
        Its form, window, line and share of pixels.
    rng : numpy.random.Generator
    """
    patch, y, x = _positions(patches.shape, params.masked_percent / 100.0, rng)
    windows = _windows(patches, params.radius_px)[patch, y, x]
    windows = windows.reshape(len(patch), -1)
    able = np.isfinite(windows) & ~_line_in_window(params)
    shown = patches.copy()
    for down, right in _line(params):
        inside = _inside(y + down, x + right, patches.shape)
        drawn = _drawn(windows, able, rng)[inside]
        shown[patch[inside], y[inside] + down, x[inside] + right] = drawn
    if params.form.method == "n2v2":
        shown[patch, y, x] = _median(windows, able)
    return Hidden(shown, patch, y, x)


def _positions(
    shape: tuple[int, ...], share: float, rng: np.random.Generator
) -> tuple[I64, I64, I64]:
    """Return one random pixel of every box that has ``1 / share`` pixels."""
    box = max(1, round(share**-0.5))
    tops = np.arange(0, shape[1], box)
    lefts = np.arange(0, shape[2], box)
    grid = (shape[0], len(tops), len(lefts))
    y = tops[None, :, None] + rng.integers(0, box, grid)
    x = lefts[None, None, :] + rng.integers(0, box, grid)
    patch = np.broadcast_to(np.arange(shape[0])[:, None, None], grid)
    inside = _inside(y, x, shape)
    return patch[inside], y[inside], x[inside]


def _inside(y: I64, x: I64, shape: tuple[int, ...]) -> Mask:
    return (y >= 0) & (y < shape[1]) & (x >= 0) & (x < shape[2])


def _windows(patches: F32, radius: int) -> F32:
    """Return a view of the window of every pixel; nan outside the patch."""
    around = [(0, 0), (radius, radius), (radius, radius)]
    wide = np.pad(patches, around, constant_values=np.nan)
    side = 2 * radius + 1
    return np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(1, 2))


def _line(params: TrainParams) -> list[tuple[int, int]]:
    """Return the offsets that are hidden together, the pixel itself first."""
    reach = 0 if params.struct == "none" else params.struct_px
    steps = [0, *(n for n in range(-reach, reach + 1) if n)]
    return [(n, 0) if params.struct == "column" else (0, n) for n in steps]


def _line_in_window(params: TrainParams) -> Mask:
    """Return which pixels of a window, flattened, may replace none."""
    radius, side = params.radius_px, 2 * params.radius_px + 1
    found = np.zeros((side, side), np.bool_)
    for down, right in _line(params):
        if max(abs(down), abs(right)) <= radius:
            found[radius + down, radius + right] = True
    return found.ravel()


def _drawn(windows: F32, able: Mask, rng: np.random.Generator) -> F32:
    """Return one able pixel of each window, all with the same chance."""
    keys = rng.random(windows.shape, np.float32)
    keys[~able] = -1.0
    rows = np.arange(len(windows))
    return np.asarray(windows[rows, keys.argmax(axis=1)], np.float32)


def _median(windows: F32, able: Mask) -> F32:
    """Return the median of the able pixels of each window."""
    ordered = np.sort(np.where(able, windows, np.inf), axis=1)
    count = able.sum(axis=1)
    rows = np.arange(len(windows))
    lower, upper = ordered[rows, (count - 1) // 2], ordered[rows, count // 2]
    return np.asarray(0.5 * (lower + upper), np.float32)
