"""The simulated pathologist sees of which cells nuclei are, and never a signal."""

import numpy as np
import pytest

from her2sr_proc.comparison import CountedField, compare
from her2sr_proc.errors import StateError
from her2sr_proc.schema.counts import FieldResult, NucleusCounts, ProbeCount
from her2sr_proc.schema.results import ARMS
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.truth import SpecimenTruth, TrueLoci, TrueNuclei
from her2sr_proc.study.pathologist import mark_run, regions

CENTRES = {1: (-4.0, -4.0), 2: (4.0, -4.0), 3: (-4.0, 4.0), 4: (4.0, 4.0)}
KINDS = ("tumour", "stroma", "normal", "tumour", "stroma")


def specimen():
    """Four nuclei apart, and a fifth that runs together with the fourth."""
    x = np.array([*(c[0] for c in CENTRES.values()), 4.8])
    y = np.array([*(c[1] for c in CENTRES.values()), 4.0])
    n = len(x)
    loci = TrueLoci(
        signal=np.arange(2 * n),
        copy=np.arange(2 * n),
        nucleus=np.repeat(np.arange(n), 2),
        probe=np.tile(["HER2", "CEP17"], n),
        x_um=np.repeat(x, 2),
        y_um=np.repeat(y, 2),
        z_um=np.zeros(2 * n),
        in_section=np.ones(2 * n, bool),
    )
    nuclei = TrueNuclei(
        nucleus=np.arange(n),
        kind=np.array(KINDS),
        x_um=x,
        y_um=y,
        outline_a_um=np.full(n, 2.0),
        outline_b_um=np.full(n, 2.0),
        angle_rad=np.zeros(n),
    )
    return SpecimenTruth(nuclei, loci)


def nucleus(label, region="unmarked"):
    one = ProbeCount(count=1, low=1, high=1)
    return NucleusCounts(
        nucleus=label,
        x_um=0,
        y_um=0,
        area_um2=50,
        quality=0.9,
        region=region,
        excluded=False,
        counts={arm: {"HER2": one, "CEP17": one} for arm in ARMS},
    )


def field(marks=None):
    """A field of 20 x 20 um, a nucleus around every centre, and one that is none."""
    labels = np.zeros((200, 200), np.int32)
    for label, (x, y) in CENTRES.items():
        row, column = round(99.5 + 10 * y), round(99.5 + 10 * x)
        labels[row - 25 : row + 25, column - 25 : column + 25] = label
    labels[:10, :10] = 5
    marks = marks or {}
    result = FieldResult(
        run="r1",
        field="r00_c00",
        profile="p",
        profile_digest="d",
        nuclei=tuple(
            nucleus(n, marks.get(f"r00_c00/{n}", "unmarked")) for n in range(1, 6)
        ),
    )
    return CountedField(result, labels, 0.0, 0.0, 0.1)


def test_regions_follow_the_cells_and_what_runs_together_is_other():
    assert regions(specimen(), [field()]) == {
        "r00_c00/1": "invasive",
        "r00_c00/2": "other",
        "r00_c00/3": "normal",
        "r00_c00/4": "other",
    }


def test_signals_change_no_mark():
    full = specimen()
    bare = SpecimenTruth(
        full.nuclei,
        TrueLoci(
            **{
                name: getattr(full.loci, name)[:0]
                for name in TrueLoci.__dataclass_fields__
            }
        ),
    )
    assert regions(bare, [field()]) == regions(full, [field()])


def test_the_truth_is_over_the_nuclei_that_were_marked_as_tumour():
    params = ScoreParams(resamples=100)
    before = compare(specimen(), [field()], params=params)
    marks = regions(specimen(), [field()])
    after = compare(specimen(), [field(marks)], params=params)
    assert [row.nucleus for row in before.nuclei] == [1, 2, 3, 4]
    assert [row.nucleus for row in after.nuclei] == [1]
    assert after.truth.copies.nuclei == 1


def test_a_run_without_a_simulated_specimen_needs_a_person(tmp_path):
    with pytest.raises(StateError, match="only a person can mark"):
        mark_run(RunFolder(tmp_path / "r1"), lambda: "2026-01-01T00:00:00Z")
