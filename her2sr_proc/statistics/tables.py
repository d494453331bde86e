"""A table of the page and of its CSV: labels, cells, and the tests of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.formats import DASH, p_text
from her2sr_proc.statistics.outcome import LEVEL, Outcome

Trial = Callable[[], Outcome]


@dataclass(frozen=True, slots=True)
class Forms:
    """The asymptotic and the exact form of one comparison, side by side."""

    asymptotic: Outcome | None = None
    exact: Outcome | None = None
    refused: str = ""
    """Why there is none, or not both."""

    @property
    def disagree(self) -> bool:
        """Whether one form is significant and the other is not."""
        if self.asymptotic is None or self.exact is None:
            return False
        return (self.asymptotic.p < LEVEL) is not (self.exact.p < LEVEL)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the forms that there are."""
        for outcome in (self.asymptotic, self.exact):
            if outcome is not None:
                yield outcome


NO_TESTS = Forms()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    label: str
    cells: tuple[str, ...] = ()
    tests: Forms = NO_TESTS
    level: int = 1
    """0 a heading, 1 a row, 2 a row under another."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    key: str
    title: str
    columns: tuple[str, ...]
    """The first is that of the labels."""
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    has_tests: bool = True

    def records(self) -> Iterator[tuple[str, ...]]:
        """Yield header and rows as text, each of one length, p-values last."""
        last = ("p asymptotic", "p exact") if self.has_tests else ()
        yield (*self.columns, *last)
        for row in self.rows:
            blank = ("",) * (len(self.columns) - 1 - len(row.cells))
            yield (row.label, *row.cells, *blank, *(self._p(row) if last else ()))

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """Yield every test with the row that it stands in."""
        section = ""
        for row in self.rows:
            if row.level == 0:
                section = row.label
            name = row.label if row.level == 0 or not section else _join(section, row)
            for outcome in row.tests.outcomes():
                yield name, outcome

    @staticmethod
    def _p(row: Row) -> tuple[str, str]:
        tests = row.tests
        if tests == NO_TESTS:
            return "", ""
        forms = (tests.asymptotic, tests.exact)
        first, second = (p_text(f.p) if f else DASH for f in forms)
        return first, second


def tested(asymptotic: Trial, exact: Trial, left_out: int) -> Forms:
    """Return both forms of a comparison; what cannot be tested says why instead."""
    found: list[Outcome | None] = []
    refused = ""
    for test in (asymptotic, exact):
        try:
            found.append(replace(test(), left_out=left_out))
        except RequestError as exc:
            found.append(None)
            refused = refused or str(exc)
    return Forms(found[0], found[1], refused)


def _join(section: str, row: Row) -> str:
    return f"{section}: {row.label}"
