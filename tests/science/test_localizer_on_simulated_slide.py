"""The localizer on a simulated slide: clumps at loci, and little elsewhere.

The simulation shares no code with the localizer; its truth is used here alone.
"""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.spatial import cKDTree

from her2sr_proc.localizer import localize_block
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from simulators.movie import record
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

SIDE, FRAMES, FOCUS_UM = 160, 200, 1.5


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Positions found, their frames, and the loci: x, y in nm, off focus in um."""
    options = SimulationOptions(
        seed=2, height=SIDE, width=SIDE, kinetics_factor=5000 / FRAMES
    )
    world = World(options)
    view = View(0.0, 0.0, FOCUS_UM, 0.03, (Light(561, 0.4),))
    movie = record(options, view, FRAMES, world)
    folder = tmp_path_factory.mktemp("truth")
    world.write_truth(folder)
    loci = pq.read_table(folder / "loci.parquet").to_pydict()
    kept = np.array(loci["in_section"]) & (np.array(loci["probe"]) == "HER2")
    middle = (SIDE - 1) / 2 * 130
    at = np.column_stack([loci["x_um"], loci["y_um"]])[kept] * 1000 + middle
    depth = np.abs(np.array(loci["z_um"])[kept] - FOCUS_UM)
    inside = ((at > 300) & (at < SIDE * 130 - 430)).all(axis=1)
    table = localize_block(
        movie,
        first_frame=0,
        camera=CameraMaps.uniform(CameraModel(), (SIDE, SIDE)),
        pixel_nm=130.0,
        params=LocalizeParams(),
    )
    found = np.column_stack([table["x_nm"], table["y_nm"]]).astype(float)
    off, nearest = cKDTree(at).query(found)
    # The colours' offset from each other is the microscope's, not the localizer's.
    shift = np.median((found - at[nearest])[off < 250], axis=0)
    return found - shift, table["frame"], at[inside], depth[inside], at


def test_every_locus_near_focus_has_a_clump(slide):
    found, _, at, depth, every = slide
    alone = cKDTree(every).query(at, k=2)[0][:, 1] > 700
    tree = cKDTree(found)
    counts = np.array([len(n) for n in tree.query_ball_point(at, 200.0)])
    near_focus = alone & (depth < 0.6)
    assert near_focus.sum() >= 2
    assert counts[near_focus].min() >= 20


def test_nearly_every_localization_is_near_a_locus_and_as_narrow_as_the_probe(slide):
    found, _, _, _, every = slide
    off = cKDTree(every).query(found)[0]
    assert (off > 500).mean() < 0.1
    # The probe's blob has 85 nm an axis; a centroid of many dyes lies nearer.
    assert np.sqrt(np.mean(off[off < 250] ** 2)) < 130


def test_bright_blobs_come_early_and_sparse_blinks_late(slide):
    _, frames, *_ = slide
    early = (frames < 20).sum() / 20
    late = (frames >= FRAMES - 40).sum() / 40
    assert early > 1.5 * late > 0
