"""Samples one after another: each is acquired once, and none is lost in silence."""

from types import SimpleNamespace

import pytest

from her2sr_acq.engine.states import RunState
from her2sr_acq.errors import DeviceError, LatchedError, PlanRejectedError
from her2sr_acq.verbs import study
from her2sr_acq.verbs.study import StudyOrder, acquire_samples, study_options
from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.store.layout import StudyFolder
from her2sr_proc.study.closing import close_study
from her2sr_proc.study.plan import StudyOptions
from her2sr_proc.study.records import begin, is_due, read_record


class Bench:
    """A microscope that does as it is told, and a clock that goes a minute a sample."""

    def __init__(self, answers):
        self.answers = dict(answers)
        self.asked = []
        self.said = []
        self.now = 0.0

    def acquire(self, sample):
        self.asked.append(sample.name)
        self.now += 60.0
        answer = self.answers.get(sample.name, RunState.COMPLETED)
        if isinstance(answer, BaseException):
            raise answer
        return SimpleNamespace(folder=f"run-{sample.name}", state=answer, reason="why")

    def clock(self):
        return self.now


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "study")


@pytest.fixture
def samples(folder):
    return begin(folder, StudyOptions(samples=3, seed=2)).samples


def acquire(bench, folder, samples, monkeypatch):
    monkeypatch.setattr(study, "answer", lambda *_: None)
    acquire_samples(folder, samples, bench.acquire, bench.said.append, bench.clock)


def test_progress_tells_kind_state_and_time_left(folder, samples, monkeypatch):
    bench = Bench({})
    acquire(bench, folder, samples, monkeypatch)
    assert bench.asked == ["s1", "s2", "s3"]
    assert f"sample s1 (1 of 3): {samples[0].kind}" in bench.said
    assert "sample s1: acquired, in 60 s; about 2 min left" in bench.said
    assert read_record(folder, "s3").run == "run-s3"


FAULTS = [
    pytest.param(DeviceError("the stage is stuck"), "the stage is stuck", id="device"),
    pytest.param(RunState.FAULTED, "ended as faulted: why", id="ended badly"),
    pytest.param(
        RunState.COMPLETED_WITH_FAULTS, "ended as completed_with_faults", id="in part"
    ),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_sample_that_fails_is_listed_and_the_next_follows(
    folder, samples, monkeypatch, fault, reason
):
    bench = Bench({"s2": fault})
    acquire(bench, folder, samples, monkeypatch)
    assert bench.asked == ["s1", "s2", "s3"]
    record = read_record(folder, "s2")
    assert record.state == "failed"
    assert reason in record.reason
    assert read_record(folder, "s3").state == "acquired"


def test_a_run_that_cannot_be_scored_is_a_failed_sample(folder, samples, monkeypatch):
    def refuse(*_):
        raise StateError("no truth here")

    bench = Bench({})
    monkeypatch.setattr(study, "answer", refuse)
    acquire_samples(folder, samples, bench.acquire, bench.said.append, bench.clock)
    assert read_record(folder, "s1").reason == "no truth here"
    assert len(bench.asked) == 3


def test_after_a_latch_nothing_more_is_acquired(folder, samples, monkeypatch):
    bench = Bench({"s2": LatchedError("the interlock is open")})
    with pytest.raises(LatchedError):
        acquire(bench, folder, samples, monkeypatch)
    assert bench.asked == ["s1", "s2"]
    assert read_record(folder, "s2").reason == "the interlock is open"
    assert read_record(folder, "s3") is None


def test_the_page_lists_what_failed_and_what_nobody_tried(folder, samples, monkeypatch):
    bench = Bench({"s1": DeviceError("the stage <is> stuck")})
    acquire(bench, folder, samples[:1], monkeypatch)
    found = close_study(folder)
    page = folder.page.read_text()
    assert "no answer: the stage &lt;is&gt; stuck" in page
    assert page.count("no answer: not acquired yet") == 2
    assert "For research use only" in page
    assert "not validated on real HER2 slides" in page
    assert found.cohort is None
    assert not folder.cohort.exists()
    assert "the stage <is> stuck" in folder.truth.read_text()
    assert [s.fault for s in found.samples][1] == "not acquired yet"


def test_an_interruption_ends_the_study_and_leaves_the_sample_due(
    folder, samples, monkeypatch
):
    bench = Bench({"s2": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        acquire(bench, folder, samples, monkeypatch)
    assert [is_due(folder, s) for s in samples] == [True, True, True]  # no results here
    assert read_record(folder, "s2").state == "started"
    assert [s.fault for s in close_study(folder).samples][1:] == [
        "interrupted while it was acquired",
        "not acquired yet",
    ]


def test_counting_anew_makes_no_study_and_takes_no_other(folder, samples, tmp_path):
    order = StudyOrder(tmp_path / "none", StudyOptions(samples=3, seed=2))
    with pytest.raises(StateError, match="holds no study"):
        study.recount_study(order, lambda _: None)
    other = StudyOrder(folder.root, StudyOptions(samples=3, seed=3))
    with pytest.raises(RequestError, match="seed 2, not 3"):
        study.recount_study(other, lambda _: None)


def test_a_cluster_is_for_counting_anew_alone(tmp_path):
    asked = StudyOptions(samples=3, seed=2)
    order = StudyOrder(tmp_path / "study", asked, scheduler="dask://head:8786")
    with pytest.raises(PlanRejectedError, match="for --recount alone"):
        study.finish_study(order, lambda _: None)
    assert not (tmp_path / "study").exists()


def test_a_second_attempt_is_counted(folder, samples, monkeypatch):
    bench = Bench({"s1": DeviceError("stuck")})
    acquire(bench, folder, samples[:1], monkeypatch)
    bench.answers.clear()
    acquire(bench, folder, samples[:1], monkeypatch)
    assert read_record(folder, "s1").attempt == 2


def test_options_that_cannot_be_are_one_sentence():
    with pytest.raises(PlanRejectedError, match="samples"):
        study_options(samples=1)


def test_what_cannot_be_met_is_refused_before_anything_is_written(tmp_path):
    huge = StudyOptions(rows=10, columns=10, size_px=2048, frames=5000)
    with pytest.raises(PlanRejectedError, match="GB are free"):
        study.finish_study(StudyOrder(tmp_path / "study", huge), lambda _: None)
    assert not (tmp_path / "study").exists()


def test_another_study_in_the_folder_is_refused_before_any_process(folder, samples):
    order = StudyOrder(folder.root, StudyOptions(samples=4, seed=2))
    with pytest.raises(RequestError, match="holds another study"):
        study.acquire_study(order, lambda _: None)
