"""The picture of the burst: the newest alone, costless unwatched, never in the way; and
the super-resolution picture that grows table by table."""

import time

import numpy as np
import pytest

from her2sr_acq.service.gauges import points
from her2sr_acq.service.growing import TABLES_A_LOOK, Growing
from her2sr_acq.service.live import Contrast, LivePicture
from her2sr_acq.service.tap import Tap
from her2sr_acq.stream.preview import Preview, pack, unpack
from her2sr_proc.errors import WireError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.preview import PreviewHeader
from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.tables import write_parquet

UNIT = UnitKey(run="run-0", field="r00_c01", channel="561")


def header(**values: object) -> PreviewHeader:
    plain = {
        "run": "run-0",
        "field": "r00_c01",
        "channel": "561",
        "frame": 7,
        "height": 2,
        "width": 3,
        "step": 1,
        "taken_s": 100.0,
    }
    return PreviewHeader.model_validate(plain | values)


def test_a_preview_comes_out_as_it_went_in():
    adu = np.arange(6, dtype=np.uint16).reshape(2, 3)
    head, pixels = unpack(pack(header(), adu))
    assert head == header()
    np.testing.assert_array_equal(pixels, adu)


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff\xff\xff\xff", b"\x02\0\0\0{}", pack(header(), np.zeros((1, 3)))],
    ids=["empty", "long", "no header", "too few pixels"],
)
def test_what_is_no_preview_is_refused(message):
    with pytest.raises(WireError, match="malformed preview"):
        unpack(message)


def shown(preview: Preview, tap: Tap, frames: range, until: int):
    """Show frames until the last one is seen."""
    deadline = time.monotonic() + 5.0
    adu = np.zeros((2050, 3), np.uint16)
    while time.monotonic() < deadline:
        for frame in frames:
            preview.show(UNIT, frame, adu)
        time.sleep(0.01)
        seen = tap.latest()
        if seen is not None and seen[0].frame == until:
            return seen
    raise AssertionError("the last frame was not seen within 5 s")


def test_the_newest_frame_is_seen_thinned_and_alone(tmp_path):
    where = f"ipc://{tmp_path}/p.ipc"
    ticks = iter(range(10**6))
    tap = Tap(where)
    try:
        with Preview(where, clock=lambda: float(next(ticks))) as preview:
            tap.latest()
            head, pixels = shown(preview, tap, range(1), 0)
            assert pixels.shape == (684, 1)
            assert head.step == 3
            for frame in range(1, 400):
                preview.show(UNIT, frame, np.zeros((4, 4), np.uint16))
            time.sleep(0.05)
            newest = tap.latest()
            assert newest is not None
            time.sleep(0.05)
            assert tap.latest()[0].frame == newest[0].frame, "something had queued"
    finally:
        tap.close()


def test_five_pictures_a_second_are_the_most_and_none_unwatched(tmp_path):
    now = [0.0]
    with Preview(f"ipc://{tmp_path}/p.ipc", clock=lambda: now[0]) as preview:
        sent = []
        preview._has_watcher = lambda: sent.append(now[0]) or False
        for tick in range(100):
            now[0] = tick * 0.03
            preview.show(UNIT, tick, np.zeros((4, 4), np.uint16))
        preview._has_watcher = Preview._has_watcher.__get__(preview)
        assert preview._shown_at < 0, "an unwatched frame was thinned"


class FakeTap(Tap):
    """Has seen one frame."""

    def __init__(self, taken_s: float) -> None:
        super().__init__(None)
        self._taken_s = taken_s

    def latest(self):
        return header(taken_s=self._taken_s), np.zeros((2, 3), np.uint16)


def test_the_live_picture_is_of_the_burst_and_says_so(tmp_path):
    live = LivePicture(tap=FakeTap(100.0), now=lambda: 101.0)
    picture = live.of(RunFolder(tmp_path / "run-0"), Contrast())
    assert (picture.source, picture.frame, picture.written_s) == ("stream", 7, 100.0)


@pytest.mark.parametrize(("run", "now"), [("run-0", 103.0), ("run-1", 101.0)])
def test_an_old_or_other_burst_is_not_shown_as_live(tmp_path, run, now):
    live = LivePicture(tap=FakeTap(100.0), now=lambda: now)
    with pytest.raises(Exception, match="no frame on disk yet"):
        live.of(RunFolder(tmp_path / run), Contrast())


def write_part(run: RunFolder, block: int, places: int) -> None:
    arrays = {c.name: np.zeros(places, c.dtype) for c in COLUMNS}
    arrays["x_nm"] = np.full(places, 500.0, arrays["x_nm"].dtype)
    arrays["y_nm"] = np.full(places, 250.0, arrays["y_nm"].dtype)
    arrays["frame"] = (10 * block + np.arange(places) % 10).astype(
        arrays["frame"].dtype
    )
    facts = {"first_frame": str(10 * block), "frames": "10"}
    write_parquet(run.table_part(UNIT, block), Localizations(arrays), facts)


def test_the_picture_grows_with_each_table_and_reads_none_twice(tmp_path):
    run = RunFolder(tmp_path / "run-0")
    ticks = iter(range(0, 10**6, 2))
    growing = Growing(lambda: float(next(ticks)))
    assert growing.of(run, UNIT, 1000.0) is None
    write_part(run, 0, 30)
    first = growing.of(run, UNIT, 1000.0)
    write_part(run, 1, 50)
    second = growing.of(run, UNIT, 1000.0)
    assert (first.localizations, second.localizations) == (30, 80)
    assert (second.frames, second.unit) == (20, "r00_c01/561")
    told = [point.split(",") for point in second.trace.split()]
    assert [float(y) for _, y in told] == [60.0] * 10 + [0.0] * 10
    assert growing.of(run, UNIT, 1000.0) is second


def test_a_look_at_the_growing_picture_reads_a_bounded_number_of_tables(tmp_path):
    run = RunFolder(tmp_path / "run-0")
    for block in range(TABLES_A_LOOK + 5):
        write_part(run, block, 1)
    ticks = iter(range(0, 10**6, 2))
    growing = Growing(lambda: float(next(ticks)))
    assert growing.of(run, UNIT, 1000.0).localizations == TABLES_A_LOOK
    assert growing.of(run, UNIT, 1000.0).localizations == TABLES_A_LOOK + 5


def test_the_trace_of_one_block_is_a_line_and_a_long_one_is_thinned(tmp_path):
    run = RunFolder(tmp_path / "run-0")
    ticks = iter(range(0, 10**6, 2))
    growing = Growing(lambda: float(next(ticks)))
    write_part(run, 0, 7)
    first = growing.of(run, UNIT, 1000.0).trace.split()
    assert (len(first), first[0], first[-1]) == (10, "0.0,0.0", "300.0,60.0")
    for block in range(1, 2 * TABLES_A_LOOK + 1):
        write_part(run, block, 7)
    for _ in range(3):
        last = growing.of(run, UNIT, 1000.0)
    assert (last.frames, len(last.trace.split())) == (410, 205)


def test_a_flat_trace_runs_through_the_middle():
    assert points([2.0, 2.0]) == "0.0,30.0 300.0,30.0"
    assert points([2.0]) == "0.0,30.0 300.0,30.0"
    assert points([]) == ""
