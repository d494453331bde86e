"""The doctor of a microscope in service: what `her2sr doctor` looks at, on request.

Never asks a device while a run has the microscope: what needs one is then left unasked,
and said so.
"""

from __future__ import annotations

from functools import partial

from her2sr_acq.checkup import host, light, microscope
from her2sr_acq.checkup.finding import Finding
from her2sr_acq.engine.device_views import CheckupView, Found
from her2sr_acq.engine.slot import Slot
from her2sr_acq.errors import AcqError
from her2sr_acq.plan.load import known

HARDWARE_S = 8.0
"""Deadline of the look at devices: below the control socket's."""


class Examining:
    """Looks at everything. May be used from any thread."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._station = slot.station

    def examine(self) -> CheckupView:
        """Return what was found; a fault does not end the look.

        The light is shut for it, so it is looked at between runs alone.
        """
        config, data = self._station.config, self._station.data.root
        taken = self._station.clock.stamp()
        found = [Finding("configuration", True, config.name), *self._devices()]
        found.append(light.coverage(config))
        found += [microscope.protocol(name, config, data) for name in known()]
        found += [
            host.disk(config, data),
            host.clock(),
            host.permissions(data),
            host.latch(data),
        ]
        found += [
            Finding("unverified", True, said, is_note=True)
            for said in config.unverified
        ]
        return CheckupView(taken_utc=taken, found=tuple(_line(one) for one in found))

    def _devices(self) -> list[Finding]:
        with self._slot.lock:
            if (active := self._slot.active) is not None:
                said = f"not asked: run {active.view.id} has them; ask after it"
                return [Finding("devices", True, said, is_note=True)]
            try:
                return self._slot.worker.ask(partial(self._look), timeout_s=HARDWARE_S)
            except AcqError as exc:
                return [Finding("microscope", False, str(exc))]

    def _look(self) -> list[Finding]:
        hardware, config = self._station.hardware, self._station.config
        runtime = self._station.runtime
        return [
            *([] if runtime is None else light.paths(config, runtime)),
            *microscope.devices(config, hardware),
            microscope.presets(hardware.lint()),
        ]


def _line(found: Finding) -> Found:
    return Found(
        subject=found.subject,
        state="note" if found.is_note else "good" if found.is_good else "bad",
        detail=found.detail,
    )
