"""What a command ends with says whose move it is."""

import pytest

from her2sr_acq import errors as acq
from her2sr_acq.verbs.faults import exit_code, sentence
from her2sr_proc import errors as proc

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
]


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_each_kind_of_error_has_its_code(kind, code):
    assert exit_code(kind("why")) == code


def test_an_error_of_several_lines_is_told_in_one():
    assert sentence(acq.AcqError("one\n  two\nthree")) == "one two three"
