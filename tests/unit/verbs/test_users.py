"""``her2sr users``: set up, listed, taken away; and what a service then asks for."""

import io
import json

import pytest

from her2sr_acq.cli import main
from her2sr_acq.errors import LoginNeededError
from her2sr_acq.verbs.run import require_token
from her2sr_acq.verbs.users import opened

WORDS = "three plain words"


@pytest.fixture
def told(capsys, monkeypatch, tmp_path):
    """Returns what a verb ends with and says."""

    def tell(*arguments: str, typed: str | io.TextIOBase = "", data: bool = True):
        stdin = io.StringIO(typed) if isinstance(typed, str) else typed
        monkeypatch.setattr("sys.stdin", stdin)
        where = ("--data", str(tmp_path)) if data else ()
        with pytest.raises(SystemExit) as end:
            main([*arguments, *where])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return tell


def add(told, name: str, role: str):
    return told("users", "add", name, "--role", role, typed=f"{WORDS}\n")


@pytest.fixture
def started(tmp_path):
    """The data folder of a service that has started once."""
    (tmp_path / "runs").mkdir()
    return tmp_path


def test_a_user_is_added_listed_given_a_token_and_removed(told, tmp_path):
    assert add(told, "op-1", "operator")[0] == 0
    code, token, err = told("users", "token", "op-1", "--label", "night")
    assert code == 0
    assert "not shown again" in err
    with opened(tmp_path) as people:
        assert people.by_token(token.strip()).name == "op-1"
    listed = json.loads(told("users", "list", "--json")[1])
    assert [user["name"] for user in listed["users"]] == ["op-1"]
    assert listed["tokens"][0]["label"] == "night"
    assert token.strip() not in told("users", "list")[1]
    assert told("users", "remove", "op-1")[0] == 0
    assert "everyone on this computer" in told("users", "list")[1]


def test_a_revoked_token_is_worthless(told, tmp_path):
    add(told, "op-1", "operator")
    token = told("users", "token", "op-1")[1].strip()
    with opened(tmp_path) as people:
        known = people.by_token(token).credential
    assert told("users", "revoke", known)[0] == 0
    with opened(tmp_path) as people, pytest.raises(LoginNeededError):
        people.by_token(token)


WRONG = [
    pytest.param(("add", "op-1"), "short\n", "12 to 256", id="short password"),
    pytest.param(("add", "a b"), f"{WORDS}\n", "no user name", id="no name"),
    pytest.param(("remove", "nobody"), "", "has no users yet", id="no users"),
    pytest.param(
        ("token", "nobody"), "", "has no users yet", id="no users for a token"
    ),
]


@pytest.mark.parametrize(("arguments", "typed", "words"), WRONG)
def test_a_wrong_request_is_one_sentence_and_leaves_nothing(
    told, started, arguments, typed, words
):
    code, out, err = told("users", *arguments, typed=typed)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert "everyone on this computer" in told("users", "list")[1]


@pytest.mark.parametrize(
    "verb", [["list"], ["audit"], ["remove", "x"], ["token", "x"], ["revoke", "x"]]
)
def test_a_folder_that_is_no_data_folder_is_refused_and_not_praised(
    told, tmp_path, verb
):
    code, out, err = told("users", *verb)
    assert (code, out) == (2, "")
    assert f"{tmp_path} is no data folder" in err
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_without_users_has_none_to_list_and_no_line(told, started):
    assert "everyone on this computer" in told("users", "list")[1]
    assert "0 lines, the chain is whole" in told("users", "audit")[2]


def test_no_user_is_set_up_in_a_folder_within_a_data_folder(told, started):
    (started / "daemon.json").touch()
    where = ("--data", str(started / "runs"))
    code, _, err = told("users", "add", "op-1", *where, typed=f"{WORDS}\n", data=False)
    assert code == 2
    assert f"lies in the data folder {started}" in err
    assert list((started / "runs").iterdir()) == []


LATIN = b"caf\xe9 three plain words\n"


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
@pytest.mark.parametrize("is_typed", [False, True], ids=["sent", "at the prompt"])
def test_a_password_that_is_not_utf8_is_told_in_a_sentence(
    told, monkeypatch, tmp_path, errors, is_typed
):
    stdin = io.TextIOWrapper(io.BytesIO(LATIN), "utf-8", errors)
    stdin.isatty = lambda: is_typed
    monkeypatch.setattr("typer.prompt", lambda *_, **__: stdin.readline())
    code, _, err = told("users", "add", "op-1", typed=stdin)
    assert code == 2
    assert err.startswith("error: the password is not UTF-8;")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("add", "op-2", "--by", "caf\udce9"), "--by"),
        (("token", "op-1", "--label", "caf\udce9"), "--label"),
    ],
)
def test_an_option_that_is_not_utf8_is_told_in_a_sentence(told, arguments, option):
    add(told, "op-1", "operator")
    code, out, err = told("users", *arguments, typed=f"{WORDS}\n")
    assert (code, out) == (2, "")
    assert f"'{option}': it is not UTF-8" in err
    assert "1 lines, the chain is whole" in told("users", "audit")[2]


def test_the_password_is_no_argument(told):
    code, _, err = told("users", "add", "op-1", "--password", WORDS)
    assert code == 2
    assert "--password" in err


def test_the_audit_is_printed_after_its_chain_is_checked(told, tmp_path):
    add(told, "op-1", "admin")
    code, out, err = told("users", "audit")
    assert (code, "command-line: user added" in out) == (0, True)
    assert "1 lines, the chain is whole" in err
    with opened(tmp_path) as people:
        people._database.rows("UPDATE audit SET line = replace(line, 'op-1', 'op-2')")
        people._database.rows("INSERT INTO audit VALUES (1, '{}')")
    assert told("users", "audit")[0] == 1


SERVE = ("serve", "--config", "simulated", "--host", "0.0.0.0")


def test_a_service_without_users_is_not_put_on_the_network(told, tmp_path):
    code, _, err = told(*SERVE)
    assert code == 2
    assert "her2sr users add" in err
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_a_folder_with_users_asks_for_a_token_first(
    told, tmp_path, monkeypatch
):
    monkeypatch.delenv("HER2SR_TOKEN", raising=False)
    require_token(tmp_path)
    add(told, "op-1", "operator")
    with pytest.raises(LoginNeededError, match="her2sr users token"):
        require_token(tmp_path)
    monkeypatch.setenv("HER2SR_TOKEN", "her2sr_x")
    require_token(tmp_path)
