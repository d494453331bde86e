"""The block: its length, its names, its message."""

import numpy as np
import pytest
from pydantic import ValidationError

from her2sr_proc.errors import WireError
from her2sr_proc.schema.block import BlockHeader, BlockKey, block_length
from her2sr_proc.wire import decode, encode

LENGTHS = [
    pytest.param(5000, 512, 512, 30.0, 25, id="the paper's field: under one second"),
    pytest.param(5000, 2048, 2048, 30.0, 8, id="full chip: under 64 MiB"),
    pytest.param(1000, 512, 512, 30.0, 25, id="nuclei"),
    pytest.param(400, 256, 256, 10.0, 100, id="demo, accelerated"),
    pytest.param(7, 64, 64, 30.0, 1, id="a prime burst"),
    pytest.param(1, 4096, 8192, 5000.0, 1, id="one long large frame is allowed"),
]


@pytest.mark.parametrize(("frames", "height", "width", "exposure_ms", "want"), LENGTHS)
def test_block_length_divides_the_burst_within_its_bounds(
    frames, height, width, exposure_ms, want
):
    length = block_length(
        frames=frames, height=height, width=width, exposure_ms=exposure_ms
    )
    assert length == want
    assert frames % length == 0


def header(frames: int = 2) -> BlockHeader:
    key = BlockKey(run="r1", field="r00_c01", channel="561", block=3)
    return BlockHeader(
        key=key,
        first_frame=6,
        frames=frames,
        height=4,
        width=5,
        t_s=tuple(0.03 * i for i in range(frames)),
    )


def test_a_message_gives_back_header_and_pixels():
    adu = np.arange(40, dtype="<u2").reshape(2, 4, 5)
    got_header, got = decode([bytes(part) for part in encode(header(), adu)])
    assert got_header == header()
    np.testing.assert_array_equal(got, adu)


def test_pixels_of_another_shape_are_refused():
    with pytest.raises(WireError, match="the header says"):
        encode(header(), np.zeros((3, 4, 5), np.uint16))


BROKEN = [
    pytest.param([b"{}", b""], id="empty header"),
    pytest.param([b"not json", b"\0" * 80], id="garbage"),
    pytest.param([b"{}"], id="one part"),
    pytest.param([header().model_dump_json().encode(), b"\0" * 79], id="short pixels"),
]


@pytest.mark.parametrize("parts", BROKEN)
def test_a_malformed_message_is_refused(parts):
    with pytest.raises(WireError, match="malformed"):
        decode(parts)


@pytest.mark.parametrize("field", ["../x", "r0_c0", "r00_c00/..", ""])
def test_a_field_name_cannot_leave_its_folder(field):
    with pytest.raises(ValidationError):
        BlockKey(run="r1", field=field, channel="561", block=0)
