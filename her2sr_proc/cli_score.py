"""The verb `her2sr score`: options and words. Imports its work late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.offline.casefile import CaseFile
    from her2sr_proc.offline.casework import Scored
    from her2sr_proc.schema.results import Arm
    from her2sr_proc.scoring.case import Case
    from her2sr_proc.scoring.groups import Totals


def register(app: typer.Typer) -> None:
    """Mount this module's verb into the one command."""
    app.command("score", epilog=EXITS)(score)


def score(
    counts: Annotated[
        Path | None,
        typer.Argument(metavar="[COUNTS.csv]", help="one row a nucleus, or totals:"),
    ] = None,
    her2: Annotated[int | None, typer.Option("--her2", help="signals in all")] = None,
    cep17: Annotated[int | None, typer.Option("--cep17", help="signals in all")] = None,
    nuclei: Annotated[int | None, typer.Option("--nuclei", help="counted")] = None,
    ihc: Annotated[
        int | None,
        typer.Option("--ihc", min=0, max=3, help="of the same tissue: 0, 1, 2 or 3"),
    ] = None,
    arm: Annotated[
        Literal["sr_merged", "sr", "conventional"], typer.Option("--arm")
    ] = "sr_merged",
    mode: Annotated[
        Literal["guideline", "paper"],
        typer.Option("--mode", help="paper: ratio over nuclei with CEP17 alone"),
    ] = "guideline",
    channel_map: Annotated[
        str | None,
        typer.Option("--channel-map", help="such as 561=HER2,488=CEP17"),
    ] = None,
    marks: Annotated[
        str | None,
        typer.Option(
            "--marks",
            help="regions: CSV (field,nucleus,region), GeoJSON of QuPath, or 'all' if "
            "every accepted nucleus is invasive tumour; needs --by",
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", help="JSON: what was measured on the slide"),
    ] = None,
    stopped_by_width: Annotated[
        bool,
        typer.Option("--stopped-by-width", help="counting stopped on the interval"),
    ] = False,
    single_probe: Annotated[
        bool, typer.Option("--single-probe", help="HER2 alone: --her2 and --nuclei")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="CASE.jsonl: append-only, hash-chained"),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="the observer: a pseudonym")] = "",
    reason: Annotated[str, typer.Option("--reason", help="stands in the record")] = "",
    accept: Annotated[
        bool, typer.Option("--accept", help="stand for this count")
    ] = False,
    recount: Annotated[
        bool, typer.Option("--recount", help="blind, in the area of IHC 2+")
    ] = False,
    adjudicate: Annotated[
        Literal["positive", "negative"] | None, typer.Option("--adjudicate")
    ] = None,
    sign: Annotated[
        str, typer.Option("--sign", metavar="MEANING", help="sign the answer")
    ] = "",
    reopen: Annotated[bool, typer.Option("--reopen", help="needs --reason")] = False,
    as_json: AsJson = False,
) -> None:
    """Score counts after ASCO/CAP 2018 (breast), and keep the case's record.

    Nothing is final before a named observer signs.

    Example: her2sr score --her2 143 --cep17 48 --nuclei 20

    Example: her2sr score counts.csv --marks tumour.geojson --by observer-1
    """
    from her2sr_proc.offline.casefile import alone
    from her2sr_proc.offline.casework import ScoreRequest, score_case
    from her2sr_proc.schema.score_params import ScoreParams

    if single_probe:
        _single_probe(her2, nuclei, as_json=as_json)
        return
    request = ScoreRequest(
        table=counts,
        totals=_totals(counts, her2, cep17, nuclei),
        arm=arm,
        params=ScoreParams(mode=mode),
        channel_map=_channel_map(channel_map),
        marks=marks,
        evidence=evidence,
        stopped_by_width=stopped_by_width,
        ihc=ihc,
        by=_observer(by),
        reason=reason,
        accept=accept,
        recount=recount,
        adjudicate=adjudicate,
        sign=sign,
        reopen=reopen,
    )
    with alone(record) if record else nullcontext():
        scored = score_case(request, _case_file(record, request.has_counts))
    if as_json:
        typer.echo(_json(scored))
        return
    for line in _lines(scored):
        typer.echo(line)


def _case_file(path: Path | None, has_counts: bool) -> CaseFile | None:
    from her2sr_proc.errors import RequestError
    from her2sr_proc.offline.casefile import CaseFile

    if path is not None:
        return CaseFile(path, _utc)
    if not has_counts:
        raise RequestError(
            "nothing to score; give COUNTS.csv or --her2, --cep17 and --nuclei"
        )
    return None


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _totals(
    counts: Path | None, her2: int | None, cep17: int | None, nuclei: int | None
) -> Totals | None:
    from her2sr_proc.errors import RequestError
    from her2sr_proc.scoring.groups import Totals

    given = [value for value in (her2, cep17, nuclei) if value is not None]
    if not given:
        return None
    if counts is not None:
        raise RequestError("give COUNTS.csv or totals, not both")
    if her2 is None or cep17 is None or nuclei is None:
        raise RequestError("totals are --her2, --cep17 and --nuclei: give all three")
    return Totals(her2, cep17, nuclei)


