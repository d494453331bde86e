"""The command ``her2sr``: what may be asked for, and how errors end.

The work is elsewhere and is imported when a verb is called, so that ``her2sr --help``
is quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer._click.exceptions import ClickException

from her2sr_acq.cli_manners import EXITS, refuse
from her2sr_acq.errors import AcqError
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.banner import BANNER

INTERRUPTED = 130


def build() -> typer.Typer:
    """Return the command with every verb of both packages."""
    from her2sr_acq import (
        cli_backup,
        cli_bench,
        cli_calibrate,
        cli_light,
        cli_operate,
        cli_plan,
        cli_simulate,
        cli_users,
    )
    from her2sr_proc import cli as movie_cli
    from her2sr_proc import (
        cli_background,
        cli_compare,
        cli_count,
        cli_denoise,
        cli_ensemble,
        cli_frames,
        cli_import,
        cli_nuclei,
        cli_offload,
        cli_process,
        cli_report,
        cli_runs,
        cli_score,
        cli_statistics,
        cli_tables,
        cli_threshold,
    )

    app = typer.Typer(
        help=f"From laser light to a HER2 answer. {BANNER}",
        epilog=EXITS,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(about)
    for part in (  # in the order of the help
        cli_simulate,
        cli_operate,
        cli_light,
        cli_backup,
        cli_users,
        cli_calibrate,
        cli_plan,
        movie_cli,
        cli_process,
        cli_runs,
        cli_import,
        cli_offload,
        cli_tables,
        cli_ensemble,
        cli_frames,
        cli_threshold,
        cli_nuclei,
        cli_count,
        cli_background,
        cli_denoise,
        cli_bench,
        cli_compare,
        cli_score,
        cli_statistics,
        cli_report,
    ):
        part.register(app)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        from her2sr_proc.versions import versions

        typer.echo(f"her2sr {versions(['her2sr'])['her2sr']}. {BANNER}")
        raise typer.Exit


def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="print the version and end",
        ),
    ] = False,
) -> None:
    """Take what stands before the verb; the help stays that of the command."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    try:
        code = build()(arguments, prog_name="her2sr", standalone_mode=False)
    except ClickException as exc:
        return refuse(exc.format_message(), exc.exit_code)
    except (AcqError, ProcError) as exc:
        from her2sr_acq.verbs import faults

        return refuse(faults.sentence(exc), faults.exit_code(exc))
    except OSError as exc:
        words = f"{exc.strerror or exc}: {exc.filename or ''}".rstrip(": ")
        return refuse(" ".join(words.split()), 1)
    except MemoryError:
        return refuse(
            "there is not memory enough for this; ask for less at a time, or check "
            "that the size of what was read is true",
            1,
        )
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # what typer makes of Ctrl-C within a verb
        return refuse("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0
