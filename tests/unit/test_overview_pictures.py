"""What is seen in the pictures of an overview, and how they are put together."""

import json
import time

import numpy as np
import pytest
from run_folders import make_run

from her2sr_acq.engine.stitch import stitched, thumb_of
from her2sr_acq.engine.structure import structure_of
from her2sr_proc.live.facts import Facts
from her2sr_proc.live.jobs import Jobs
from her2sr_proc.live.questions import Answerer
from her2sr_proc.overview import nuclei_in_overview
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.images import write_tiff
from her2sr_proc.store.layout import DataFolder

PIXEL_UM = 0.13
CENTRES = ((130, 130), (130, 380), (380, 130), (380, 380))
RADIUS_UM = 5.0


def picture(seed=1, *, disc_e=6.0, ground_e=12.0, spots=0) -> np.ndarray:
    """Return three frames' mean: discs a little brighter than the ground, and spots."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:512, :512]
    mean = np.full((512, 512), ground_e)
    for cy, cx in CENTRES:
        mean[np.hypot(y - cy, x - cx) * PIXEL_UM < RADIUS_UM] += disc_e
    for cy, cx in rng.uniform(20, 490, (spots, 2)):
        mean += 80.0 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.2**2))
    frames = rng.poisson(mean, (3, 512, 512)) + rng.normal(0.0, 1.6, (3, 512, 512))
    return frames.mean(axis=0)


def test_every_disc_is_found_with_its_area():
    found = nuclei_in_overview(picture(), pixel_um=PIXEL_UM)
    true = 4 * np.pi * RADIUS_UM**2 / (512 * PIXEL_UM) ** 2
    assert found.nuclei == 4
    assert found.share == pytest.approx(true, rel=0.3)


def test_signals_do_not_make_nuclei():
    plain = nuclei_in_overview(picture(), pixel_um=PIXEL_UM)
    spotted = nuclei_in_overview(picture(spots=60), pixel_um=PIXEL_UM)
    assert spotted.nuclei == plain.nuclei
    assert spotted.share == pytest.approx(plain.share, rel=0.1)


@pytest.mark.parametrize("light_e", [0.0, 1.5, 12.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_glass_and_darkness_hold_no_nucleus(light_e, seed):
    empty = picture(seed, disc_e=0.0, ground_e=light_e)
    assert nuclei_in_overview(empty, pixel_um=PIXEL_UM).nuclei == 0


def test_a_picture_smaller_than_a_cell_is_no_fault():
    assert nuclei_in_overview(np.ones((2, 2)), pixel_um=PIXEL_UM).nuclei == 0
    assert structure_of(np.ones((2, 2)), pixel_um=PIXEL_UM) == 0.0


def test_structure_tells_discs_from_glass_and_from_darkness():
    discs = structure_of(picture(), pixel_um=PIXEL_UM)
    glass = structure_of(picture(disc_e=0.0), pixel_um=PIXEL_UM)
    assert discs > 2.0 * glass
    assert glass < 0.05 < discs
    assert structure_of(picture(disc_e=0.0, ground_e=0.1), pixel_um=PIXEL_UM) == 0.0


def test_tiles_lie_in_the_whole_picture_as_on_the_slide():
    places = [
        FieldFacts(name="r00_c00", row=0, column=0, x_um=0.0, y_um=0.0),
        FieldFacts(name="r00_c01", row=0, column=1, x_um=10.0, y_um=0.0),
        FieldFacts(name="r01_c00", row=1, column=0, x_um=0.0, y_um=10.0),
    ]
    thumbs = {"r00_c01": np.full((50, 50), 2.0, np.float32)}
    thumbs["r01_c00"] = np.full((50, 50), 3.0, np.float32)
    whole, pixel_um = stitched(thumbs, places, (10.0, 10.0))
    middle, side = whole.shape[0] // 4, whole.shape[0] // 2
    assert whole.shape[0] * pixel_um == pytest.approx(20.0)
    assert whole[middle, middle] == 0.0
    assert whole[middle, middle + side] == 2.0
    assert whole[middle + side, middle] == 3.0


def test_tiles_far_apart_do_not_fill_the_memory():
    places = [
        FieldFacts(name=f"r00_c{n:02d}", row=0, column=n, x_um=9000.0 * n, y_um=0.0)
        for n in range(2)
    ]
    whole, _ = stitched({}, places, (10.0, 10.0))
    assert max(whole.shape) <= 4096


def test_a_thumb_keeps_the_light():
    light = picture()
    thumb = thumb_of(light)
    assert max(thumb.shape) <= 200
    assert thumb.mean() == pytest.approx(light.mean(), rel=0.02)


def test_the_localizer_tells_the_nuclei_of_a_tile_that_has_a_picture(tmp_path):
    run = make_run(tmp_path / "runs" / "r1", frames={"561": 10}, size=512)
    write_tiff(
        run.overview_image("r00_c00"), picture().astype(np.float32), pixel_nm=130.0
    )
    with Jobs() as jobs:
        answerer = Answerer(jobs, None, dict, Facts(DataFolder(tmp_path)))

        def ask(field: str) -> dict:
            body = {"run": run.name, "field": field}
            question = {"verb": "overview_nuclei", "body": body}
            return answerer.answer(json.dumps(question).encode())

        assert ask("r00_c00")["body"] == {"done": False}
        while not jobs.view().done:
            time.sleep(0.005)
        assert ask("r00_c00")["body"]["nuclei"] == 4
        ask("r00_c01")
        while not jobs.view().failed:
            time.sleep(0.005)
        assert "no overview picture of r00_c01" in ask("r00_c01")["error"]["message"]
