"""The names that users of the paper's microscope know for the TIFF of a burst."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.manifest import read_manifest

FOLDER = "tiff"


def exports(run: RunFolder) -> Iterator[tuple[str, UnitHistory]]:
    """Yield path in the copy and history of every unit whose raw frames are here."""
    manifest = read_manifest(run)
    for history in read_ledger(run.ledger).values():
        if history.blocks and history.discarded is None:
            yield f"{FOLDER}/{tiff_name(manifest, history)}", history


def tiff_name(manifest: Manifest, history: UnitHistory) -> str:
    """Return such as ``210915103647_6NEG_SR_561_6NEG-003.tif``.

    When the burst began, the sample, the wavelength in nm, and the field, counted from
    1 in order of acquisition; a second attempt says so.
    """
    key = history.key
    began = history.verdict.started_utc if history.verdict else manifest.created_utc
    stamp = datetime.fromisoformat(began).strftime("%y%m%d%H%M%S")
    sample = re.sub(r"[^A-Za-z0-9-]+", "-", manifest.sample) or "sample"
    nm = manifest.channel(key.channel).laser_nm
    number = [field.name for field in manifest.fields].index(key.field) + 1
    attempt = f"-a{key.attempt}" if key.attempt > 1 else ""
    return f"{stamp}_{sample}_SR_{nm}_{sample}-{number:03d}{attempt}.tif"
