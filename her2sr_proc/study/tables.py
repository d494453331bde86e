"""The study as tables: the cohort for `her2sr statistics`, and arms beside truth."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.counts import PROBES
from her2sr_proc.schema.results import ARMS, Arm
from her2sr_proc.scoring import Group
from her2sr_proc.store.layout import StudyFolder
from her2sr_proc.study.outcomes import SampleOutcome, formed
from her2sr_proc.study.records import run_of

Row = dict[str, object]


def cohort_rows(folder: StudyFolder, samples: Sequence[SampleOutcome]) -> list[Row]:
    """Return one row a sample that was measured, in the columns of a cohort.

    Groups are those that the counts form; what rejects them stands in `truth_rows`.
    """
    return [
        _cohort_row(folder, sample) for sample in samples if sample.measured is not None
    ]


def _cohort_row(folder: StudyFolder, sample: SampleOutcome) -> Row:
    assert sample.measured is not None
    assert sample.record is not None
    row: Row = {
        "sample": sample.plan.name,
        "status": sample.plan.status,
        "ihc": sample.plan.ihc,
        "sr_status": sr_status(sample.group("sr_merged"), sample.plan.ihc) or "",
        "nominal:simulated_kind": sample.plan.kind,
        "run": str(run_of(folder, sample.record).root.relative_to(folder.root)),
    }
    for arm in ARMS:
        sums = sample.measured.result.arms[arm]
        row[f"nuclei_{arm}"] = sums.nuclei
        for probe in PROBES:
            name = probe.lower()
            some, doubtful = sample.measured.nuclei_with[arm, probe]
            row[f"{name}_{arm}_nuclei"] = some
            row[f"{name}_{arm}_ambiguous_nuclei"] = doubtful
        row[f"her2_{arm}_signals"] = sums.her2_signals
        row[f"cep17_{arm}_signals"] = sums.cep17_signals
        row[f"her2_{arm}_per_nucleus"] = _number(sums.her2_per_nucleus)
        row[f"cep17_{arm}_per_nucleus"] = _number(sums.cep17_per_nucleus)
        row[f"ratio_{arm}"] = _number(sums.ratio)
        row[f"group_{arm}"] = sample.group(arm) or "unevaluable"
    return row


def sr_status(group: Group | None, ihc: int) -> str | None:
    """Return the status of a group with its immunohistochemistry.

    Group 1 is positive, 5 negative; of the others IHC 3+ decides, and at 2+ a recount
    that leaves the group: positive in group 3 alone (Wolff et al. 2018).
    """
    if group is None:
        return None
    if group in (1, 5):
        return "positive" if group == 1 else "negative"
    is_positive = ihc == 3 or (ihc == 2 and group == 3)
    return "positive" if is_positive else "negative"


def truth_rows(samples: Sequence[SampleOutcome]) -> Iterator[Row]:
    """Yield one row a sample: what it is, its arms, its truth, or why it has none."""
    for sample in samples:
        row: Row = {
            "sample": sample.plan.name,
            "kind": sample.plan.kind,
            "status": sample.plan.status,
            "ihc": sample.plan.ihc,
            "run": sample.record.run if sample.record else "",
            "fault": sample.fault,
        }
        measured = sample.measured
        arms: list[tuple[str, Arm | None]] = [
            (arm, measured.result.arms[arm] if measured else None) for arm in ARMS
        ]
        truth = measured.result.truth if measured else None
        arms.append(("copies", truth.copies if truth else None))
        arms.append(("signals", truth.signals if truth else None))
        for name, arm in arms:
            row |= _arm_row(name, arm)
        headline = measured.result.arms[measured.result.headline] if measured else None
        row["answer"] = headline.status if headline else ""
        row["answer_group"] = headline.group or "" if headline else ""
        row["answer_reasons"] = "; ".join(headline.reasons) if headline else ""
        row["answer_without_lacking_rule"] = (
            measured.unlimited.status if measured else ""
        )
        yield row


def _arm_row(name: str, arm: Arm | None) -> Row:
    if arm is None:
        names = ("nuclei", "her2_per_nucleus", "cep17_per_nucleus", "ratio")
        return {f"{name}_{what}": "" for what in (*names, "formed_group")}
    return {
        f"{name}_nuclei": arm.nuclei,
        f"{name}_her2_per_nucleus": _number(arm.her2_per_nucleus),
        f"{name}_cep17_per_nucleus": _number(arm.cep17_per_nucleus),
        f"{name}_ratio": _number(arm.ratio),
        f"{name}_formed_group": formed(arm) or "",
    }


def as_csv(rows: Iterable[Row]) -> str:
    """Return rows of the same columns as CSV under the banner."""
    kept = list(rows)
    text = io.StringIO()
    text.write(f"# {BANNER}\n")
    writer = csv.DictWriter(
        text, list(kept[0]) if kept else ["sample"], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(kept)
    return text.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
