"""Totals that a person types in: the guideline's rules without a nucleus to see."""

from __future__ import annotations

import numpy as np

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.assessment import Evidence
from her2sr_proc.schema.results import Arm
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring.chances import totals_probabilities
from her2sr_proc.scoring.criteria import on_totals
from her2sr_proc.scoring.groups import Totals, group_of
from her2sr_proc.scoring.reasons import Findings, answer, blockers
from her2sr_proc.scoring.workflow import comment

TYPED = "typed totals: nobody can see the nuclei they are from"
SIGNAL_LIMIT = 10_000_000


def score_totals(
    totals: Totals,
    *,
    params: ScoreParams,
    generator: np.random.Generator,
    ihc: int | None = None,
) -> tuple[Arm, tuple[str, ...]]:
    """Score totals of invasive tumour; return the arm and what blocks its sign-off.

    There is no interval, since totals do not say how nuclei scatter; chances of the
    groups take counts as Poisson. Raises `RequestError` for totals that cannot be.
    """
    _require_possible(totals)
    found = Findings(
        totals=totals,
        group=group_of(totals),
        both_colours_group=None,
        chances=totals_probabilities(
            totals.her2,
            totals.cep17,
            totals.nuclei,
            draws=params.resamples,
            generator=generator,
        ),
        criteria=on_totals(totals, Evidence(), params),
        ihc=ihc,
    )
    said = answer(found, params)
    n = totals.nuclei
    arm = Arm(
        her2_signals=totals.her2,
        cep17_signals=totals.cep17,
        nuclei=n,
        her2_per_nucleus=totals.her2 / n if n else None,
        cep17_per_nucleus=totals.cep17 / n if n else None,
        ratio=totals.ratio,
        ratio_interval_95=None,
        group=said.group,
        group_probabilities=found.chances,
        status=said.status,
        reasons=said.reasons,
        outcome=said.outcome,
        comment=comment(said.group, said.outcome) if said.group else "",
    )
    return arm, (TYPED, *blockers(found, params))


def _require_possible(totals: Totals) -> None:
    for name, value in (
        ("HER2 signals", totals.her2),
        ("CEP17 signals", totals.cep17),
        ("nuclei", totals.nuclei),
    ):
        if not 0 <= value <= SIGNAL_LIMIT:
            raise RequestError(f"{value} {name} cannot be; give 0 to {SIGNAL_LIMIT}")
    if totals.nuclei == 0 and totals.her2 + totals.cep17 > 0:
        raise RequestError("signals without a nucleus; give the number of nuclei")
