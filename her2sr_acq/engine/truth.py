"""The truth of a simulated specimen, carried into the run folder and not looked at."""

from __future__ import annotations

from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_proc.store.atomic import write_bytes
from her2sr_proc.store.layout import RunFolder


def copy_truth(config: DeviceConfig, run: RunFolder) -> int:
    """Copy the simulated microscope's truth files; return how many there were."""
    if config.simulator is None:
        return 0
    source = config.simulator.options.get("truth_folder")
    if not isinstance(source, str) or not Path(source).is_dir():
        return 0
    files = [path for path in sorted(Path(source).iterdir()) if path.is_file()]
    for path in files:
        write_bytes(run.simulated_truth / path.name, path.read_bytes())
    return len(files)
