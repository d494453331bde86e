"""The five ISH groups of ASCO/CAP 2018, decided on exact fractions. Breast only.

Source: Wolff et al. 2018, J Clin Oncol 36:2105, doi:10.1200/JCO.2018.77.8738;
affirmed 2023, J Clin Oncol 41:3867, doi:10.1200/JCO.22.02864.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Group = Literal[1, 2, 3, 4, 5]
SingleProbe = Literal["positive", "negative", "needs IHC or a dual-probe assay"]
GROUPS: tuple[Group, ...] = (1, 2, 3, 4, 5)
NEEDS_IHC: frozenset[Group] = frozenset({2, 3, 4})
RATIO, FOUR, SIX = Fraction(2), Fraction(4), Fraction(6)
NEAR_RATIO = (Fraction(9, 5), Fraction(11, 5))
"""Within these, 20 more nuclei are counted (kit instructions, Leica TA9217)."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the guideline's rules look at: sums over the counted nuclei."""

    her2: int
    cep17: int
    nuclei: int

    @property
    def exact_ratio(self) -> Fraction | None:
        """HER2 over CEP17; None without a CEP17 signal."""
        return Fraction(self.her2, self.cep17) if self.cep17 else None

    @property
    def exact_her2(self) -> Fraction | None:
        """HER2 signals a nucleus; None without a nucleus."""
        return Fraction(self.her2, self.nuclei) if self.nuclei else None

    @property
    def ratio(self) -> float | None:
        """HER2 over CEP17 as a float, for print only; None without a CEP17 signal."""
        return None if self.exact_ratio is None else float(self.exact_ratio)


def group_at(ratio: Fraction, her2_per_nucleus: Fraction) -> Group:
    """Return the group of an exact ratio and an exact mean.

    Source: Wolff et al. 2018, figures 3 to 6.
    """
    if ratio >= RATIO:
        return 1 if her2_per_nucleus >= FOUR else 2
    if her2_per_nucleus >= SIX:
        return 3
    return 4 if her2_per_nucleus >= FOUR else 5


def group_of(totals: Totals) -> Group | None:
    """Return the group of nuclei counted alike, or None when there is no ratio."""
    return group_of_sets(totals, totals)


def group_of_sets(for_ratio: Totals, for_mean: Totals) -> Group | None:
    """Return the group when ratio and mean stand on different nuclei, as in the paper.

    None when either cannot be formed.
    """
    ratio, mean = for_ratio.exact_ratio, for_mean.exact_her2
    if ratio is None or mean is None:
        return None
    return group_at(ratio, mean)


def groups_within(
    ratio: tuple[float, float], her2_per_nucleus: tuple[float, float]
) -> frozenset[Group]:
    """Return the groups at the corners of intervals of ratio and mean.

    One alone exactly when no limit between groups runs through the box; a group that
    lies wholly inside it is not named.
    """
    return frozenset(
        group_at(Fraction(r), Fraction(h)) for r in ratio for h in her2_per_nucleus
    )


def single_probe(totals: Totals) -> SingleProbe | None:
    """Return what a HER2 probe alone says; None without nuclei.

    Source: Wolff et al. 2018, figure 2: 6 a nucleus positive, below 4 negative.
    """
    mean = totals.exact_her2
    if mean is None:
        return None
    if mean >= SIX:
        return "positive"
    return "negative" if mean < FOUR else "needs IHC or a dual-probe assay"


def is_near_ratio(totals: Totals) -> bool:
    """Return whether the kit asks for 20 more nuclei: a ratio from 1.80 to 2.20."""
    ratio = totals.exact_ratio
    return ratio is not None and NEAR_RATIO[0] <= ratio <= NEAR_RATIO[1]


def roundings(totals: Totals) -> Iterator[str]:
    """Yield a sentence for each limit that two printed decimals would cross."""
    limits = (
        ("ratio", totals.exact_ratio, RATIO),
        ("HER2 per nucleus", totals.exact_her2, FOUR),
        ("HER2 per nucleus", totals.exact_her2, SIX),
    )
    for name, value, limit in limits:
        if value is not None and value < limit and round(float(value), 2) >= limit:
            yield f"the {name} prints as {limit}.00 but lies below it"


def tags(totals: Totals) -> Iterator[str]:
    """Yield descriptive words; never an answer, and never from CEP17 alone.

    Source: Ballard et al. 2017, Mod Pathol 30:227, doi:10.1038/modpathol.2016.184.
    """
    ratio, mean = totals.exact_ratio, totals.exact_her2
    if ratio is None or mean is None:
        return
    if ratio >= RATIO and FOUR <= mean < SIX:
        yield "low-amplified pattern: ratio from 2.0, HER2 from 4.0 to below 6.0"
    if ratio < RATIO and mean > SIX:
        yield "co-amplified or polysomic pattern: ratio below 2.0, HER2 above 6.0"
