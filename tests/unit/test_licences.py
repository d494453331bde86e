"""The committed page of licences is what the packages declare; copyleft shows."""

import importlib.util
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("licences", ROOT / "tools/licences.py")
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)


def declaring(**headers: str) -> SimpleNamespace:
    info = Message()
    for name, value in headers.items():
        info[name.replace("_", "-")] = value
    return SimpleNamespace(metadata=info)


def test_the_committed_page_is_what_the_packages_declare():
    assert TOOL.page() == TOOL.TARGET.read_text(), "write it again: make licences"


def test_an_expression_goes_before_a_classifier():
    dist = declaring(License_Expression="MIT", Classifier="License :: OSI :: Old")
    assert TOOL.declared(dist) == "MIT"


def test_a_whole_licence_text_is_told_by_its_first_line():
    dist = declaring(License="BSD 3-Clause\n\nRedistribution and use ...")
    assert TOOL.declared(dist) == "BSD 3-Clause"


def test_a_licence_unsaid_is_not_guessed():
    assert TOOL.declared(declaring()) == "not declared"


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-or-later", "LGPLv2", "AGPL-3.0", "MPL-2.0", "GNU General"]
)
def test_copyleft_is_seen(licence):
    assert TOOL.COPYLEFT.search(licence)


@pytest.mark.parametrize("licence", ["MIT", "BSD-3-Clause", "Apache-2.0", "PSF-2.0"])
def test_a_permissive_licence_is_not_marked(licence):
    assert not TOOL.COPYLEFT.search(licence)
