"""The closing table stands the answer beside the truth."""

import io

import pytest
from rich.console import Console

from her2sr_acq.verbs.summary import accounting_line, answer_table, scored_line
from her2sr_proc.schema.results import Accounting, Arm, RunResult, Truth


def arm(ratio: float | None) -> Arm:
    return Arm(
        her2_signals=40,
        cep17_signals=20,
        nuclei=10,
        her2_per_nucleus=4.0,
        cep17_per_nucleus=2.0,
        ratio=ratio,
        ratio_interval_95=(1.5, 2.6) if ratio else None,
        group=1 if ratio else None,
        status="definite",
    )


def result(*, localized: int = 8, with_truth: bool = True) -> RunResult:
    taps = dict.fromkeys(("requested", "delivered", "written"), 10)
    truth = Truth(
        copies=arm(2.22),
        signals=arm(2.44),
        whole_tumour_nuclei=12,
        whole_tumour_nuclei_scored=10,
    )
    return RunResult(
        run="r1",
        arms={"sr_merged": arm(2.11), "sr": arm(2.33), "conventional": arm(None)},
        headline="sr_merged",
        channel_map={},
        profile="recommended",
        profile_digest="0",
        accounting=Accounting(
            **taps, published=4, replayed=4, localizable=8, localized=localized
        ),
        truth=truth if with_truth else None,
    )


def printed(answer: RunResult) -> str:
    stream = io.StringIO()
    Console(file=stream, width=110).print(answer_table(answer))
    return stream.getvalue()


def test_every_arm_stands_before_its_truth():
    ratios = next(x for x in printed(result()).splitlines() if "ratio" in x)
    assert [word for word in ratios.split() if word[0].isdigit() or word == "–"] == [
        "2.11",
        "2.22",
        "2.33",
        "2.44",
        "–",
    ]


def test_without_truth_there_is_no_column_of_it():
    assert "truth" not in printed(result(with_truth=False))


@pytest.mark.parametrize(("localized", "verdict"), [(8, "(whole)"), (7, "NOT whole")])
def test_a_missing_frame_is_shouted(localized, verdict):
    assert verdict in accounting_line(result(localized=localized).accounting)


def test_scored_nuclei_are_told_of_how_many():
    assert scored_line(result()) == "whole tumour nuclei scored: 10 of 12"
