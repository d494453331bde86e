"""What a data folder is told by, before a verb reads it or puts a database there."""

from __future__ import annotations

from pathlib import Path

from her2sr_acq.errors import ConfigError
from her2sr_proc.store.layout import DataFolder, RunFolder


def existing(path: Path) -> DataFolder:
    """Return a data folder that is there.

    A mistyped one would else look like one without users or lines. Raises
    `ConfigError` for what is none.
    """
    data = DataFolder(path.resolve())
    if not data.runs.is_dir() and not data.accounts.is_file():
        raise ConfigError(
            f"{path} is no data folder: it has neither 'runs' nor users in it"
        )
    return data


def require_apart(path: Path) -> None:
    """Raise `ConfigError` for a folder that is a run's, or lies in a data folder.

    A database there would be found by no service. What is not there yet may be made.
    """
    folder = path.resolve()
    run = RunFolder(folder)
    if run.manifest.is_file() or run.ledger.is_file():
        raise ConfigError(f"{path} is the folder of a run; name the data folder")
    for above in map(DataFolder, folder.parents):
        marks = above.daemon, above.guard, above.database, above.accounts
        if any(mark.is_file() for mark in marks):
            raise ConfigError(
                f"{path} lies in the data folder {above.root}; name that one, or a "
                f"place outside it"
            )
