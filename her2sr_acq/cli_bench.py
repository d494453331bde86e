"""The verb `her2sr bench pipeline`: one burst at full rate, and what it costs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from her2sr_proc import cli_bench
from her2sr_proc.cli_options import AsJson
from her2sr_proc.cli_progress import begin, showing

if TYPE_CHECKING:
    from her2sr_acq.verbs.budget import Budget
    from her2sr_acq.verbs.rate import Burst
    from her2sr_acq.verbs.stages import Bounds, Localizing, Stage

EPILOG = (
    "Exit codes: 0 done, 1 a frame was lost, the lag is 2 s or the run came to no end, "
    "2 a wrong request."
)
LAG_S = 2.0
"""Of the localizer at the end of the burst."""


def register(app: typer.Typer) -> None:
    """Add `bench` of the processing, and `pipeline` below it."""
    group = cli_bench.register(app)
    group.command("pipeline", epilog=EPILOG)(pipeline)


def pipeline(
    frames: Annotated[
        int,
        typer.Option(
            "--frames", min=200, max=100_000, help="of the burst, 33 a second"
        ),
    ] = 2000,
    size: Annotated[
        int, typer.Option("--size", min=64, max=4096, help="pixels of a side")
    ] = 2048,
    lit_before: Annotated[
        float,
        typer.Option(
            "--lit-before",
            min=0,
            max=600,
            help="seconds of light that the slide has had: 0 shows undecayed tissue "
            "throughout, the hardest; 75 the middle of a published burst",
        ),
    ] = 0.0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="folder whose disk is measured; default: temporary"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take one burst at full rate through the real processes; name what gives out.

    Camera, MMCore, compression, disk, bus, localizer, page, REST and live picture run
    as in a night, on the simulated microscope. The budget is that of the steady state,
    after the first quarter of the burst. Needs room for the frames without compression,
    8 MB each, and the 1.1 GB that the service keeps free.

    Example: her2sr bench pipeline --frames 2000 --out /data
    """
    from her2sr_acq.verbs import budget, rate, stages, usage
    from her2sr_acq.verbs.watch import termination_as_interrupt
    from her2sr_proc.offline.copying import room_for
    from her2sr_proc.store.layout import DataFolder

    begin()
    usage.require_counters()
    place = out or Path(tempfile.gettempdir())
    # what barely compresses is the worst: every pixel as it is
    room_for(place, frames * 2 * size**2 + rate.kept_free_bytes())
    # a stop from outside must end the processes, put the light out and leave no frame
    with termination_as_interrupt(also_hangup=True), _scratch(place) as folder:
        bounds = stages.measure_bounds(folder, usage.cores())
        with showing("frames") as tell:
            burst = rate.measure(
                folder, frames=frames, size=size, lit_before_s=lit_before, tell=tell
            )
        if burst.run is None:
            raise typer.Exit(1)
        run = DataFolder(folder / "data").run(burst.run.id)
        alone, ratio, localizing = stages.measure_stages(run, bounds.cores)
    found = budget.budget_of(burst, bounds, ratio=ratio)
    if as_json:
        typer.echo(_json(burst, found, bounds, alone, ratio, localizing))
    else:
        _tell(burst, found, bounds)
        _tell_stages(alone, ratio, localizing)
    is_late = burst.looks[-1].lag_s >= LAG_S
    if burst.lost or is_late:
        raise typer.Exit(1)


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """Yield a folder that is removed after. Raises `RequestError` where none can be."""
    from her2sr_proc.errors import RequestError

    try:
        made = tempfile.TemporaryDirectory(prefix="her2sr-bench-", dir=place)
    except OSError as exc:
        raise RequestError(
            f"{place} takes no folder ({exc.strerror}); name one that may be written "
            f"with --out"
        ) from exc
    with made as name:
        yield Path(name)


