"""What becomes of page, tables and starts when the service is harmed; to be reached.

Run it: ``python tests/bench/bench_service_faults.py [--times 5]``. Kills the web
service in bursts and times page and REST; kills the localizer in bursts and holds its
tables against those from disk; starts fifty runs at once. Every run must be whole. Ends
with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from nights import night, night_config
from service_faults import (
    BACK_S,
    PATIENCE_S,
    TIME_SCALE,
    in_a_burst,
    require_whole,
    same_tables,
    starts,
    stopped,
    web_service_back_s,
)
from short import short_folder


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    back_s, same = [], 0
    with short_folder() as folder:
        config = night_config(folder, time_scale=TIME_SCALE)
        with night(config, folder / "data") as service:
            for _ in range(times):  # the launcher starts a process again five times
                run = in_a_burst(service)
                back_s.append(web_service_back_s(service, run))
                require_whole(service, run)
            for number in range(times):
                run = in_a_burst(service)
                os.kill(service.launcher.pids["localizer"], signal.SIGKILL)
                require_whole(service, run)
                same += same_tables(service.folder(run), folder / f"copy{number}")
            service.idle(within_s=PATIENCE_S)
            before = len(service.control.runs())
            codes = Counter(answer.status_code for answer in starts(service, None))
            begun = len(service.control.runs()) - before
            stopped(service, service.control.runs()[0].id)
    back_s.sort()
    middle, most = back_s[len(back_s) // 2], back_s[-1]
    print(
        f"web service killed -> page and REST whole: {len(back_s)} x  median "
        f"{middle:.2f} s, most {most:.2f} s (reach {BACK_S:g} s)"
    )
    print(f"localizer killed -> tables as from disk: {same} of {2 * times}")
    print(f"fifty starts at once -> runs: {begun}; answers {dict(codes)}")
    return 0 if most < BACK_S and same == 2 * times and begun == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
