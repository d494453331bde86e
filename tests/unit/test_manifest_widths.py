"""Every channel's spots have a width of their own."""

import pytest

from her2sr_proc.errors import DataError
from her2sr_proc.live.recipe import Recipe
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.manifest import ChannelFacts, FieldFacts, Manifest
from her2sr_proc.schema.params import PAPER_LOCALIZE, Profile


def manifest(profile=None, pixel_nm=130.0, sigmas=((561, 92.0), (488, None))):
    channels = tuple(
        ChannelFacts(
            name=str(laser_nm), probe="HER2", laser_nm=laser_nm, power_percent=40,
            exposure_ms=30, frames=10, role="signal", spot_sigma_nm=sigma_nm,
        )
        for laser_nm, sigma_nm in sigmas
    )  # fmt: skip
    return Manifest(
        run="r", created_utc="2026-01-01T00:00:00Z", sample="s", operator="o",
        protocol="p", plan={}, channels=channels,
        fields=(FieldFacts(name="r00_c00", row=0, column=0, x_um=0, y_um=0),),
        frame_height=64, frame_width=64, camera=CameraModel(pixel_nm=pixel_nm),
        profile=profile or Profile(), configuration="c", configuration_sha256="0",
        versions={},
    )  # fmt: skip


def test_a_channel_is_localized_with_the_width_that_the_protocol_gives_it():
    params = manifest().localize_params("561")
    assert params.sigma_px == pytest.approx(92 / 130)
    assert params.detector == "matched"


def test_without_one_the_profile_s_width_holds():
    assert manifest().localize_params("488") == Profile().localize


def test_the_paper_s_profile_starts_as_the_paper_does():
    profile = Profile(name="paper", localize=PAPER_LOCALIZE)
    assert manifest(profile).localize_params("561") == PAPER_LOCALIZE


def test_a_width_that_pixels_do_not_sample_is_kept_within_what_a_fit_can_do():
    assert manifest(pixel_nm=1000).localize_params("561").sigma_px == 0.4


def test_an_unknown_channel_is_refused():
    with pytest.raises(DataError, match="no channel 640"):
        manifest().localize_params("640")


def test_channels_of_one_width_share_what_localizes_them():
    said = manifest(sigmas=((561, 92.0), (488, 79.0), (640, 92.0)))
    recipe = Recipe(said, CameraMaps.uniform(said.camera, (64, 64)))
    assert recipe.localizer("561") is recipe.localizer("640")
    assert recipe.localizer("561") is not recipe.localizer("488")
