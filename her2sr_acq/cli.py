"""The command ``her2sr``: what may be asked for, and how errors end.

The work is elsewhere and is imported when a verb is called, so that ``her2sr --help``
is quick.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer._click.exceptions import ClickException

from her2sr_acq.errors import AcqError
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_acq.engine.views import RunView
    from her2sr_proc.schema.results import RunResult

EPILOG = (
    "Exit codes: 0 done, 1 a fault in the work, 2 a wrong request, 3 unsafe or "
    "interlocked."
)
INTERRUPTED = 130
Config = Annotated[
    str, typer.Option("--config", help="device configuration: a packaged name or path")
]
Data = Annotated[Path, typer.Option("--data", help="folder that holds the runs")]
By = Annotated[str, typer.Option(help="who does it: a pseudonym")]
Reason = Annotated[str, typer.Option(help="why; it stands in the audit")]
AsJson = Annotated[
    bool, typer.Option("--json", help="print the result as JSON on standard output")
]


def build() -> typer.Typer:
    """Return the command with every verb of both packages."""
    from her2sr_acq import cli_bench, cli_calibrate, cli_plan, cli_users
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
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(about)
    for verb in (
        demo,
        study,
        serve,
        run,
        doctor,
        recover,
        estop,
        dark,
        rearm,
        backup,
        restore,
    ):
        app.command(epilog=EPILOG)(verb)
    for part in (
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
        return _refuse(exc.format_message(), exc.exit_code)
    except (AcqError, ProcError) as exc:
        from her2sr_acq.verbs import faults

        return _refuse(faults.sentence(exc), faults.exit_code(exc))
    except OSError as exc:
        words = f"{exc.strerror or exc}: {exc.filename or ''}".rstrip(": ")
        return _refuse(" ".join(words.split()), 1)
    except MemoryError:
        return _refuse(
            "there is not memory enough for this; ask for less at a time, or check "
            "that the size of what was read is true",
            1,
        )
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # what typer makes of Ctrl-C within a verb
        return _refuse("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _refuse(message: str, code: int) -> int:
    if message:
        typer.echo(f"error: {message}", err=True)
    return code


def demo(
    out: Annotated[Path, typer.Option(help="data folder of the demo")] = Path(
        "demo-output"
    ),
    fields: Annotated[str, typer.Option(help="rows x columns")] = "2x2",
    size: Annotated[int, typer.Option(min=64, max=2048, help="pixels a side")] = 256,
    frames: Annotated[
        int, typer.Option(min=40, max=5000, help="frames of a signal burst")
    ] = 400,
    nuclei_frames: Annotated[
        int, typer.Option(min=10, max=5000, help="frames of the DAPI burst")
    ] = 100,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="of the simulated slide")
    ] = 1,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="as slow as a real microscope")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a simulated slide, as a real one would be.

    The same processes, from REST to report; the answer is printed beside the truth.

    Example: her2sr demo --out demo-output --fields 2x2 --seed 3
    """
    from her2sr_acq.verbs.demo import run_demo
    from her2sr_acq.verbs.demo_config import DemoOptions, parse_fields

    rows, columns = parse_fields(fields)
    outcome = run_demo(
        DemoOptions(
            out=out,
            rows=rows,
            columns=columns,
            size_px=size,
            frames=frames,
            nuclei_frames=nuclei_frames,
            seed=seed,
            is_real_time=real_time,
        )
    )
    if outcome.result is not None:
        _print_result(outcome.result, as_json=as_json)
        typer.echo(f"report: {outcome.report}", err=as_json)
    if not outcome.is_whole:
        raise typer.Exit(_refuse(_complaint(outcome.run), 1))
    typer.echo(f"done in {outcome.seconds:.0f} s. {BANNER}", err=as_json)


