"""What is compared between arms, from a sample's figures: given, or derived."""

from __future__ import annotations

from dataclasses import dataclass

from her2sr_proc.schema.cohort import ArmFigures, Cohort, GroupCell, Sample
from her2sr_proc.schema.results import ArmName
from her2sr_proc.scoring import Totals, group_of

ARM_TITLES: dict[ArmName, str] = {
    "conventional": "Conventional",
    "sr": "Super-resolution, as resolved",
    "sr_merged": "Super-resolution, doublets merged",
}
GROUP_CELLS: tuple[GroupCell, ...] = ("1", "2", "3", "4", "5", "unevaluable")
_TEXTS: dict[int, GroupCell] = {1: "1", 2: "2", 3: "3", 4: "4", 5: "5"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of table 2."""

    field: str
    title: str
    digits: int


HER2_PER_NUCLEUS = Quantity("her2_per_nucleus", "HER2 signals per nucleus", 2)
CEP17_PER_NUCLEUS = Quantity("cep17_per_nucleus", "CEP17 signals per nucleus", 2)
RATIO = Quantity("ratio", "HER2/CEP17 ratio", 2)
QUANTITIES = (
    Quantity("her2_nuclei", "Nuclei with HER2 signals", 1),
    Quantity("her2_ambiguous_nuclei", "Nuclei with ambiguous HER2 signals", 1),
    Quantity("her2_signals", "HER2 signals", 1),
    HER2_PER_NUCLEUS,
    Quantity("cep17_nuclei", "Nuclei with CEP17 signals", 1),
    Quantity("cep17_ambiguous_nuclei", "Nuclei with ambiguous CEP17 signals", 1),
    Quantity("cep17_signals", "CEP17 signals", 1),
    CEP17_PER_NUCLEUS,
    RATIO,
)


def value_of(sample: Sample, arm: ArmName, quantity: Quantity) -> float | None:
    """Return a quantity of one arm of a sample; None where it is not known.

    Signals per nucleus are over all nuclei counted, or over those with signals where
    only they are told; the ratio is that of the sums.
    """
    figures = sample.arms.get(arm)
    if figures is None:
        return None
    given: int | float | None = getattr(figures, quantity.field)
    if given is not None:
        return float(given)
    if quantity is HER2_PER_NUCLEUS:
        return _over(figures.her2_signals, _counted(figures, "her2"))
    if quantity is CEP17_PER_NUCLEUS:
        return _over(figures.cep17_signals, _counted(figures, "cep17"))
    if quantity is RATIO:
        return _over(figures.her2_signals, figures.cep17_signals)
    return None


def group_in(sample: Sample, arm: ArmName) -> GroupCell | None:
    """Return the ISH group of one arm; None where neither it nor counts are known.

    A group is derived from whole numbers alone: not from a ratio that was given,
    which may have been rounded over a limit.
    """
    figures = sample.arms.get(arm)
    if figures is None:
        return None
    return figures.group or _derived(figures)


def contradictions(cohort: Cohort) -> tuple[str, ...]:
    """Return a sentence for each given group that the counts beside it deny."""
    said = []
    for sample in cohort.samples:
        for arm, figures in sample.arms.items():
            counted = _derived(figures)
            if figures.group and counted and figures.group != counted:
                said.append(
                    f"{sample.sample}: {ARM_TITLES[arm].lower()} is given as group "
                    f"{figures.group}, and its counts say {counted}; the given one is "
                    f"used"
                )
    return tuple(said)


def _derived(figures: ArmFigures) -> GroupCell | None:
    her2, cep17 = figures.her2_signals, figures.cep17_signals
    nuclei = _counted(figures, "her2")
    if figures.ratio is not None or None in (her2, cep17, nuclei):
        return None
    group = group_of(Totals(her2 or 0, cep17 or 0, nuclei or 0))
    return "unevaluable" if group is None else _TEXTS[group]


def _counted(figures: ArmFigures, probe: str) -> int | None:
    if figures.nuclei is not None:
        return figures.nuclei
    with_signals: int | None = getattr(figures, f"{probe}_nuclei")
    return with_signals


def _over(above: int | None, below: int | None) -> float | None:
    return above / below if above is not None and below else None
