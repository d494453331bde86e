"""Row 17 of the fault table with real processes: the wall clock is set in a burst."""

import time
from datetime import datetime
from itertools import pairwise

import pytest
from night_audit import audit
from nights import night, night_config, night_request, until
from short import short_folder
from struck_libc import SET_CLOCK, compiled

from her2sr_acq.control import ControlClient
from her2sr_proc.store.chain import read_events

NO_API = ("microscope", "guard", "localizer")
HOURS = 2


@pytest.fixture
def wall(tmp_path, monkeypatch):
    """Set the clock of every process that is started from here, by hours."""
    library = compiled(tmp_path, "clock", SET_CLOCK)
    if library is None:
        pytest.skip("no compiler makes the library that sets the clock")
    setting = tmp_path / "seconds"
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("SET_CLOCK_FILE", str(setting))
    return lambda hours: setting.write_text(f"{3600 * hours}")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_row_17_a_clock_that_is_set_twice_in_a_run_harms_no_burst_and_no_permit(wall):
    with short_folder() as folder:
        config, data = night_config(folder, time_scale=10.0), folder / "data"
        with night(config, data, only=NO_API) as service:
            asked = night_request(rows=1, columns=2, frames=220)
            began_s = time.monotonic()
            run = service.control.submit(asked)
            for hours, frames in ((HOURS, 20), (-HOURS, 300)):
                until(lambda n=frames: done(service.control, run) >= n, within_s=60.0)
                wall(hours)
            view = service.rest(run.id, within_s=60.0)
            took_s = time.monotonic() - began_s
            status = service.guard.status()
            found = audit(service.folder(view), view, service.control.fields(run.id))
            changes = service.microscope.light_history().changes
        events = list(read_events(service.folder(view)))
    assert (view.state, found.violations) == ("completed", ())
    assert (status.latched, status.deaths) == ("", 0)
    assert sum(c.what == "light" and c.on for c in changes) == 4
    stamps = [datetime.fromisoformat(event.utc).timestamp() for event in events]
    assert max(stamps) - min(stamps) >= 2 * 3600 * HOURS - 60
    steps = [b.monotonic_s - a.monotonic_s for a, b in pairwise(events)]
    assert min(steps) >= 0.0
    assert sum(steps) <= took_s


def done(control: ControlClient, run) -> int:
    return control.run(run.id).frames_done
