"""What can be said of a configuration whose adapters cannot be loaded here.

Reads the ``.cfg`` and the ``.yaml``, and no hardware. What a source does not say is
unverified, which is not a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from her2sr_acq.config import DeviceConfig, LaserConfig
from her2sr_acq.devices.mmcore import grammar, vocabulary
from her2sr_acq.devices.mmcore.cfg import CfgFile, DeviceLine
from her2sr_acq.devices.mmcore.lint import missing_presets
from her2sr_acq.devices.mmcore.speech import same_value

PIXEL_TOLERANCE = 0.001
SHUTTER_STATE = "State"


@dataclass(frozen=True, slots=True)
class StaticReport:
    """What is wrong, and what nobody knows."""

    faults: tuple[str, ...]
    unverified: tuple[str, ...]


def lint_static(config: DeviceConfig, cfg: CfgFile) -> StaticReport:
    """Return what is wrong with a configuration, and what could not be verified."""
    faults = [
        *grammar.faults(cfg),
        *missing_presets(cfg),
        *_undeclared(config, cfg),
        *_focus_faults(config, cfg),
        *_light_faults(config, cfg),
        *_pixel_faults(config, cfg),
        *_filter_faults(config, cfg),
    ]
    return StaticReport(tuple(faults), tuple(_unverified(config, cfg)))


def _undeclared(config: DeviceConfig, cfg: CfgFile) -> Iterator[str]:
    declared = {device.label for device in cfg.devices()}
    for label in dict.fromkeys(label for label, _ in _named(config)):
        if label not in declared:
            yield (
                f"the yaml names device '{label}', which {cfg.path.name} does not "
                f"declare; correct one of them"
            )


def _focus_faults(config: DeviceConfig, cfg: CfgFile) -> Iterator[str]:
    lines = [line for line in cfg.lines if line.command == "FocusDirection"]
    if not any(line.arguments[:1] == (config.focus.label,) for line in lines):
        yield (
            f"{cfg.path.name} does not say which way the focus goes; add "
            f"'FocusDirection,{config.focus.label},1' when larger z is towards the "
            f"sample, else -1"
        )


def _light_faults(config: DeviceConfig, cfg: CfgFile) -> Iterator[str]:
    for laser in config.lasers:
        name, values = _off_of(laser, cfg)
        if not values:
            yield (
                f"System/Shutdown does not shut the {laser.nm} nm laser; add "
                f"'ConfigGroup,System,Shutdown,{laser.label},{name},{laser.off_value}'"
            )
        elif not all(same_value(value, laser.off_value) for value in values):
            yield (
                f"System/Shutdown leaves the {laser.nm} nm laser on: '{name}' is set "
                f"to {', '.join(values)}; set it to {laser.off_value}"
            )


def _off_of(laser: LaserConfig, cfg: CfgFile) -> tuple[str, list[str]]:
    """Return the property that lets light out, and to what Shutdown sets it."""
    presets = [s for s in cfg.settings() if s.group == "System"]
    labels = {laser.label}
    if laser.enable_property is None:
        # A shutter of the core's utilities stands over another device.
        labels |= {s.value for s in presets if s.device == laser.label}
    name = laser.enable_property or SHUTTER_STATE
    return name, [
        s.value
        for s in presets
        if s.preset == "Shutdown" and s.device in labels and s.property == name
    ]


def _pixel_faults(config: DeviceConfig, cfg: CfgFile) -> Iterator[str]:
    wanted_nm = config.camera.model.pixel_nm
    for line in cfg.lines:
        if line.command != "PixelSize_um" or len(line.arguments) != 2:
            continue
        try:
            found_nm = 1000.0 * float(line.arguments[1])
        except ValueError:
            found_nm = 0.0
        if not abs(found_nm - wanted_nm) <= PIXEL_TOLERANCE * wanted_nm:
            yield (
                f"{cfg.path.name} line {line.number} gives a pixel of "
                f"'{line.arguments[1]}' um, and camera.model.pixel_nm says "
                f"{wanted_nm:g} nm; correct the wrong one"
            )


def _filter_faults(config: DeviceConfig, cfg: CfgFile) -> Iterator[str]:
    """Tell of positions that the cfg names otherwise; a cfg that names none may do."""
    wheel = config.filter_wheel
    if wheel is None:
        return
    named = [
        line.arguments[2]
        for line in cfg.lines
        if line.command == "Label"
        and len(line.arguments) == 3
        and line.arguments[0] == wheel.label
    ]
    for label in wheel.labels:
        if named and label not in named:
            yield (
                f"{cfg.path.name} names no position '{label}' of {wheel.label}; it "
                f"names {', '.join(named)}; correct filter_wheel, or a Label line"
            )


def _unverified(config: DeviceConfig, cfg: CfgFile) -> Iterator[str]:
    """Say which properties no source was read for, device by device."""
    used = list(_named(config))
    used += [
        (line.arguments[0], line.arguments[1])
        for line in cfg.lines
        if line.command == "Property" and len(line.arguments) >= 2
    ]
    used += [(s.device, s.property) for s in cfg.settings()]
    for device in cfg.devices():
        names = dict.fromkeys(name for label, name in used if label == device.label)
        unknown = [name for name in names if name and not _knows(device, name)]
        if unknown:
            yield (
                f"{device.label}: no source says that {device.library}/{device.name} "
                f"has {', '.join(repr(name) for name in unknown)}"
            )


def _knows(device: DeviceLine, name: str) -> bool:
    return vocabulary.knows(device.library, device.name, name)


def _named(config: DeviceConfig) -> Iterator[tuple[str, str]]:
    """Yield every device that the yaml names, with the property or nothing."""
    yield from ((d.label, "") for d in (config.camera, config.stage, config.focus))
    if (lock := config.focus.lock) is not None:
        yield lock.label, lock.state_property
        yield lock.label, lock.offset_property or ""
    if config.filter_wheel is not None:
        yield config.filter_wheel.label, "Label"
    for mode in config.camera.readout_modes.values():
        yield from ((config.camera.label, name) for name in mode)
    for laser in config.lasers:
        power = laser.power_label or laser.label
        yield laser.label, laser.enable_property or ""
        yield power, laser.power_property
        yield power, laser.readback_property or ""
    for watch in config.all_watches():
        yield watch.label, watch.property
    for label, settings in config.mmcore.settings.items():
        yield from ((label, name) for name in settings)
