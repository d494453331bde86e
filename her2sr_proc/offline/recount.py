"""A computed run counted in nuclei that somebody else drew; the run stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.offline.fields import count_labels
from her2sr_proc.offline.settling import cluster_flags, run_scales, settle
from her2sr_proc.schema.counts import FieldResult
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.regions import SUFFIXES, numbers_of, read_labels
from her2sr_proc.store.results import count_rows, read_field


def recount(
    run: RunFolder, nuclei: Path | None, *, field: str | None = None
) -> tuple[list[dict[str, object]], list[str]]:
    """Return a row a nucleus as ``counts.csv`` has it, and flags of the whole.

    Parameters
    ----------
    run : RunFolder
        Computed before; nothing in it is written.
    nuclei : Path or None
        Labels of the run's only field, or a folder with a file a field, named after it
        (``r00_c00.tif``, ``r00_c00_labels.tif``). None: the run's own.
    field : str or None
        Count this one alone; what one signal is worth is told by the others, too.

    Raises `StateError` for a field that was not computed, `RequestError` for labels
    that are not of these fields, `DataError` for labels that cannot be read.
    """
    manifest = read_manifest(run)
    names = [facts.name for facts in manifest.fields]
    if field is not None and field not in names:
        raise RequestError(f"{run.name} has no field {field}; it has {_some(names)}")
    shape = (manifest.frame_height, manifest.frame_width)
    chosen = [field] if field is not None else names
    fields, numbers = [], {}
    for name, path in _labels_of(run, nuclei, chosen):
        labels = read_labels(path, shape)
        numbers[name] = numbers_of(path, labels)
        fields.append(count_labels(run, name, labels, f"labels of {path.name}"))
    params = manifest.profile.count
    scales = run_scales(with_others(run, names, fields), params)
    settled = [settle(one, scales, params) for one in fields]
    flags = [f"{one.field}: {flag}" for one in settled for flag in one.flags]
    rows = [
        row | {"nucleus": numbers[str(row["field"])][int(str(row["nucleus"]))]}
        for row in count_rows(settled)
    ]
    return rows, [*flags, *cluster_flags(settled, scales)]


def with_others(
    run: RunFolder, names: list[str], counted: list[FieldResult]
) -> list[FieldResult]:
    """Return what every field of a run says: as counted now, else as it was stored.

    One field alone is settled by what all of them say, as in the run's own answer.
    """
    now = {one.field: one for one in counted}
    found = (now.get(name) or read_field(run, name) for name in names)
    return [one for one in found if one is not None]


def _labels_of(
    run: RunFolder, nuclei: Path | None, names: list[str]
) -> Iterator[tuple[str, Path]]:
    """Yield every field with the file of its nuclei."""
    if nuclei is not None and not nuclei.is_dir():
        if len(names) > 1:
            raise RequestError(
                f"{nuclei.name} can be of one field, and {run.name} has {len(names)}; "
                f"choose one with --field, or name a folder with a file a field, such "
                f"as {names[0]}.tif"
            )
        yield names[0], nuclei
        return
    folder = run.labels(names[0]).parent if nuclei is None else nuclei
    for name in names:
        files = [
            folder / f"{name}{end}{s}" for end in ("", "_labels") for s in SUFFIXES
        ]
        found = [path for path in files if path.is_file()]
        if not found and nuclei is None:
            raise StateError(
                f"{run.name} has no nuclei of field {name}: it is not computed yet; "
                f"`her2sr process` it, or give nuclei of your own with --nuclei"
            )
        if len(found) != 1:
            what = "no file" if not found else f"{len(found)} files"
            raise RequestError(
                f"{folder} has {what} of nuclei of field {name}; give it one, such as "
                f"{name}.tif, or choose another field with --field"
            )
        yield name, found[0]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
