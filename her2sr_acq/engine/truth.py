"""The truth of a simulated specimen, carried into the run folder and not looked at."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.runtime import MICROSCOPE, address
from her2sr_acq.stream.envelope import ask
from her2sr_proc.store.atomic import write_bytes
from her2sr_proc.store.layout import RunFolder

log = logging.getLogger(__name__)

WRITE_S = 30.0


@dataclass(frozen=True, slots=True)
class TruthSource:
    """Where a simulated microscope leaves its truth, and where to ask for it."""

    folder: Path
    address: str
    deadline_s: float = WRITE_S

    def copy(self, run: RunFolder) -> int:
        """Have the truth brought up to date and copy it; return the files copied."""
        try:
            answer = ask(
                self.address,
                "truth",
                {"folder": str(self.folder)},
                deadline_s=self.deadline_s,
            )
        except ServiceUnavailableError as exc:
            log.warning("the truth may lack the last burst: %s", exc)
        else:
            if answer.error is not None:
                log.warning("the truth may lack the last burst: %s", answer.error)
        files = [path for path in sorted(self.folder.glob("*")) if path.is_file()]
        for path in files:
            write_bytes(run.simulated_truth / path.name, path.read_bytes())
        return len(files)


def truth_source(config: DeviceConfig, runtime: Path) -> TruthSource | None:
    """Return where the truth of this microscope is, or None if it has or tells none.

    A relative folder is taken from the runtime folder.
    """
    if config.simulator is None:
        return None
    folder = config.simulator.options.get("truth_folder")
    if not isinstance(folder, str):
        return None
    return TruthSource(runtime / folder, address(runtime, MICROSCOPE))
