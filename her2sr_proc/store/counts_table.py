"""A table of counts as a file brings it: ours, or a person's with a few columns.

Needs `her2_ARM` and `cep17_ARM`, or `her2` and `cep17`; all else may be missing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from her2sr_proc.errors import AbsentError, TableError
from her2sr_proc.schema.counts import PROBES, Region
from her2sr_proc.schema.results import ARMS

ROW_LIMIT = 1_000_000
SIGNAL_LIMIT = 100_000
TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class CountRow:
    """One nucleus."""

    key: str
    """field/nucleus: what marks refer to."""
    field: str
    her2: int
    cep17: int
    limits: tuple[int, int, int, int] | None
    """HER2 low and high, CEP17 low and high; None where the counter gave none."""
    ambiguous: bool | None
    region: Region
    area: str
    is_excluded: bool
    quality: float | None
    place_um: tuple[float, float] | None
    """x, y on the slide."""
    visit: int | None
    distance_um: float | None


@dataclass(frozen=True, slots=True)
class CountTable:
    """Every nucleus of one arm, excluded ones too."""

    arm: str
    rows: tuple[CountRow, ...]


def read_counts(path: Path, arm: str) -> CountTable:
    """Read the counts of one arm.

    Raises `TableError` for a file that is no table of counts, or a value that cannot
    be, with its row; `AbsentError` when there is no such file.
    """
    if not path.exists():
        raise AbsentError(f"there is no table {path}; check the path")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or ()
            stems = _stems(path, names, arm)
            rows = tuple(parse_rows(reader, stems, path.name))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise TableError(
            f"{path} is no CSV table ({exc}); export the counts as CSV in UTF-8"
        ) from exc
    if len({row.key for row in rows}) < len(rows):
        raise TableError(
            f"{path} has a nucleus twice; give every row its own field and nucleus"
        )
    return CountTable(arm, rows)


def parse_rows(
    rows: Iterable[Mapping[str, object]], stems: tuple[str, str], source: str
) -> Iterator[CountRow]:
    """Yield rows as nuclei.

    Parameters
    ----------
    rows : iterable of mappings
        Column name to value, as text.
    stems : (str, str)
        Names of the columns of HER2 and CEP17.
    source : str
        Named in errors.
    """
    for number, row in enumerate(rows, start=1):
        if number > ROW_LIMIT:
            raise TableError(f"{source} has more than {ROW_LIMIT} rows; split it")
        yield _Row(row, number, source).parsed(stems)


def _stems(path: Path, names: Sequence[str], arm: str) -> tuple[str, str]:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise TableError(f"{path} has two columns '{twice[0]}'; remove the wrong one")
    if arm not in ARMS:
        raise TableError(f"'{arm}' is no arm; choose from {', '.join(ARMS)}")
    for her2, cep17 in ((f"her2_{arm}", f"cep17_{arm}"), ("her2", "cep17")):
        if her2 in names and cep17 in names:
            return her2, cep17
    raise TableError(
        f"{path} is no table of counts: it lacks 'her2_{arm}' and 'cep17_{arm}' (or "
        f"'her2' and 'cep17')"
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of text on its way to a nucleus."""

    values: Mapping[str, object]
    number: int
    source: str

    def parsed(self, stems: tuple[str, str]) -> CountRow:
        field = self._text("field")
        nucleus = self._text("nucleus") or str(self.number)
        excluded = self._flag("excluded")
        reason = self._text("exclusion_reason")
        x, y = self._number("x_um"), self._number("y_um")
        return CountRow(
            key=f"{field}/{nucleus}",
            field=field,
            her2=self._count(stems[0]),
            cep17=self._count(stems[1]),
            limits=self._limits(stems),
            ambiguous=self._ambiguous(stems),
            region=self._region(),
            area=self._text("area"),
            is_excluded=bool(excluded) if excluded is not None else bool(reason),
            quality=self._number("quality"),
            place_um=None if x is None or y is None else (x, y),
            visit=None if not self._text("visit") else self._count("visit"),
            distance_um=self._number("distance_um"),
        )

    def _text(self, name: str) -> str:
        return str(self.values.get(name) or "").strip()

    def _fault(self, name: str, cure: str) -> TableError:
        return TableError(
            f"row {self.number} of {self.source}: '{self._text(name)}' is no {name}; "
            f"{cure}"
        )

    def _count(self, name: str) -> int:
        text = self._raw(name)
        is_whole = text.isascii() and text.isdigit() and len(text) < 10
        if not (is_whole and int(text) <= SIGNAL_LIMIT):
            raise self._fault(name, f"whole numbers from 0 to {SIGNAL_LIMIT} are asked")
        return int(text)

    def _raw(self, name: str) -> str:
        value = self.values.get(name)
        return "" if value is None else str(value).strip()

    def _number(self, name: str) -> float | None:
        text = self._raw(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise self._fault(name, "a number is asked for") from None
        if not abs(value) < 1e12:  # not a number, too, is not less
            raise self._fault(name, "a finite number is asked for")
        return value

    def _flag(self, name: str) -> bool | None:
        text = self._raw(name).lower()
        if not text:
            return None
        if text not in TRUTHS:
            raise self._fault(name, "true or false is asked for")
        return TRUTHS[text]

    def _limits(self, stems: tuple[str, str]) -> tuple[int, int, int, int] | None:
        names = [f"{stem}_{end}" for stem in stems for end in ("low", "high")]
        if not all(self._raw(name) for name in names):
            return None
        a, b, c, d = (self._count(name) for name in names)
        return a, b, c, d

    def _ambiguous(self, stems: tuple[str, str]) -> bool | None:
        flags = [self._flag(f"{stem}_ambiguous") for stem in stems]
        return None if None in flags else any(flags)

    def _region(self) -> Region:
        text = self._raw("region") or "unmarked"
        for region in get_args(Region):
            if text == region:
                return region  # type: ignore[no-any-return]
        raise self._fault("region", f"choose from {', '.join(get_args(Region))}")


def stems_of(arm: str) -> tuple[str, str]:
    """Return the names of an arm's columns in our own tables."""
    her2, cep17 = (f"{probe.lower()}_{arm}" for probe in PROBES)
    return her2, cep17
