"""Which samples a study has: drawn once, nine of 14 negative, every kind known."""

import pytest
from pydantic import ValidationError

from her2sr_acq.verbs.study_config import configuration_of, request_of
from her2sr_proc.errors import DataError, RequestError, StateError
from her2sr_proc.store.layout import RunFolder, StudyFolder
from her2sr_proc.study.plan import (
    ALWAYS,
    DRAWN,
    IHC,
    MOST_SAMPLES,
    StudyOptions,
    draw_plan,
    preamble,
)
from her2sr_proc.study.records import (
    SampleRecord,
    begin,
    is_due,
    read_plan,
    read_record,
    write_record,
)
from simulators.kinds import KINDS
from simulators.options import SimulationOptions


def plan(**options):
    return draw_plan(StudyOptions(**options))


@pytest.mark.parametrize("seed", [3, 4, 5, 6])
def test_fourteen_samples_are_nine_negative_and_five_positive(seed):
    found = plan(seed=seed)
    statuses = [s.status for s in found.samples]
    assert (statuses.count("negative"), statuses.count("positive")) == (9, 5)
    kinds = {s.kind for s in found.samples}
    assert {"monosomic", "clustered", "doublet_rich", "badly_cut"} <= kinds


def test_a_seed_gives_the_same_samples_and_another_seed_others():
    assert plan(seed=3) == plan(seed=3)
    assert plan(seed=3).samples != plan(seed=4).samples
    order = [s.kind for s in plan(seed=3).samples]
    assert order != sorted(order)


def test_every_kind_is_one_that_the_simulator_knows():
    drawn = {kind for kinds in DRAWN.values() for kind in kinds}
    sure = {kind for kinds in ALWAYS.values() for kind in kinds}
    assert drawn | sure | set(IHC) <= set(KINDS)
    for chances in DRAWN.values():
        assert sum(chances.values()) == pytest.approx(1.0)


def test_amplified_kinds_are_positive_and_no_other():
    for status, kinds in DRAWN.items():
        for kind in (*kinds, *ALWAYS[status]):
            her2, cep17 = KINDS[kind].her2, KINDS[kind].cep17
            amplified = sum(her2) >= 2 * sum(cep17) and min(her2) >= 4
            assert amplified == (status == "positive"), kind


@pytest.mark.parametrize("samples", [2, 3, 29, MOST_SAMPLES])
def test_a_study_of_any_size_has_both_and_lies_on_the_stage(samples):
    found = plan(samples=samples, seed=8)
    assert {s.status for s in found.samples} == {"negative", "positive"}
    assert len({s.name for s in found.samples}) == samples
    places = {(s.x_um, s.y_um) for s in found.samples}
    assert len(places) == samples
    assert max(abs(v) for place in places for v in place) < 9_500


def test_the_configuration_is_one_that_the_microscope_takes(tmp_path):
    found = plan(seed=5, size_px=128, frames=500, section_um=4.0)
    told = configuration_of(StudyFolder(tmp_path), found)["simulator"]["options"]
    options = SimulationOptions.model_validate(told)
    assert [m.specimen for m in options.mounts] == [s.kind for s in found.samples]
    assert options.kinetics_factor == 10.0
    assert options.sample.section_um == 4.0
    assert options.width == 128


def test_an_order_goes_to_its_own_section():
    found = plan(seed=5, rows=1, columns=3, frames=200, nuclei_frames=50)
    sample = found.samples[7]
    order = request_of(found, sample, keep_raw=False)
    assert order.sample == sample.name
    assert order.overrides["grid.centre"] == [sample.x_um, sample.y_um]
    assert order.overrides["grid.columns"] == 3
    assert order.overrides["channels.561.frames"] == 200
    assert order.overrides["channels.405.frames"] == 50
    assert order.overrides["keep_raw"] == "localizations"


def test_compression_is_told_before_the_numbers():
    words = " ".join(preamble(plan(frames=400)))
    assert "12.5 times faster" in words
    assert "400 frames a colour instead of 5000" in words


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"frames": 10}, {"seed": -1}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        StudyOptions(**wrong)


def test_a_study_goes_on_only_as_it_was_asked_for(tmp_path):
    folder = StudyFolder(tmp_path / "study")
    with pytest.raises(StateError, match="holds no study"):
        read_plan(folder)
    first = begin(folder, StudyOptions(samples=3, seed=2))
    assert begin(folder, StudyOptions(samples=3, seed=2)) == first
    with pytest.raises(RequestError, match=r"frames 400, not 200.*--out"):
        begin(folder, StudyOptions(samples=3, seed=2, frames=200))
    assert read_plan(folder) == first
    folder.plan.write_text("{}")
    with pytest.raises(DataError, match=r"plan.json of the study"):
        read_plan(folder)


def test_what_was_acquired_is_not_due_and_what_failed_only_when_asked(tmp_path):
    folder = StudyFolder(tmp_path)
    sample = plan(samples=2, seed=2).samples[0]
    assert is_due(folder, sample)
    write_record(folder, SampleRecord(name=sample.name, state="started"))
    assert is_due(folder, sample)
    write_record(
        folder, SampleRecord(name=sample.name, state="failed", reason="no light")
    )
    assert not is_due(folder, sample)
    assert is_due(folder, sample, retry_failed=True)
    write_record(folder, SampleRecord(name=sample.name, state="acquired", run="r1"))
    assert is_due(folder, sample), "its run is gone"
    run = RunFolder(folder.data.runs / "r1")
    run.results.mkdir(parents=True)
    run.result.write_text("{}")
    assert not is_due(folder, sample)
    folder.record(sample.name).write_text('{"name": "s1"}')
    with pytest.raises(DataError, match="remove the file"):
        read_record(folder, sample.name)
