"""What a device configuration may say: roles, laser map, limits.

A configuration is a ``.yaml`` beside a Micro-Manager ``.cfg``. It touches no hardware.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, JsonValue, ValidationError, model_validator

from her2sr_acq.config_focus import FocusConfig
from her2sr_acq.config_light import SampleLight
from her2sr_acq.config_notify import NotifyConfig
from her2sr_acq.config_storage import StorageConfig
from her2sr_acq.config_wheel import FilterWheelConfig
from her2sr_acq.errors import ConfigError
from her2sr_acq.guard.settings import GuardConfig
from her2sr_proc.schema.calibration import CalibrationKind
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.model import Frozen

Range = tuple[float, float]


class MMCoreConfig(Frozen):
    """Which Micro-Manager configuration to load, and how large its ring is."""

    cfg: str = Field(description="file beside the yaml, or an absolute path")
    buffer_mb: int = Field(default=256, ge=16, le=65536)
    settings: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="device -> property -> value, set at start-up"
    )


class CameraConfig(Frozen):
    """The camera and what its counts mean."""

    label: str
    width: int = Field(gt=0, le=16384)
    height: int = Field(gt=0, le=16384)
    exposure_ms: Range = (0.01, 10_000.0)
    exposure_tolerance: float = Field(default=0.02, ge=0, le=0.5)
    first_frame_timeout_s: float = Field(default=5.0, gt=0, le=60)
    stall_timeout_s: float = Field(default=1.0, gt=0, le=60)
    stamp_tag: str | None = Field(
        default=None, description="frame tag with the camera's own clock, if it has one"
    )
    counter_tag: str | None = Field(
        default=None, description="frame tag with the camera's own count, if it has one"
    )
    readout_modes: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="name -> property -> value; a protocol chooses one by name",
    )
    model: CameraModel = CameraModel()


class StageConfig(Frozen):
    """The xy stage and its soft limits."""

    label: str
    x_um: Range = (-50_000.0, 50_000.0)
    y_um: Range = (-50_000.0, 50_000.0)
    tolerance_um: float = Field(default=0.5, gt=0)
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    settle_ms: float = Field(default=0.0, ge=0, le=10_000)
    long_travel_um: float = Field(
        default=2_000.0,
        gt=0,
        description="a longer move goes at focus.travel_z_um, if that is given",
    )


class PropertyCheck(Frozen):
    """A property of a device that must have a value, or lie in a range."""

    label: str | None = Field(default=None, description="default: the same device")
    property: str
    ok: str | None = Field(default=None, description="the one good value")
    range: Range | None = Field(default=None, description="the good values")

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.ok is None) == (self.range is None):
            raise ValueError("give either 'ok' or 'range', and not both")
        return self


WatchKind = Literal["interlock", "fault", "temperature", "ready"]


class WatchConfig(PropertyCheck):
    """Something that is looked at before light and while there is light.

    An interlock or a fault puts the light out at once and latches. A temperature or a
    device that is not ready keeps light from being switched on, and pauses the run.
    """

    name: str
    kind: WatchKind
    label: str
    wait_s: float = Field(
        default=0.0, ge=0, le=7200, description="how long a run waits for it, warm-up"
    )


class LaserConfig(Frozen):
    """One laser line in its adapter's own vocabulary."""

    nm: int = Field(gt=300, lt=1100)
    label: str
    enable_property: str | None = Field(
        default=None,
        description="lets light out; default: the device is a shutter and is opened",
    )
    on_value: str = "1"
    off_value: str = "0"
    power_label: str | None = Field(
        default=None, description="default: the same device"
    )
    power_property: str
    power_unit: Literal["percent", "mW", "W", "V"] = Field(
        default="percent", description="of power_property and power_full_scale"
    )
    power_full_scale: float = Field(gt=0, description="property value at 100 percent")
    rated_mw: float = Field(gt=0, description="light at 100 percent")
    limit_mw: float = Field(
        gt=0, description="never exceeded; requests above are refused"
    )
    readback_property: str | None = Field(
        default=None, description="measured output, in the unit of power_property"
    )
    tolerance: float = Field(default=0.02, gt=0, le=0.5)
    settle_ms: float = Field(
        default=0.0, ge=0, le=10_000, description="after the power was set, still dark"
    )
    emission_delay_ms: float = Field(
        default=0.0, ge=0, le=10_000, description="from the command to light (CDRH)"
    )
    interlock: PropertyCheck | None = None
    fault: PropertyCheck | None = None
    sample: SampleLight = SampleLight()

    @property
    def limit_percent(self) -> float:
        """The highest power that may be asked for."""
        return min(100.0, 100.0 * self.limit_mw / self.rated_mw)


class MeterConfig(Frozen):
    """A power meter in the sample plane, if Micro-Manager knows it."""

    label: str
    property: str
    unit: Literal["mW", "W"] = "mW"


VALID_DAYS: dict[CalibrationKind, float] = {
    "camera": 180.0,
    "beads": 7.0,
    "power": 30.0,
    "flat": 30.0,
    "pixel": 365.0,
}


