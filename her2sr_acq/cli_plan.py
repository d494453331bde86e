"""The verbs `her2sr plan export | import`: tile plans to and from other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from her2sr_proc.cli_options import EXITS

HELP = """Exchange tile plans with programs that speak useq (napari-micromanager,
pymmcore-gui).

Example: her2sr plan export demo --config simulated --centre 0,0 --out demo.yaml
"""


def register(app: typer.Typer) -> None:
    """Add ``plan`` and its verbs."""
    group = typer.Typer(
        help=HELP, epilog=EXITS, no_args_is_help=True, rich_markup_mode=None
    )
    group.command("export", epilog=EXITS)(export)
    group.command("import", epilog=EXITS)(take_in)
    app.add_typer(group, name="plan")


def export(
    protocol: Annotated[str, typer.Argument(help="a packaged name or a .yaml file")],
    out: Annotated[Path, typer.Option("--out", help="SEQUENCE.json or .yaml")],
    config: Annotated[
        str | None,
        typer.Option("--config", help="whose tiles; not needed with grid.positions"),
    ] = None,
    centre: Annotated[
        str | None,
        typer.Option("--centre", help="X,Y of the stage in um, for centre: current"),
    ] = None,
) -> None:
    """Write the fields and channels of a protocol as a useq MDASequence.

    The protocol itself goes along in its metadata.

    Example: her2sr plan export demo --config simulated --centre 0,0 --out demo.yaml
    """
    from her2sr_acq.plan import load
    from her2sr_acq.verbs import sequence

    plan = load.find(protocol)
    where = sequence.parse_centre(centre)
    fields = sequence.placed(plan, sequence.microscope(config), where)
    sequence.write_sequence(sequence.sequence_of(plan, fields), out)
    typer.echo(f"{out}: {len(fields)} fields, {len(plan.channels)} channels")


def take_in(
    source: Annotated[
        Path, typer.Argument(metavar="SEQUENCE", help="useq, as .json or .yaml")
    ],
    out: Annotated[Path, typer.Option("--out", help="PROTOCOL.yaml")],
    onto: Annotated[
        str | None,
        typer.Option("--onto", help="protocol that says the rest; default: carried"),
    ] = None,
) -> None:
    """Write a protocol that goes where a useq MDASequence goes.

    Frames, powers and probes are those of the protocol it carries, or of --onto.

    Example: her2sr plan import places.json --onto demo --out mine.yaml
    """
    import yaml

    from her2sr_acq.errors import PlanRejectedError
    from her2sr_acq.plan import load
    from her2sr_acq.verbs import sequence
    from her2sr_proc.store.atomic import write_text

    if out.suffix not in (".yaml", ".yml"):
        raise PlanRejectedError(f"{out.name} must end in .yaml, as protocols do")
    base = None if onto is None else load.find(onto)
    plan = sequence.protocol_of(sequence.read_sequence(source), base)
    data = plan.model_dump(mode="json", exclude_defaults=True)
    write_text(out, yaml.safe_dump(data, sort_keys=False))
    typer.echo(f"{out}: {plan.grid.size} fields, {len(plan.channels)} channels")