def study(
    out: Annotated[Path, typer.Option(help="folder of the study; it can go on there")],
    samples: Annotated[int, typer.Option(min=2, max=140)] = 14,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="of kinds, cells and IHC")
    ] = 14,
    fields: Annotated[str, typer.Option(help="rows x columns a sample")] = "3x3",
    size: Annotated[int, typer.Option(min=64, max=2048, help="pixels a side")] = 384,
    frames: Annotated[
        int, typer.Option(min=40, max=5000, help="frames of a signal burst")
    ] = 400,
    nuclei_frames: Annotated[
        int, typer.Option(min=10, max=5000, help="frames of the DAPI burst")
    ] = 100,
    section_um: Annotated[
        float, typer.Option(min=0.5, max=20, help="cut thickness; the paper's: 3")
    ] = 3.0,
    recount: Annotated[
        bool,
        typer.Option(
            "--recount", help="count acquired samples anew; nothing is acquired"
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="local|dask://HOST:PORT",
            help="with --recount: who counts; workers see the study under one path",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="acquire samples that failed again")
    ] = False,
    keep_raw: Annotated[
        bool, typer.Option("--keep-raw", help="keep raw frames, some 1 GB a sample")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Redo the paper's study on simulated samples, and answer its open question.

    Samples go through the real daemon one by one; those that are there already are not
    acquired again, and one that fails is listed with its reason.

    Example: her2sr study --out study --samples 14 --seed 14

    Example: her2sr study --out study --recount --scheduler dask://head:8786
    """
    import json

    from her2sr_acq.verbs.demo_config import parse_fields
    from her2sr_acq.verbs.study import StudyOrder, finish_study, study_options

    rows, columns = parse_fields(fields)
    options = study_options(
        samples=samples,
        seed=seed,
        rows=rows,
        columns=columns,
        size_px=size,
        frames=frames,
        nuclei_frames=nuclei_frames,
        section_um=section_um,
    )
    order = StudyOrder(
        out,
        options,
        recount=recount,
        scheduler=scheduler,
        retry_failed=retry_failed,
        keep_raw=keep_raw,
    )
    typer.echo(BANNER, err=True)
    outcome = finish_study(order, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(outcome.as_json))
    for line in outcome.lines:
        typer.echo(line, err=as_json)
    if outcome.faults:
        raise typer.Exit(_refuse("; ".join(outcome.faults), 1))


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
        raise typer.Exit(_refuse(_complaint(view), 1))


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
        import json

        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.mark:4}  {finding.subject}: {finding.detail}")
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(1)


def recover(
    data: Data,
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
        import json

        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
        return
    for finding in findings:
        typer.echo(f"{finding.subject}: {finding.found}; {finding.act}")
    if not findings:
        typer.echo("nothing was left unfinished")


def estop(
    data: Data,
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
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(outcome)))
    else:
        typer.echo(outcome.sentence)
    if not outcome.is_dark:
        raise typer.Exit(3)


def dark(data: Data) -> None:
    """Prove every light off after the service has ended; nothing is latched.

    For service managers, after every stop. Exit 3: not proven, switch it off by hand.

    Example: her2sr dark --data data
    """
    from her2sr_acq.verbs.safety import dark as prove

    doubt = prove(data)
    if doubt:
        raise typer.Exit(_refuse(f"the light is not proven off: {doubt}", 3))
    typer.echo("dark, proven by the lights' own answers")


def backup(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="a folder to make")],
) -> None:
    """Copy the databases of a data folder, while the service runs too.

    Run folders are not in it: they are the data itself, and `her2sr offload` copies
    them. A database that is lost without a backup is rebuilt from them.

    Example: her2sr backup --data data --out /mnt/share/backup-20260101
    """
    from her2sr_acq.verbs.backup import backup as copy

    for name in copy(data, out):
        typer.echo(f"{name}: copied and checked")


def restore(
    data: Data,
    source: Annotated[Path, typer.Option("--from", help="a folder of a backup")],
) -> None:
    """Put the databases of a backup back; what stands there is set aside.

    Example: her2sr restore --data data --from /mnt/share/backup-20260101
    """
    from her2sr_acq.verbs.backup import restore as put_back

    for line in put_back(data, source):
        typer.echo(line)


def rearm(data: Data, by: By, reason: Reason) -> None:
    """Take the latch back, once its cause is found and mended.

    Example: her2sr rearm --data data --by op-2 --reason "door closed"
    """
    from her2sr_acq.verbs.safety import rearm as arm

    arm(data, by=by, reason=reason)
    typer.echo("armed: runs may be resumed or started")


def _complaint(view: RunView) -> str:
    """Return why a run is not what was asked for."""
    state = view.state.replace("_", " ")
    return f"run {view.id} is {state}: {view.reason or 'frames are missing'}"


def _print_result(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
        return
    from rich.console import Console

    from her2sr_acq.verbs.summary import accounting_line, answer_table, scored_line

    console = Console(width=None if sys.stdout.isatty() else 132, highlight=False)
    console.print(answer_table(result))
    typer.echo(scored_line(result))
    typer.echo(accounting_line(result.accounting))
