"""Counts of simulated slides, frame by frame through the offline path, beside truth.

Prints every figure with its reach; ends with 1 when one is missed. A slide takes about
a minute a field. Seeds of `docs/counting.md` were not used in development.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

from simulated_slides import take_slide

from her2sr_proc.comparison import CountedField, compare
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.offline.pipeline import close_run, process_run
from her2sr_proc.schema.case import RegionsMarked
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import RunResult
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest, write_manifest
from her2sr_proc.store.results import read_field
from her2sr_proc.store.truth import read_truth

KINDS = ("normal", "monosomic", "polysomic", "low_amplified", "doublet_rich", "demo")
AMPLIFIED = ("high_amplified", "clustered")
FAILURES = ("no_probe", "failed_hybridization", "one_colour", "swapped", "dark_laser")
APART_UM = 0.8
"""Two FWHM of a conventional signal in focus."""


@dataclass(frozen=True)
class Row:
    """One scored nucleus: what was counted, and what is there."""

    counts: dict[str, int]
    low: dict[str, int]
    high: dict[str, int]
    copies: dict[str, int]
    is_apart: dict[str, bool]


@dataclass(frozen=True)
class Slide:
    """One slide with its answer."""

    kind: str
    result: RunResult
    rows: list[Row]
    seconds: float


def main() -> int:
    """Measure; return 1 when a figure was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[401])
    parser.add_argument("--fields", type=int, default=2)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--frames", type=int, default=400)
    kinds = (*KINDS, *AMPLIFIED, *FAILURES)
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    asked = parser.parse_args()
    slides = []
    for kind in asked.kinds:
        for seed in asked.seeds:
            slide = measured(kind, seed, asked)
            print(line_of(slide, seed), flush=True)
            slides.append(slide)
    missed = 0
    for words, is_met in figures(slides):
        missed += not is_met
        print(f"{'   ' if is_met else 'XXX'} {words}")
    return 1 if missed else 0


def measured(kind: str, seed: int, asked: argparse.Namespace) -> Slide:
    """Take, process and mark one slide."""
    started = time.process_time()
    with tempfile.TemporaryDirectory(prefix="her2sr-count-") as folder:
        run = take_slide(
            Path(folder) / "r1",
            kind=kind if kind not in ("swapped", "dark_laser") else "high_amplified",
            seed=seed,
            fields=asked.fields,
            side=asked.side,
            frames=asked.frames,
            dark=("561",) if kind == "dark_laser" else (),
        )
        if kind == "swapped":
            swap(run)
        process_run(run, lambda *_: None)
        shutil.rmtree(run.root / "raw")  # its images and tables are all that is asked
        mark(run)
        result = close_run(run)
        rows = list(compared(run))
    return Slide(kind, result, rows, time.process_time() - started)


def swap(run: RunFolder) -> None:
    """Name the colours the wrong way round."""
    manifest = read_manifest(run)
    other = {"HER2": "CEP17", "CEP17": "HER2"}
    channels = [
        c.model_copy(update={"probe": other.get(c.probe, c.probe)})
        for c in manifest.channels
    ]
    values = manifest.model_dump() | {"channels": [c.model_dump() for c in channels]}
    write_manifest(run, Manifest.model_validate(values))


def mark(run: RunFolder) -> None:
    """Mark as invasive tumour what the simulator made as such, as a person would."""
    truth = read_truth(run.simulated_truth)
    assert truth is not None
    marks = {}
    for field in counted_fields(run):
        height, width = field.labels.shape
        x = (truth.nuclei.x_um - field.x_um) / field.pixel_um + (width - 1) / 2
        y = (truth.nuclei.y_um - field.y_um) / field.pixel_um + (height - 1) / 2
        row, column = np.rint(y).astype(int), np.rint(x).astype(int)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        inside &= truth.nuclei.kind == "tumour"
        for label in np.unique(field.labels[row[inside], column[inside]]):
            if label:
                marks[f"{field.result.field}/{label}"] = "invasive"
    act = RegionsMarked(marks=marks)
    CaseFile(run.case, lambda: "2026-01-01T00:00:00Z").add(act, by="observer-1")