def _channel_map(text: str | None) -> dict[str, str] | None:
    from her2sr_proc.errors import RequestError

    if text is None:
        return None
    pairs = [pair.partition("=") for pair in text.split(",")]
    found = {name.strip(): probe.strip().upper() for name, _, probe in pairs}
    probes = sorted(p for p in found.values() if p != "DAPI")
    if probes != ["CEP17", "HER2"] or "" in found or len(found) != len(pairs):
        raise RequestError(
            f"'{text}' is no channel map; say one channel for each probe, as in "
            f"561=HER2,488=CEP17"
        )
    return found


def _observer(name: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from her2sr_proc.errors import RequestError
    from her2sr_proc.schema.case import Observer

    if not name:
        return name
    try:
        return TypeAdapter(Observer).validate_python(name)
    except ValidationError:
        raise RequestError(
            f"'{name}' is no observer: use 1 to 64 letters, digits, '-' and '_', a "
            f"pseudonym that the laboratory knows"
        ) from None


def _single_probe(her2: int | None, nuclei: int | None, *, as_json: bool) -> None:
    from her2sr_proc.errors import RequestError
    from her2sr_proc.scoring.groups import Totals, single_probe

    if her2 is None or nuclei is None or her2 < 0 or nuclei < 1:
        raise RequestError("a single probe is scored from --her2 and --nuclei")
    said = single_probe(Totals(her2, 0, nuclei))
    few = nuclei < 20
    if as_json:
        told = {"outcome": said, "final": False, "insufficient": few, "banner": BANNER}
        typer.echo(json.dumps(told))
        return
    typer.echo(BANNER)
    typer.echo(f"single probe, {her2 / nuclei:.2f} HER2 a nucleus: {said}; not final")
    if few:
        typer.echo(f"  {nuclei} nuclei counted, 20 are required")


def _json(scored: Scored) -> str:
    case = scored.case
    told: dict[str, object] = {
        "banner": BANNER,
        **(scored.arm.model_dump(mode="json") if scored.arm else {}),
        "final": bool(case and case.is_final),
        "blockers": scored.blockers,
        "assessment": scored.assessment.model_dump(mode="json")
        if scored.assessment
        else None,
    }
    if case is not None:
        told["case"] = {
            "state": case.state.value,
            "outcome": case.outcome,
            "comment": case.comment,
            "counted_by": case.counted_by,
            "recounted_by": case.recounted_by,
            "signed_by": case.signed_by,
            "signed_utc": case.signed_utc,
            "meaning": case.meaning,
            "record_head": scored.head,
        }
    return json.dumps(told, indent=2)


def _lines(scored: Scored) -> Iterator[str]:
    yield BANNER
    if scored.arm is not None:
        yield from _arm_lines(scored.arm)
    if scored.assessment is not None:
        yield from (f"note: {note}" for note in scored.assessment.notes)
    if scored.case is not None:
        yield from _case_lines(scored.case, scored.head)
    is_final = scored.case is not None and scored.case.is_final
    if not is_final:
        yield "not final: a named observer has not signed"
        yield from (f"  blocks sign-off: {reason}" for reason in scored.blockers)


def _arm_lines(arm: Arm) -> Iterator[str]:
    group = f"group {arm.group}" if arm.group else "no group"
    yield f"{group}: {arm.status.replace('_', ' ')}"
    yield from (f"  {reason}" for reason in arm.reasons)
    ratio = "no ratio" if arm.ratio is None else f"ratio {arm.ratio:.2f}"
    mean = arm.her2_per_nucleus
    told = "" if mean is None else f", {mean:.2f} HER2 a nucleus"
    yield f"{ratio}{told}, {arm.nuclei} nuclei"
    if arm.ratio_interval_95 and arm.ratio_interval_total:
        a, b = arm.ratio_interval_95
        c, d = arm.ratio_interval_total
        yield f"95 %: {a:.2f} to {b:.2f} sampling only, {c:.2f} to {d:.2f} in all"
    chances = arm.group_probabilities.items()
    yield "P(group): " + ", ".join(f"{g}: {p:.3f}" for g, p in chances)
    if arm.outcome:
        yield f"would be {arm.outcome} {arm.comment}".rstrip()


def _case_lines(case: Case, head: str) -> Iterator[str]:
    yield f"case: {case.state.value.replace('_', ' ')}"
    if case.outcome:
        yield f"  {case.outcome} {case.comment}".rstrip()
    if case.is_final:
        yield f"  signed by {case.signed_by} at {case.signed_utc}: {case.meaning}"
    yield f"  record ends with {head[:16] or 'nothing'}"
