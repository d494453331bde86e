"""Owns the one MMCore of a microscope: opens it, speaks to it, lets go of it.

The core must be dropped before the interpreter ends, or its callback thread may abort
the process; so nothing else keeps a reference to it.
"""

from __future__ import annotations

import gc
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.mmcore.bringup import bring_up
from her2sr_acq.devices.mmcore.cfg import CfgFile
from her2sr_acq.devices.mmcore.lint import lint
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.errors import AcqError, DeviceError

if TYPE_CHECKING:
    from pymmcore_plus.experimental.unicore import UniMMCore

ADAPTERS = "MICROMANAGER_PATH"
LOADER_LOG = "pymmcore_plus.experimental.unicore._device_manager"


class CoreHandle:
    """The core while it is open. Adapters keep the handle, never the core."""

    def __init__(
        self, config: DeviceConfig, config_path: Path, *, is_partial: bool = False
    ) -> None:
        """Load every device of the configuration.

        Raises `DeviceError` naming every device that failed; ``is_partial``: keeps
        those that came up, and names the others in `absent`.
        """
        self.cfg = CfgFile(config_path.parent / config.mmcore.cfg)
        self._core: UniMMCore | None = _new_core(self.cfg)
        self.absent: dict[str, str] = {}
        """Label -> why it is not there;  empty unless partial."""
        if is_partial:
            self.absent = bring_up(self.core, self.cfg)
            return
        try:
            with speaking_to(self.cfg.path.name):
                self.core.loadSystemConfiguration(str(self.cfg.path))
        except AcqError as exc:
            found = _diagnose(self.core, self.cfg)
            self._drop()
            if not found:
                raise
            raise DeviceError(
                f"{config.name} could not be opened: {'; '.join(found)}"
            ) from exc

    @property
    def core(self) -> UniMMCore:
        """The core. Raises `DeviceError` after `close`."""
        if self._core is None:
            raise DeviceError("the microscope is closed; open it again")
        return self._core

    @property
    def is_open(self) -> bool:
        """Whether `close` has not been called."""
        return self._core is not None

    def close(self) -> None:
        """Apply System/Shutdown, unload every device, drop the core.

        Safe to call twice. Raises `DeviceError` when the preset could not be applied;
        the core is dropped all the same.
        """
        if self._core is None:
            return
        try:
            with speaking_to("System/Shutdown"):
                # Said here because the core, on reset, leaves Python devices out.
                if self.core.isConfigDefined("System", "Shutdown"):
                    self.core.setConfig("System", "Shutdown")
        finally:
            self._drop()

    def _drop(self) -> None:
        core, self._core = self.core, None
        try:
            with speaking_to("MMCore"):
                core.reset()
        finally:
            del core
            gc.collect()


def _new_core(cfg: CfgFile) -> UniMMCore:
    """Make an empty core; kept from writing a log of its own into the home folder."""
    # pymmcore-plus 0.18.1 takes its own "0" for the file in the home folder, which a
    # sealed container cannot write
    os.environ.setdefault("PYMM_LOG_FILE", os.devnull)
    root_level = logging.getLogger().level
    from pymmcore_plus.experimental.unicore import UniMMCore

    logging.getLogger().setLevel(root_level)
    # A device that does not come up is reported once, by `DeviceError`.
    logging.getLogger(LOADER_LOG).setLevel(logging.CRITICAL)
    return UniMMCore(mm_path=_adapter_path(cfg))


def _adapter_path(cfg: CfgFile) -> str | None:
    """Return the folder of the packaged adapters when they are all that is needed.

    Otherwise, or when the environment names a folder, the installed Micro-Manager is
    looked for: an old one must not shadow the adapters that this version was tested
    with.
    """
    if os.environ.get(ADAPTERS):
        return None
    from mm_test_adapters import device_adapter_path

    folder = device_adapter_path()
    packaged = " ".join(path.name for path in Path(folder).iterdir())
    libraries = {device.library for device in cfg.devices() if not device.is_python}
    needed = all(f"mmgr_dal_{library}" in packaged for library in libraries)
    return folder if needed else None


def _diagnose(core: UniMMCore, cfg: CfgFile) -> list[str]:
    """Load the devices one by one; return a sentence for each that fails.

    With all devices up, what is wrong is a preset: the linter says which.
    """
    with speaking_to("MMCore"):
        core.unloadAllDevices()
    return list(bring_up(core, cfg).values()) or lint(core, cfg)
