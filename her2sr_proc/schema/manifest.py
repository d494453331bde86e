"""What makes a run folder readable without its microscope or its database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from her2sr_proc.errors import DataError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.calibration import RunCalibration
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.noise import NoiseFacts
from her2sr_proc.schema.params import LocalizeParams, Profile
from her2sr_proc.schema.results import EarlyStop
from her2sr_proc.schema.selection import Selection

Role = Literal["signal", "nuclei"]
NARROWEST_PX, WIDEST_PX = 0.4, 5.0
"""What a spot's width is kept within: narrower ones are not sampled by their pixels."""


class ChannelFacts(Frozen):
    """One channel of the run, as acquired."""

    name: str = Field(pattern=NAME)
    probe: str = Field(description="HER2, CEP17 or DAPI; never inferred from colour")
    laser_nm: int = Field(gt=0)
    power_percent: float = Field(ge=0, le=100, description="0: not told (imported)")
    exposure_ms: float = Field(gt=0)
    frames: int = Field(gt=0)
    role: Role
    emission_filter: str = Field(
        default="",
        max_length=64,
        description="label of the filter wheel's position; empty: there is no wheel; "
        "in a protocol: that of the line in the device configuration",
    )
    spot_sigma_nm: float | None = Field(
        default=None,
        ge=40,
        le=1000,
        description="width of this channel's spots in focus, in the sample, best "
        "measured on beads; none: the profile's width",
    )


class ImportedMovie(Frozen):
    """Where the frames of a channel come from, without a name that may tell a person.

    File names, dates and comments of a laboratory can hold identifiers: none is kept.
    """

    channel: str = Field(pattern=NAME)
    frames: int = Field(gt=0)
    pixels_sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="of all frames in order, little-endian 16 bit, whatever the file",
    )
    noise: NoiseFacts | None = Field(
        default=None, description="none: an earlier program did not look at it"
    )
    cleaned_by: str = Field(
        default="",
        description="what the file says it was cleaned by, of a list of programs; "
        "empty: nothing",
    )


class FieldFacts(Frozen):
    """One tile: where its centre stands on the stage."""

    name: str = Field(pattern=r"^r\d{2,3}_c\d{2,3}$")
    row: int = Field(ge=0)
    column: int = Field(ge=0)
    x_um: float
    y_um: float = Field(description="grows downwards in the image, as rows do")


class Manifest(Frozen):
    """``manifest.json``: plan, versions, calibration, units."""

    version: Literal[1] = 1
    banner: str = BANNER
    run: str = Field(pattern=NAME)
    created_utc: str
    sample: str = Field(description="a pseudonym, never a patient's name or number")
    operator: str
    protocol: str
    plan: dict[str, JsonValue] = Field(description="the protocol, verbatim")
    channels: tuple[ChannelFacts, ...]
    fields: tuple[FieldFacts, ...]
    frame_height: int = Field(gt=0)
    frame_width: int = Field(gt=0)
    camera: CameraModel
    calibration: RunCalibration = RunCalibration()
    profile: Profile = Profile()
    former_profile_digest: str = Field(
        default="",
        description="not empty: the run was taken with settings of an earlier program "
        "that this one does not know; `profile` is today's of the same name",
    )
    configuration: str = Field(description="name of the device configuration")
    configuration_sha256: str
    simulation: dict[str, JsonValue] | None = Field(
        default=None,
        description="seed, kinetics_factor, time_scale ... of a simulated microscope; "
        "None for a real one",
    )
    selection: Selection | None = Field(
        default=None,
        description="which of `fields` were chosen to be taken; none: all of them, or "
        "not chosen yet",
    )
    imported: tuple[ImportedMovie, ...] = Field(
        default=(),
        description="not empty: the frames are movies of a microscope that this "
        "program did not drive",
    )
    stopped_early: EarlyStop | None = Field(
        default=None, description="the protocol's own rule ended the run"
    )
    denoised_by: dict[str, str] = Field(
        default={},
        description="channel -> SHA-256 of the Noise2Void weights that clean its "
        "frames for the fit; of results that stand apart, never of the run itself",
    )
    versions: dict[str, str]

    def channel(self, name: str) -> ChannelFacts:
        """Return the channel of that name. Raises `DataError` when there is none."""
        for channel in self.channels:
            if channel.name == name:
                return channel
        known = ", ".join(channel.name for channel in self.channels)
        raise DataError(
            f"run {self.run} has no channel {name} in its manifest.json, which names "
            f"{known}; restore the files of its folder from a copy"
        )

    def localize_params(self, name: str) -> LocalizeParams:
        """Return how frames of a channel are localized: with its own width, if known.

        The paper's profile fits the width of every spot and starts as the paper does.
        Raises `DataError` when there is no such channel.
        """
        sigma_nm = self.channel(name).spot_sigma_nm
        params = self.profile.localize
        if sigma_nm is None or self.profile.name == "paper":
            return params
        sigma_px = sigma_nm / self.camera.pixel_nm
        return params.model_copy(
            update={"sigma_px": min(max(sigma_px, NARROWEST_PX), WIDEST_PX)}
        )

    def with_role(self, role: Role) -> tuple[ChannelFacts, ...]:
        """Return the channels of a role, in order of acquisition."""
        return tuple(c for c in self.channels if c.role == role)
