"""`her2sr nuclei` finds, takes over and converts labels, and says what it did."""

import json

import numpy as np
import pytest
import tifffile

from her2sr_acq.cli import main
from simulators.options import SimulationOptions
from simulators.sections import Crowd, section


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("dapi") / "dapi.tif"
    options = SimulationOptions(seed=78, height=256, width=256)
    made = section(options, Crowd(nuclei=12))
    movie = np.stack([made.adu - 3, made.adu + 3]).astype(np.uint16)
    tifffile.imwrite(path, movie)
    return path


def told(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["nuclei", *map(str, arguments), "--json"])
    assert not end.value.code
    return json.loads(capsys.readouterr().out)


def test_nuclei_of_a_movie_are_found_and_tabled(capsys, tmp_path, image):
    out, table = tmp_path / "l.tif", tmp_path / "n.csv"
    said = told(capsys, image, "--out", out, "--pixel-nm", 130, "--table", table)
    labels = tifffile.imread(out)
    assert said["nuclei"] == labels.max() == len(table.read_text().splitlines()) - 1
    assert 9 <= said["nuclei"] <= 13
    assert said["method"].startswith("network ")
    assert not said["pixel_was_measured"]


def test_without_a_pixel_the_size_is_measured_and_said(capsys, tmp_path, image):
    said = told(capsys, image, "--out", tmp_path / "l.tif")
    assert said["pixel_was_measured"]
    assert 90 < said["pixel_nm"] < 190


def test_labels_of_imagej_are_taken_over_and_go_on_to_qupath(capsys, tmp_path, image):
    roi, geo = tmp_path / "l.zip", tmp_path / "l.geojson"
    first = told(capsys, image, "--out", roi, "--pixel-nm", 130)
    second = told(capsys, image, "--out", geo, "--pixel-nm", 130, "--labels", roi)
    assert (
        second["nuclei"]
        == first["nuclei"]
        == len(json.loads(geo.read_text())["features"])
    )
    assert second["method"] == "labels of l.zip"
    assert second["excluded"] == first["excluded"]


@pytest.mark.parametrize("method", ["magic", "plugin:nosuch"])
def test_an_unknown_method_is_one_sentence(capsys, tmp_path, image, method):
    out = tmp_path / "l.tif"
    with pytest.raises(SystemExit) as end:
        main(["nuclei", str(image), "--out", str(out), "--pixel-nm", "130",
              "--method", method])  # fmt: skip
    assert end.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not out.exists()
