"""What a reader must know of many fields, in few words."""

import pytest

from her2sr_proc.offline.flags import named_fields


@pytest.mark.parametrize(
    ("names", "fields", "words"),
    [
        (["r00_c00"], 9, "r00_c00"),
        (["r00_c00", "r00_c01", "r00_c02"], 9, "r00_c00, r00_c01, r00_c02"),
        (
            ["r00_c00", "r00_c01", "r00_c02", "r01_c00", "r01_c01"],
            9,
            "r00_c00, r00_c01, r00_c02 and 2 more of 9 fields",
        ),
        ([f"r00_c{n:02d}" for n in range(4)], 4, "all 4 fields"),
    ],
)
def test_a_flag_of_many_fields_is_told_once(names, fields, words):
    assert named_fields(names, fields) == words