def _tell(burst: Burst, found: Budget, bounds: Bounds) -> None:
    from her2sr_acq.verbs.stages import COPIES

    run, unit = burst.run, burst.unit
    typer.echo(
        f"{burst.frames} frames of {burst.size} x {burst.size} px at 33.3 a second; "
        f"lost {burst.lost}; unit {unit.state if unit else 'unknown'}, run "
        f"{run.state if run else 'unknown'}; the bus took "
        f"{unit.published if unit else 0} of them"
    )
    typer.echo(
        f"steady state of {found.seconds:.0f} s: {found.written_per_s:.1f} frames/s to "
        f"disk ({1000 * found.gb_per_s:.0f} MB/s), {found.localized_per_s:.1f} "
        f"frames/s localized; lag {found.lag_s[0]:.1f} s at its begin, "
        f"{found.lag_s[1]:.1f} s at its end"
    )
    answers = sorted(burst.answers_s)
    if answers:
        typer.echo(
            f"page, REST, live picture: median "
            f"{1000 * answers[len(answers) // 2]:.0f} ms, slowest "
            f"{1000 * answers[-1]:.0f} ms, {len(answers)} answers, "
            f"{burst.unanswered} not answered"
        )
    elif burst.unanswered:
        typer.echo(f"page, REST, live picture: none of {burst.unanswered} answered")
    typer.echo("\nprocess, thread | cores | CPU-s/GB")
    for key, cores in sorted(found.cores.items(), key=lambda item: -item[1]):
        if cores >= 0.005:
            typer.echo(f"{key[0]}, {key[1]} | {cores:.2f} | {found.per_gb(key):.2f}")
    typer.echo("\nprocess | peak memory, MB")
    for process, peak in sorted(found.peak_mb.items()):
        typer.echo(f"{process} | {peak:.0f}")
    typer.echo(f"\ncopies of a frame: {sum(count for _, count in COPIES):.0f}")
    for name, _ in COPIES:
        typer.echo(f"  {name}")
    typer.echo(
        f"\nthis machine: {bounds.cores} cores, memory read at "
        f"{bounds.memory_gb_per_s:.1f} GB/s and copied at {bounds.copy_gb_per_s:.1f} "
        f"by one core, disk {bounds.disk_gb_per_s:.2f} GB/s forced"
    )
    typer.echo("resource | asked at full rate | there is | share")
    for share in found.shares:
        typer.echo(
            f"{share.name} | {share.asked:.2f} {share.unit} | {share.available:.2f} | "
            f"{100 * share.used:.0f} %"
        )
    tight = found.bottleneck
    word = "does not suffice" if tight.used > 1.0 else "gives out first"
    typer.echo(f"bottleneck: {tight.name} {word}, at {100 * tight.used:.0f} %")
    if found.is_behind:
        typer.echo(
            f"the localizer fell back all the same: other programs used "
            f"{found.others:.2f} cores meanwhile; measure on a quiet machine"
        )


def _tell_stages(alone: list[Stage], ratio: float, localizing: Localizing) -> None:
    typer.echo(f"\nstage by itself | CPU-s/GB of pixels (compressed {ratio:.2f}:1)")
    for stage in alone:
        typer.echo(f"{stage.name} | {stage.cpu_s_per_gb:.2f}")
    words = ("first", "middle", "last")
    for word, cost in zip(words, localizing.blocks, strict=True):
        typer.echo(f"localize, {word} block | {cost:.2f}")
    typer.echo(
        f"localize, middle block, on all cores at once | {localizing.together:.2f}"
    )


def _json(
    burst: Burst,
    found: Budget,
    bounds: Bounds,
    alone: list[Stage],
    ratio: float,
    localizing: Localizing,
) -> str:
    from dataclasses import asdict

    from her2sr_acq.verbs.stages import COPIES
    from her2sr_proc.schema.banner import BANNER

    said = {
        "frames": burst.frames,
        "side_px": burst.size,
        "lost": burst.lost,
        "unanswered": burst.unanswered,
        "state": burst.unit.state if burst.unit else None,
        "other_programs_cores": found.others,
        "published": burst.unit.published if burst.unit else 0,
        "steady_s": found.seconds,
        "written_per_s": found.written_per_s,
        "localized_per_s": found.localized_per_s,
        "lag_s": burst.looks[-1].lag_s,
        "threads": [
            {
                "process": key[0],
                "thread": key[1],
                "cores": cores,
                "cpu_s_per_gb": found.per_gb(key),
            }
            for key, cores in found.cores.items()
            if cores > 0.0
        ],
        "peak_mb": found.peak_mb,
        "copies": [name for name, _ in COPIES],
        "compression": ratio,
        "stages_cpu_s_per_gb": {s.name: s.cpu_s_per_gb for s in alone},
        "localize_cpu_s_per_gb": localizing.blocks,
        "localize_together_cpu_s_per_gb": localizing.together,
        "bounds": asdict(bounds),
        "shares": [{**asdict(s), "used": s.used} for s in found.shares],
        "bottleneck": found.bottleneck.name,
        "banner": BANNER,
    }
    return json.dumps(said)
