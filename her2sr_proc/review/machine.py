"""What the machine found in a run: read once, and again when a file changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from her2sr_proc.errors import AbsentError, StateError
from her2sr_proc.schema.counts import FieldResult, NucleusCounts
from her2sr_proc.schema.manifest import ChannelFacts, Manifest
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_field

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Machine:
    """The nuclei of a run as the machine counted them."""

    manifest: Manifest
    fields: tuple[FieldResult, ...]

    def nuclei(self) -> Iterator[tuple[str, NucleusCounts]]:
        """Yield field/nucleus and what was counted, excluded ones too."""
        for field in self.fields:
            for nucleus in field.nuclei:
                yield f"{field.field}/{nucleus.nucleus}", nucleus

    def nucleus(self, key: str) -> NucleusCounts:
        """Return one nucleus. Raises `AbsentError` where there is none."""
        field, _, number = key.partition("/")
        for nucleus in self.field(field).nuclei:
            if str(nucleus.nucleus) == number:
                return nucleus
        raise AbsentError(f"the run has no nucleus {key[:40]}")

    def field(self, name: str) -> FieldResult:
        """Return one field. Raises `AbsentError` where there is none."""
        for field in self.fields:
            if field.field == name:
                return field
        raise AbsentError(f"the run has no counted field {name[:40]}")

    def channel(self, name: str) -> ChannelFacts:
        """Return one channel. Raises `AbsentError` where there is none."""
        for channel in self.manifest.channels:
            if channel.name == name:
                return channel
        raise AbsentError(f"the run has no channel {name[:40]}")

    @property
    def pixel_um(self) -> float:
        """Side of a camera pixel in the sample."""
        return self.manifest.camera.pixel_nm / 1000.0


def read_machine(run: RunFolder) -> Machine:
    """Return what was counted.

    Raises `StateError` while nothing is, `DataError` for what cannot be understood.
    """
    manifest = _manifest(run, stamp(run.manifest))
    fields = tuple(
        found
        for facts in manifest.fields
        if (found := _field(run, facts.name, stamp(run.field_result(facts.name))))
    )
    if not fields or not run.counts.exists():
        raise StateError(
            f"{run.name} has no counts yet; compute them with `her2sr process RUN_DIR`"
        )
    return Machine(manifest, fields)


def stamp(path: Path) -> Stamp | None:
    """Return what changes when a file does; None where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=16)
def _manifest(run: RunFolder, _: Stamp | None) -> Manifest:
    return read_manifest(run)


@lru_cache(maxsize=512)
def _field(run: RunFolder, name: str, at: Stamp | None) -> FieldResult | None:
    return None if at is None else read_field(run, name)
