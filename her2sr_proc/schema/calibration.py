"""What a calibration of the instrument says, and what a run records of it.

Positions are in nanometres of the sample, as in the tables. The reference colour of
every registration is the channel with the longest wavelength, 561.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.model import Frozen

CalibrationKind = Literal["camera", "beads", "power", "flat", "pixel"]
KINDS: tuple[CalibrationKind, ...] = ("camera", "beads", "power", "flat", "pixel")
REFERENCE_NM = 561
"""The colour into whose frame the others are brought."""


class AffineTransform(Frozen):
    """Takes a position of one colour to that of the reference colour.

    x' = xx x + xy y + x_nm, and y' = yx x + yy y + y_nm; all lengths in nm, measured
    from the centre of the whole sensor's first pixel.
    """

    xx: float = 1.0
    xy: float = 0.0
    x_nm: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    y_nm: float = 0.0


class ChannelRegistration(Frozen):
    """One colour against the reference."""

    laser_nm: int = Field(gt=0)
    to_reference: AffineTransform
    fiducials: int = Field(ge=0, description="beads that the fit rests on")
    residual_nm: float = Field(
        ge=0, description="rms distance of beads left out of the fit; cross-validated"
    )
    focus_offset_um: float = Field(
        description="z of the drive at which this colour is sharpest, less that of the "
        "reference"
    )
    focus_error_um: float = Field(ge=0, description="standard error of it")
    focal_depth_um: float = Field(
        gt=0, description="sigma grows by sqrt(1 + (dz / this)^2)"
    )
    spot_sigma_nm: float = Field(gt=0, description="width of a bead in focus")


class Registration(Frozen):
    """All colours of an instrument."""

    reference_nm: int = REFERENCE_NM
    channels: tuple[ChannelRegistration, ...] = Field(min_length=1)

    def channel(self, laser_nm: int) -> ChannelRegistration | None:
        """Return the colour of a laser, or None when it was not measured."""
        return next((c for c in self.channels if c.laser_nm == laser_nm), None)


class CalibrationCard(Frozen):
    """One calibration as it stands in the data folder, or a run's record of it."""

    version: Literal[1] = 1
    banner: str = BANNER
    kind: CalibrationKind
    id: str = Field(pattern=r"^[0-9]{8}T[0-9]{6}Z(-[0-9]+)?$")
    made_utc: str
    operator: str = Field(description="a pseudonym")
    configuration: str = Field(description="name of the device configuration")
    configuration_sha256: str
    simulated: bool
    frame_height: int = Field(gt=0)
    frame_width: int = Field(gt=0)
    values: dict[str, JsonValue] = Field(description="what was measured, with units")
    arrays_sha256: str = Field(
        default="", description="of the .npz beside it; empty: there is none"
    )
    registration: Registration | None = None


class CalibrationUse(Frozen):
    """One calibration that a run was taken with."""

    kind: CalibrationKind
    id: str
    made_utc: str
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="of the card's file in the data folder"
    )
    arrays_sha256: str = ""
    values: dict[str, JsonValue] = Field(
        default_factory=dict, description="what was measured, with units"
    )
    age_days: float = Field(ge=0, description="when the run was accepted")
    expired: bool = False


class RunCalibration(Frozen):
    """What a run knows of its instrument; empty: of an earlier program."""

    used: tuple[CalibrationUse, ...] = ()
    unused: tuple[str, ...] = Field(
        default=(), description="why a calibration was not used, one sentence each"
    )
    registration: Registration | None = Field(
        default=None, description="None: positions of the colours are not registered"
    )
    crop: tuple[int, int] = Field(
        default=(0, 0), description="x and y of the run's region on the sensor, pixels"
    )

    def use(self, kind: CalibrationKind) -> CalibrationUse | None:
        """Return the calibration of a kind, or None."""
        return next((use for use in self.used if use.kind == kind), None)
