"""Many runs on one page, one row each: headline, arms, intervals, control, blockers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from her2sr_proc.report import charts
from her2sr_proc.report.page import ARM_TITLES
from her2sr_proc.report.templates import environment, style
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import ARMS, Arm, RunResult


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run."""

    manifest: Manifest
    result: RunResult
    state: str
    """Of its case, such as open or final."""
    report: str
    """Its own report, as a link from the page."""

    @property
    def headline(self) -> Arm:
        """The arm that answers."""
        return self.result.arms[self.result.headline]

    def record(self) -> dict[str, object]:
        """Return the row as plain values, in the order of the columns."""
        record: dict[str, object] = {
            "sample": self.manifest.sample,
            "run": self.manifest.run,
            "headline": self.result.headline,
            "status": self.headline.status,
            "group": self.headline.group or "",
            "case": self.state,
            "simulated": self.manifest.simulation is not None,
        }
        for name in ARMS:
            arm = self.result.arms[name]
            record |= {
                f"{name}_nuclei": arm.nuclei,
                f"{name}_her2_signals": arm.her2_signals,
                f"{name}_cep17_signals": arm.cep17_signals,
                f"{name}_ratio": "" if arm.ratio is None else f"{arm.ratio:.4f}",
                f"{name}_ratio_95_sampling": _plain(arm.ratio_interval_95),
                f"{name}_ratio_95_in_all": _plain(arm.ratio_interval_total),
            }
        record["profile"] = f"{self.result.profile} {self.result.profile_digest}"
        return record


def render_runs(rows: Sequence[RunRow], *, made_with: dict[str, str]) -> str:
    """Return the page as HTML."""
    profiles = {f"{r.result.profile} {r.result.profile_digest}" for r in rows}
    chart = charts.ratios(
        [
            charts.NamedArm(row.manifest.sample, row.result.headline, row.headline)
            for row in rows
        ]
    )
    return (
        environment()
        .get_template("runs.html.j2")
        .render(
            css=style("report.css"),
            banner=BANNER,
            rows=rows,
            arms=ARMS,
            titles=ARM_TITLES,
            chart=chart,
            profiles=sorted(profiles),
            made_with=made_with,
        )
    )


def _plain(values: tuple[float, float] | None) -> str:
    return "" if values is None else f"{values[0]:.4f} to {values[1]:.4f}"
