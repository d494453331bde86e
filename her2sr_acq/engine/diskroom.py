"""The room that the disk of a data folder has, and a reserve kept on it."""

from __future__ import annotations

from typing import Self

from her2sr_acq.config_storage import StorageConfig
from her2sr_acq.storage import Reserve, low_water
from her2sr_proc.store.layout import DataFolder


class DiskRoom:
    """The disk of a data folder. Keeps its reserve from entering to leaving."""

    def __init__(self, data: DataFolder, config: StorageConfig) -> None:
        self._data = data
        self._config = config
        self._reserve = Reserve(data.reserve, config.reserve_mb)

    def __enter__(self) -> Self:
        self._reserve.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self._reserve.release()

    def trouble(self, needed_bytes: int) -> str:
        """Return why so many bytes may not be begun; empty: they may."""
        return low_water(self._data.root, needed_bytes, self._config)

    def give_up_reserve(self) -> None:
        """Free what was kept, so that a full disk can be written down."""
        self._reserve.release()

    def restore_reserve(self) -> None:
        """Keep it again, if there is room."""
        self._reserve.restore()
