"""The kinds of slide: what the cells of each carry, and how the staining went."""

from __future__ import annotations

from dataclasses import dataclass

from simulators.options import SpecimenKind


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of slide. Ranges include both ends."""

    her2: tuple[int, int]
    """Copies of HER2 in a tumour cell."""
    cep17: tuple[int, int]
    """Copies of CEP17 in a tumour cell."""
    clustered: float = 0.0
    """Fraction of HER2 copies that lie in a cluster."""
    replicated: float = 0.30
    """Fraction of tumour nuclei in S/G2."""
    doublets: float = 0.7
    """Fraction of HER2 copies of such a nucleus whose sisters lie apart."""
    stroma: float = 0.08
    """Fraction of stroma among the cells of a tumour region."""
    tumour: bool = True
    """False: normal tissue, without any tumour region."""
    her2_label: float = 1.25
    """Dyes that bind to a signal, over `SampleOptions.dyes_per_signal`."""
    cep17_label: float = 1.6
    """The repeats of a centromere bind more probe than a gene."""
    reached: float = 1.0
    """Fraction of nuclei that the probe got into."""
    haze: float = 1.0
    """Diffuse probe, relative to a good hybridization."""
    grazed: bool = False
    """Whether the knife left caps of the nuclei, their centres outside the section."""


KINDS: dict[SpecimenKind, Kind] = {
    # enough centromeres in the section that one miscounted stays under a tenth
    "demo": Kind(her2=(13, 16), cep17=(3, 4), clustered=0.12, stroma=0.06),
    "normal": Kind(her2=(2, 2), cep17=(2, 2)),
    # the centromere is lost, HER2 is kept or gained: the usual way into group 2
    "monosomic": Kind(her2=(2, 3), cep17=(1, 1)),
    "polysomic": Kind(her2=(4, 6), cep17=(4, 6)),
    "low_amplified": Kind(her2=(5, 7), cep17=(2, 2)),
    "high_amplified": Kind(her2=(22, 40), cep17=(2, 3), clustered=0.3),
    "clustered": Kind(her2=(15, 30), cep17=(2, 3), clustered=0.85),
    "doublet_rich": Kind(her2=(2, 3), cep17=(2, 2), replicated=0.8, doublets=0.9),
    "badly_cut": Kind(her2=(2, 2), cep17=(2, 2), grazed=True),
    "no_probe": Kind(
        her2=(14, 18), cep17=(2, 3), her2_label=0.0, cep17_label=0.0, haze=0.0
    ),
    "one_colour": Kind(her2=(13, 16), cep17=(2, 3), clustered=0.12, cep17_label=0.0),
    "normal_tissue": Kind(her2=(2, 2), cep17=(2, 2), tumour=False),
    "failed_hybridization": Kind(
        her2=(14, 18),
        cep17=(2, 3),
        her2_label=0.2,
        cep17_label=0.3,
        reached=0.15,
        haze=3.0,
    ),
}
