"""Which p-values of the paper's table 2 a signed-rank test could have given at all.

The samples are not printed, but a signed-rank test of so few pairs has few outcomes:
all of them are gone through, over every number of zero differences, every pattern of
ties and every choice of signs, in three forms. Prints one line a row of the table.

Run: python tests/study/study_paper_table2.py
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

import numpy as np

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.ranks import mann_whitney, paired_t, wilcoxon

FORMS = {
    "exact": {"exactness": "exact"},
    "asymptotic": {"exactness": "asymptotic", "continuity": False},
    "asymptotic, corrected": {"exactness": "asymptotic", "continuity": True},
}
PRINTED = {
    "negative": (
        9,
        {
            "nuclei with HER2": "0.08",
            "ambiguous HER2": "0.15",
            "HER2 signals": "0.03",
            "HER2 per nucleus": "0.05",
            "nuclei with CEP17": "<0.01",
            "ambiguous CEP17": "0.02",
            "CEP17 signals": "<0.01",
            "CEP17 per nucleus": "0.37",
            "ratio": "0.15",
        },
    ),
    "positive": (
        5,
        {
            "nuclei with HER2": "0.23",
            "ambiguous HER2": "0.01",
            "HER2 signals": "0.07",
            "HER2 per nucleus": "<0.05",
            "nuclei with CEP17": "0.53",
            "ambiguous CEP17": "0.18",
            "CEP17 signals": "0.54",
            "CEP17 per nucleus": "0.57",
            "ratio": "0.23",
        },
    ),
}
ZERO_AGAINST = {
    ("negative", "ambiguous HER2"): (0, 0, 5),
    ("negative", "ambiguous CEP17"): (0, 2, 5),
    ("positive", "ambiguous HER2"): (1, 12, 13),
    ("positive", "ambiguous CEP17"): (0, 0, 1),
}
"""Least, median, greatest of the conventional arm; the other arm is 0 throughout."""
ABOVE_ZERO = {
    ("negative", "ambiguous HER2"): 3,
    ("negative", "ambiguous CEP17"): 5,
    ("positive", "ambiguous HER2"): 5,
    ("positive", "ambiguous CEP17"): 2,
}
"""Samples with ambiguous signals, as the paper's text counts them."""


def tie_patterns(pairs: int) -> Iterator[list[int]]:
    """Yield sizes of differences that share their ranks in every possible way."""
    for joins in itertools.product((0, 1), repeat=pairs - 1):
        yield np.cumsum([1, *joins]).tolist()


def outcomes(most: int, options: dict[str, object]) -> set[float]:
    """Return every p that up to ``most`` pairs can give in one form."""
    found: set[float] = set()
    for pairs in range(2, most + 1):
        for sizes in tie_patterns(pairs):
            reached: dict[float, float] = {}
            for signs in itertools.product((-1, 1), repeat=pairs):
                gaps = np.multiply(sizes, signs)
                key = _rank_sum(sizes, gaps)
                if key not in reached:
                    reached[key] = wilcoxon([0] * pairs, gaps, **options).p
            found |= set(reached.values())
    return found


def _rank_sum(sizes: list[int], gaps: np.ndarray) -> float:
    values = np.asarray(sizes)
    ranks = [(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values]
    return float(np.asarray(ranks)[gaps > 0].sum())


def fits(p: float, printed: str) -> bool:
    """Whether a p-value would be printed so."""
    if printed.startswith("<"):
        return p < float(printed[1:])
    return f"{p:.2f}" == printed


def zero_rows(least: int, median: int, greatest: int, n: int) -> Iterator[list[int]]:
    """Yield every list of whole numbers with this range and median."""
    below = (n - 1) // 2 - 1
    lower = itertools.combinations_with_replacement(range(least, median + 1), below)
    upper = list(
        itertools.combinations_with_replacement(range(median, greatest + 1), below)
    )
    for low in lower:
        for high in upper:
            yield [least, *low, median, *high, greatest]


def _zero_line(status: str, row: str, n: int, printed: str) -> str:
    tests = {"paired t": paired_t, "Mann-Whitney": mann_whitney} | {
        name: lambda a, b, o=options: wilcoxon(a, b, **o)
        for name, options in FORMS.items()
    }
    said = []
    for name, test in tests.items():
        ps = []
        for counts in zero_rows(*ZERO_AGAINST[status, row], n):
            if sum(c > 0 for c in counts) != ABOVE_ZERO[status, row]:
                continue
            try:
                ps.append(test(counts, [0] * n).p)
            except RequestError:
                continue
        hits = sum(fits(p, printed) for p in ps)
        said.append(
            f"{name} {hits} of {len(ps)} ({min(ps):.4f} to {max(ps):.4f})"
            if ps
            else f"{name} none"
        )
    return "; ".join(said)


def main() -> None:
    """Print what could have given each printed p."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for status, (n, rows) in PRINTED.items():
        reached = {name: outcomes(n, options) for name, options in FORMS.items()}
        for name, values in reached.items():
            least = min(values)
            print(f"{status}, {name}: {len(values)} outcomes, least {least:.4f}")
        for row, printed in rows.items():
            forms = [
                name
                for name, values in reached.items()
                if any(fits(p, printed) for p in values)
            ]
            print(f"{status}, {row}: printed {printed}; {', '.join(forms) or 'none'}")
            if (status, row) in ZERO_AGAINST:
                print(f"    against 0: {_zero_line(status, row, n, printed)}")


if __name__ == "__main__":
    main()
