"""The table of hazards, requirements and tests names what there is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs" / "trace.md").read_text()
ROWS = re.findall(r"^\| (H-\d\d) \| (.*?) \| (R-\d\d) .*? \| (.+) \|$", TABLE, re.M)


def test_every_requirement_has_a_number_of_its_own_and_a_test():
    numbers = [number for _, _, number, _ in ROWS]
    assert numbers == [f"R-{n:02d}" for n in range(1, len(ROWS) + 1)]
    assert all("::" in tests for *_, tests in ROWS)


def test_every_hazard_is_said_once_where_it_first_stands():
    hazards = [hazard for hazard, said, *_ in ROWS if said.strip()]
    assert hazards == [f"H-{n:02d}" for n in range(1, len(hazards) + 1)]
    assert set(hazards) == {hazard for hazard, *_ in ROWS}
    assert len(ROWS) == len(re.findall(r"^\| H-", TABLE, re.M))


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TABLE)
    assert len(named) > len(ROWS)
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert missing == []
