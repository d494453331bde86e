"""The simulated truth beside the answer: the only step that may look at it.

Truth is what lies inside the section over the nuclei that were scored: `copies` takes
a sister doublet as one, `signals` as two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.counts import PROBES, FieldResult, Probe, scored
from her2sr_proc.schema.results import Arm, Truth
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import Totals, group_of, score
from her2sr_proc.store.truth import SpecimenTruth

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CountedField:
    """A field as it was counted, and where it lies on the slide."""

    result: FieldResult
    labels: I32
    x_um: float
    """Slide point under the centre of the frame."""
    y_um: float
    pixel_um: float


@dataclass(frozen=True, slots=True)
class TrueCounts:
    """What one scored nucleus truly holds inside the section."""

    field: str
    nucleus: int
    copies: dict[Probe, int]
    signals: dict[Probe, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Truth as arms, and nucleus by nucleus."""

    truth: Truth
    nuclei: tuple[TrueCounts, ...]


def compare(
    specimen: SpecimenTruth,
    fields: Sequence[CountedField],
    *,
    params: ScoreParams,
) -> Comparison:
    """Match scored nuclei with true ones by the true centre, and count both.

    A true nucleus belongs to the label that holds its centre; all true nuclei inside
    one label count together, since the counter could not part them either. Scored are
    the nuclei that the arms are sums of.
    """
    results = [field.result for field in fields]
    taken = [(field, nucleus.nucleus) for field, nucleus in scored(results)]
    rows: list[TrueCounts] = []
    whole: set[int] = set()
    met: set[int] = set()
    for field in fields:
        owner = owners(specimen, field)
        accepted = {label for name, label in taken if name == field.result.field}
        matched = np.isin(owner, sorted(accepted))
        rows += [
            _true_counts(specimen, field, label, owner)
            for label in sorted(set(owner[matched].tolist()))
        ]
        inside = _is_whole(specimen, field) & (specimen.nuclei.kind == "tumour")
        whole |= set(specimen.nuclei.nucleus[inside].tolist())
        met |= set(specimen.nuclei.nucleus[inside & matched].tolist())
    truth = Truth(
        copies=_arm([row.copies for row in rows], params),
        signals=_arm([row.signals for row in rows], params),
        whole_tumour_nuclei=len(whole),
        whole_tumour_nuclei_scored=len(met),
    )
    return Comparison(truth, tuple(rows))


def owners(specimen: SpecimenTruth, field: CountedField) -> I64:
    """Return, for each true nucleus, the label at its centre; 0 without one."""
    height, width = field.labels.shape
    x = (specimen.nuclei.x_um - field.x_um) / field.pixel_um + (width - 1) / 2
    y = (specimen.nuclei.y_um - field.y_um) / field.pixel_um + (height - 1) / 2
    column, row = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    owner = np.zeros(len(x), np.int64)
    owner[inside] = field.labels[row[inside], column[inside]]
    return owner


def _is_whole(specimen: SpecimenTruth, field: CountedField) -> Mask:
    """Return which silhouettes lie wholly inside the frame."""
    nuclei = specimen.nuclei
    cos, sin = np.cos(nuclei.angle_rad), np.sin(nuclei.angle_rad)
    reach_x = np.hypot(nuclei.outline_a_um * cos, nuclei.outline_b_um * sin)
    reach_y = np.hypot(nuclei.outline_a_um * sin, nuclei.outline_b_um * cos)
    half_y, half_x = (size / 2 * field.pixel_um for size in field.labels.shape)
    in_x = np.abs(nuclei.x_um - field.x_um) + reach_x <= half_x
    in_y = np.abs(nuclei.y_um - field.y_um) + reach_y <= half_y
    return np.asarray(in_x & in_y & (nuclei.outline_a_um > 0), bool)


def _true_counts(
    specimen: SpecimenTruth, field: CountedField, label: int, owner: I64
) -> TrueCounts:
    loci = specimen.loci
    inside = loci.in_section & np.isin(
        loci.nucleus, specimen.nuclei.nucleus[owner == label]
    )
    copies: dict[Probe, int] = {}
    signals: dict[Probe, int] = {}
    for probe in PROBES:
        mine = inside & (loci.probe == probe)
        copies[probe] = len(np.unique(loci.copy[mine]))
        signals[probe] = len(np.unique(loci.signal[mine]))
    return TrueCounts(field.result.field, label, copies, signals)


def _arm(counts: Sequence[dict[Probe, int]], params: ScoreParams) -> Arm:
    her2, cep17 = (
        np.array([count[probe] for count in counts], np.int64) for probe in PROBES
    )
    arm = score(
        her2, cep17, params=params, generator=np.random.default_rng(params.seed)
    )
    # grounds for rejecting a test are none against what truly is there
    totals = Totals(arm.her2_signals, arm.cep17_signals, arm.nuclei)
    return arm.model_copy(update={"group": group_of(totals)})
