"""The snippet of the documentation reads a run with the libraries that napari uses."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.store.images import write_tiff
from her2sr_proc.store.tables import write_parquet

PAGE = (Path(__file__).parents[2] / "docs" / "ecosystem.md").read_text()
SIZE = 32


class Viewer:
    """Stands where napari's would, and keeps what it is given."""

    made: list["Viewer"]

    def __init__(self) -> None:
        self.layers: dict[str, tuple[str, object, dict[str, object]]] = {}
        self.made.append(self)

    def __getattr__(self, call: str):
        def add(data, *, name, **how):
            self.layers[name] = (call, data, how)

        return add


@pytest.fixture
def run(tmp_path):
    """A run with one unit, its pictures, its nuclei and one localization."""
    run = make_run(tmp_path / "r1", frames={"561": 20}, size=SIZE)
    movie = np.arange(20 * SIZE * SIZE, dtype=np.uint16).reshape(20, SIZE, SIZE)
    unit = add_unit(run, "561", movie)
    flat = movie[0].astype(np.float32)
    write_tiff(run.image("r00_c00", "561", "conventional"), flat, pixel_nm=130)
    fine = np.zeros((SIZE * 13 // 2, SIZE * 13 // 2), np.float32)
    write_tiff(run.image("r00_c00", "561", "superresolution"), fine, pixel_nm=20)
    labels = np.zeros((SIZE, SIZE), np.int32)
    labels[3:9, 4:8] = 7
    write_tiff(run.labels("r00_c00"), labels, pixel_nm=130)
    columns = {"frame": 3, "x_nm": 1300.0, "y_nm": 650.0, "photons": 500.0}
    write_parquet(run.table(unit), one(**columns), {})
    return run, movie, labels


def one(**values: float) -> Localizations:
    """Return a table of one localization; what is not given is 0."""
    columns = {c.name: np.zeros(1, c.dtype) for c in COLUMNS}
    for name, value in values.items():
        columns[name][:] = value
    return Localizations(columns)


def test_the_snippet_shows_raw_pictures_nuclei_and_spots_in_their_places(
    run, monkeypatch
):
    folder, movie, labels = run
    Viewer.made = []
    napari = types.ModuleType("napari")
    napari.Viewer, napari.run = Viewer, lambda: None
    monkeypatch.setitem(sys.modules, "napari", napari)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert 'Path("data/runs/RUN_ID")' in code
    exec(code.replace("data/runs/RUN_ID", str(folder.root)), {})
    (viewer,) = Viewer.made
    layers = viewer.layers
    assert list(layers) == [
        "raw",
        "conventional",
        "superresolution",
        "nuclei",
        "spots",
    ]
    np.testing.assert_array_equal(layers["raw"][1][:], movie)
    assert layers["raw"][2]["scale"] == pytest.approx((1, 0.13, 0.13))
    assert layers["conventional"][2]["translate"] == pytest.approx((0, 0), abs=1e-4)
    fine = layers["superresolution"][2]
    assert fine["scale"] == pytest.approx((0.02, 0.02), rel=1e-4)
    assert fine["translate"] == pytest.approx((-0.055, -0.055), abs=1e-4)
    np.testing.assert_array_equal(layers["nuclei"][1], labels)
    assert layers["nuclei"][0] == "add_labels"
    spots = layers["spots"][1].to_numpy()
    np.testing.assert_allclose(spots, [[0.65, 1.3]])
