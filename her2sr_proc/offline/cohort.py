"""A cohort's CSV becomes the paper's tables and figures, in one folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from her2sr_proc.errors import RequestError
from her2sr_proc.offline import cohort_plates as plates
from her2sr_proc.offline.cohort_runs import open_runs, with_counts
from her2sr_proc.report.cohort_page import CohortPage, Plate, render_cohort
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.cohort import Cohort
from her2sr_proc.schema.results import ArmName
from her2sr_proc.statistics.arms import agreement_table
from her2sr_proc.statistics.characteristics import characteristics_table
from her2sr_proc.statistics.groups import group_table
from her2sr_proc.statistics.observers import observer_table
from her2sr_proc.statistics.paired import paired_table
from her2sr_proc.statistics.quantities import ARM_TITLES, contradictions
from her2sr_proc.statistics.tables import Table
from her2sr_proc.store.atomic import require_writable, telling, write_bytes, write_text
from her2sr_proc.store.cohort import read_cohort, read_observers, read_thresholds
from her2sr_proc.store.layout import StatisticsFolder
from her2sr_proc.versions import versions

PACKAGES = ("her2sr", "numpy", "scipy", "matplotlib")
REQUIRED_NUCLEI = 20
"""Of the guideline, for a sample to be scored at all."""
_TEST_COLUMNS = (
    "table",
    "row",
    "method",
    "sides",
    "exactness",
    "continuity_correction",
    "statistic_name",
    "statistic",
    "p",
    "n",
    "left_out",
    "zeros",
    "ties",
    "remarks",
)


@dataclass(frozen=True, slots=True)
class CohortRequest:
    """What is asked for."""

    cohort: Path
    out: Path
    arm: ArmName | None = None
    """Super-resolution arm of the tables; None: merged where there is one."""
    thresholds: Path | None = None
    observers: Path | None = None


def describe_cohort(request: CohortRequest) -> CohortPage:
    """Read a cohort, compute all tables and figures, write them; return the page.

    Nothing is written before all is computed. Raises `TableError` for what cannot be
    read, `RequestError` for an arm or a folder that cannot be.
    """
    folder = StatisticsFolder(request.out)
    require_writable(folder.page)
    cohort = read_cohort(request.cohort)
    runs = open_runs(cohort, request.cohort.parent)
    cohort = with_counts(cohort, runs)
    rows = read_thresholds(request.thresholds) if request.thresholds else ()
    readings = read_observers(request.observers) if request.observers else ()
    arm = _arm(cohort, request.arm)
    page = CohortPage(
        cohort=cohort,
        arm_title=ARM_TITLES[arm],
        tables=(
            characteristics_table(cohort),
            paired_table(cohort, arm),
            group_table(cohort, arm),
            agreement_table(cohort, arm),
            *((observer_table(readings),) if request.observers else ()),
        ),
        plates=(
            plates.threshold_plate(rows),
            plates.nucleus_plate(runs, arm),
            plates.dot_plate(cohort, arm),
            plates.case_plate(runs, arm),
            plates.agreement_plate(cohort, arm),
            *((plates.observer_plate(readings),) if request.observers else ()),
        ),
        warnings=tuple(_warnings(cohort, arm)),
        made_with=versions(PACKAGES),
    )
    with telling(folder.root):
        _write(folder, page)
    return page


def _arm(cohort: Cohort, asked: ArmName | None) -> ArmName:
    found = [arm for arm in cohort.arms() if arm != "conventional"]
    if asked is None:
        return found[0] if found else "sr"
    if asked == "conventional":
        raise RequestError(
            "the conventional arm is what the others are compared with; choose sr or "
            "sr_merged"
        )
    if asked not in found:
        raise RequestError(
            f"no sample has counts of the arm {asked}; choose another, or add columns "
            f"such as her2_{asked}_signals"
        )
    return asked


def _warnings(cohort: Cohort, arm: ArmName) -> Iterator[str]:
    """Yield what a reader must know before believing a number."""
    yield from contradictions(cohort)
    arms: tuple[ArmName, ArmName] = ("conventional", arm)
    for name in arms:
        counts = [
            f.nuclei if f.nuclei is not None else f.her2_nuclei
            for s in cohort.samples
            if (f := s.arms.get(name)) is not None
        ]
        known = [count for count in counts if count is not None]
        few = sum(count < REQUIRED_NUCLEI for count in known)
        if few:
            yield (
                f"{ARM_TITLES[name]}: {few} of {len(known)} samples have fewer than "
                f"{REQUIRED_NUCLEI} nuclei, the least that the guideline scores"
            )
    if len(cohort.arms()) < 2:
        yield "counts of two arms are not there: tables 2 and 3 stay empty"


def _write(folder: StatisticsFolder, page: CohortPage) -> None:
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.table("observers").unlink(missing_ok=True)  # of an earlier request
    _write_plate(folder, Plate(plates.OBSERVERS_KEY, "", ""))
    for table in page.tables:
        write_text(folder.table(table.key), _csv(table.records()))
    for plate in page.plates:
        _write_plate(folder, plate)
    write_text(folder.tests, _csv([_TEST_COLUMNS, *_test_rows(page)]))
    write_text(folder.result, json.dumps(as_json(page), indent=1) + "\n")
    write_text(folder.page, render_cohort(page))


def _write_plate(folder: StatisticsFolder, plate: Plate) -> None:
    """Write a figure and its numbers; remove those of an earlier cohort."""
    files = (
        (folder.figure(plate.key, "png"), plate.png),
        (folder.figure(plate.key, "svg"), plate.svg),
        (folder.table(plate.key), _csv(plate.records).encode() if plate.png else None),
    )
    for path, data in files:
        if data is None:
            path.unlink(missing_ok=True)
        else:
            write_bytes(path, data)


def as_json(page: CohortPage) -> dict[str, object]:
    """Return tables and tests as plain values, with the banner."""
    return {
        "version": 1,
        "banner": BANNER,
        "cohort": page.cohort.name,
        "samples": len(page.cohort.samples),
        "superresolution_arm": page.arm_title,
        "warnings": list(page.warnings),
        "tables": {table.key: _plain(table) for table in page.tables},
        "tests": [
            {"table": key, "row": row, **asdict(outcome)}
            for key, row, outcome in page.tests()
        ],
        "figures": {p.key: p.missing or p.caption for p in page.plates},
        "made_with": page.made_with,
    }


def _plain(table: Table) -> list[dict[str, str]]:
    header, *rows = table.records()
    return [dict(zip(header, row, strict=True)) for row in rows]


def _test_rows(page: CohortPage) -> Iterator[tuple[str, ...]]:
    for key, row, out in page.tests():
        yield (
            *(key, row, out.method, "two", out.exactness),
            {None: "", True: "yes", False: "no"}[out.continuity],
            out.statistic_name,
            "" if out.statistic is None else f"{out.statistic:.10g}",
            f"{out.p:.10g}",
            *(out.n_text, str(out.left_out), str(out.zeros), str(out.ties)),
            "; ".join(out.remarks),
        )


def _csv(records: Iterable[Sequence[str]]) -> str:
    """Return records as CSV under the banner, which readers pass over as a comment."""
    text = io.StringIO()
    text.write(f"# {BANNER}\n")
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue()
