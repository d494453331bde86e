"""Counts of many specimens without a microscope: nuclei, cuts, fields, counting errors.

For studies of thousands of samples. Knows neither images nor what judges the counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Specimen:
    """What a specimen's nuclei are expected to show, and how they scatter."""

    her2_per_nucleus: float
    """Expected signals in a scored nucleus, after the cut."""
    ratio: float
    """Expected HER2 over expected CEP17."""
    retained: float = 0.8
    """Expected share of a nucleus's copies that lie in the section and light up."""
    retained_sd: float = 0.12
    """Of that share between nuclei; both colours of a nucleus share it."""
    her2_cv: float = 0.25
    """Of HER2 copies between cells."""
    cep17_cv: float = 0.15
    field_cv: float = 0.08
    """Of thickness and focus between fields; both colours share it."""
    colour_cv: float = 0.03
    """Of the hybridization of one colour between fields."""
    second_share: float = 0.0
    """Share of cells of a second population."""
    second_her2: float = 1.0
    """Times the first population's HER2."""
    her2_efficiency: float = 1.0
    """Signals that the HER2 probe makes of those it should."""
    cep17_efficiency: float = 1.0
    reached: float = 1.0
    """Share of nuclei that the probes got into."""
    false_signals: float = 0.0
    """Of either colour a nucleus, where there is none."""
    missed: float = 0.0
    """Share of signals that the counter misses, in this specimen as a whole."""
    split: float = 0.0
    """Share of HER2 signals that the counter takes for two."""


@dataclass(frozen=True, slots=True)
class Counts:
    """One sample; every array has shape (nuclei,)."""

    her2: I64
    cep17: I64
    field: I64
    """In the order of the visits."""
    distance_um: F64
    is_second: npt.NDArray[np.bool_]

    def first(self, nuclei: int) -> Counts:
        """Return the first nuclei that were found."""
        return Counts(
            self.her2[:nuclei],
            self.cep17[:nuclei],
            self.field[:nuclei],
            self.distance_um[:nuclei],
            self.is_second[:nuclei],
        )


def draw(
    specimen: Specimen,
    nuclei: int,
    generator: np.random.Generator,
    *,
    a_field: float = 4.0,
) -> Counts:
    """Return whole fields of a specimen, until they hold at least ``nuclei`` nuclei.

    Parameters
    ----------
    specimen : Specimen
    nuclei : int
        At least this many; the last field is not cut short.
    generator : numpy Generator
    a_field : float
        Expected scored nuclei of a field, Poisson.
    """
    sizes: list[int] = []
    while sum(sizes) < nuclei:
        sizes.append(int(generator.poisson(a_field)))
    field = np.repeat(np.arange(len(sizes)), sizes)
    n = len(field)
    is_second = generator.random(n) < specimen.second_share
    share = _retained(specimen, field, generator)
    means = _copies(specimen)
    times = np.where(is_second, specimen.second_her2, 1.0)
    her2 = _whole(means[0] * times * _gamma(specimen.her2_cv, n, generator), generator)
    cep17 = _whole(means[1] * _gamma(specimen.cep17_cv, n, generator), generator)
    reached = generator.random(n) < specimen.reached
    colours = [
        _seen(copies, share * reached * efficiency, specimen, field, generator)
        for copies, efficiency in (
            (her2, specimen.her2_efficiency),
            (cep17, specimen.cep17_efficiency),
        )
    ]
    colours[0] += generator.binomial(colours[0], specimen.split)
    false = generator.poisson(specimen.false_signals, (2, n))
    return Counts(
        colours[0] + false[0],
        colours[1] + false[1],
        field.astype(np.int64),
        33.0 * np.sqrt(generator.random(n)),
        is_second,
    )


def _copies(specimen: Specimen) -> tuple[float, float]:
    """Return copies a cell, so that a scored nucleus shows what is expected."""
    extra = 1.0 + specimen.second_share * (specimen.second_her2 - 1.0)
    her2 = specimen.her2_per_nucleus / specimen.retained
    return her2 / extra, her2 / specimen.ratio


def _retained(specimen: Specimen, field: I64, generator: np.random.Generator) -> F64:
    mean, sd = specimen.retained, specimen.retained_sd
    shape = mean * (1 - mean) / sd**2 - 1
    own = generator.beta(mean * shape, (1 - mean) * shape, len(field))
    fields = int(field.max()) + 1 if len(field) else 0
    return own * _gamma(specimen.field_cv, fields, generator)[field]


def _seen(
    copies: I64,
    share: F64,
    specimen: Specimen,
    field: I64,
    generator: np.random.Generator,
) -> I64:
    fields = int(field.max()) + 1 if len(field) else 0
    share = share * _gamma(specimen.colour_cv, fields, generator)[field]
    share = share * (1.0 - specimen.missed)
    # a share above 1 (a thick field) would be cut off and bias the mean: the rest
    # is seen as further copies
    sure = np.floor(share)
    return (copies * sure + generator.binomial(copies, share - sure)).astype(np.int64)


def _gamma(cv: float, n: int, generator: np.random.Generator) -> F64:
    if cv == 0.0:
        return np.ones(n)
    return generator.gamma(1 / cv**2, cv**2, n)


def _whole(values: F64, generator: np.random.Generator) -> I64:
    """Return whole numbers of the same expectation."""
    return np.floor(values + generator.random(len(values))).astype(np.int64)
