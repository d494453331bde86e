"""Rows 10, 11 and 23: acq is killed, stopped, crashes or hangs at a random moment.

Eight seeded trials; `make soak` does two hundred.
"""

import pytest
from light_times import lit_times, seconds_lit_after
from short import short_folder
from trials import DARK_S, Bench

from simulators.history import Change, LightHistory

KINDS = ("kill", "twice", "kill", "stop", "kill", "segv", "gil", "kill")
SEED = 7


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_row_10_whatever_befalls_acq_no_frame_is_lied_about_and_dark_is_near():
    with short_folder() as folder:
        trials = list(Bench(folder).run(KINDS, seed=SEED))
    wrong = [f"{t.line}: {v.text}" for t in trials for v in t.violations]
    assert not wrong, "\n".join(wrong)
    assert len(trials) == len(KINDS)
    dark = [trial.dark_s for trial in trials if trial.dark_s]
    assert dark, "no trial hit a burst: the moments must be chosen anew"
    assert max(dark) <= DARK_S


def history(*switches: tuple[float, str, bool]) -> LightHistory:
    changes = [
        Change(what=what, nm=561 if what == "light" else 0, on=on, monotonic_s=at_s,
               in_burst=False)
        for at_s, what, on in switches
    ]  # fmt: skip
    return LightHistory(
        now_s=100.0, changes=tuple(changes), forgotten=0, lit_outside_s=0.0
    )


def test_light_is_measured_from_a_moment_to_darkness():
    seen = history(
        (1.0, "light", True),
        (1.1, "burst", True),
        (3.0, "burst", False),
        (3.4, "light", False),
        (5.0, "light", True),
    )
    burst, stray = lit_times(seen)
    assert seconds_lit_after(seen, 2.0) == pytest.approx(1.4)
    assert seconds_lit_after(seen, 4.0) == 0.0
    assert burst.outside_s == pytest.approx(0.5)
    assert burst.has_burst
    assert not stray.has_burst
    assert stray.off_s == float("inf")
