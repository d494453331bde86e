"""Stands in for an MMCore: obeys a plan of faults, and reads the truth past it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Fault:
    """Which call fails, and how."""

    name: str
    kind: str
    of: str = ""
    """Only with this among its arguments."""
    met: int = 0

    def meets(self, name: str, arguments: tuple) -> bool:
        return name == self.name and (not self.of or self.of in map(str, arguments))

    def happen(self) -> None:
        self.met += 1
        if self.kind == "silent":
            return
        if self.kind == "times out":
            time.sleep(0.05)
        raise RuntimeError(f"the device {self.kind}")


@dataclass
class FaultyCore:
    """Passes every call on, but the one that a test lets fail."""

    core: object
    config: object
    fault: Fault | None = None
    busy: str = ""
    """A drive that never arrives."""
    called: set = field(default_factory=set)
    truths: list = field(default_factory=list)

    def __getattr__(self, name):
        real = getattr(self.core, name)

        def call(*arguments, **more):
            self.called.add(name)
            if self.fault is not None and self.fault.meets(name, arguments):
                return self.fault.happen()
            if name == "deviceBusy" and arguments == (self.busy,):
                return True
            if name == "popNextImageAndMD":
                self.truths.append(truth(self.core, self.config))
            return real(*arguments, **more)

        return call


def truth(core, config) -> dict:
    """Return what the hardware really is, whatever it was told."""
    camera = config.camera.label
    lit = {
        line.nm: round(_power(core, line), 1)
        for line in config.lasers
        if _is_on(core, line)
    }
    return {
        "place": tuple(round(float(v)) for v in core.getXYPosition(config.stage.label)),
        "exposure_ms": float(core.getProperty(camera, "Exposure")),
        "roi": list(core.getROI(camera)),
        "lit": lit,
        "filter": core.getStateLabel(config.filter_wheel.label),
        "mode": {
            name: core.getProperty(camera, name)
            for mode in config.camera.readout_modes.values()
            for name in mode
        },
    }


def _is_on(core, line) -> bool:
    if line.enable_property is None:
        return core.getShutterOpen(line.label)
    return core.getProperty(line.label, line.enable_property) == line.on_value


def _power(core, line) -> float:
    value = core.getProperty(line.power_label or line.label, line.power_property)
    return 100.0 * float(value) / line.power_full_scale
