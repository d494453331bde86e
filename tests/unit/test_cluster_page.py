"""What the page says of a thousand microscopes follows from what was measured."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/cluster.md").read_text()
NIGHT_S, TB = 36_000.0, 1e12


def measured():
    """Return seconds of a core for a frame, as the page tells."""
    found = re.search(r"([\d.]+) s of a\s+core for ([\d,]+) of them", PAGE)
    return float(found[1]) / float(found[2].replace(",", ""))


def row(start):
    """Return the two figures of a row."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {start}")]
    cells = [cell.strip() for cell in line.split("|")[2:4]]
    return [float(re.match(r"[\d.,]+", cell)[0].replace(",", "")) for cell in cells]


FRAMES = 0.5 * TB / (512 * 512 * 2)


@pytest.mark.parametrize(
    ("start", "one", "thousand"),
    [
        ("network", 0.5 * TB * 8 / NIGHT_S / 1e6, 0.5 * TB * 8 / NIGHT_S / 1e6),
        ("raw kept", 0.5 * 30, 0.5 * 30),
        ("tables", FRAMES * 52 * 60 / 1e9, FRAMES * 52 * 60 / 1e9),
        ("processing", FRAMES * measured() / 3600, FRAMES * measured() / 3.6),
        ("cores that", FRAMES * measured() / NIGHT_S, FRAMES * measured() / 36),
        ("storage", 0.5 * 30 * 20, 0.5 * 30 * 20 * 1000),
        ("cores at", FRAMES * measured() / 9e4, FRAMES * measured() / 90),
    ],
)
def test_a_row_follows_from_frames_seconds_and_prices(start, one, thousand):
    assert row(start) == pytest.approx([one, thousand], rel=0.03)


def test_the_seconds_are_those_that_were_measured():
    assert re.search(r"2,400 frames in 31.2 s by this process", PAGE)
    assert measured() == pytest.approx(31.2 / 2400)


def test_a_row_of_a_table_takes_what_was_measured():
    rows, taken = re.search(r"\(([\d,]+) rows in ([\d,]+)\s+bytes\)", PAGE).groups()
    per_row = int(taken.replace(",", "")) / int(rows.replace(",", ""))
    assert per_row == pytest.approx(52, abs=0.5)
