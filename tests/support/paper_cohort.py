"""The paper's cohort as far as its printed numbers fix it (Peg et al. 2024).

Every column is one that the paper's table 1 or 3 fixes, or that its quartiles solve
for; which sample holds which value is arbitrary, since the paper prints no sample. No
row is a person.
"""

from __future__ import annotations

POSITIVE, NEGATIVE = 5, 9
COLUMNS: dict[str, tuple[list[object], list[object]]] = {
    "age_years": ([54, 56, 67, 73, 86], [51, 54, 69, 78, 82, 83, 84, 85, 87]),
    "size_mm": ([14, 22, 23, 35, 70], [10, 13, 18, 19, 22, 23, 27, 30, 31]),
    "pt": ([1, 1, 2, 2, 3], [1, 1, 1, 2, 2, 2, 2, 2, 4]),
    "tumour_type": (["NST"] * 5, ["NST"] * 6 + ["ILC"] * 3),
    "pn": ([0, 0, 0, 1, 1], [0] * 5 + [1] * 4),
    "therapy": (
        ["response"] * 4 + ["non-response"],
        ["non-response"] * 2 + ["response"] * 7,
    ),
    "follow_up": (
        ["death"] + ["neither"] * 4,
        ["relapse"] * 2 + ["neither"] * 6 + ["death"],
    ),
    "ihc": ([2, 3, 3, 3, 3], [1] * 7 + [2] * 2),
    "sr_status": (["positive"] * 5, ["negative"] * 9),
    "group_conventional": (
        [1, 1, 1, "unevaluable", "unevaluable"],
        [2, 5, 5, 5, 5, 5, 5, 5, "unevaluable"],
    ),
    "group_sr": ([1] * 5, [2, 2, 2, 5, 5, 5, 5, 5, 5]),
}
"""Values of the positive samples, then of the negative ones."""


def rows() -> list[dict[str, str]]:
    """Return one row a sample."""
    found = []
    for side, status, count in ((0, "positive", POSITIVE), (1, "negative", NEGATIVE)):
        for n in range(count):
            row = {"sample": f"{status[0]}{n + 1}", "status": status}
            row |= {name: str(values[side][n]) for name, values in COLUMNS.items()}
            found.append(row)
    return found


def as_csv(records: list[dict[str, str]] | None = None, sign: str = ",") -> str:
    """Return rows, by default the paper's, as the text of a CSV."""
    records = rows() if records is None else records
    names = list(records[0])
    lines = [names, *([row[name] for name in names] for row in records)]
    return "\n".join(sign.join(line) for line in lines) + "\n"
