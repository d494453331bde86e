"""Shells complete verbs and options of the one command."""

import os
import subprocess
import sys

import pytest

from her2sr_acq.cli import build

COMMAND = "from her2sr_acq.cli import main; main()"
ASK = {
    "bash": lambda words: {
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    },
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words)},
    "fish": lambda words: {
        "_TYPER_COMPLETE_ARGS": " ".join(words),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}


def command(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def completed(shell: str, *words: str) -> str:
    asked = ASK[shell](("her2sr", *words))
    return command(_HER2SR_COMPLETE=f"complete_{shell}", **asked)


@pytest.mark.parametrize("shell", ASK)
def test_every_verb_is_offered(shell):
    from typer.main import get_command

    offered = completed(shell, "")
    verbs = get_command(build()).commands
    assert len(verbs) > 30
    assert [name for name in verbs if name not in offered] == []


def test_options_and_verbs_of_a_verb_are_offered():
    assert "--size" in completed("bash", "demo", "--s").split()
    assert completed("bash", "plan", "ex").split() == ["export"]


@pytest.mark.parametrize("shell", ASK)
def test_the_script_that_a_shell_is_given_asks_the_command(shell):
    script = command(_HER2SR_COMPLETE=f"source_{shell}")
    assert f"complete_{shell}" in script
    assert "her2sr" in script


def test_bash_takes_the_script():
    script = command(_HER2SR_COMPLETE="source_bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
