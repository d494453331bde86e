"""``her2sr demo``: a simulated slide in, a HER2 answer out, over REST all the way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunRequest, RunView
from her2sr_acq.plan.foresight import check_early, free_space, require_writable
from her2sr_acq.plan.load import override, packaged
from her2sr_acq.verbs.demo_config import DemoOptions, planned, written
from her2sr_acq.verbs.progress import shown
from her2sr_acq.verbs.run import service, submit_and_follow
from her2sr_acq.verbs.watch import termination_as_interrupt
from her2sr_proc.schema.results import RunResult
from her2sr_proc.store.layout import DataFolder

PROTOCOL = "demo"


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demo ends with."""

    run: RunView
    result: RunResult | None
    report: Path
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether the run is complete and no frame is missing anywhere."""
        return (
            self.run.state is RunState.COMPLETED
            and self.result is not None
            and self.result.accounting.is_whole
        )


def run_demo(options: DemoOptions) -> DemoOutcome:
    """Measure a simulated slide with the processes that a real one would use."""
    began = time.monotonic()
    request = _request(options)
    wanted = override(packaged(PROTOCOL), request.overrides)
    require_writable(options.out)
    check_early(wanted, planned(options), free_bytes=free_space(options.out))
    with (
        termination_as_interrupt(),
        written(options) as config,
        shown() as show,
        service(config, options.out, show) as running,
    ):
        view = submit_and_follow(running, request, show, is_alone=True)
        ended_well = view.state is RunState.COMPLETED
        result = running.rest.results(view.id) if ended_well else None
    return DemoOutcome(
        run=view,
        result=result,
        report=DataFolder(options.out).run(view.folder).report,
        seconds=time.monotonic() - began,
    )


def _request(options: DemoOptions) -> RunRequest:
    overrides: dict[str, JsonValue] = {
        "grid.rows": options.rows,
        "grid.columns": options.columns,
    }
    for channel in packaged(PROTOCOL).channels:
        is_signal = channel.role == "signal"
        overrides[f"channels.{channel.name}.frames"] = (
            options.frames if is_signal else options.nuclei_frames
        )
    return RunRequest(
        protocol=PROTOCOL,
        sample=f"simulated-{options.seed}",
        operator="demo",
        overrides=overrides,
    )
