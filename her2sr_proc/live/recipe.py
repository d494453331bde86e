"""How the frames of one run are localized, as its manifest says."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from her2sr_proc.burst import BlockLocalizer, localizer_for
from her2sr_proc.errors import DataError
from her2sr_proc.schema.block import BlockHeader
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.calibrations import camera_of
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.manifest import read_manifest

KEPT = 2
"""Runs whose recipes are remembered: one is active at a time, the last may be closing.

Each holds some planes of a frame, so few are kept.
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A run's manifest with what localizes its frames. Used by one thread at a time."""

    manifest: Manifest
    camera: CameraMaps
    _localizers: dict[object, BlockLocalizer] = field(default_factory=dict)
    """By width; by channel where frames are cleaned by a threshold of its own."""

    def localizer(self, channel: str) -> BlockLocalizer:
        """Return what localizes the frames of a channel.

        Raises `DataError` when the run has no such channel.
        """
        is_cleaned = self.manifest.profile.cleaning is not None
        params = self.manifest.localize_params(channel)
        key = channel if is_cleaned else params
        if key not in self._localizers:
            self._localizers[key] = localizer_for(self.manifest, channel, self.camera)
        return self._localizers[key]

    def is_signal(self, channel: str) -> bool:
        """Return whether frames of that channel are localized.

        Raises `DataError` when the run has no such channel.
        """
        return self.manifest.channel(channel).role == "signal"


class Recipes:
    """Reads each manifest once. May be asked by several threads."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data
        self._known: OrderedDict[str, Recipe] = OrderedDict()
        self._one_at_a_time = threading.RLock()

    def localizer(self, header: BlockHeader) -> BlockLocalizer | None:
        """Return what localizes a block, or None where its channel is not localized.

        Raises as `of`, and `DataError` when the run has no such channel.
        """
        channel = header.key.channel
        with self._one_at_a_time:
            recipe = self.of(header)
            return recipe.localizer(channel) if recipe.is_signal(channel) else None

    def of(self, header: BlockHeader) -> Recipe:
        """Return the recipe of the run that a block belongs to.

        Raises `StateError` when there is no such run, `DataError` when the block's
        frames are not of the manifest's size, or the run's camera maps are not there.
        """
        with self._one_at_a_time:
            recipe = self._known.get(header.key.run) or self._read(header.key.run)
        expected = (recipe.manifest.frame_height, recipe.manifest.frame_width)
        if (header.height, header.width) != expected:
            raise DataError(
                f"a block of {header.height} x {header.width} pixels in run "
                f"{header.key.run}, whose frames have {expected[0]} x {expected[1]}"
            )
        return recipe

    def _read(self, run: str) -> Recipe:
        folder = self._data.run(run)
        manifest = read_manifest(folder)
        recipe = Recipe(manifest, camera_of(folder, manifest))
        self._known[run] = recipe
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return recipe
