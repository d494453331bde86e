"""Whether every preset of a ``.cfg`` names what there is.

MMCore loads a preset with a wrong property in silence and fails when it is used: for
System/Shutdown that is when the light should go out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from her2sr_acq.devices.mmcore.cfg import CfgFile, Setting

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

CORE = "Core"
NEEDED = (("System", "Startup"), ("System", "Shutdown"))


def lint(core: CMMCorePlus, cfg: CfgFile) -> list[str]:
    """Return one sentence for everything wrong with the presets; none: all is well.

    The devices of ``cfg`` must be loaded in ``core``.
    """
    settings = cfg.settings()
    loaded = {str(label) for label in core.getLoadedDevices()}
    found = (_fault(core, setting, loaded) for setting in settings)
    return missing_presets(cfg) + [
        f"{cfg.path.name} line {setting.number}: preset {setting.group}/"
        f"{setting.preset} {fault}"
        for setting, fault in zip(settings, found, strict=True)
        if fault
    ]


def missing_presets(cfg: CfgFile) -> list[str]:
    """Return one sentence for every preset that every configuration needs."""
    there = {(setting.group, setting.preset) for setting in cfg.settings()}
    return [
        f"{cfg.path.name} has no preset {group}/{preset}; add 'ConfigGroup,{group},"
        f"{preset},device,property,value' lines that leave every light off"
        for group, preset in NEEDED
        if (group, preset) not in there
    ]


def _fault(core: CMMCorePlus, setting: Setting, loaded: set[str]) -> str:
    if setting.device not in loaded:
        return f"names device '{setting.device}', which is not declared; correct it"
    if not core.hasProperty(setting.device, setting.property):
        return (
            f"names property '{setting.property}', which device '{setting.device}' "
            f"does not have; correct it"
        )
    return _value_fault(core, setting) if setting.device != CORE else ""


def _value_fault(core: CMMCorePlus, setting: Setting) -> str:
    device, name, value = setting.device, setting.property, setting.value
    if core.isPropertyReadOnly(device, name):
        return f"sets '{name}' of '{device}', which can only be read; remove it"
    allowed = core.getAllowedPropertyValues(device, name)
    if allowed and value not in allowed:
        return (
            f"sets '{name}' of '{device}' to '{value}'; it takes {', '.join(allowed)}"
        )
    if core.hasPropertyLimits(device, name):
        low = core.getPropertyLowerLimit(device, name)
        high = core.getPropertyUpperLimit(device, name)
        if not _within(value, low, high):
            return f"sets '{name}' of '{device}' to '{value}'; it takes {low} to {high}"
    return ""


def _within(value: str, low: float, high: float) -> bool:
    try:
        return low <= float(value) <= high
    except ValueError:
        return False
