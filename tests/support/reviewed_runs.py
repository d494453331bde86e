"""A counted run folder with pictures, small enough for tests of the review."""

from __future__ import annotations

import numpy as np
from run_folders import make_run

from her2sr_proc.schema.counts import FieldResult, NucleusCounts, ProbeCount
from her2sr_proc.store.images import write_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.results import write_counts, write_field

SIDE = 64
ARMS = ("sr_merged", "sr", "conventional")
MACHINE = 77
"""Stands nowhere else, so that it is found where it leaks."""


def reviewed_run(root, *, nuclei: int = 24) -> RunFolder:
    """Return a run of one field: in every nucleus `MACHINE` HER2 signals, 33 CEP17."""
    run = make_run(root, frames={"561": 10, "488": 10, "405": 10}, size=SIDE)
    labels = np.zeros((SIDE, SIDE), np.int32)
    rows = []
    for number in range(1, nuclei + 1):
        y, x = 10 * ((number - 1) // 6) + 8, 10 * ((number - 1) % 6) + 6
        labels[y - 3 : y + 4, x - 3 : x + 4] = number
        counts = {
            "HER2": ProbeCount(count=MACHINE, low=MACHINE, high=MACHINE),
            "CEP17": ProbeCount(count=33, low=33, high=33),
        }
        rows.append(
            NucleusCounts(
                nucleus=number,
                x_um=(x - 31.5) * 0.13,
                y_um=(y - 31.5) * 0.13,
                area_um2=10.0,
                quality=0.9,
                excluded=False,
                counts=dict.fromkeys(ARMS, counts),
            )
        )
    write_tiff(run.labels("r00_c00"), labels, pixel_nm=130)
    image = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    for channel in ("561", "488"):
        for kind in ("conventional", "superresolution"):
            write_tiff(run.image("r00_c00", channel, kind), image, pixel_nm=130)
    write_tiff(run.image("r00_c00", "405", "mean"), image, pixel_nm=130)
    field = FieldResult(
        run=run.name,
        field="r00_c00",
        profile="recommended",
        profile_digest="0" * 16,
        nuclei=tuple(rows),
    )
    write_field(run, field)
    write_counts(run, [field])
    return run
