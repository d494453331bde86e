"""The commands for movies that README shows, run as they stand there."""

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tifffile

from simulators.smlm.movie import make
from simulators.smlm.recipe import RECIPES

README = Path(__file__).parents[2] / "README.md"
HER2SR = Path(sys.executable).with_name("her2sr")
FRAMES = 300


def commands():
    """The lines that start with the first localization of a movie."""
    block = README.read_text().split("Movies\nfrom other microscopes", 1)[1]
    lines = re.findall(r"^    (her2sr .*?)(?:\s+#.*)?$", block, re.MULTILINE)
    assert len(lines) >= 7
    return lines


@pytest.mark.timeout(300)
def test_the_commands_for_movies_do_what_readme_says(tmp_path):
    recipe = replace(RECIPES["sparse"], frames=FRAMES)
    movie = make(recipe, seed=3, frames=FRAMES)
    tifffile.imwrite(tmp_path / "MOVIE.tif", movie.adu)
    for line in commands():
        ended = subprocess.run(
            [HER2SR, *shlex.split(line)[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, (line, ended.stderr)
    for name in ("LOCS.csv", "GOOD.csv", "STILL.csv", "LINKED.csv", "SR.tif", "SR.dzi"):
        assert (tmp_path / name).stat().st_size > 0, name
