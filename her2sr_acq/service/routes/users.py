"""Users and tokens over HTTP, for admins: parse, hand to the people, show."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, status
from pydantic import Field

from her2sr_acq.accounts.passwords import MAX_LENGTH, MIN_LENGTH
from her2sr_acq.accounts.people import MAX_TOKEN_DAYS, Token, User
from her2sr_acq.accounts.roles import Role
from her2sr_acq.service.access import ActorDep, Need, name_of
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen

router = APIRouter(tags=["access"], responses=RESPONSES)
ADMIN = Need(Role.ADMIN).extra
CHANGE = Need(Role.ADMIN, is_noted=True).extra
UserName = Annotated[str, Path(max_length=64)]


class UserView(Frozen):
    """A user, without the password."""

    name: str
    role: Role
    created_utc: str
    is_disabled: bool


class NewUser(Frozen):
    """Somebody who is to be let in."""

    name: str = Field(json_schema_extra={"pattern": NAME}, max_length=64)
    role: Role
    # told in the schema, refused by `Passwords` in words that say what to do
    password: str = Field(
        json_schema_extra={"minLength": MIN_LENGTH, "maxLength": MAX_LENGTH},
        description="several words",
    )


class UserChange(Frozen):
    """What is to be different; what is absent stays."""

    role: Role | None = None
    is_disabled: bool | None = Field(default=None, strict=True)


class NewToken(Frozen):
    """A token that is wanted."""

    label: str = Field(default="", max_length=100)
    role: Role | None = Field(default=None, description="default: the user's own")
    days: int = Field(default=90, ge=1, le=MAX_TOKEN_DAYS, strict=True)


class TokenView(Frozen):
    """A token as it is listed."""

    id: str
    user: str
    label: str
    role: Role
    created_utc: str
    expires_utc: str


class IssuedToken(Frozen):
    """A new token."""

    token: TokenView
    text: str = Field(description="shown only now; kept as SHA-256 alone")


@router.get("/users", openapi_extra=ADMIN)
def list_users(context: ContextDep) -> list[UserView]:
    """Return the users by name."""
    return [_view(user) for user in context.gate.people.users()]


@router.post("/users", status_code=status.HTTP_201_CREATED, openapi_extra=CHANGE)
def add_user(user: NewUser, context: ContextDep, actor: ActorDep) -> UserView:
    """Set a user up."""
    people = context.gate.people
    people.add(user.name, user.role, user.password, by=name_of(actor, ""))
    return _view(people.user(user.name))


@router.patch("/users/{name}", openapi_extra=CHANGE)
def change_user(
    name: UserName, change: UserChange, context: ContextDep, actor: ActorDep
) -> UserView:
    """Give a user another role, or keep them out. The last admin stays one."""
    people = context.gate.people
    people.change(
        name, role=change.role, disabled=change.is_disabled, by=name_of(actor, "")
    )
    return _view(people.user(name))


@router.get("/tokens", openapi_extra=ADMIN)
def list_tokens(context: ContextDep) -> list[TokenView]:
    """Return the tokens, oldest first, without what they are used by."""
    return [_token(token) for token in context.gate.people.tokens()]


@router.post(
    "/users/{name}/tokens",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=CHANGE,
)
def issue_token(
    name: UserName, wanted: NewToken, context: ContextDep, actor: ActorDep
) -> IssuedToken:
    """Make a token for a program that works in a user's name."""
    token, text = context.gate.people.issue(
        name,
        label=wanted.label,
        role=wanted.role,
        days=wanted.days,
        by=name_of(actor, ""),
    )
    return IssuedToken(token=_token(token), text=text)


@router.delete(
    "/tokens/{token_id}", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=CHANGE
)
def revoke_token(
    token_id: Annotated[str, Path(max_length=64)],
    context: ContextDep,
    actor: ActorDep,
) -> None:
    """Make a token worthless."""
    context.gate.people.revoke(token_id, by=name_of(actor, ""))


def _view(user: User) -> UserView:
    return UserView(
        name=user.name,
        role=user.role,
        created_utc=user.created_utc,
        is_disabled=user.is_disabled,
    )


def _token(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        user=token.user,
        label=token.label,
        role=token.role,
        created_utc=token.created_utc,
        expires_utc=token.expires_utc,
    )
