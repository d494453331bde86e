"""A property of MMCore that is looked at before light and while there is light."""

from __future__ import annotations

from her2sr_acq.config import WatchConfig, WatchKind
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.speech import same_value, speaking_to
from her2sr_acq.errors import AcqError, ConfigError

CURES: dict[WatchKind, str] = {
    "interlock": "close doors, covers and the key switch, then rearm",
    "fault": "read the fault on the laser itself and clear it, then rearm",
    "temperature": "wait, and check its cooling",
    "ready": "wait until it has warmed up, and check that it is switched on",
}


class MMWatch:
    """The watch port over MMCore. Keeps nothing and takes no lock of the engine."""

    def __init__(self, handle: CoreHandle, config: WatchConfig) -> None:
        """Check the names. Raises `ConfigError` for a property that is not there."""
        self._handle = handle
        self._config = config
        with speaking_to(config.label):
            has_it = handle.core.hasProperty(config.label, config.property)
        if not has_it:
            raise ConfigError(
                f"{config.name}: {config.label} has no property '{config.property}'; "
                f"correct it in the configuration",
                device=config.label,
            )

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self._config.name

    @property
    def kind(self) -> WatchKind:
        """Interlock, fault, temperature or ready."""
        return self._config.kind

    @property
    def wait_s(self) -> float:
        """How long the start of a run may wait for it."""
        return self._config.wait_s

    def trouble(self) -> str:
        """Return what is wrong as one sentence with the cure; empty: nothing."""
        config = self._config
        try:
            with speaking_to(config.label):
                found = str(
                    self._handle.core.getProperty(config.label, config.property)
                )
        except AcqError as exc:
            return f"{config.name} cannot be read ({exc}); check its power and cable"
        wanted = self._wanted(found)
        if not wanted:
            return ""
        return (
            f"{config.name}: '{config.property}' of {config.label} reads '{found}' and "
            f"should be {wanted}; {CURES[config.kind]}"
        )

    def _wanted(self, found: str) -> str:
        """Return what the value should have been; empty when it is."""
        config = self._config
        if config.range is None:
            return "" if same_value(found, str(config.ok)) else f"'{config.ok}'"
        low, high = config.range
        return "" if _within(found, low, high) else f"{low:g} to {high:g}"


def _within(found: str, low: float, high: float) -> bool:
    try:
        return low <= float(found) <= high  # nan is not
    except ValueError:
        return False
