"""What a simulated microscope may be told: the model behind `simulator.options`.

Values only; what follows from them is in the modules of the same names.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen
from simulators.faults.options import FaultOptions

SpecimenKind = Literal[
    "demo",
    "normal",
    "monosomic",
    "polysomic",
    "low_amplified",
    "high_amplified",
    "clustered",
    "doublet_rich",
    "badly_cut",
    "no_probe",
    "one_colour",
    "normal_tissue",
    "failed_hybridization",
]
FilmKind = Literal["bead_film", "uniform_film", "bare_glass"]
Noise = Literal["exact", "fast", "replay"]


class SampleOptions(Frozen):
    """The section, its probes and its buffer."""

    section_um: float = Field(default=3.0, gt=0, le=20, description="cut thickness")
    dyes_per_signal: float = Field(default=60.0, gt=0, le=200)
    blob_nm: float = Field(default=85.0, gt=0, le=500, description="sd of a probe blob")
    strays_per_um2: float = Field(
        default=0.02, ge=0, le=5, description="dyes bound off target, per colour"
    )
    haze: float = Field(
        default=1.0, ge=0, le=20, description="diffuse off-target probe, 1: usual"
    )
    autofluorescence: float = Field(default=1.0, ge=0, le=20, description="1: usual")
    is_dapi_stained: bool = Field(
        default=True, description="false: nuclei do not show, and none of it blinks"
    )
    reactivation: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="dose that wakes a dark dye, of 405 nm light over that of its own "
        "line; 0: 405 nm wakes none",
    )
    buffer_life_h: float = Field(
        default=24.0, gt=0, description="age at which dyes last half as long"
    )


class Bubble(Frozen):
    """Air in the immersion oil: nothing behind it is sharp, and no lock sees through.

    It stays where it is on the slide.
    """

    x_um: float
    y_um: float
    radius_um: float = Field(gt=0)
    blur_um: float = Field(default=6.0, ge=0, le=50, description="out of focus by this")


class LockOptions(Frozen):
    """The simulated focus lock, which works as ASI's CRISP does."""

    range_um: float = Field(
        default=6.0, gt=0, le=50, description="it catches a plane this far away"
    )
    noise_nm: float = Field(default=10.0, ge=0, le=1000, description="sd, each lock")
    settle_s: float = Field(default=0.1, ge=0, le=10, description="after a lock")
    failure_probability: float = Field(
        default=0.0, ge=0, le=1, description="at each move of the stage, while locked"
    )
    runaway_um: float = Field(
        default=8.0,
        ge=0,
        le=50,
        description="half of the failures drag the focus away by up to this",
    )


class FilmOptions(Frozen):
    """What lies on the glass where a film to calibrate by replaces the section."""

    beads_per_um2: float = Field(default=0.03, ge=0, le=1)
    bead_photons: float = Field(
        default=30_000.0, gt=0, description="in the published frame, at the centre"
    )
    uniform_photons: float = Field(
        default=6_000.0, gt=0, description="per pixel in the published frame"
    )


class StageOptions(Frozen):
    """How the slide lies and moves under the objective."""

    tilt_x_mrad: float = Field(default=0.4, ge=-200, le=200)
    tilt_y_mrad: float = Field(default=-0.3, ge=-200, le=200)
    creep_z_nm_per_min: float = Field(
        default=0.0, ge=-1000, le=1000, description="the slide sinks or rises, always"
    )
    bubbles: tuple[Bubble, ...] = ()
    lock: LockOptions = LockOptions()
    drift_xy_nm_per_min: float = Field(default=5.0, ge=0, le=1000, description="rms")
    drift_z_nm_per_min: float = Field(default=4.0, ge=0, le=1000, description="rms")
    speed_um_s: float = Field(default=5000.0, gt=0, le=1e6)
    settle_s: float = Field(
        default=0.05, ge=0, le=60, description="after every move, still busy"
    )


