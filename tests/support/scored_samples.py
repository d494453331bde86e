"""Samples for tests of scoring: plain arrays with regions and fields around them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from her2sr_proc.schema.assessment import Evidence
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import REGIONS, Assessed, Origin, Sample, assess

PARAMS = ScoreParams(resamples=400)
MEASURED = Evidence(
    cytoplasm_share=0.02,
    autofluorescence_share=0.01,
    nuclear_resolution=0.8,
    external_controls_passed=True,
)
"""A slide on which everything was measured and nothing is wrong."""


def sample(her2, cep17, *, region="invasive", fields=6, **columns) -> Sample:
    """Return nuclei of one region, dealt to fields in turn."""
    n = len(her2)
    field = np.arange(n) % fields
    return Sample(
        her2=np.asarray(her2, np.int64),
        cep17=np.asarray(cep17, np.int64),
        field=field,
        visit=field,
        region=np.full(n, REGIONS.index(region), np.int64),
        **columns,
    )


def beside(tumour: Sample, normal: Sample) -> Sample:
    """Return both on one slide."""
    names = ("her2", "cep17", "field", "visit", "region")
    both = {
        name: np.concatenate([getattr(tumour, name), getattr(normal, name)])
        for name in names
    }
    return Sample(**both)


def normal_nuclei(n=40, her2=2, cep17=2) -> Sample:
    return sample([her2] * n, [cep17] * n, region="normal")


def whole(tumour: Sample) -> Sample:
    """Return a slide that nothing stands against: tumour, controls, weak signals."""
    slide = beside(tumour, normal_nuclei())
    return replace(
        slide,
        her2_low=slide.her2,
        her2_high=slide.her2,
        cep17_low=slide.cep17,
        cep17_high=slide.cep17,
        ambiguous=np.zeros(len(slide), bool),
    )


def judged(slide: Sample, *, params=PARAMS, seed=1, **origin) -> Assessed:
    origin.setdefault("evidence", MEASURED)
    return assess(
        slide,
        params=params,
        generator=np.random.default_rng(seed),
        origin=Origin(**origin),
    )
