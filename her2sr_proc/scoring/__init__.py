"""From counts of nuclei to an ASCO/CAP 2018 group, and to a signed case. Breast only.

Knows neither files nor images. Groups are decided on exact fractions; nothing is final
by itself.
Source: Wolff et al. 2018, J Clin Oncol 36:2105, doi:10.1200/JCO.2018.77.8738.
"""

from her2sr_proc.scoring.assess import Assessed, Origin, assess, score
from her2sr_proc.scoring.groups import Group, Totals, group_of
from her2sr_proc.scoring.intervals import ratio_interval
from her2sr_proc.scoring.sample import REGIONS, Sample

__all__ = [
    "REGIONS",
    "Assessed",
    "Group",
    "Origin",
    "Sample",
    "Totals",
    "assess",
    "group_of",
    "ratio_interval",
    "score",
]
