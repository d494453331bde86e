"""A block in, a table out: order, independence, edges, flags."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from her2sr_proc.kernels import crowd, detect, gauss, matched, raster, wavelet
from her2sr_proc.live.warming import warm
from her2sr_proc.localizer import FitStatus, Localizer, localize_block
from her2sr_proc.rendering import render
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams, RenderParams
from her2sr_proc.schema.table import COLUMNS, concatenate

SIDE = 40


def frames(spots, count=1, *, side=SIDE, background=150.0, sigma=1.0, seed=1):
    """Counts of frames with the same spots: rows of x, y, photons."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    mean = np.full((side, side), background)
    for x, y, photons in spots:
        bell = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
        mean += photons * bell / (2 * np.pi * sigma**2)
    electrons = rng.poisson(np.broadcast_to(mean, (count, side, side)))
    return np.clip(electrons / 0.46 + 100, 0, 65535).astype(np.uint16)


def localize(adu, *, first_frame=0, camera=None, **params):
    camera = camera or CameraMaps.uniform(CameraModel(), adu.shape[1:])
    return localize_block(
        adu,
        first_frame=first_frame,
        camera=camera,
        pixel_nm=130.0,
        params=LocalizeParams(**params),
    )


SPOTS = [(10.3, 12.7, 3000), (28.6, 9.1, 2000), (20.0, 30.4, 4000)]


def assert_equal(one, other):
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_table_does_not_depend_on_the_threads_that_are_lent():
    adu = frames(SPOTS, 24)
    camera = CameraMaps.uniform(CameraModel(), adu.shape[1:])
    localizer = Localizer(camera, pixel_nm=130.0, params=LocalizeParams())
    with ThreadPoolExecutor(4) as crew:
        table = localizer.block(adu, first_frame=0, each=crew.map)
    assert len(table) > 24
    assert_equal(table, localize(adu))


@pytest.mark.parametrize("lengths", [(1,) * 12, (5, 7), (4, 4, 4)])
def test_a_table_does_not_depend_on_the_length_of_blocks(lengths):
    adu = frames(SPOTS, 12)
    parts, start = [], 0
    for length in lengths:
        block = adu[start : start + length]
        parts.append(localize(block, first_frame=start))
        start += length
    assert_equal(concatenate(parts), localize(adu))


@pytest.mark.parametrize(
    "view",
    [
        lambda a: np.frombuffer(a.tobytes(), "<u2").reshape(a.shape),
        lambda a: a.astype(">u2"),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=0)[::2],
    ],
    ids=["read-only", "big-endian", "by columns", "strided"],
)
def test_frames_may_be_stored_in_any_way(view):
    adu = frames(SPOTS, 3)
    assert_equal(localize(view(adu)), localize(adu))


def test_spots_are_found_where_they_are_in_nanometres_and_photons():
    table = localize(frames(SPOTS, 20), first_frame=40)
    assert len(table) == 60
    assert set(table["frame"]) == set(range(40, 60))
    first = np.hypot(table["x_nm"] - 10.3 * 130, table["y_nm"] - 12.7 * 130) < 130
    assert table["x_nm"][first].mean() == pytest.approx(10.3 * 130, abs=4)
    assert table["photons"][first].mean() == pytest.approx(3000, rel=0.05)
    assert table["background_photons"].mean() == pytest.approx(150, rel=0.05)
    # Rounding to counts of 0.46 electrons adds little to the light's own noise.
    assert table["background_sd_photons"].mean() == pytest.approx(12.6, rel=0.15)


@pytest.mark.parametrize("side", [1, 4, 5, SIDE])
def test_without_molecules_the_table_is_empty_and_valid(side):
    table = localize(frames([], 3, side=side))
    assert len(table) == 0
    assert {c.name: np.dtype(c.dtype) for c in COLUMNS} == {
        name: array.dtype for name, array in table.columns.items()
    }


@pytest.mark.parametrize("value", [0, 100, 65535], ids=["black", "dark", "white"])
def test_constant_frames_hold_no_molecule(value):
    assert len(localize(np.full((2, 16, 16), value, np.uint16))) == 0


