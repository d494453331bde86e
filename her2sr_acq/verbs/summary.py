"""The end of a run in a few lines: the answer beside the truth, and the accounting."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from her2sr_proc.schema.results import Accounting, Arm, RunResult

Row = tuple[str, Callable[[Arm], str]]
ROWS: tuple[Row, ...] = (
    ("HER2 per nucleus", lambda arm: _number(arm.her2_per_nucleus)),
    ("CEP17 per nucleus", lambda arm: _number(arm.cep17_per_nucleus)),
    ("HER2/CEP17 ratio", lambda arm: _number(arm.ratio)),
    ("95 % interval (sampling)", lambda arm: _interval(arm.ratio_interval_95)),
    ("ASCO/CAP 2018 group", lambda arm: _group(arm)),
    ("status", lambda arm: arm.status.replace("_", " ")),
    ("nuclei", lambda arm: str(arm.nuclei)),
)


def answer_table(result: RunResult) -> Table:
    """Return the arms side by side, each super-resolved one beside its truth."""
    table = Table(title=f"{result.run}: {result.headline} is the headline")
    table.add_column("", no_wrap=True)
    columns = _columns(result)
    for title, _ in columns:
        table.add_column(title, justify="right", overflow="fold")
    for title, value in ROWS:
        table.add_row(title, *(value(arm) for _, arm in columns))
    return table


def accounting_line(accounting: Accounting) -> str:
    """Return the frames at every tap as one line."""
    verdict = "whole" if accounting.is_whole else "NOT whole"
    return (
        f"frames: requested {accounting.requested}, delivered {accounting.delivered}, "
        f"written {accounting.written}; published {accounting.published}, replayed "
        f"{accounting.replayed}; localized {accounting.localized} of "
        f"{accounting.localizable} ({verdict})"
    )


def scored_line(result: RunResult) -> str:
    """Return how many of the nuclei that could be scored were, if that is known."""
    truth = result.truth
    if truth is None:
        return "no truth is known: this was no simulated slide"
    return (
        f"whole tumour nuclei scored: {truth.whole_tumour_nuclei_scored} of "
        f"{truth.whole_tumour_nuclei}"
    )


def _columns(result: RunResult) -> list[tuple[str, Arm]]:
    columns: list[tuple[str, Arm]] = [("sr_merged", result.arms["sr_merged"])]
    if result.truth is not None:
        columns.append(("truth: copies", result.truth.copies))
    columns.append(("sr", result.arms["sr"]))
    if result.truth is not None:
        columns.append(("truth: signals", result.truth.signals))
    columns.append(("conventional", result.arms["conventional"]))
    return columns


def _group(arm: Arm) -> str:
    """Return the group; in brackets what unmarked nuclei would form, no answer."""
    if arm.group is None and arm.unmarked_group is not None:
        return f"– ({arm.unmarked_group} if all tumour)"
    return str(arm.group or "–")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _interval(value: tuple[float, float] | None) -> str:
    return "–" if value is None else f"{value[0]:.2f} – {value[1]:.2f}"
