"""What a device configuration may say: roles, laser map, limits.

A configuration is a ``.yaml`` beside a Micro-Manager ``.cfg``. It touches no hardware.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, JsonValue, ValidationError, model_validator

from her2sr_acq.errors import ConfigError
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
    first_frame_timeout_s: float = Field(default=20.0, gt=0, le=60)
    stall_timeout_s: float = Field(default=5.0, gt=0, le=60)
    stamp_tag: str | None = Field(
        default=None, description="frame tag with the camera's own clock, if it has one"
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


class FocusConfig(Frozen):
    """The focus drive and its soft limits."""

    label: str
    z_um: Range = (-100.0, 100.0)
    tolerance_um: float = Field(default=0.1, gt=0)
    timeout_s: float = Field(default=10.0, gt=0, le=120)


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
    power_full_scale: float = Field(gt=0, description="property value at 100 percent")
    rated_mw: float = Field(gt=0, description="light at 100 percent")
    limit_mw: float = Field(
        gt=0, description="never exceeded; requests above are refused"
    )
    readback_property: str | None = Field(
        default=None, description="measured output, in the unit of power_property"
    )
    tolerance: float = Field(default=0.02, gt=0, le=0.5)

    @property
    def limit_percent(self) -> float:
        """The highest power that may be asked for."""
        return min(100.0, 100.0 * self.limit_mw / self.rated_mw)


class SimulatorConfig(Frozen):
    """Which simulated microscope stands behind the devices. Absent in a real one."""

    module: str = Field(description="dotted path, started with `python -m`")
    options: dict[str, JsonValue] = Field(default_factory=dict)


class DeviceConfig(Frozen):
    """One microscope."""

    version: Literal[1] = 1
    name: str
    mmcore: MMCoreConfig
    camera: CameraConfig
    stage: StageConfig
    focus: FocusConfig
    lasers: tuple[LaserConfig, ...] = Field(min_length=1)
    simulator: SimulatorConfig | None = None

    @model_validator(mode="after")
    def _one_line_per_wavelength(self) -> Self:
        if len({laser.nm for laser in self.lasers}) != len(self.lasers):
            raise ValueError("lasers: every nm may stand only once")
        return self

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
    return f"'{key}': {fault['msg']}{tail}"


def digest(path: Path) -> str:
    """Return the SHA-256 of a configuration file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