class OpticsOptions(Frozen):
    """Objective, colour errors and beam."""

    numerical_aperture: float = Field(default=1.4, gt=0, le=1.7)
    focal_depth_um: float = Field(
        default=0.2582,
        gt=0,
        description="sigma grows by sqrt(1 + (dz/this)^2): fourfold at 1 um",
    )
    chromatic: bool = Field(default=True, description="offsets between the colours")
    beam_margin_um: float = Field(
        default=1.0, ge=0, le=1000, description="half intensity beyond the frame"
    )
    beam_skirt_um: float = Field(
        default=0.7, gt=0, le=100, description="sd of the edge of the field stop"
    )
    beam_falloff: float = Field(
        default=0.15, ge=0, le=0.9, description="loss from the centre to a corner"
    )


class CameraOptions(Frozen):
    """An sCMOS sensor. Defaults: ORCA-Flash4.0 class, binned 2 x 2."""

    quantum_efficiency: float = Field(default=0.8, gt=0, le=1)
    e_per_adu: float = Field(default=0.46, gt=0, le=100)
    offset_adu: float = Field(default=100.0, ge=0, le=10_000)
    read_noise_e: float = Field(default=1.6, gt=0, le=100, description="rms of all")
    offset_sd_adu: float = Field(default=0.6, ge=0, le=100)
    gain_sd: float = Field(default=0.005, ge=0, le=0.2, description="relative")
    dark_e_per_s: float = Field(default=0.1, ge=0, le=1000)
    hot_fraction: float = Field(default=5e-5, ge=0, le=0.1)
    max_waiting: int = Field(
        default=0,
        ge=0,
        description="frames in the core's ring at which the camera waits for the "
        "reader, for simulated time that runs fast; 0: never, as a real one",
    )
    temperature_c: float = Field(default=-10.0, ge=-100, le=100)


class MountOptions(Frozen):
    """One of several sections that lie under the objective, side by side."""

    specimen: SpecimenKind
    seed: int = Field(ge=0, lt=2**63)
    x_um: float = Field(ge=-13_000, le=13_000, description="its centre")
    y_um: float = Field(ge=-11_000, le=11_000)


class SimulationOptions(Frozen):
    """One simulated microscope with one slide on it."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    specimen: SpecimenKind = "demo"
    film: FilmKind | None = Field(
        default=None, description="what to calibrate by, in place of the specimen"
    )
    height: int = Field(default=512, ge=16, le=4096)
    width: int = Field(default=512, ge=16, le=4096)
    pixel_nm: float = Field(default=130.0, gt=0, le=1000)
    noise: Noise = "exact"
    time_scale: float = Field(
        default=1.0, gt=0, le=1000, description="simulated seconds per real second"
    )
    kinetics_factor: float = Field(
        default=1.0,
        gt=0,
        le=500,
        description="5000/f frames span the decay of 5000; blinks keep their length",
    )
    lit_before_s: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="light of its own that every field has had before a burst",
    )
    truth_folder: str | None = None
    record_intervals: bool = True
    mounts: tuple[MountOptions, ...] = Field(
        default=(),
        description="sections instead of the one of `specimen` and `seed`; a place "
        "belongs to the nearest",
    )
    sample: SampleOptions = SampleOptions()
    films: FilmOptions = FilmOptions()
    stage: StageOptions = StageOptions()
    optics: OpticsOptions = OpticsOptions()
    camera: CameraOptions = CameraOptions()
    faults: tuple[FaultOptions, ...] = Field(
        default=(), description="what goes wrong, and when (tests)"
    )
    gated_light: bool = Field(
        default=False,
        description="true: the camera's exposures gate the lasers, so that a line that "
        "is on lights the sample in frames alone; false: whenever it is on",
    )
    interlock_cuts_light: bool = Field(
        default=False,
        description="false: only software puts light out when the interlock opens, so "
        "that its way can be measured",
    )

    @property
    def pixel_um(self) -> float:
        """Width of a pixel in the sample, in micrometres."""
        return self.pixel_nm / 1000.0
