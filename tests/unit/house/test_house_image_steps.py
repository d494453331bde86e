"""The steps of the image are read as Docker reads them."""

from pathlib import Path

import pytest
from dockerfile import read

FILE = Path(__file__).parents[3] / "docker" / "Dockerfile"


def test_our_file_has_a_stage_that_builds_and_one_that_runs():
    build, final = read(FILE)
    assert (build.name, build.base) == ("build", final.base)
    assert final.last("ENTRYPOINT").words() == ["her2sr"]
    assert final.last("CMD").words()[0] == "serve"
    assert final.last("USER").rest == "10001:10001"


def test_continued_lines_are_one_and_comments_none(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text(
        "# first\nFROM a AS b\nRUN x \\\n    && y\n# last\nENV A=1 \\\n B=2\n"
    )
    (stage,) = read(path)
    assert [" ".join(step.rest.split()) for step in stage.steps] == [
        "x && y",
        "A=1 B=2",
    ]
    assert stage.steps[1].settings() == {"A": "1", "B": "2"}


def test_an_instruction_nobody_knows_is_refused(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text("FROM a\nONBUILD RUN x\n")
    with pytest.raises(ValueError, match="'ONBUILD RUN x' is not understood"):
        read(path)
