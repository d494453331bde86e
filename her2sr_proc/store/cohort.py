"""A cohort as a CSV: one row a sample, told by the names of its columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from her2sr_proc.errors import TableError
from her2sr_proc.schema.cohort import (
    FEATURES,
    ArmFigures,
    Cohort,
    Feature,
    Kind,
    Sample,
    ThresholdRow,
)
from her2sr_proc.schema.results import ARMS, ArmName

MISSING = {"", "NA", "na"}
KINDS: tuple[Kind, ...] = ("continuous", "ordinal", "nominal")
LARGEST_BYTES = 20_000_000
Row = dict[str, str]
Model = TypeVar("Model", bound=BaseModel)


def arm_columns() -> dict[str, tuple[ArmName, str]]:
    """Return the columns of counts: name -> arm and field of `ArmFigures`.

    Named as in ``counts.csv``: the probe, the arm, then what of it.
    """
    found: dict[str, tuple[ArmName, str]] = {}
    for arm in ARMS:
        for field in ArmFigures.model_fields:
            probe, _, rest = field.partition("_")
            name = f"{probe}_{arm}_{rest}" if rest else f"{probe}_{arm}"
            found[name] = (arm, field)
    return found


def read_cohort(path: Path) -> Cohort:
    """Return the cohort of a CSV.

    Columns: ``sample`` and ``status`` always; ``run``; characteristics by name (such
    as ``age_years``) or by kind (such as ``nominal:grade``); counts as
    ``her2_sr_signals``. An empty cell or NA is not known. Commas, semicolons or tabs.

    Raises `TableError` for a file without rows, an unknown column, a sample that
    stands twice, and a value that cannot be, with its line.
    """
    names, rows = _read(path)
    features = _features(path, names)
    samples: dict[str, Sample] = {}
    for line, row in rows:
        sample = _sample(path, line, row, features)
        if sample.sample in samples:
            raise TableError(
                f"{path.name}, line {line}: sample {sample.sample} stands there twice; "
                f"keep one row a sample"
            )
        samples[sample.sample] = sample
    return Cohort(name=path.stem, features=features, samples=tuple(samples.values()))


def read_thresholds(path: Path) -> tuple[ThresholdRow, ...]:
    """Return the rows of a CSV of ``mean_adu, sd_adu, threshold_adu[, label]``.

    Raises `TableError` as `read_cohort` does.
    """
    names, rows = _read(path)
    known = set(ThresholdRow.model_fields)
    for name in ("mean_adu", "sd_adu", "threshold_adu"):
        _require(path, names, name)
    for name in names:
        if name not in known:
            raise TableError(
                f"{path.name} has an unknown column '{name}'; known are "
                f"{', '.join(ThresholdRow.model_fields)}"
            )
    return tuple(_model(path, line, ThresholdRow, row, {}) for line, row in rows)


def _read(path: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """Return the names of the columns, and each row with its line; blank ones not."""
    lines = [
        (number, line)
        for number, line in enumerate(_text(path).splitlines(), 1)
        if line.strip(" ,;\t") and not line.startswith("#")
    ]
    if len(lines) < 2:
        raise TableError(f"{path.name} has no rows; give a header and one row a sample")
    sign = max(",;\t", key=lines[0][1].count)
    names = [name.strip() for name in _cells(lines[0][1], sign)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(
            f"{path.name} has two columns '{twice[0]}'; rename or remove one"
        )
    rows = []
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in _cells(line, sign)]
        if len(cells) != len(names):
            raise TableError(
                f"{path.name}, line {number} has {len(cells)} cells, and the header "
                f"{len(names)}; fill in what is missing, with nothing for not known"
            )
        filled = zip(names, cells, strict=True)
        rows.append((number, {n: cell for n, cell in filled if cell not in MISSING}))
    return names, rows


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise TableError(f"{path.name} is too large for a cohort; give one CSV")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise TableError(f"there is no file {path}; name a CSV") from exc
    except IsADirectoryError as exc:
        raise TableError(f"{path} is a folder; name a CSV") from exc
    except UnicodeDecodeError as exc:
        raise TableError(f"{path.name} is no UTF-8 text; save it as CSV UTF-8") from exc


def _cells(line: str, sign: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter=sign))


def _features(path: Path, names: list[str]) -> tuple[Feature, ...]:
    """Return the characteristics in their order. Refuse a column that is unknown."""
    for name in ("sample", "status"):
        _require(path, names, name)
    known = {feature.name: feature for feature in FEATURES}
    extra: list[Feature] = []
    for name in names:
        if name in known or name in ("sample", "status", "run", *arm_columns()):
            continue
        extra.append(_named_by_kind(path, name))
    own = [feature for feature in FEATURES if feature.name in names]
    return (*own, *extra)


def _require(path: Path, names: list[str], name: str) -> None:
    if name not in names:
        raise TableError(f"{path.name} has no column '{name}'; add it to the header")


def _named_by_kind(path: Path, name: str) -> Feature:
    for kind in KINDS:
        title = name.removeprefix(f"{kind}:").strip()
        if name.startswith(f"{kind}:") and title:
            return Feature(name=name, title=title, kind=kind)
    raise TableError(
        f"{path.name} has an unknown column '{name}'; remove it, or name it "
        f"'nominal:{name}', 'ordinal:{name}' or 'continuous:{name}' to compare it"
    )


def _sample(path: Path, line: int, row: Row, features: tuple[Feature, ...]) -> Sample:
    arms: dict[ArmName, Row] = {}
    for name, (arm, field) in arm_columns().items():
        if name in row:
            arms.setdefault(arm, {})[field] = row[name]
    values: dict[str, object] = {
        "features": dict(_values(path, line, row, features)),
        "arms": {
            arm: _model(path, line, ArmFigures, cells, _named(arm))
            for arm, cells in arms.items()
        },
    }
    for name in ("sample", "status", "run"):
        if name in row:
            values[name] = row[name]
    return _model(path, line, Sample, values, {})


def _named(arm: ArmName) -> dict[str, str]:
    """Return the column of each field of an arm, to name it in an error."""
    return {field: name for name, (a, field) in arm_columns().items() if a == arm}


def _values(
    path: Path, line: int, row: Row, features: tuple[Feature, ...]
) -> Iterator[tuple[str, float | str]]:
    for feature in features:
        cell = row.get(feature.name)
        if cell is None:
            continue
        if feature.levels and cell not in feature.levels:
            raise TableError(
                f"{path.name}, line {line}: {feature.name} is '{cell}'; known are "
                f"{', '.join(feature.levels)}, or nothing"
            )
        is_number = feature.kind == "continuous" or (
            feature.kind == "ordinal" and not feature.levels
        )
        yield feature.name, _number(path, line, feature, cell) if is_number else cell


def _number(path: Path, line: int, feature: Feature, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise TableError(
            f"{path.name}, line {line}: {feature.name} is '{cell}', and a number is "
            f"asked for; write it with a point, or leave the cell empty"
        )
    return value


def _model(
    path: Path,
    line: int,
    model: type[Model],
    values: Mapping[str, object],
    names: Mapping[str, str],
) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        field = str(fault["loc"][0]) if fault["loc"] else ""
        where = f"{names.get(field, field)}: " if field else ""
        raise TableError(
            f"{path.name}, line {line}: {where}{fault['msg']}; correct that cell"
        ) from exc
