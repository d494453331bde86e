"""From finished samples to tables, figures, answer and page: the end of a study."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from her2sr_proc.offline.cohort import CohortRequest, describe_cohort
from her2sr_proc.report.cohort_page import CohortPage
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.atomic import telling, write_text
from her2sr_proc.store.layout import StudyFolder
from her2sr_proc.study.accuracy import figures
from her2sr_proc.study.answer import answer, sentences
from her2sr_proc.study.outcomes import SampleOutcome, outcomes
from her2sr_proc.study.page import Picture, StudyData, render
from her2sr_proc.study.plan import preamble
from her2sr_proc.study.records import read_plan, run_of
from her2sr_proc.study.tables import as_csv, cohort_rows, truth_rows
from her2sr_proc.versions import versions

PACKAGES = ("her2sr", "numpy", "scipy", "numba", "matplotlib")


def close_study(folder: StudyFolder) -> StudyData:
    """Write all that follows from the samples acquired so far; return it.

    Raises `StateError` where there is no study.
    """
    plan = read_plan(folder)
    samples = outcomes(folder, plan)
    rows = cohort_rows(folder, samples)
    with telling(folder.root):
        write_text(folder.truth, as_csv(truth_rows(samples)))
        cohort = _statistics(folder, rows)
        found = StudyData(
            plan=plan,
            preamble=preamble(plan),
            samples=samples,
            cohort=cohort.cohort if cohort else None,
            answer=answer(samples),
            figures=figures(samples),
            pictures=tuple(_pictures(cohort)) if cohort else (),
            links=_links(folder, samples),
            profiles=_profiles(samples),
            made_with=versions(PACKAGES),
        )
        write_text(folder.result, json.dumps(as_json(found), indent=1) + "\n")
        write_text(folder.page, render(found))
    return found


def as_json(found: StudyData) -> dict[str, object]:
    """Return plan, samples, figures and answer as plain values, with the banner."""
    return {
        "version": 1,
        "banner": BANNER,
        "simulated": list(found.preamble),
        "plan": found.plan.model_dump(mode="json"),
        "samples": list(truth_rows(found.samples)),
        "figures": [asdict(figure) for figure in found.figures],
        "answer": {
            "words": list(sentences(found.answer)),
            **asdict(found.answer),
        },
        "profiles": list(found.profiles),
        "made_with": found.made_with,
    }


def _statistics(
    folder: StudyFolder, rows: list[dict[str, object]]
) -> CohortPage | None:
    """Write the cohort, its tables and its figures; None without any sample."""
    if not rows:
        folder.cohort.unlink(missing_ok=True)
        return None
    write_text(folder.cohort, as_csv(rows))
    return describe_cohort(CohortRequest(folder.cohort, folder.statistics.root))


def _pictures(page: CohortPage) -> Iterator[Picture]:
    for plate in page.plates:
        data = plate.png if plate.is_picture else plate.svg
        if data is not None:
            yield Picture(
                title=f"Figure {plate.key.removeprefix('figure')}. {plate.title}"
                if plate.key.startswith("figure")
                else plate.title,
                caption=plate.caption,
                kind="png" if plate.is_picture else "svg",
                data=data,
            )


def _links(folder: StudyFolder, samples: Sequence[SampleOutcome]) -> dict[str, str]:
    return {
        sample.plan.name: run_of(folder, sample.record)
        .report.relative_to(folder.root)
        .as_posix()
        for sample in samples
        if sample.record is not None and sample.measured is not None
    }


def _profiles(samples: Sequence[SampleOutcome]) -> tuple[str, ...]:
    found = {
        f"{result.profile} {result.profile_digest}"
        for sample in samples
        if sample.measured and (result := sample.measured.result)
    }
    return tuple(sorted(found))
