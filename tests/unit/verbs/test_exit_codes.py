"""What a command ends with says whose move it is."""

import pytest

from her2sr_acq import errors as acq
from her2sr_acq.cli import main
from her2sr_acq.verbs.faults import exit_code, sentence
from her2sr_proc import errors as proc
from her2sr_proc.schema.banner import BANNER

CODES = [
    (acq.ConfigError, 2),
    (acq.PlanRejectedError, 2),
    (acq.RunConflictError, 2),
    (acq.RunNotFoundError, 2),
    (acq.ServiceUnavailableError, 1),
    (acq.CameraStalledError, 1),
    (acq.StorageError, 1),
    (acq.LightError, 3),
    (acq.LatchedError, 3),
    (proc.RequestError, 2),
    (proc.MovieError, 2),
    (proc.TableError, 2),
    (proc.StateError, 2),
    (proc.IntegrityError, 1),
    (proc.WireError, 1),
    (proc.WriteError, 1),
]


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_each_kind_of_error_has_its_code(kind, code):
    assert exit_code(kind("why")) == code


def test_an_error_of_several_lines_is_told_in_one():
    assert sentence(acq.AcqError("one\n  two\nthree")) == "one two three"


@pytest.mark.parametrize(
    ("event", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "there is not memory enough for this"),
        (OSError(5, "Input/output error", "a.csv"), 1, "Input/output error: a.csv"),
        (OSError("read failed\n, errno = 5"), 1, "read failed , errno = 5"),
    ],
)
def test_what_stops_a_verb_from_outside_is_told_in_one_line(
    monkeypatch, capsys, event, code, words
):
    def stop(*_, **__):
        raise event

    monkeypatch.setattr("her2sr_proc.store.tables.read_table", stop)
    with pytest.raises(SystemExit) as end:
        main(["resolution", "locs.parquet"])
    assert end.value.code == code
    errors = [e for e in capsys.readouterr().err.splitlines() if e != BANNER]
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {words}")
