"""Threshold models and labels as files: JSON that says when it was changed, and CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from her2sr_proc.errors import AbsentError, DataError, RequestError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.cohort import ThresholdRow
from her2sr_proc.schema.threshold import ThresholdFile, ThresholdModel
from her2sr_proc.store.atomic import require_writable, telling, write_text

LARGEST_BYTES = 1_000_000
COLUMNS = (
    *("frame", "channel", "mean_adu", "sd_adu", "minimum_adu", "maximum_adu"),
    *("threshold_adu", "label"),
)


def require_file(path: Path, suffix: str) -> None:
    """Raise `RequestError` unless a file of that kind can be written.

    To be asked before work that would be lost.
    """
    if path.suffix.lower() != suffix:
        raise RequestError(f"{path.name} does not say what it is; end it in {suffix}")
    require_writable(path)


def write_model(path: Path, model: ThresholdModel, *, labels: Path | None) -> str:
    """Write a model with the digest of its labels; return the model's own digest."""
    labelled = hashlib.sha256(labels.read_bytes()).hexdigest() if labels else ""
    file = ThresholdFile(model=model, labels_sha256=labelled).sealed()
    with telling(path):
        write_text(path, file.model_dump_json(indent=2) + "\n")
    return file.digest


def read_model(path: Path) -> ThresholdFile:
    """Return the model of a file.

    Raises `AbsentError` when it is missing, `DataError` when it is no model, or changed
    since it was written.
    """
    if not path.exists():
        raise AbsentError(
            f"there is no model {path}; name the JSON that `her2sr threshold fit` wrote"
        )
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError(f"{path} is too large for a threshold; name its JSON")
        file = ThresholdFile.model_validate(json.loads(path.read_text("utf-8")))
    except OSError as exc:
        raise DataError(
            f"{path} cannot be read ({exc.strerror}); name the JSON that `her2sr "
            f"threshold fit` wrote",
            path=str(path),
        ) from exc
    except ValidationError as exc:
        error = exc.errors()[0]
        where = ".".join(str(part) for part in error["loc"]) or "the whole"
        raise DataError(
            f"{path} is no threshold ({where}: {error['msg']}); make it with `her2sr "
            f"threshold fit`",
            path=str(path),
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise DataError(
            f"{path} is no JSON of a threshold; make it with `her2sr threshold fit`",
            path=str(path),
        ) from exc
    if file.digest != file.true_digest:
        raise DataError(
            f"{path} was changed since it was written: its digest does not match; make "
            f"it again with `her2sr threshold fit`",
            path=str(path),
        )
    return file


def write_labels_csv(path: Path, rows: Sequence[ThresholdRow]) -> None:
    """Write labels as `read_thresholds` reads them."""
    text = io.StringIO()
    text.write(f"# {BANNER}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        values = row.model_dump()
        table.writerow("" if values[n] is None else values[n] for n in COLUMNS)
    with telling(path):
        write_text(path, text.getvalue())