def counted_fields(run: RunFolder) -> Iterator[CountedField]:
    """Yield the fields of a run as the comparison takes them."""
    manifest = read_manifest(run)
    for facts in manifest.fields:
        found = read_field(run, facts.name)
        if found is not None and run.labels(facts.name).exists():
            labels = np.asarray(read_tiff(run.labels(facts.name)), np.int32)
            pixel_um = manifest.camera.pixel_nm / 1000.0
            yield CountedField(found, labels, facts.x_um, facts.y_um, pixel_um)


def compared(run: RunFolder) -> Iterator[Row]:
    """Yield the scored nuclei with their truth."""
    truth = read_truth(run.simulated_truth)
    assert truth is not None
    fields = list(counted_fields(run))
    there = compare(truth, fields, params=ScoreParams()).nuclei
    with run.counts.open(newline="") as file:
        rows = {(r["field"], int(r["nucleus"])): r for r in csv.DictReader(file)}
    by_name = {field.result.field: field for field in fields}
    for one in there:
        row = rows[one.field, one.nucleus]
        stems = [
            f"{probe}_{arm}"
            for probe in ("her2", "cep17")
            for arm in ("sr_merged", "sr", "conventional")
        ]
        apart = are_apart(truth, by_name[one.field], one.nucleus)
        yield Row(
            counts={stem: int(row[stem]) for stem in stems},
            low={stem: int(row[f"{stem}_low"]) for stem in stems},
            high={stem: int(row[f"{stem}_high"]) for stem in stems},
            copies={probe.lower(): n for probe, n in one.copies.items()},
            is_apart=apart,
        )


def are_apart(truth, field: CountedField, label: int) -> dict[str, bool]:
    """Return, by probe, whether all signals of a nucleus lie apart in projection."""
    height, width = field.labels.shape
    loci = truth.loci
    x = (loci.x_um - field.x_um) / field.pixel_um + (width - 1) / 2
    y = (loci.y_um - field.y_um) / field.pixel_um + (height - 1) / 2
    row = np.clip(np.rint(y).astype(int), 0, height - 1)
    column = np.clip(np.rint(x).astype(int), 0, width - 1)
    mine = loci.in_section & (field.labels[row, column] == label)
    answer = {}
    for probe in ("HER2", "CEP17"):
        points = np.column_stack([loci.x_um, loci.y_um])[mine & (loci.probe == probe)]
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        gaps += np.eye(len(points)) * 1e9
        answer[probe.lower()] = bool((gaps > APART_UM).all())
    return answer


def line_of(slide: Slide, seed: int) -> str:
    """Return one line of a slide."""
    arm, truth = slide.result.arms["sr_merged"], slide.result.truth
    assert truth is not None
    share = truth.whole_tumour_nuclei_scored / max(1, truth.whole_tumour_nuclei)
    return (
        f"{slide.kind} {seed}: {len(slide.rows)} nuclei ({100 * share:.0f} % of whole "
        f"tumour nuclei), HER2 {total(slide, 'her2')}, CEP17 {total(slide, 'cep17')}, "
        f"{arm.status} group {arm.group} [{slide.seconds:.0f} CPU-s] "
        f"{'; '.join((*arm.reasons[:2], *blockers(slide)[:1]))}"
    )


def blockers(slide: Slide) -> tuple[str, ...]:
    """Return what stands against signing, other than what nobody measures here."""
    assessment = slide.result.assessment
    assert assessment is not None
    usual = ("external controls", "internal control")
    return tuple(b for b in assessment.blockers if not b.startswith(usual))


def total(slide: Slide, probe: str) -> str:
    """Return counted over true, in words."""
    counted = sum(row.counts[f"{probe}_sr_merged"] for row in slide.rows)
    true = sum(row.copies[probe] for row in slide.rows)
    return f"{counted}/{true}"


