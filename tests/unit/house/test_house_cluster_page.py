"""The sums of the page on a thousand microscopes are right, by its own figures."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs/cluster.md").read_text()
ROWS = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| [^|]+ \|$", PAGE, re.M))
THOUSAND = dict(re.findall(r"^\| ([^|]+?) \| [^|]+? \| ([^|]+?) \|$", PAGE, re.M))
UNITS = {"T": 1e12, "P": 1e15, "G": 1e9, "M": 1e6}
NIGHT_S, FRAME_BYTES = 10 * 3600.0, 512 * 512 * 2


def first(pattern: str) -> float:
    (found,) = re.findall(pattern, PAGE)
    return float(found.replace(",", ""))


def value(text: str) -> float:
    number, prefix = re.match(r"([\d.,]+)(?: ([TPGM])(?:B|bit))?", text).groups()
    return float(number.replace(",", "")) * UNITS.get(prefix, 1.0)


def row(beginning: str) -> tuple[float, float]:
    (name,) = [name for name in ROWS if name.startswith(beginning)]
    return value(ROWS[name]), value(THOUSAND[name])


FRAMES = 1e6
SECONDS = (
    FRAMES
    * first(r"frames in ([\d.]+) s by this process")
    / first(r"quiet: ([\d,]+) frames")
)
RAW_TB = 0.5
SUMS = {
    "raw frames": RAW_TB * 1e12,
    "network": RAW_TB * 1e12 * 8 / NIGHT_S,
    "raw kept 30 days": RAW_TB * 1e12 * 30,
    "tables": FRAMES * first(r"(\d+) rows a frame") * first(r"(\d+) bytes a row"),
    "processing": SECONDS / 3600.0,
    "cores that do it": SECONDS / NIGHT_S,
    "storage of 30 days": RAW_TB * 30 * first(r"at (\d+) USD a TB"),
    "cores at": SECONDS / 3600.0 * first(r"at ([\d.]+) USD an hour"),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_row_follows_from_the_figures_above_it(name):
    one, thousand = row(name)
    assert one == pytest.approx(SUMS[name], rel=0.04)
    assert thousand == pytest.approx(1000 * SUMS[name], rel=0.04)


def test_every_row_is_summed():
    asked = {name for name in ROWS if name not in ("what", "---")}
    assert len(asked) == len(SUMS)


def test_a_night_is_half_a_terabyte_and_its_storage_seventy_times_its_cores():
    night_bytes = FRAMES * FRAME_BYTES
    assert night_bytes == pytest.approx(RAW_TB * 1e12, rel=0.05)
    assert RAW_TB * 20 / SUMS["cores at"] == pytest.approx(70, rel=0.05)
    taken, rows = first(r"rows in ([\d,]+) bytes"), first(r"\(([\d,]+) rows in")
    assert taken / rows == pytest.approx(first(r"(\d+) bytes a row"), rel=0.01)
