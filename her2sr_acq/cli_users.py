"""``her2sr users``: who may operate this microscope, and with which token.

Passwords are asked for, or read from standard input; never an argument, which every
process of the computer could read.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from her2sr_acq.accounts.roles import Role
from her2sr_acq.cli_manners import AsJson, OwnData
from her2sr_proc.cli_options import EXITS


def _text(value: str) -> str:
    """Return what may stand in the audit. Refuses bytes of a shell that are no text."""
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise typer.BadParameter("it is not UTF-8; set the terminal to UTF-8") from exc
    return value


Name = Annotated[str, typer.Argument(help="a pseudonym or account name")]
By = Annotated[
    str, typer.Option(help="who does it; it stands in the audit", callback=_text)
]


def register(app: typer.Typer) -> None:
    """Add ``users`` and its verbs."""
    users = typer.Typer(
        help="Who may operate this microscope, and with which token.\n\n"
        "Example: her2sr users add op-2 --role operator --data data",
        epilog=EXITS,
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for verb in (add, remove, token, revoke, audit):
        users.command(epilog=EXITS)(verb)
    users.command("list", epilog=EXITS)(show)
    app.add_typer(users, name="users")


def add(
    name: Name,
    data: OwnData,
    role: Annotated[Role, typer.Option(help="what the user may do")] = Role.VIEWER,
    by: By = "command-line",
) -> None:
    """Set a user up; the password is asked for, or is the first line of the input.

    From the first user on everybody has to log in.

    Example: her2sr users add op-2 --role operator --data data
    """
    from her2sr_acq.verbs.users import opened

    password = _password()
    with opened(data, is_made=True) as people:
        people.add(name, role, password, by=by)
    typer.echo(f"{name} may log in as {role}")


def show(data: OwnData, as_json: AsJson = False) -> None:
    """List users and their tokens; the tokens themselves are not kept.

    Example: her2sr users list --data data
    """
    from her2sr_acq.verbs.users import listed

    found = listed(data)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for user in found["users"]:
        typer.echo(f"{user['name']}: {user['role']}, since {user['created_utc']}")
    for entry in found["tokens"]:
        typer.echo(
            f"  token {entry['id']} of {entry['user']}: {entry['role']}, "
            f"'{entry['label']}', until {entry['expires_utc']}"
        )
    if not found["users"]:
        typer.echo("no user is set up: everyone on this computer may operate")


def remove(name: Name, data: OwnData, by: By = "command-line") -> None:
    """Remove a user with all tokens and sessions; at once, also in a running service.

    Example: her2sr users remove op-2 --data data
    """
    from her2sr_acq.verbs.users import opened

    with opened(data) as people:
        people.remove(name, by=by)
    typer.echo(f"{name} is removed, with all tokens and sessions")


def token(
    name: Name,
    data: OwnData,
    label: Annotated[str, typer.Option(help="what it is for", callback=_text)] = "",
    role: Annotated[Role | None, typer.Option(help="at most the user's own")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="how long it lasts")] = 90,
    by: By = "command-line",
) -> None:
    """Make a token for programs and print it, this once.

    Programs send it as ``Authorization: Bearer ...``; `her2sr run` takes it from the
    variable HER2SR_TOKEN.

    Example: her2sr users token op-2 --label nightly --days 30 --data data
    """
    from her2sr_acq.verbs.users import opened

    with opened(data) as people:
        made, text = people.issue(name, label=label, role=role, days=days, by=by)
    typer.echo(text)
    typer.echo(
        f"token {made.id}: {made.role} until {made.expires_utc}; it is not shown again",
        err=True,
    )


def revoke(
    token_id: Annotated[str, typer.Argument(help="as `users list` shows it")],
    data: OwnData,
    by: By = "command-line",
) -> None:
    """Make a token worthless at once.

    Example: her2sr users revoke 3f2a90c1d4e5 --data data
    """
    from her2sr_acq.verbs.users import opened

    with opened(data) as people:
        people.revoke(token_id, by=by)
    typer.echo(f"token {token_id} is revoked")


def audit(data: OwnData, as_json: AsJson = False) -> None:
    """Check the chain of who did what, and print it; 1 when it is not whole.

    Example: her2sr users audit --data data
    """
    from her2sr_acq.verbs.users import audited

    lines = audited(data)
    if as_json:
        typer.echo(json.dumps([line.model_dump() for line in lines], indent=2))
        return
    for line in lines:
        said = ", ".join(f"{k} {v}" for k, v in line.data.items() if v and k != "by")
        typer.echo(f"{line.utc}  {line.data['by'] or '-'}: {line.kind} ({said})")
    typer.echo(f"{len(lines)} lines, the chain is whole", err=True)


def _password() -> str:
    from her2sr_acq.errors import ConfigError

    try:
        said = _typed() if sys.stdin.isatty() else sys.stdin.readline()
        said.encode()
    except UnicodeError as exc:  # read strictly, or with a stand-in for what is none
        raise ConfigError(
            "the password is not UTF-8; set the terminal to UTF-8, or send it so"
        ) from exc
    return said.rstrip("\r\n")


def _typed() -> str:
    said: str = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    return said
