"""The nuclei counted so far are those of the files, each read once a change."""

import pytest
from reviewed_runs import reviewed_run

from her2sr_proc.errors import DataError
from her2sr_proc.live import counted
from her2sr_proc.live.counted import counted_nuclei, scorable_counts
from her2sr_proc.live.facts import Facts
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.offline.runs import read_fields
from her2sr_proc.schema.case import RegionsMarked
from her2sr_proc.schema.counts import PROBES, scored
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_field, write_field


@pytest.fixture
def run(tmp_path):
    return reviewed_run(DataFolder(tmp_path).run("run1").root)


def of(run):
    return counted_nuclei(run, read_manifest(run))


def test_they_are_those_that_a_whole_reading_finds(run):
    manifest = read_manifest(run)
    whole = [field for _, field in read_fields(run, manifest)]
    arm = manifest.profile.headline
    assert [f.field for f in of(run)] == [f.field for f in whole]
    for (field, mine), (place, theirs) in zip(
        scored(of(run)), scored(whole), strict=True
    ):
        assert (field, mine.nucleus) == (place, theirs.nucleus)
        assert mine.counts[arm] == theirs.counts[arm]


@pytest.mark.parametrize("marks", [{}, {"3": "invasive"}, {"3": "other"}])
@pytest.mark.parametrize("by_person", [True, False], ids=["marked later", "by machine"])
def test_the_numbers_are_those_of_the_nuclei(run, marks, by_person):
    field = read_field(run, "r00_c00")
    if by_person and marks:
        said = RegionsMarked(marks={f"r00_c00/{n}": r for n, r in marks.items()})
        CaseFile(run.case, lambda: "2026-01-01T00:00:00Z").add(said, by="observer-1")
    elif marks:
        nuclei = [
            n.model_copy(update={"region": marks.get(str(n.nucleus), n.region)})
            for n in field.nuclei
        ]
        write_field(run, field.model_copy(update={"nuclei": tuple(nuclei)}))
    manifest = read_manifest(run)
    arm = manifest.profile.headline
    fields = [field for _, field in read_fields(run, manifest)]
    expected = [
        [n.counts[arm][probe].count for probe in PROBES] for _, n in scored(fields)
    ]
    assert scorable_counts(run, manifest)["r00_c00"].tolist() == expected


def test_the_numbers_of_a_field_are_read_once_until_it_is_written_again(
    run, monkeypatch
):
    read = []

    def counting(run, field):
        read.append(field)
        return read_field(run, field)

    monkeypatch.setattr(counted, "read_field", counting)
    manifest = read_manifest(run)
    assert [len(scorable_counts(run, manifest)["r00_c00"]) for _ in range(3)] == [
        24
    ] * 3
    assert read == ["r00_c00"]
    field = read_field(run, "r00_c00")
    write_field(run, field.model_copy(update={"nuclei": field.nuclei[:5]}))
    assert len(scorable_counts(run, manifest)["r00_c00"]) == 5
    run.field_result("r00_c00").unlink()
    assert scorable_counts(run, manifest) == {}


def test_a_field_is_read_once_until_it_is_written_again(run, monkeypatch):
    read = []

    def counting(run, field):
        read.append(field)
        return read_field(run, field)

    monkeypatch.setattr(counted, "read_field", counting)
    assert [len(f.nuclei) for f in of(run) * 3] == [24] * 3
    of(run)
    assert read == ["r00_c00"]
    field = read_field(run, "r00_c00")
    write_field(run, field.model_copy(update={"nuclei": field.nuclei[:5]}))
    assert [len(f.nuclei) for f in of(run)] == [5]
    assert read == ["r00_c00"] * 2


def test_a_field_that_goes_is_not_remembered(run):
    assert of(run)
    run.field_result("r00_c00").unlink()
    assert of(run) == []


def test_a_damaged_field_is_an_error_every_time(run):
    run.field_result("r00_c00").write_text("{")
    for _ in range(2):
        with pytest.raises(DataError):
            of(run)


def test_what_a_person_marks_later_holds_at_once(run):
    assert len(list(scored(of(run)))) == 24
    marked = RegionsMarked(marks={"r00_c00/3": "invasive"})
    CaseFile(run.case, lambda: "2026-01-01T00:00:00Z").add(marked, by="observer-1")
    assert [nucleus.nucleus for _, nucleus in scored(of(run))] == [3]


def test_acquisition_is_told_how_many_and_how_wide_and_no_ratio(run):
    told = Facts(DataFolder(run.root.parents[1])).scorable("run1")
    assert told == {"fields": {"r00_c00": 24}, "nuclei": 24, "width": 0.0}
