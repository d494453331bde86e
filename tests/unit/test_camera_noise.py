"""Frames that a camera took carry the noise of their light; cleaned ones do not."""

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, uniform_filter

from her2sr_proc.camera_noise import CameraNoise
from her2sr_proc.offline.entering import cleaned_reasons
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.noise import NoiseFacts
from her2sr_proc.store.cleaning_words import cleaning_named

SHAPE, PAIRS = (64, 80), 4
SCMOS = CameraModel()


def scene(seed, light, *, blink=0.0):
    """Return the light of pairs of frames: a slope, and spots that are lit by turns."""
    rng = np.random.default_rng(seed)
    frames = np.full((PAIRS, 2, *SHAPE), light) * np.linspace(0.5, 1.5, SHAPE[1])
    points = rng.random((PAIRS, 2, *SHAPE)) < 0.003
    spots = gaussian_filter(points.astype(float), (0, 0, 1.0, 1.0))
    return frames + blink * light * spots


def taken(mean, seed, camera=SCMOS):
    rng = np.random.default_rng(seed)
    electrons = rng.poisson(mean).astype(float)
    if camera.is_emccd:
        electrons = rng.gamma(np.maximum(electrons, 1e-9), camera.em_gain)
    noise = rng.normal(0, camera.read_noise_e, mean.shape)
    adu = (electrons + noise) / camera.e_per_adu + camera.offset_adu
    return np.clip(np.rint(adu), 0, camera.saturation_adu).astype(np.uint16)


def facts(pairs, camera=SCMOS):
    noise = CameraNoise(CameraMaps.uniform(camera, SHAPE))
    for pair in pairs:
        noise.add(pair)
    return noise.facts()


@pytest.mark.parametrize("light", [2.0, 5.0, 30.0, 300.0, 3000.0])
@pytest.mark.parametrize("blink", [0.0, 20.0])
def test_raw_frames_of_any_light_have_the_noise_of_their_light(light, blink):
    found = facts(taken(scene(1, light, blink=blink), seed=2))
    assert not found.is_cleaned
    assert found.words() == ""
    expected = 1.0 + SCMOS.read_noise_e**2 / light
    assert found.share > 0.75 * expected
    if not blink:
        assert found.share < 1.25 * expected


def test_an_electron_multiplying_camera_has_twice_as_much():
    camera = CameraModel(em_gain=100.0, e_per_adu=10.0, read_noise_e=40.0)
    found = facts(taken(scene(1, 50.0), seed=2, camera=camera), camera)
    assert found.share == pytest.approx(1.0, rel=0.25)


def smoothed(pairs):
    return gaussian_filter(pairs.astype(float), (0, 0, 0.7, 0.7))


def averaged(pairs):
    return uniform_filter(pairs.astype(float), (0, 0, 3, 3))


def without_noise(pairs):
    return np.broadcast_to(pairs.mean(axis=(0, 1)), pairs.shape)


@pytest.mark.parametrize("clean", [smoothed, averaged, without_noise])
@pytest.mark.parametrize("light", [5.0, 300.0])
def test_what_was_cleaned_is_told(clean, light):
    pairs = taken(scene(1, light, blink=5.0), seed=2)
    found = facts(np.rint(clean(pairs)).astype(np.uint16))
    assert found.is_cleaned
    assert "import the raw movie" in found.words()


def test_of_what_is_too_dark_too_small_or_too_short_nothing_is_said():
    dark = facts(taken(scene(1, 0.2), seed=2))
    single = facts(taken(scene(1, 30.0), seed=2)[:, :1])
    small = CameraNoise(CameraMaps.uniform(SCMOS, (12, 40)))
    small.add(taken(np.full((2, 12, 40), 30.0), seed=3))
    for found in (dark, single, small.facts()):
        assert (found.share, found.is_cleaned, found.words()) == (None, False, "")


def test_a_piece_that_is_cut_by_the_ceiling_is_left_out():
    camera = CameraModel(saturation_adu=1000)
    mean = scene(1, 60.0)
    mean[..., :48] = 1e5  # three fifths of the frame are at the ceiling
    found = facts(taken(mean, seed=2, camera=camera), camera)
    assert found.share == pytest.approx(1.0, rel=0.25)


@pytest.mark.parametrize(
    ("description", "word"),
    [
        ("made by CSBDeep 0.7", "CSBDeep"),
        ("n2v, 200 steps", "Noise2Void"),
        ("Process: Denoised stack of slide 12", "a denoising program"),
        ("rolling ball, radius 15 px", "a rolling ball"),
        ("threshold mean + 4.84 SD, tozero", "a threshold"),
        ("ImageJ=1.54f\nimages=2\nthreshold=12", ""),
        ("slide N2VX7 of the archive", ""),
    ],
)
def test_a_file_that_names_a_cleaning_program_is_known_by_a_word_of_ours(
    description, word, tmp_path
):
    path = tmp_path / "m.tif"
    frames = np.zeros((2, 8, 8), np.uint16)
    tifffile.imwrite(path, frames, photometric="minisblack", description=description)
    assert cleaning_named(path) == word


def test_what_is_no_tiff_names_nothing(tmp_path):
    (tmp_path / "m.tif").write_bytes(b"II")
    assert cleaning_named(tmp_path / "m.tif") == ""
    assert cleaning_named(tmp_path / "absent.tif") == ""


def test_only_channels_whose_signals_are_counted_stand_against_a_field(manifest):
    cleaned = NoiseFacts(pairs=4, share=0.1)
    noise = {"561": cleaned, "488": NoiseFacts(pairs=4, share=1.0), "405": cleaned}
    (reason,) = cleaned_reasons(manifest, noise)
    assert reason.startswith("561 was cleaned before: its frames carry 10 %")


@pytest.fixture
def manifest(tmp_path):
    from run_folders import make_run

    from her2sr_proc.store.manifest import read_manifest

    counts = {"561": 4, "488": 4, "405": 4}
    return read_manifest(make_run(tmp_path / "r", frames=counts, size=64))