def figures(slides: list[Slide]) -> Iterator[tuple[str, bool]]:
    """Yield every figure with whether it is reached."""
    good = [s for s in slides if s.kind not in FAILURES]
    if good:
        yield from _nuclei([row for s in good for row in s.rows])
        yield from _scored(good)
    for name, kinds, most in (
        ("non-amplified", KINDS, 5.0),
        ("amplified with clusters", AMPLIFIED, 10.0),
    ):
        for kind in kinds:
            mine = [s for s in good if s.kind == kind]
            if mine:
                yield _sample(f"{name}, {kind}", mine, most)
    yield from _conventional([row for s in good for row in s.rows])
    for kind in FAILURES:
        yield from _failed(kind, [s for s in slides if s.kind == kind])


def _nuclei(rows: list[Row]) -> Iterator[tuple[str, bool]]:
    for probe in ("her2", "cep17"):
        few = [row for row in rows if row.copies[probe] <= 4]
        stem = f"{probe}_sr_merged"
        off = np.array([row.counts[stem] - row.copies[probe] for row in few])
        exact, near = 100 * np.mean(off == 0), 100 * np.mean(np.abs(off) <= 1)
        yield (
            f"{probe}: {len(few)} nuclei of up to 4 copies: exact {exact:.1f} % (reach "
            f"80), within 1 {near:.1f} % (reach 97)",
            bool(exact >= 80 and near >= 97),
        )
        held = [row.low[stem] <= row.copies[probe] <= row.high[stem] for row in rows]
        words = f"{probe}: low to high holds the copies in {100 * np.mean(held):.0f} %"
        yield words, True


def _scored(slides: list[Slide]) -> Iterator[tuple[str, bool]]:
    truths = [s.result.truth for s in slides if s.result.truth is not None]
    whole = sum(t.whole_tumour_nuclei for t in truths)
    scored = sum(t.whole_tumour_nuclei_scored for t in truths)
    share = 100 * scored / max(1, whole)
    yield f"{share:.0f} % of {whole} whole tumour nuclei scored (reach 70)", share >= 70


def _sample(name: str, slides: list[Slide], most: float) -> tuple[str, bool]:
    """Return the error of the mean a nucleus over the slides of a kind."""
    rows = [row for slide in slides for row in slide.rows]
    errors = {}
    for probe in ("her2", "cep17"):
        true = sum(row.copies[probe] for row in rows)
        counted = sum(row.counts[f"{probe}_sr_merged"] for row in rows)
        errors[probe] = 100 * (counted - true) / max(1, true)
    words = ", ".join(f"{probe} {error:+.1f} %" for probe, error in errors.items())
    is_met = all(abs(error) <= most for error in errors.values())
    return f"{name}: {words} over {len(rows)} nuclei (reach {most:g} %)", is_met


def _conventional(rows: list[Row]) -> Iterator[tuple[str, bool]]:
    for probe in ("her2", "cep17"):
        apart = [row for row in rows if row.is_apart[probe]]
        true = sum(row.copies[probe] for row in apart)
        counted = sum(row.counts[f"{probe}_conventional"] for row in apart)
        error = 100 * (counted - true) / max(1, true)
        if true:
            yield (
                f"conventional, {probe} of {len(apart)} nuclei whose signals lie "
                f"apart: {error:+.1f} % of {true} (reach 5)",
                abs(error) <= 5,
            )


def _failed(kind: str, slides: list[Slide]) -> Iterator[tuple[str, bool]]:
    if not slides:
        return
    refused = sum(
        s.result.arms["sr_merged"].status == "indeterminate" or bool(blockers(s))
        for s in slides
    )
    yield (
        f"{kind}: {refused} of {len(slides)} refused (reach all)",
        refused == len(slides),
    )
    if kind == "no_probe":
        rows = [row for s in slides for row in s.rows]
        for probe in ("her2", "cep17"):
            false = sum(row.counts[f"{probe}_sr_merged"] for row in rows)
            a_nucleus = false / max(1, len(rows))
            yield (
                f"no_probe: {a_nucleus:.3f} false {probe} signals a nucleus (reach "
                f"0.05)",
                a_nucleus <= 0.05,
            )


if __name__ == "__main__":
    sys.exit(main())
