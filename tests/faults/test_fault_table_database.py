"""Row 12 of the fault table: an fsync of the run database fails within a run."""

import pytest
from failing_fsync import failing_fsync
from night_audit import audit
from nights import night, night_config, night_request, until
from short import short_folder

NO_API = ("microscope", "guard", "localizer")


@pytest.fixture
def disk_error(tmp_path, monkeypatch):
    """A disk error of the run database in every process that is started from here."""
    found = failing_fsync(tmp_path, "her2sr.db")
    if found is None:
        pytest.skip("no compiler makes the library that lets fsync fail")
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found


def times_lit(service):
    changes = service.microscope.light_history().changes
    return sum(change.what == "light" and change.on for change in changes)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_row_12_a_database_that_reaches_no_disk_ends_the_run_in_the_dark(disk_error):
    with short_folder() as folder:
        config, data = night_config(folder, time_scale=10.0), folder / "data"
        with night(config, data, only=NO_API) as service:
            asked = night_request(rows=1, columns=2, frames=220)
            run = service.control.submit(asked)
            until(lambda: service.microscope.state().is_lit(), within_s=30.0)
            disk_error.marker.touch()
            ended = service.rest(run.id, within_s=60.0)
            assert not service.microscope.state().is_lit()
            assert times_lit(service) == 1
        assert ended.state == "faulted"
        assert "the run database cannot be written: disk I/O error" in ended.reason
        disk_error.marker.unlink()
        with night(config, data, only=NO_API) as service:
            view, fields = service.control.run(run.id), service.control.fields(run.id)
            found = audit(service.folder(view), view, fields)
            assert times_lit(service) == 0  # nothing goes on by itself
    first = fields[0].units[0]
    assert (view.state, found.violations) == ("interrupted", ())
    assert (first.state, first.written) == ("complete", 220)
