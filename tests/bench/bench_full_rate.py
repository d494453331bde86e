"""One burst at full rate through the whole service: nothing lost, nobody behind.

Run it: ``python tests/bench/bench_full_rate.py [--frames 1000] [--size 2048]``. The
simulated camera replays frames of 30 ms; each block is forced to disk with its folders,
offered to the localizer, and the page and REST are polled ten times a second. Prints
frames lost, how far the localizer is behind at the end of the burst, and the processor
time of every process; ends with 1 when a frame is lost or the lag is 2 s or more.
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil
import yaml

from her2sr_acq.config import resolve
from her2sr_acq.control import ControlClient
from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import RunRequest, RunView
from her2sr_acq.launcher import Launcher
from her2sr_acq.runtime import LOCALIZER, address
from her2sr_acq.stream.envelope import ask

EXPOSURE_MS = 30.0
LAG_S = 2.0


def configuration(folder: Path, size: int) -> Path:
    """Write the packaged simulated configuration at full size and rate."""
    packaged = resolve("simulated")
    data = yaml.safe_load(packaged.read_text())
    data["mmcore"].update(cfg=str(packaged.with_suffix(".cfg")), buffer_mb=1024)
    data["camera"].update(width=size, height=size)
    data["simulator"]["options"].update(
        width=size, height=size, noise="replay", time_scale=1.0, specimen="demo"
    )
    path = folder / "full-rate.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def request(frames: int) -> RunRequest:
    """Return one burst of one field."""
    channel = {
        "name": "561",
        "probe": "HER2",
        "laser_nm": 561,
        "power_percent": 40,
        "exposure_ms": EXPOSURE_MS,
        "frames": frames,
        "role": "signal",
    }
    plan = {
        "name": "full_rate",
        "grid": {"rows": 1, "columns": 1, "centre": [0.0, 0.0]},
        "channels": [channel],
    }
    return RunRequest.model_validate({"plan": plan, "sample": "s", "operator": "o"})


class Watcher:
    """Looks at run, localizer, page and processes while a burst goes on."""

    def __init__(self, launcher: Launcher, run: str, frames: int) -> None:
        self._url, self._runtime, self._run = launcher.url, launcher.runtime, run
        self._frames = frames
        self._processes = {n: psutil.Process(p) for n, p in launcher.pids.items()}
        self._before = self.cpu_s()
        self._ended = threading.Event()
        self._poller = threading.Thread(target=self._poll)
        self.answers: list[float] = []
        """Seconds that page and REST took to answer."""

    def cpu_s(self) -> dict[str, float]:
        """Return the processor seconds of every process."""
        times = {name: p.cpu_times() for name, p in self._processes.items()}
        return {name: t.user + t.system for name, t in times.items()}

    def localized(self) -> int:
        """Return the frames that the localizer says it has done."""
        where = address(self._runtime, LOCALIZER)
        answer = ask(where, "status", {}, deadline_s=2.0)
        return int(str(answer.body["localized_frames"]))

    def watch(self) -> RunView:
        """Follow the burst to its last written frame, then to the end of the run."""
        self._poller.start()
        control = ControlClient(self._runtime)
        worst = 0
        while (view := control.run(self._run)).frames_done < self._frames:
            if view.state in FINAL:
                break
            worst = max(worst, view.frames_done - self.localized())
            time.sleep(0.1)
        lag = view.frames_done - self.localized()
        cpu = self.cpu_s()
        self.lag_s = lag * EXPOSURE_MS / 1000.0
        self.worst_lag_s = worst * EXPOSURE_MS / 1000.0
        self.used_s = {name: cpu[name] - self._before[name] for name in cpu}
        self._ended.set()
        self._poller.join()
        while (view := control.run(self._run)).state not in FINAL:
            time.sleep(0.2)
        return view

    def _poll(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=10.0) as http:
            while not self._ended.wait(0.1):
                for path in (f"/api/v1/runs/{self._run}", f"/runs/{self._run}"):
                    began = time.monotonic()
                    http.get(path).raise_for_status()
                    self.answers.append(time.monotonic() - began)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--out", type=Path, help="where to write; default: temporary")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.out) as name:
        folder = Path(name)
        config = configuration(folder, options.size)
        with Launcher(config, folder / "data", port=0) as launcher:
            control = ControlClient(launcher.runtime)
            run = control.submit(request(options.frames))
            watcher = Watcher(launcher, run.id, options.frames)
            view = watcher.watch()
            (unit,) = control.fields(run.id)[0].units
    seconds = options.frames * EXPOSURE_MS / 1000.0
    lost = options.frames - unit.written + sum(gap.missing for gap in unit.gaps)
    print(
        f"{options.frames} frames of {options.size} x {options.size} at 33.3 a second"
    )
    print(f"state {unit.state}, lost {lost}, run {view.state} {view.reason}")
    print(f"published to the localizer: {unit.published}")
    print(f"localizer lag at the end {watcher.lag_s:.2f} s")
    print(f"localizer lag at its worst {watcher.worst_lag_s:.2f} s")
    answers = sorted(watcher.answers)
    print(f"page and REST: median {1000 * answers[len(answers) // 2]:.0f} ms,", end=" ")
    print(f"slowest {1000 * answers[-1]:.0f} ms, {len(answers)} answers")
    for process, used in watcher.used_s.items():
        print(f"{process:>12}: {used / seconds:.2f} cores")
    return int(lost != 0 or unit.state != "complete" or watcher.lag_s >= LAG_S)


if __name__ == "__main__":
    sys.exit(main())
