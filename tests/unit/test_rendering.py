"""Pictures of tables: where a point is drawn, how much of it, what is left out."""

import numpy as np
import pytest

from her2sr_proc.rendering import render, rendered_shape
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.table import COLUMNS, Localizations, empty


def table(*rows):
    """Rows of x, y, uncertainty in nm."""
    x, y, uncertainty = np.array(rows, np.float32).reshape(-1, 3).T
    columns = {c.name: np.zeros(len(x), c.dtype) for c in COLUMNS}
    return Localizations(
        columns | {"x_nm": x, "y_nm": y, "uncertainty_nm": uncertainty}
    )


def draw(rows, **params):
    options = {"height_px": 8, "width_px": 12, "pixel_nm": 130.0}
    return render(rows, params=RenderParams(**params), **options)


@pytest.mark.parametrize(
    ("pixel_nm", "expected"), [(26.0, (40, 60)), (20.0, (52, 78)), (130.0, (8, 12))]
)
def test_the_image_covers_the_frame_from_edge_to_edge(pixel_nm, expected):
    assert rendered_shape(8, 12, 130.0, RenderParams(pixel_nm=pixel_nm)) == expected
    assert draw(empty(), pixel_nm=pixel_nm).shape == expected


@pytest.mark.parametrize("method", ["gaussian", "histogram"])
@pytest.mark.parametrize(
    ("x_nm", "y_nm", "column", "row"),
    [(0.0, 0.0, 2, 2), (-65.0 + 13, -65.0 + 13, 0, 0), (130.0, 260.0, 7, 12)],
    ids=["first pixel's centre", "first corner", "other pixels"],
)
def test_a_point_is_drawn_where_it_stands(method, x_nm, y_nm, column, row):
    image = draw(table((x_nm, y_nm, 5.0)), pixel_nm=26.0, method=method)
    assert np.unravel_index(image.argmax(), image.shape) == (row, column)


def test_every_point_has_the_volume_1():
    rows = table((400, 400, 10), (500, 500, 40), (700, 300, 25))
    assert draw(rows).sum() == pytest.approx(3.0, rel=1e-3)
    assert draw(rows, method="histogram").sum() == 3.0


def test_uncertain_points_are_left_out():
    rows = table((400, 400, 61), (400, 400, np.nan), (400, 400, 60))
    assert draw(rows, maximum_uncertainty_nm=60).sum() == pytest.approx(1, rel=1e-3)


def test_no_point_is_drawn_narrower_than_the_minimum():
    sharp = draw(table((400, 400, 1)), minimum_sigma_nm=30, pixel_nm=10)
    wide = draw(table((400, 400, 30)), minimum_sigma_nm=0, pixel_nm=10)
    np.testing.assert_array_equal(sharp, wide)
