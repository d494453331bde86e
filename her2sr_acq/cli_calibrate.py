"""The verb ``her2sr calibrate``: what may be asked for, and what is printed.

The work is imported when the verb runs, so that ``her2sr --help`` is quick.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from her2sr_acq.cli_manners import EXITS, AsJson, Config, OwnData

if TYPE_CHECKING:
    from her2sr_acq.calibrating.order import MeterStep, Order, Outcome, Progress

USED_BY: dict[str, tuple[str, ...]] = {
    "line": ("camera", "beads", "power", "flat", "pixel"),
    "exposure_ms": ("camera", "beads", "power", "flat", "pixel"),
    "percent": ("camera", "beads", "power", "flat", "pixel"),
    "dark_frames": ("camera",),
    "levels": ("camera",),
    "frames": ("camera", "flat", "pixel"),
    "range_um": ("beads",),
    "step_um": ("beads",),
    "steps": ("power",),
    "seconds": ("power",),
}
"""Which kinds an option means something to; elsewhere it is refused."""
FRAMES = {"camera": 200, "flat": 50, "pixel": 8}


def register(app: typer.Typer) -> None:
    """Mount the verb into the one command."""
    app.command("calibrate", epilog=EXITS)(calibrate)


def calibrate(
    kind: Annotated[
        Literal["camera", "beads", "power", "flat", "pixel"],
        typer.Argument(
            metavar="camera|beads|power|flat|pixel",
            help="camera: maps of offset, gain, noise (even film); beads: registration "
            "of the colours (bead film); power: mW per percent (meter); flat: "
            "illumination (even film); pixel: its size (bead film or ruler)",
        ),
    ],
    config: Config,
    data: OwnData = Path("data"),
    operator: Annotated[str, typer.Option(help="a pseudonym")] = "operator",
    line: Annotated[
        list[int] | None,
        typer.Option(help="wavelength in nm; repeatable; default: all, or the longest"),
    ] = None,
    percent: Annotated[
        float | None, typer.Option(min=0.01, max=100, help="power of the light")
    ] = None,
    exposure_ms: Annotated[
        float | None, typer.Option("--exposure-ms", min=0.01, help="default: 30")
    ] = None,
    dark_frames: Annotated[
        int | None, typer.Option("--dark-frames", min=10, help="default: 1000")
    ] = None,
    levels: Annotated[
        int | None, typer.Option(min=3, max=100, help="of light; default: 20")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=4, help="a level; default: 200, 50, 8")
    ] = None,
    range_um: Annotated[
        float | None,
        typer.Option("--range-um", help="of the stack, up and down; default: 0.9"),
    ] = None,
    step_um: Annotated[
        float | None, typer.Option("--step-um", help="of the stack; default: 0.15")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=2, max=50, help="powers a line; default: 5")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="of light for each power; default: 2, or 15")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the instrument itself; later runs are taken with what was found.

    Light is on only while frames are taken, under the guard. The result stands in
    DATA/calibration, dated; older ones are kept.

    Example: her2sr calibrate beads --config simulated --data data
    """
    from her2sr_acq.config import load, resolve
    from her2sr_acq.errors import ConfigError
    from her2sr_acq.verbs.calibrate import Desk
    from her2sr_acq.verbs.calibrate import calibrate as do

    given = {
        "line": line,
        "percent": percent,
        "exposure_ms": exposure_ms,
        "dark_frames": dark_frames,
        "levels": levels,
        "frames": frames,
        "range_um": range_um,
        "step_um": step_um,
        "steps": steps,
        "seconds": seconds,
    }
    asked: dict[str, object] = {
        name: value for name, value in given.items() if value is not None
    }
    for name in asked:
        if kind not in USED_BY[name]:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{option} means nothing to `her2sr calibrate {kind}`; leave it out"
            )
    path = resolve(config)
    is_read = kind == "power" and load(path).meter is None
    asked |= {"lines_nm": tuple(line or ())}
    asked.pop("line", None)
    asked.setdefault("frames", FRAMES.get(kind, 200))
    if is_read:
        asked.setdefault("seconds", 15.0)
    order = _order({**asked, "kind": kind, "operator": operator})
    reader = _read if is_read and sys.stdin.isatty() else None
    outcome = do(order, path, data, Desk(_tell, reader))
    _print(outcome, as_json=as_json)


def _order(values: dict[str, object]) -> Order:
    from pydantic import ValidationError

    from her2sr_acq.calibrating.order import Order
    from her2sr_acq.errors import ConfigError
    from her2sr_acq.yaml_file import describe

    try:
        return Order.model_validate(values)
    except ValidationError as exc:
        raise ConfigError(
            f"the calibration cannot be done so: {describe(exc)}"
        ) from exc


def _tell(progress: Progress) -> None:
    typer.echo(f"{progress.done}/{progress.of} {progress.doing}", err=True)


def _read(step: MeterStep) -> float:
    said = typer.prompt(
        f"the meter's reading at {step.percent:g} % of {step.laser_nm} nm, in mW",
        type=float,
    )
    return float(said)


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if outcome.fault:
        typer.echo(f"error: {outcome.fault}", err=True)
        raise typer.Exit(outcome.exit_code or 1)
    if as_json:
        typer.echo(json.dumps({"card": outcome.card} | outcome.values, indent=2))
        return
    for name, value in outcome.values.items():
        typer.echo(f"{name}: {value}")
    typer.echo(f"written: {outcome.card}")
