"""Whether counts change with the order of the visits or the distance from the centre.

Dyes that age, focus that drifts and light that falls off towards the rim would look
like biology. Tested by permutation, so that no distribution is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from her2sr_proc.schema.assessment import Trend
from her2sr_proc.scoring.sample import Sample

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
LEAST_FIELDS = 6
"""Fields below which no order of them is rarer than 1 in 100."""
LEAST_NUCLEI = 10
TOGETHER = 2**19
"""Numbers of the draws that are in memory at a time."""
VISITS, CENTRE = "visit order", "distance from the field's centre"


def trends(
    sample: Sample, *, level: float, draws: int, generator: np.random.Generator
) -> tuple[Trend, ...]:
    """Test both colours against visit order and against distance from the centre.

    Parameters
    ----------
    sample : Sample
        The nuclei that are scored.
    level : float
        p below which a trend blocks sign-off.
    draws : int
        Permutations.
    generator : numpy Generator
    """
    found: list[Trend] = []
    for probe, counts in (("HER2", sample.her2), ("CEP17", sample.cep17)):
        ranks = rankdata(counts)
        by_visit = _visit(ranks, sample, draws, generator)
        by_centre = _centre(ranks, sample, draws, generator)
        found += [
            Trend(
                probe=probe,
                against=against,
                correlation=None if one is None else one[0],
                p_value=None if one is None else one[1],
                blocks=one is not None and one[1] < level,
            )
            for against, one in ((VISITS, by_visit), (CENTRE, by_centre))
        ]
    return tuple(found)


def _visit(
    ranks: F64, sample: Sample, draws: int, generator: np.random.Generator
) -> tuple[float, float] | None:
    """Permute whole fields over the visits: nuclei of a field are no evidence alone."""
    if sample.field is None or sample.visit is None:
        return None
    fields, index, sizes = np.unique(
        sample.field, return_inverse=True, return_counts=True
    )
    if len(fields) < LEAST_FIELDS:
        return None
    visit = rankdata(np.bincount(index, sample.visit) / sizes)
    # a field's mean is as sure as it has nuclei: weights go with the field
    weight = sizes / sizes.sum()
    score = weight * (np.bincount(index, ranks) / sizes - ranks.mean())
    orders = generator.permuted(np.tile(visit, (draws, 1)), axis=1)
    return _judged(visit, [orders], score)


def _centre(
    ranks: F64, sample: Sample, draws: int, generator: np.random.Generator
) -> tuple[float, float] | None:
    """Permute distances within each field, so that fields may differ."""
    if sample.distance_um is None or sample.field is None:
        return None
    if len(ranks) < LEAST_NUCLEI:
        return None
    order = np.argsort(sample.field, kind="stable")
    field = np.unique(sample.field[order], return_inverse=True)[1]
    sizes = np.bincount(field)
    score = ranks[order] - (np.bincount(field, ranks[order]) / sizes)[field]
    distance = rankdata(sample.distance_um[order])
    if not score.any():
        return None
    shuffled = _shuffled(distance, np.append(0, np.cumsum(sizes)), draws, generator)
    return _judged(distance, shuffled, score)


def _shuffled(
    x: F64, bounds: I64, draws: int, generator: np.random.Generator
) -> Iterator[F64]:
    """Yield draws of ``x`` with every field shuffled on its own, some at a time.

    Every field is sorted for itself: all at once would cost more than their number,
    and the memory of every draw of every nucleus.
    """
    together = max(1, TOGETHER // x.size)
    for first in range(0, draws, together):
        rows = min(together, draws - first)
        keys = generator.random((rows, x.size))
        for start, end in pairwise(bounds):
            order = np.argsort(keys[:, start:end], axis=1)
            keys[:, start:end] = x[start:end][order]
        yield keys


def _judged(x: F64, permuted: Iterable[F64], score: F64) -> tuple[float, float]:
    """Return the correlation of ``x`` with ``score``, and its two-sided p."""
    centred = score - score.mean()
    value = float((x - x.mean()) @ centred)
    draws = extreme = 0
    for some in permuted:
        under = some @ centred - x.mean() * centred.sum()
        extreme += int((np.abs(under) >= abs(value) - 1e-9).sum())
        draws += len(some)
    scale = float(np.linalg.norm(x - x.mean()) * np.linalg.norm(centred))
    return value / scale if scale else 0.0, (1 + extreme) / (1 + draws)
