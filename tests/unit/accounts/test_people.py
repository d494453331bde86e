"""Users, tokens, sessions: what is kept tells nothing, and what is over is over."""

import pytest

from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.passwords import Passwords
from her2sr_acq.accounts.roles import Role
from her2sr_acq.errors import (
    ConfigError,
    ForbiddenError,
    LoginNeededError,
    StorageError,
)

WORDS = "three plain words"


def test_neither_password_nor_token_nor_cookie_is_in_the_file(people, tmp_path):
    people.add("op-1", Role.OPERATOR, WORDS, by="t")
    _, token = people.issue("op-1", label="", role=None, days=1, by="t")
    _, cookie = people.log_in("op-1", WORDS)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (WORDS, token, token.removeprefix("her2sr_"), cookie):
        assert secret.encode() not in kept
    assert (tmp_path / "service.db").stat().st_mode & 0o077 == 0


def test_passwords_are_kept_as_argon2id_at_the_cost_of_rfc_9106():
    kept = Passwords().hash(WORDS)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Passwords().fits(WORDS, kept)
    assert not Passwords().fits(WORDS + "x", kept)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_too_short_or_too_long_is_refused(people, password):
    with pytest.raises(ConfigError, match="12 to 256 characters"):
        people.add("op-1", Role.VIEWER, password, by="t")
    assert not people.exist()


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65, "x\n"])
def test_a_name_that_is_none_is_refused(people, name):
    with pytest.raises(ConfigError, match="no user name"):
        people.add(name, Role.VIEWER, WORDS, by="t")


def test_a_wrong_password_and_a_wrong_name_are_told_alike(people):
    people.add("op-1", Role.VIEWER, WORDS, by="t")
    said = set()
    for name, password in [("op-1", "wrong"), ("nobody", WORDS)]:
        with pytest.raises(ForbiddenError) as caught:
            people.log_in(name, password)
        said.add(str(caught.value))
    assert said == {"name or password is wrong"}


def test_a_token_acts_for_its_user_until_it_runs_out(people, hand):
    people.add("op-1", Role.OPERATOR, WORDS, by="t")
    token, text = people.issue("op-1", label="", role=None, days=1, by="t")
    actor = people.by_token(text)
    assert (actor.name, actor.role, actor.credential) == ("op-1", "operator", token.id)
    hand.pass_s(86401)
    with pytest.raises(LoginNeededError, match="run out"):
        people.by_token(text)


def test_a_token_is_never_above_its_user(people):
    people.add("op-1", Role.OPERATOR, WORDS, by="t")
    with pytest.raises(ConfigError, match="no token for admin"):
        people.issue("op-1", label="", role=Role.ADMIN, days=1, by="t")
    _, text = people.issue("op-1", label="", role=Role.VIEWER, days=1, by="t")
    assert people.by_token(text).role is Role.VIEWER


def test_a_user_who_is_removed_is_out_at_once(people):
    people.add("op-1", Role.ADMIN, WORDS, by="t")
    _, token = people.issue("op-1", label="", role=None, days=1, by="t")
    _, cookie = people.log_in("op-1", WORDS)
    people.remove("op-1", by="t")
    for way, text in ((people.by_token, token), (people.by_cookie, cookie)):
        with pytest.raises(LoginNeededError):
            way(text)
    people.add("op-1", Role.VIEWER, WORDS, by="t")
    with pytest.raises(LoginNeededError):
        people.by_token(token)


def test_a_session_ends_by_itself_and_by_logging_out(people, hand):
    people.add("op-1", Role.VIEWER, WORDS, by="t")
    _, first = people.log_in("op-1", WORDS)
    _, second = people.log_in("op-1", WORDS)
    people.log_out(first)
    with pytest.raises(LoginNeededError):
        people.by_cookie(first)
    assert people.by_cookie(second).name == "op-1"
    hand.pass_s(12 * 3600 + 1)
    with pytest.raises(LoginNeededError):
        people.by_cookie(second)


def test_a_damaged_file_says_what_to_do(tmp_path):
    path = tmp_path / "service.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="restore it from a copy"):
        ServiceDatabase(path)
