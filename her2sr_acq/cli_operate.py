"""The verbs ``her2sr serve | run | doctor | recover``: a microscope and its runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from her2sr_acq.cli_manners import (
    EXITS,
    AsJson,
    Config,
    Data,
    OwnData,
    complaint,
    refuse,
)


def register(app: typer.Typer) -> None:
    """Add ``serve``, ``run``, ``doctor`` and ``recover``."""
    for verb in (serve, run, doctor, recover):
        app.command(epilog=EXITS)(verb)


def serve(
    config: Config,
    data: Data,
    host: Annotated[str, typer.Option(help="another than loopback needs users")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    only: Annotated[
        list[str] | None,
        typer.Option(help="one of the processes alone; may be repeated"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="a further name it answers to, as behind a proxy"),
    ] = None,
) -> None:
    """Hold a microscope and answer over REST until ended.

    Example: her2sr serve --config simulated --data data
    """
    from her2sr_acq.config import resolve
    from her2sr_acq.verbs.serve import Listen
    from her2sr_acq.verbs.serve import serve as start

    start(
        resolve(config),
        data,
        Listen(host, port, tuple(allow_host or ())),
        only=only or (),
        say=typer.echo,
    )


def run(
    protocol: Annotated[str, typer.Argument(help="a packaged name or a .yaml file")],
    config: Config,
    data: Data,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, such as grid.rows=2; repeatable"),
    ] = None,
    sample: Annotated[str, typer.Option(help="a pseudonym, never a name")] = "sample",
    operator: Annotated[str, typer.Option(help="a pseudonym")] = "operator",
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--no-watch", help="no: leave it to the service that holds DATA"
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Make one run and watch it to its end; Ctrl-C asks it to stop.

    Uses the service that holds DATA, or starts the processes and ends them after.

    Example: her2sr run demo --config simulated --data data --set grid.rows=1
    """
    from her2sr_acq.config import resolve
    from her2sr_acq.verbs.run import RunOrder, order_run

    order = RunOrder(
        protocol,
        resolve(config),
        data,
        tuple(overrides or ()),
        sample,
        operator,
        is_watched=watch,
    )
    view = order_run(order)
    if as_json:
        typer.echo(view.model_dump_json(indent=2))
    else:
        typer.echo(f"{view.state}: {data / 'runs' / view.folder}")
    if watch and view.state != "completed":
        raise typer.Exit(refuse(complaint(view), 1))


def doctor(
    config: Config,
    data: Annotated[Path, typer.Option(help="where runs would be written")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Open every device and check what a run needs.

    Devices are read back and left dark; of a microscope that does not open, each
    device is tried alone. Then presets, files, the guard's way to shut the light,
    disk, clock, permissions and latch. Ends with 1 when something fails.

    Example: her2sr doctor --config simulated
    """
    from her2sr_acq.config import resolve
    from her2sr_acq.verbs.doctor import examine

    findings = examine(resolve(config), data)
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.mark:4}  {finding.subject}: {finding.detail}")
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(1)


def recover(
    data: OwnData,
    is_applied: Annotated[
        bool, typer.Option("--apply", help="do it, instead of saying it")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what an interrupted run left, and what would be done about it.

    Example: her2sr recover --data data
    """
    from her2sr_acq.verbs.recover import apply, look

    findings = apply(data) if is_applied else look(data)
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
        return
    for finding in findings:
        typer.echo(f"{finding.subject}: {finding.found}; {finding.act}")
    if not findings:
        typer.echo("nothing was left unfinished")
