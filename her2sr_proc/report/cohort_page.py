"""A cohort's tables and figures as one page that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from her2sr_proc.report.templates import environment, style
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.cohort import Cohort
from her2sr_proc.statistics.formats import fixed, p_text
from her2sr_proc.statistics.outcome import Outcome
from her2sr_proc.statistics.tables import Table


@dataclass(frozen=True, slots=True)
class Plate:
    """One figure of the page, or why it is not there."""

    key: str
    title: str
    caption: str
    svg: bytes | None = None
    png: bytes | None = None
    is_picture: bool = False
    """Of pixels: the page holds the PNG; drawn figures are held as SVG."""
    records: tuple[tuple[str, ...], ...] = ()
    """The numbers behind it, with a header."""
    missing: str = ""

    @property
    def uri(self) -> str:
        """The figure as text that stands in a page by itself."""
        data, kind = (self.png, "png") if self.is_picture else (self.svg, "svg+xml")
        return f"data:image/{kind};base64," + base64.b64encode(data or b"").decode()


@dataclass(frozen=True, slots=True)
class CohortPage:
    """All that the page tells."""

    cohort: Cohort
    arm_title: str
    tables: Sequence[Table]
    plates: Sequence[Plate]
    warnings: Sequence[str]
    made_with: dict[str, str]

    def tests(self) -> list[tuple[str, str, Outcome]]:
        """Return every test with the key of its table and its row."""
        return [(t.key, row, out) for t in self.tables for row, out in t.outcomes()]


def render_cohort(page: CohortPage) -> str:
    """Return the page as HTML."""
    made = environment()
    made.filters["fixed"] = fixed
    made.filters["p"] = p_text
    statuses = [sample.status for sample in page.cohort.samples]
    return made.get_template("cohort.html.j2").render(
        css=style("report.css", "cohort.css"),
        banner=BANNER,
        page=page,
        tests=page.tests(),
        positive=statuses.count("positive"),
        negative=statuses.count("negative"),
    )
