"""A cohort as a CSV: one row a sample, told by the names of its columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from her2sr_proc.errors import TableError
from her2sr_proc.schema.cohort import (
    FEATURES,
    ArmFigures,
    Cohort,
    Feature,
    Kind,
    ObserverRow,
    Sample,
    ThresholdRow,
)
from her2sr_proc.schema.results import ARMS, ArmName
from her2sr_proc.store.spreadsheet import (
    Row,
    as_model,
    read_rows,
    require_column,
    require_known,
)

KINDS: tuple[Kind, ...] = ("continuous", "ordinal", "nominal")


def read_observers(path: Path) -> tuple[ObserverRow, ...]:
    """Return the rows of a CSV of ``case, observer[, her2, cep17, group]``.

    Raises `TableError` as `read_cohort` does, and for a case that an observer read
    twice.
    """
    names, rows = read_rows(path)
    for name in ("case", "observer"):
        require_column(path, names, name)
    require_known(path, names, ObserverRow)
    found: dict[tuple[str, str], ObserverRow] = {}
    for line, row in rows:
        one = as_model(path, line, ObserverRow, row, {})
        if (one.case, one.observer) in found:
            raise TableError(
                f"{path.name}, line {line}: {one.observer} read case {one.case} twice; "
                f"keep one row, or name a second reading another observer"
            )
        found[one.case, one.observer] = one
    return tuple(found.values())


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
    names, rows = read_rows(path)
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
    """Return the rows of a CSV of ``mean_adu, sd_adu, threshold_adu``, and more.

    Raises `TableError` as `read_cohort` does.
    """
    names, rows = read_rows(path)
    for name in ("mean_adu", "sd_adu", "threshold_adu"):
        require_column(path, names, name)
    require_known(path, names, ThresholdRow)
    return tuple(as_model(path, line, ThresholdRow, row, {}) for line, row in rows)


def _features(path: Path, names: list[str]) -> tuple[Feature, ...]:
    """Return the characteristics in their order. Refuse a column that is unknown."""
    for name in ("sample", "status"):
        require_column(path, names, name)
    known = {feature.name: feature for feature in FEATURES}
    extra: list[Feature] = []
    for name in names:
        if name in known or name in ("sample", "status", "run", *arm_columns()):
            continue
        extra.append(_named_by_kind(path, name))
    own = [feature for feature in FEATURES if feature.name in names]
    return (*own, *extra)


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
            arm: as_model(path, line, ArmFigures, cells, _named(arm))
            for arm, cells in arms.items()
        },
    }
    for name in ("sample", "status", "run"):
        if name in row:
            values[name] = row[name]
    return as_model(path, line, Sample, values, {})


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
    if feature.least is not None and value < feature.least:
        raise TableError(
            f"{path.name}, line {line}: {feature.name} is {cell}, less than "
            f"{feature.least:g}; correct that cell"
        )
    if not abs(value) < float("inf"):
        raise TableError(
            f"{path.name}, line {line}: {feature.name} is '{cell}', and a number is "
            f"asked for; write it with a point, or leave the cell empty"
        )
    return value
