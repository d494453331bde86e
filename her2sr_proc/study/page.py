"""The study as one page that needs no network. Opens no run."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from her2sr_proc.report.charts import truth_lines
from her2sr_proc.report.templates import environment, style
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.cohort import Cohort
from her2sr_proc.schema.results import Arm, ArmName
from her2sr_proc.statistics.formats import fixed
from her2sr_proc.statistics.quantities import (
    GROUP_CELLS,
    QUANTITIES,
    group_in,
    value_of,
)
from her2sr_proc.study.accuracy import Figure
from her2sr_proc.study.answer import Answer, sentences
from her2sr_proc.study.outcomes import SampleOutcome, formed
from her2sr_proc.study.paper import GROUP_MOVES, TABLE_2
from her2sr_proc.study.plan import StudyPlan

SHOWN: tuple[ArmName, ...] = ("conventional", "sr", "sr_merged")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the cohort, as it stands in the page."""

    title: str
    caption: str
    kind: Literal["png", "svg"]
    data: bytes

    @property
    def uri(self) -> str:
        """The figure as text."""
        mime = "image/png" if self.kind == "png" else "image/svg+xml"
        return f"data:{mime};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class StudyData:
    """All that the page tells."""

    plan: StudyPlan
    preamble: Sequence[str]
    samples: Sequence[SampleOutcome]
    cohort: Cohort | None
    """None before two samples are there."""
    answer: Answer
    figures: Sequence[Figure]
    pictures: Sequence[Picture]
    links: dict[str, str]
    """Sample -> its report, from the page on."""
    profiles: Sequence[str]
    """Profiles that counted, each with its digest."""
    made_with: dict[str, str]


def render(data: StudyData) -> str:
    """Return the page as HTML."""
    made = environment()
    measured = [s for s in data.samples if s.measured is not None]
    return made.get_template("study.html.j2").render(
        css=style("report.css", "cohort.css"),
        banner=BANNER,
        data=data,
        options=data.plan.options,
        words=list(sentences(data.answer)),
        measured=measured,
        missing=[s for s in data.samples if s.measured is None],
        arms=SHOWN,
        arm_of=_arm_of,
        formed=formed,
        printed=list(_beside_the_paper(data.cohort)) if data.cohort else [],
        moves=list(_moves(data.cohort)) if data.cohort else [],
        cells=GROUP_CELLS,
        lines=truth_lines(
            [
                (
                    f"{s.plan.name} {s.plan.kind.replace('_', ' ')}",
                    [(arm, _arm_of(s, arm).ratio) for arm in SHOWN],
                    truth.copies.ratio,
                )
                for s in measured
                if (truth := s.measured.result.truth if s.measured else None)
            ]
        ),
    )


def _arm_of(sample: SampleOutcome, arm: ArmName) -> Arm:
    assert sample.measured is not None
    return sample.measured.result.arms[arm]


@dataclass(frozen=True, slots=True)
class _PaperRow:
    """One row of the paper's table 2 beside the same of the study."""

    status: str
    title: str
    printed: tuple[str, str]
    study: tuple[str, str, str]


def _beside_the_paper(cohort: Cohort) -> Iterator[_PaperRow]:
    for status, rows in TABLE_2.items():
        mine = [s for s in cohort.samples if s.status == status]
        for row in rows:
            quantity = next(q for q in QUANTITIES if q.field == row.field)
            cells = []
            for arm in SHOWN:
                values = [value_of(s, arm, quantity) for s in mine]
                cells.append(_median([v for v in values if v is not None]))
            yield _PaperRow(
                status,
                quantity.title,
                (row.conventional, row.superresolution),
                (cells[0], cells[1], cells[2]),
            )


def _median(values: Sequence[float]) -> str:
    """Return median, least and largest, as the paper prints them."""
    if not values:
        return "–"
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = (
        ordered[middle]
        if len(ordered) % 2
        else (ordered[middle - 1] + ordered[middle]) / 2
    )
    digits = 0 if all(v == int(v) for v in ordered) else 2
    low, high = fixed(ordered[0], digits), fixed(ordered[-1], digits)
    return (
        f"{median:g} ({low}; {high})"
        if not digits
        else (f"{fixed(median, 2)} ({low}; {high})")
    )


def _moves(cohort: Cohort) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """Yield rows of table 3: conventional group; printed, as resolved, merged."""
    for row in GROUP_CELLS:
        cells = []
        for column in GROUP_CELLS:
            counts = [
                sum(
                    group_in(s, "conventional") == row and group_in(s, arm) == column
                    for s in cohort.samples
                )
                for arm in ("sr", "sr_merged")
            ]
            cells.append((GROUP_MOVES.get((row, column), 0), counts[0], counts[1]))
        yield row, cells