@pytest.mark.parametrize(("x", "y"), [(1.4, 20.2), (37.8, 37.6), (20.0, 1.2)])
def test_spots_near_the_edge_are_kept_without_bias(x, y):
    table = localize(frames([(x, y, 5000)], 30))
    assert len(table) >= 29
    assert table["x_nm"].mean() / 130 == pytest.approx(x, abs=0.05)
    assert table["y_nm"].mean() / 130 == pytest.approx(y, abs=0.05)


def test_a_spot_at_the_ceiling_is_flagged():
    model = CameraModel(saturation_adu=2000)
    adu = np.minimum(frames([*SPOTS, (20, 20, 60_000)]), 2000)
    table = localize(adu, camera=CameraMaps.uniform(model, (SIDE, SIDE)))
    flagged = table["status"] == FitStatus.SATURATED
    assert flagged.sum() == 1
    assert table["x_nm"][flagged] == pytest.approx(20 * 130, abs=30)


@pytest.mark.parametrize("value", [np.nan, np.inf, -50.0, 1e9])
@pytest.mark.parametrize("plane", ["offset_adu", "e_per_adu", "variance_e2"])
def test_an_impossible_pixel_of_a_map_spoils_no_row(plane, value):
    camera = CameraMaps.uniform(CameraModel(), (SIDE, SIDE))
    maps = getattr(camera, plane).copy()
    maps[9, 28] = value
    broken = replace(camera, **{plane: maps})
    table = localize(frames(SPOTS, 3), camera=broken)
    assert len(table) >= 6
    for name, column in table.columns.items():
        assert np.isfinite(column.astype(float)).all(), name


def test_a_pixel_struck_by_a_cosmic_ray_is_no_molecule_and_hides_none():
    adu = frames(SPOTS, side=100)
    adu[:, 20, 8] = 60_000
    assert len(localize(adu)) == 3


def test_a_spot_out_of_focus_is_seen_whole():
    table = localize(frames([(20.0, 20.0, 60_000)], 5, sigma=2.4))
    assert len(table) == 5
    np.testing.assert_allclose(table["sigma_nm"], 2.4 * 130, rtol=0.05)
    np.testing.assert_allclose(table["photons"], 60_000, rtol=0.1)


def test_a_free_width_that_meets_its_bound_is_flagged():
    blob = frames([(20.0, 20.0, 60_000)], 5, sigma=3.2)
    table = localize(blob, width="free", emitters="single")
    wide = table["status"] == FitStatus.WIDE
    assert wide.sum() >= 3
    np.testing.assert_allclose(table["sigma_nm"][wide], 2.0 * 130)


def test_a_higher_threshold_keeps_the_brighter_spots():
    adu = frames([(10, 10, 600), (30, 30, 6000)], 10)
    assert len(localize(adu, detector="wavelet", threshold_factor=0.5)) == 20
    kept = localize(adu, detector="wavelet", threshold_factor=3.0)
    assert len(kept) == 10
    assert (kept["x_nm"] > 2600).all()


def test_a_fixed_width_is_kept():
    table = localize(frames(SPOTS, 5), sigma_px=1.0, width="known", emitters="single")
    np.testing.assert_array_equal(table["sigma_nm"], np.float32(130.0))


def compiled() -> dict[str, int]:
    """Versions of every kernel that this process has compiled or loaded."""
    return {
        f"{module.__name__}.{name}": len(kernel.signatures)
        for module in (crowd, detect, gauss, matched, raster, wavelet)
        for name, kernel in vars(module).items()
        if hasattr(kernel, "signatures")
    }


def test_after_warming_nothing_is_left_to_compile():
    warm()
    before = compiled()
    pair = [(10, 30, 3000), (12.2, 30.5, 3000)]
    adu = frames([*SPOTS, *pair], 2) + frames([(32, 32, 90_000)], 2, sigma=2.2)
    message = np.frombuffer(adu.tobytes(), "<u2").reshape(2, SIDE, SIDE)
    table = localize(message)
    assert FitStatus.JOINT in table["status"]
    size = {"height_px": SIDE, "width_px": SIDE, "pixel_nm": 130.0}
    for method in ("gaussian", "histogram"):
        render(table, **size, params=RenderParams(method=method))
    assert compiled() == before
    assert before["her2sr_proc.kernels.gauss.fit_spots"] >= 1
    assert before["her2sr_proc.kernels.crowd.review"] >= 1