class CalibrationConfig(Frozen):
    """How long a calibration holds, and which a run may not do without."""

    valid_days: dict[CalibrationKind, Annotated[float, Field(gt=0, le=3650)]] = Field(
        default_factory=dict, description="kind -> days, instead of the usual ones"
    )
    required: tuple[CalibrationKind, ...] = Field(
        default=(), description="of every run; a protocol may ask for more"
    )

    def days(self, kind: CalibrationKind) -> float:
        """Return for how long a calibration holds."""
        return self.valid_days.get(kind, VALID_DAYS[kind])


class SimulatorConfig(Frozen):
    """Which simulated microscope stands behind the devices. Absent in a real one."""

    module: str = Field(description="dotted path, started with `python -m`")
    options: dict[str, JsonValue] = Field(default_factory=dict)
    disk: dict[str, JsonValue] | None = Field(
        default=None,
        description="faults of the disk: `maker` is a dotted path, the rest its "
        "arguments (tests)",
    )


class DeviceConfig(Frozen):
    """One microscope."""

    version: Literal[1] = 1
    name: str
    mmcore: MMCoreConfig
    camera: CameraConfig
    stage: StageConfig
    focus: FocusConfig
    filter_wheel: FilterWheelConfig | None = None
    lasers: tuple[LaserConfig, ...] = Field(min_length=1)
    watches: tuple[WatchConfig, ...] = ()
    guard: GuardConfig = GuardConfig()
    storage: StorageConfig = StorageConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    meter: MeterConfig | None = None
    notify: NotifyConfig = NotifyConfig()
    unverified: tuple[str, ...] = Field(
        default=(), description="what nobody has checked on this microscope yet"
    )
    platform: Literal["any", "linux", "windows"] = "any"
    simulator: SimulatorConfig | None = None

    @model_validator(mode="after")
    def _one_line_per_wavelength(self) -> Self:
        if len({laser.nm for laser in self.lasers}) != len(self.lasers):
            raise ValueError("lasers: every nm may stand only once")
        return self

    @model_validator(mode="after")
    def _filters_are_of_lines_there_are(self) -> Self:
        known = {laser.nm for laser in self.lasers}
        unknown = set(self.filter_wheel.lines if self.filter_wheel else ()) - known
        if unknown:
            raise ValueError(
                f"filter_wheel.lines: there is no laser of {min(unknown)} nm; correct "
                f"the line"
            )
        return self

    @model_validator(mode="after")
    def _every_line_can_be_shut(self) -> Self:
        covered = {nm for way in self.guard.safe_off for nm in way.nm}
        missing = sorted({laser.nm for laser in self.lasers} - covered)
        if self.guard.safe_off and missing:
            raise ValueError(
                f"guard.safe_off: nothing shuts the line of {missing[0]} nm; add it "
                f"to one of the entries"
            )
        return self

    def all_watches(self) -> tuple[WatchConfig, ...]:
        """Return the watches, those that stand with a laser included."""
        found = list(self.watches)
        for laser in self.lasers:
            kinds: tuple[tuple[WatchKind, PropertyCheck | None], ...] = (
                ("interlock", laser.interlock),
                ("fault", laser.fault),
            )
            found += [
                WatchConfig(
                    name=f"{kind} of the {laser.nm} nm laser",
                    kind=kind,
                    label=check.label or laser.label,
                    property=check.property,
                    ok=check.ok,
                    range=check.range,
                )
                for kind, check in kinds
                if check is not None
            ]
        return tuple(found)

    def laser(self, nm: int) -> LaserConfig:
        """Return the line of that wavelength; KeyError when there is none."""
        for laser in self.lasers:
            if laser.nm == nm:
                return laser
        raise KeyError(nm)


def resolve(name_or_path: str) -> Path:
    """Return the path of a configuration given by path or by packaged name.

    Raises `ConfigError` when neither exists.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path.resolve()
    packaged = Path(str(files("device_configs"))) / f"{path.stem}.yaml"
    if path.parent in (Path(), Path("device_configs")) and packaged.is_file():
        return packaged
    known = ", ".join(sorted(p.stem for p in packaged.parent.glob("*.yaml")))
    raise ConfigError(
        f"no device configuration '{name_or_path}'; give a path, or one of: {known}",
        configuration=name_or_path,
    )


def load(path: Path) -> DeviceConfig:
    """Read and check a configuration. Raises `ConfigError` naming key and cure."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise ConfigError(f"{path.name} cannot be read as YAML: {exc}") from exc
    if not isinstance(data, dict):
        raise ConfigError(f"{path.name} must hold keys and values, such as 'name: ...'")
    try:
        return DeviceConfig.model_validate(data)
    except ValidationError as exc:
        raise ConfigError(f"{path.name}: {describe(exc)}") from exc


def describe(error: ValidationError) -> str:
    """Return the first fault of a validation as one sentence with its key path."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"]) or "top level"
    more = error.error_count() - 1
    tail = f" (and {more} more)" if more else ""
    return f"'{key}': {fault['msg'].removeprefix('Value error, ')}{tail}"


def digest(path: Path) -> str:
    """Return the SHA-256 of a configuration file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
