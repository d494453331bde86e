"""What the paper printed of its samples, to stand beside those of a study.

Source: Peg et al. 2024, Diagn Pathol 19:32, doi:10.1186/s13000-024-01455-8, tables 2
and 3. Medians with least and largest; the paper prints no sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Printed:
    """One row of table 2."""

    field: str
    """Of `her2sr_proc.schema.cohort.ArmFigures`."""
    conventional: str
    superresolution: str
    p: str


TABLE_2: dict[Literal["negative", "positive"], tuple[Printed, ...]] = {
    "negative": (
        Printed("her2_nuclei", "10 (3; 27)", "12 (10; 29)", "0.08"),
        Printed("her2_ambiguous_nuclei", "0 (0; 5)", "0", "0.15"),
        Printed("her2_signals", "21 (7; 50)", "34 (22; 62)", "0.03"),
        Printed("her2_per_nucleus", "2.10 (1.85; 3.5)", "2.82 (1.83; 3.93)", "0.05"),
        Printed("cep17_nuclei", "6.5 (2; 22)", "10 (6; 27)", "< 0.01"),
        Printed("cep17_ambiguous_nuclei", "2 (0; 5)", "0", "0.02"),
        Printed("cep17_signals", "10 (3; 41)", "18 (11; 49)", "< 0.01"),
        Printed("cep17_per_nucleus", "1.64 (1.00; 2.00)", "1.70 (1.27; 2.50)", "0.37"),
        Printed("ratio", "1.30 (1.02; 2.40)", "1.72 (0.80; 2.36)", "0.15"),
    ),
    "positive": (
        Printed("her2_nuclei", "14 (2; 20)", "15 (2; 29)", "0.23"),
        Printed("her2_ambiguous_nuclei", "12 (1; 13)", "0", "0.01"),
        Printed("her2_signals", "70 (8; 119)", "134 (15; 162)", "0.07"),
        Printed("her2_per_nucleus", "4 (3.50; 7.44)", "7.5 (4.79; 10.80)", "< 0.05"),
        Printed("cep17_nuclei", "5 (2; 13)", "10 (2; 22)", "0.53"),
        Printed("cep17_ambiguous_nuclei", "0 (0; 1)", "0", "0.18"),
        Printed("cep17_signals", "8 (4; 28)", "20 (4; 49)", "0.54"),
        Printed("cep17_per_nucleus", "2.00 (1.60; 2.15)", "2.00 (1.80; 3.06)", "0.57"),
        Printed("ratio", "2.00 (1.79; 2.13)", "2.73 (2.16; 5.61)", "0.23"),
    ),
}
GROUP_MOVES: dict[tuple[str, str], int] = {
    ("1", "1"): 3,
    ("2", "2"): 1,
    ("5", "2"): 2,
    ("5", "5"): 5,
    ("unevaluable", "1"): 2,
    ("unevaluable", "5"): 1,
}
"""Table 3: conventional group and super-resolution group -> samples."""
