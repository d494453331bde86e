"""What the report says of drift and of pictures through the focus."""

import numpy as np
import pytest
import tifffile
from run_folders import make_run

from her2sr_proc.offline.motion import motions_of, stacks_of
from her2sr_proc.offline.reporting import report_run
from her2sr_proc.offline.runs import close_run
from her2sr_proc.report.motion import GAP_PX, Motion, chart, montage
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.counts import ChannelGeometry, FieldGeometry, FieldResult
from her2sr_proc.schema.ledger import FocusRecord, StackRecord, UnitRecord, UnitState
from her2sr_proc.store.focus_stack import write_focus_stack
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import write_field

HEIGHTS_UM = (-1.0, -0.5, 0.0, 0.5, 1.0)


def take(run, channel, *, minute=0, attempt=1, z_um=(5.0, 5.03), stack=None):
    """Note a unit as the engine does; ``stack``: its pictures, where it has some."""
    key = UnitKey(run=run.name, field="r00_c00", channel=channel, attempt=attempt)
    record = None
    if stack is not None:
        z = [5.0 + h for h in HEIGHTS_UM]
        size, digest = write_focus_stack(
            run.focus_stack(key), stack, z_um=z, pixel_nm=130.0
        )
        record = StackRecord(
            z_um=tuple(z), frames=2, bytes=size, sha256=digest, best_um=0.12
        )
    with LineWriter(run.ledger) as ledger:
        unit = UnitRecord(
            key=key,
            state=UnitState.COMPLETE,
            requested=0,
            delivered=0,
            written=0,
            published=0,
            started_utc=f"2026-01-01T00:{minute:02d}:00Z",
            ended_utc=f"2026-01-01T00:{minute:02d}:30Z",
            focus=FocusRecord(
                method="image",
                held_since_utc="2026-01-01T00:00:00Z",
                z_um=z_um[0],
                z_end_um=z_um[1],
            ),
            stack=record,
        )
        ledger.append(unit.model_dump_json())
    return key


def result(run, **channels):
    lie = FieldGeometry(channels=channels)
    return FieldResult(
        run=run.name,
        field="r00_c00",
        profile="recommended",
        profile_digest="d",
        nuclei=(),
        geometry=lie,
    )


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "r1", frames={"561": 40, "488": 40, "405": 5}, size=40)


def pictures():
    rng = np.random.default_rng(1)
    return rng.integers(100, 200, (10, 40, 40)).astype(np.uint16)


def test_every_signal_burst_has_its_drift_across_and_along_in_order(run):
    take(run, "488", minute=2)
    take(run, "561", minute=1, stack=pictures())
    take(run, "405", minute=3)
    lies = result(
        run,
        **{"561": ChannelGeometry(registered=True, drift_nm=(3, 4), drift_z_um=0.2)},
    )
    red, green = motions_of(run, read_manifest(run), [lies])
    assert (red.channel, red.distance_nm, red.along_um) == ("561", 5.0, 0.2)
    assert (red.drive_um, red.sharpest_um) == (pytest.approx(0.03), 0.12)
    assert (green.channel, green.across_nm, green.sharpest_um) == ("488", None, None)


def test_a_second_attempt_answers_for_its_unit(run):
    take(run, "561", minute=1)
    take(run, "561", minute=2, attempt=2, z_um=(5.0, 5.5))
    (one,) = motions_of(run, read_manifest(run), [])
    assert one.drive_um == pytest.approx(0.5)


def test_a_stack_is_shown_plane_by_plane_and_a_torn_one_is_passed_over(run):
    key = take(run, "561", stack=pictures())
    (shown,) = stacks_of(run, read_manifest(run))
    assert shown.heights_um == pytest.approx(HEIGHTS_UM)
    assert shown.uri.startswith("data:image/jpeg;base64,")
    whole = run.focus_stack(key).read_bytes()
    for kept in (0, 3, 8, 200, len(whole) // 2):
        run.focus_stack(key).write_bytes(whole[:kept])
        assert stacks_of(run, read_manifest(run)) == ()


def test_planes_stand_side_by_side_on_one_scale():
    planes = np.stack([np.full((2, 40, 40), v, np.uint16) for v in (100, 150, 200)])
    planes[:, :, 20, 20] = 400
    drawn = montage(planes.reshape(6, 40, 40), 3)
    assert drawn.shape == (40, 3 * 40 + 2 * GAP_PX)
    greys = [int(drawn[5, n * (40 + GAP_PX) + 5]) for n in range(3)]
    assert greys == sorted(set(greys))


def motion(across, along):
    return Motion("r00_c00", "561", across, 0.0, None, "", along)


def test_the_chart_has_a_point_for_what_is_known_and_none_for_the_rest():
    drawn = chart([motion((30.0, 40.0), None), motion(None, -0.15)])
    assert drawn.count("<circle") == 2
    assert "50 nm across" in drawn
    assert "-150 nm along" in drawn
    assert chart([motion(None, None)]) == chart([]) == ""


def test_the_page_tells_drift_stacks_and_what_is_not_known(run):
    take(run, "561", stack=pictures())
    write_field(run, result(run, **{"561": ChannelGeometry(registered=True)}))
    close_run(run)
    report_run(run, exports=False)
    page = run.report.read_text()
    assert "Drift and focus of every burst" in page
    assert "-1.00, -0.50, +0.00, +0.50, +1.00 µm; sharpest at +0.12 µm" in page
    assert '<td class="n">0.030</td>' in page


def test_a_run_without_bursts_says_so(run):
    close_run(run)
    report_run(run, exports=False)
    assert "No burst of a signal channel is recorded." in run.report.read_text()


@pytest.mark.parametrize(
    "said",
    [
        "[]",
        '{"z_um": 1}',
        '{"z_um": []}',
        '{"z_um": [1, 2, 3]}',
        '{"z_um": [null, 1]}',
        '{"z_um": [NaN, 1]}',
    ],
)
def test_a_stack_whose_heights_do_not_fit_has_no_picture(tmp_path, said):
    run = make_run(tmp_path / "r1", frames={"561": 1}, size=16)
    stack = np.full((10, 16, 16), 300, np.uint16)
    key = take(run, "561", stack=stack)
    tifffile.imwrite(run.focus_stack(key), stack, description=said, metadata=None)
    assert stacks_of(run, read_manifest(run)) == ()


def test_a_stack_cut_anywhere_has_no_picture_or_all_of_it(tmp_path):
    run = make_run(tmp_path / "r1", frames={"561": 1}, size=16)
    rng = np.random.default_rng(2)
    key = take(run, "561", stack=rng.integers(0, 900, (10, 16, 16)).astype(np.uint16))
    path = run.focus_stack(key)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert len(stacks_of(run, read_manifest(run))) <= 1
    for at in rng.integers(0, len(whole), 150):
        path.write_bytes(whole[:at] + b"\xff\x7f" + whole[at + 2 :])
        assert len(stacks_of(run, read_manifest(run))) <= 1
