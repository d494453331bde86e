"""Row 22, and the accounts of a long night: a hundred thousand frames, all there.

Bounded memory is shown by what the processes hold; `make soak` does a million frames,
and measures what a field costs beyond its exposures.
"""

import pytest
from short import short_folder
from soaking import soak
from vitals import Sample, Vitals

GROWTH_MB = 40.0
"""Within a minute and a half the localizer's heap grows by 8 to 18 MB to where it stays
for a million frames; a leak of one frame in ten would take more than this."""


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_row_22_a_short_night_accounts_for_every_frame_and_grows_by_nothing():
    with short_folder() as folder:
        found = soak(
            folder,
            rows=2,
            columns=5,
            frames=5000,
            within_s=400.0,
            growth_mb=GROWTH_MB,
        )
    assert not found.violations, "\n".join(found.violations)
    assert found.audit.accounting.written == 100_000


def vitals(*rss_mb: float, more_threads: int = 0, more_handles: int = 0) -> Vitals:
    seen = Vitals("acq")
    for number, mb in enumerate(rss_mb):
        is_late = number > len(rss_mb) // 2
        threads, handles = more_threads * is_late, more_handles * is_late
        seen.samples.append(Sample(float(number), mb, 4 + threads, 8 + handles))
    return seen


def test_what_grows_is_told():
    assert vitals(*[100.0] * 12).violations() == []
    assert vitals(50.0, 90.0, *[100.0] * 10).violations() == []
    grows = vitals(*[100.0 + 3.0 * number for number in range(12)])
    assert [w for w in grows.violations() if "grew by" in w]
    leaks = vitals(*[100.0] * 12, more_handles=1)
    assert leaks.violations() == ["acq had 8 handles, later 9"]
    piles_up = vitals(*[100.0] * 12, more_threads=4)
    assert piles_up.violations() == ["acq had 4 threads, later 8"]
    assert vitals(*[100.0] * 12, more_threads=3).violations() == []
