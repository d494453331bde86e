"""Truth is matched to labels by place, and counted as copies and as signals."""

import numpy as np

from her2sr_proc.comparison import CountedField, compare
from her2sr_proc.schema.counts import FieldResult, NucleusCounts
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.store.truth import SpecimenTruth, TrueLoci, TrueNuclei

PIXEL_UM = 0.1
PARAMS = ScoreParams(resamples=100)


def specimen(nuclei, loci):
    """Nuclei: (id, kind, x, y); loci: (signal, copy, nucleus, probe, in_section)."""
    ids, kinds, x, y = zip(*nuclei, strict=True)
    signal, copy, owner, probe, inside = zip(*loci, strict=True)
    zeros = np.zeros(len(loci))
    return SpecimenTruth(
        TrueNuclei(
            nucleus=np.array(ids),
            kind=np.array(kinds),
            x_um=np.array(x, float),
            y_um=np.array(y, float),
            outline_a_um=np.full(len(ids), 2.0),
            outline_b_um=np.full(len(ids), 1.0),
            angle_rad=np.zeros(len(ids)),
        ),
        TrueLoci(
            signal=np.array(signal),
            copy=np.array(copy),
            nucleus=np.array(owner),
            probe=np.array(probe),
            x_um=zeros,
            y_um=zeros,
            z_um=zeros,
            in_section=np.array(inside),
        ),
    )


def field(excluded=()):
    """A frame of 20 um round slide point (100, 50) with a label in each half."""
    labels = np.zeros((200, 200), np.int32)
    labels[50:150, 10:90] = 1
    labels[50:150, 110:190] = 2
    nuclei = tuple(
        NucleusCounts(
            nucleus=label,
            x_um=0,
            y_um=0,
            area_um2=80,
            quality=1,
            excluded=label in excluded,
            counts={},
        )
        for label in (1, 2)
    )
    result = FieldResult(
        run="r", field="r00_c00", profile="p", profile_digest="d", nuclei=nuclei
    )
    return CountedField(result, labels, 100.0, 50.0, PIXEL_UM)


LOCI = [
    (1, 1, 7, "HER2", True),
    (2, 1, 7, "HER2", True),  # sister of signal 1
    (3, 2, 7, "HER2", False),  # cut away
    (4, 3, 7, "CEP17", True),
    (5, 4, 8, "HER2", True),
    (6, 5, 9, "HER2", True),
]
NUCLEI = [
    (7, "tumour", 95.0, 50.0),
    (8, "tumour", 96.0, 51.0),
    (9, "tumour", 105.0, 50.0),
    (10, "stroma", 105.0, 47.0),
    (11, "tumour", 109.0, 50.0),  # reaches over the border of the frame
]


def test_doublets_are_one_copy_and_two_signals_and_the_cut_away_is_absent():
    rows = compare(specimen(NUCLEI, LOCI), [field()], params=PARAMS).nuclei
    assert [row.copies for row in rows] == [
        {"HER2": 2, "CEP17": 1},
        {"HER2": 1, "CEP17": 0},
    ]
    assert [row.signals for row in rows] == [
        {"HER2": 3, "CEP17": 1},
        {"HER2": 1, "CEP17": 0},
    ]


def test_excluded_nuclei_are_not_in_the_truth():
    truth = compare(specimen(NUCLEI, LOCI), [field(excluded=(1,))], params=PARAMS).truth
    assert truth.copies.nuclei == 1
    assert truth.copies.her2_signals == 1


def test_whole_tumour_nuclei_are_those_inside_the_frame():
    truth = compare(specimen(NUCLEI, LOCI), [field(excluded=(2,))], params=PARAMS).truth
    assert (truth.whole_tumour_nuclei, truth.whole_tumour_nuclei_scored) == (3, 2)


def test_a_slide_elsewhere_matches_nothing():
    far = [(7, "tumour", 500.0, 500.0)]
    truth = compare(specimen(far, LOCI), [field()], params=PARAMS).truth
    assert truth.copies.nuclei == 0
    assert truth.whole_tumour_nuclei == 0
