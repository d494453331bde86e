"""From frames on disk to signals per nucleus, held against the simulated truth.

Claim: over the scored nuclei of one field, HER2 of `sr_merged` is within 20 % of the
copies inside the section, CEP17 within one signal. Ten fields and seeds of development
gave 1.00 +- 0.07 (HER2, one field); the limit is 3 sigma of that.
"""

import json

import pytest
from run_folders import add_unit, make_run

from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.verify import verify
from her2sr_proc.store.results import read_field
from simulators.movie import record
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

SEED, SIDE, FOCUS_UM = 33, 256, 1.5
FRAMES = {"561": 400, "488": 400, "405": 100}
POWER = {"561": 0.4, "488": 0.4, "405": 0.2}


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("data") / "r1", frames=FRAMES, size=SIDE)
    options = SimulationOptions(
        seed=SEED, height=SIDE, width=SIDE, kinetics_factor=12.5
    )
    world = World(options)
    for channel, frames in FRAMES.items():
        lights = (Light(int(channel), POWER[channel]),)
        view = View(0.0, 0.0, FOCUS_UM, 0.03, lights)
        add_unit(run, channel, record(options, view, frames, world), block=25)
    world.write_truth(run.simulated_truth)
    return run, process_run(run, lambda *_: None)


@pytest.mark.slow
def test_signals_per_nucleus_are_those_of_the_specimen(answer):
    _, result = answer
    merged, copies = result.arms["sr_merged"], result.truth.copies
    assert merged.nuclei == copies.nuclei >= 3
    assert copies.her2_signals >= 15
    assert merged.her2_signals == pytest.approx(copies.her2_signals, rel=0.2)
    assert merged.cep17_signals == pytest.approx(copies.cep17_signals, abs=1)
    assert merged.group is None  # nobody marked the tumour
    assert merged.unmarked_group == copies.group == 1


@pytest.mark.slow
def test_resolved_signals_lie_between_copies_and_signals(answer):
    _, result = answer
    resolved = result.arms["sr"].her2_signals
    assert 0.8 * result.truth.copies.her2_signals <= resolved
    assert resolved <= 1.1 * result.truth.signals.her2_signals


@pytest.mark.slow
def test_most_whole_tumour_nuclei_are_scored(answer):
    _, result = answer
    scored = result.truth.whole_tumour_nuclei_scored
    assert scored / result.truth.whole_tumour_nuclei >= 0.6


@pytest.mark.slow
def test_every_frame_is_accounted_for_and_the_folder_is_sound(answer):
    run, result = answer
    taps = result.accounting
    assert taps.is_whole
    assert (taps.requested, taps.localizable, taps.replayed) == (900, 800, 800)
    assert verify(run, lambda *_: None).is_sound


@pytest.mark.slow
def test_the_truth_is_read_by_the_comparison_alone(answer):
    run, result = answer
    before = read_field(run, "r00_c00")
    hidden = run.simulated_truth.rename(run.root / "elsewhere")
    try:
        again = process_run(run, lambda *_: None)
    finally:
        hidden.rename(run.simulated_truth)
    assert again.truth is None
    assert again.arms == result.arms
    assert read_field(run, "r00_c00") == before


@pytest.mark.slow
def test_a_second_pass_writes_the_same_answer(answer):
    run, result = answer
    counts = run.counts.read_bytes()
    assert process_run(run, lambda *_: None) == result
    assert run.counts.read_bytes() == counts


@pytest.mark.slow
def test_outlines_are_features_of_the_mosaic(answer):
    run, _ = answer
    collection = json.loads(run.nuclei_geojson.read_text())
    field = read_field(run, "r00_c00")
    assert len(collection["features"]) == len(field.nuclei)
    for feature, nucleus in zip(collection["features"], field.nuclei, strict=True):
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        scale = collection["pixel_to_slide"]
        across = [
            scale["x_um_of_first_pixel_centre"] + (x - 0.5) * scale["pixel_um"]
            for x, _ in ring
        ]
        assert min(across) < nucleus.x_um < max(across)
