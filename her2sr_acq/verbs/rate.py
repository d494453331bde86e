"""One burst at full rate through the whole service, watched from outside.

The simulated camera replays frames of 30 ms; each block is compressed, forced to disk
with its folders and read back, offered to the localizer, and page, REST and the live
picture are polled. Knows the processes by their ids alone; what it measures is said in
`budget`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from her2sr_acq.config import load, resolve
from her2sr_acq.control import ControlClient
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import RunRequest, RunView, UnitView
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.launcher import Launcher
from her2sr_acq.runtime import LOCALIZER, address
from her2sr_acq.storage.room import MB
from her2sr_acq.stream.envelope import ask
from her2sr_acq.verbs.usage import Usage, usage_of
from her2sr_proc.schema.ledger import UnitState

log = logging.getLogger(__name__)

EXPOSURE_MS = 30.0
LOOK_S = 0.25
SETTLED = 0.25
"""Of the frames that are taken before the steady state is judged."""
OPEN = (UnitState.PLANNED, UnitState.ACQUIRING)
ENDED_SHORT = (FINAL | {RunState.PAUSED}) - {
    RunState.COMPLETED,
    RunState.COMPLETED_WITH_FAULTS,
}
"""Whoever measures is alone: nobody resumes the run, or takes it up again."""
Tell = Callable[[int, int], None]


def kept_free_bytes() -> int:
    """Return what the service keeps free beside the frames; less pauses the run."""
    storage = load(resolve("simulated")).storage
    return (storage.low_water_mb + storage.reserve_mb) * MB


def configuration(folder: Path, size: int, lit_before_s: float) -> Path:
    """Write the packaged simulated configuration at full size and rate."""
    packaged = resolve("simulated")
    data = yaml.safe_load(packaged.read_text())
    data["mmcore"].update(cfg=str(packaged.with_suffix(".cfg")), buffer_mb=1024)
    data["camera"].update(width=size, height=size)
    data["simulator"]["options"].update(
        width=size,
        height=size,
        noise="replay",
        time_scale=1.0,
        specimen="demo",
        lit_before_s=lit_before_s,
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


@dataclass(frozen=True, slots=True)
class Look:
    """The whole service at one moment of a burst."""

    at_s: float
    written: int
    """Frames on disk and read back."""
    localized: int
    """Frames whose localizations are on disk."""
    usage: Usage

    @property
    def lag_s(self) -> float:
        """How far the localizer is behind the disk, in seconds of the camera."""
        return (self.written - self.localized) * EXPOSURE_MS / 1000.0


@dataclass(slots=True)
class Burst:
    """What was seen of one burst."""

    frames: int
    size: int
    looks: list[Look] = field(default_factory=list)
    answers_s: list[float] = field(default_factory=list)
    """Seconds that page, REST and live picture took to answer, each poll."""
    unanswered: int = 0
    """Polls without an answer, or with an error: so much less did looking on cost."""
    run: RunView | None = None
    unit: UnitView | None = None

    @property
    def lost(self) -> int:
        """Frames that were asked for and are not on disk."""
        if self.unit is None:
            return self.frames
        return self.frames - self.unit.written + sum(g.missing for g in self.unit.gaps)

    @property
    def steady(self) -> tuple[Look, Look]:
        """The first and last look of the steady state.

        At the last frame it is over: who wrote the frames may have ended with them.
        Raises `ServiceUnavailableError` for a burst too short to tell.
        """
        least = SETTLED * self.frames
        settled = [one for one in self.looks if least <= one.written < self.frames]
        if len(settled) < 3:
            raise ServiceUnavailableError(
                f"the burst of {self.frames} frames was over before it was steady; "
                f"ask for more with --frames"
            )
        return settled[0], settled[-1]


def measure(
    folder: Path, *, frames: int, size: int, lit_before_s: float, tell: Tell
) -> Burst:
    """Take one burst through the real processes and return what was seen of it.

    Raises `ServiceUnavailableError` with the reason when its run pauses, or ends before
    the burst does.
    """
    burst = Burst(frames, size)
    config = configuration(folder, size, lit_before_s)
    with Launcher(config, folder / "data", port=0) as launcher:
        control = ControlClient(launcher.runtime)
        run = control.submit(request(frames))
        ended = threading.Event()
        poller = threading.Thread(
            target=poll, args=(launcher.url, run.id, ended, burst)
        )
        poller.start()
        try:
            _watch(launcher, control, run.id, burst, tell)
        finally:
            ended.set()
            poller.join()
        # what the localizer has left is computed from disk and is no part of the burst
        while True:
            launcher.check()
            burst.run = _going(control.run(run.id))
            (burst.unit,) = control.fields(run.id)[0].units
            if burst.unit.state not in OPEN or burst.run.state in FINAL:
                break
            time.sleep(LOOK_S)
    return burst


def _watch(
    launcher: Launcher, control: ControlClient, run: str, burst: Burst, tell: Tell
) -> None:
    """Look at everything until the last frame is written, or the run is over."""
    where = address(launcher.runtime, LOCALIZER)
    while True:
        launcher.check()
        view = _going(control.run(run))
        answer = ask(where, "status", {}, deadline_s=5.0)
        done = int(str(answer.body["localized_frames"]))
        usage = usage_of(launcher.pids)
        burst.looks.append(Look(time.monotonic(), view.frames_done, done, usage))
        tell(view.frames_done, burst.frames)
        if view.frames_done >= burst.frames or view.state in FINAL:
            return
        time.sleep(LOOK_S)


def _going(view: RunView) -> RunView:
    """Return a run that goes on, or has come to its end."""
    if view.state not in ENDED_SHORT:
        return view
    why = view.reason or view.phase or "it gives no reason"
    raise ServiceUnavailableError(
        f"nothing was measured: the run of the burst is {view.state} after "
        f"{view.frames_done} of {view.frames_requested} frames: {why}"
    )


def poll(url: str, run: str, ended: threading.Event, burst: Burst) -> None:
    """Ask as a page that a person looks at does, ten times a second, until told."""
    paths = (f"/api/v1/runs/{run}", f"/runs/{run}", "/api/v1/live.jpg")
    with httpx.Client(base_url=url, trust_env=False, timeout=10.0) as http:
        while not ended.wait(0.1):
            for path in paths:
                began = time.monotonic()
                try:
                    answer = http.get(path)
                    # before the first frame there is no picture to show
                    if not path.endswith(".jpg"):
                        answer.raise_for_status()
                except httpx.HTTPError as exc:
                    burst.unanswered += 1
                    log.warning("%s was not answered: %s", path, exc)
                else:
                    burst.answers_s.append(time.monotonic() - began)
