"""The verbs ``her2sr estop | dark | rearm``: light off, proven off, allowed again."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from her2sr_acq.cli_manners import EXITS, AsJson, By, OwnData, Reason, refuse


def register(app: typer.Typer) -> None:
    """Add ``estop``, ``dark`` and ``rearm``."""
    for verb in (estop, dark, rearm):
        app.command(epilog=EXITS)(verb)


def estop(
    data: OwnData,
    by: By = "operator",
    reason: Reason = "e-stop",
    as_json: AsJson = False,
) -> None:
    """Put every light out, with the service dead too, and latch.

    Example: her2sr estop --data data
    """
    from her2sr_acq.verbs.safety import estop as put_out

    outcome = put_out(data, by=by, reason=reason)
    if as_json:
        typer.echo(json.dumps(asdict(outcome)))
    else:
        typer.echo(outcome.sentence)
    if not outcome.is_dark:
        raise typer.Exit(3)


def dark(data: OwnData) -> None:
    """Prove every light off after the service has ended; nothing is latched.

    For service managers, after every stop. Exit 3: not proven, switch it off by hand.

    Example: her2sr dark --data data
    """
    from her2sr_acq.verbs.safety import dark as prove

    doubt = prove(data)
    if doubt:
        raise typer.Exit(refuse(f"the light is not proven off: {doubt}", 3))
    typer.echo("dark, proven by the lights' own answers")


def rearm(data: OwnData, by: By, reason: Reason) -> None:
    """Take the latch back, once its cause is found and mended.

    Example: her2sr rearm --data data --by op-2 --reason "door closed"
    """
    from her2sr_acq.verbs.safety import rearm as arm

    arm(data, by=by, reason=reason)
    typer.echo("armed: runs may be resumed or started")
