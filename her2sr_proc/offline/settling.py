"""What a run knows better than a field: what one signal is worth, and the staining.

Fields are counted as they come, each by its own signals; at the run's end all of them
calibrate together, and clusters are counted again from what the fields noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from her2sr_proc.clusters import Scale, pooled, scale_of, settled
from her2sr_proc.schema.assessment import Evidence
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.counts import (
    PROBES,
    Cluster,
    FieldResult,
    NucleusCounts,
    ProbeCount,
    Staining,
)
from her2sr_proc.schema.results import ARMS
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_field

Scales = Mapping[str, Scale]
"""By column of the counts, as her2_sr."""


def run_scales(results: Sequence[FieldResult], params: CountParams) -> dict[str, Scale]:
    """Return what one signal of each arm and probe is worth, over all fields."""
    return {
        stem: scale_of(
            pooled([r.isolated[stem] for r in results if stem in r.isolated]), params
        )
        for stem in (f"{probe.lower()}_{arm}" for arm in ARMS for probe in PROBES)
    }


def settle(result: FieldResult, scales: Scales, params: CountParams) -> FieldResult:
    """Return a field whose clusters are counted by the run's scales."""
    noted: dict[tuple[int, str], list[Cluster]] = {}
    for cluster in result.clusters:
        stem = f"{cluster.probe.lower()}_{cluster.arm}"
        noted.setdefault((cluster.nucleus, stem), []).append(cluster)

    def again(nucleus: NucleusCounts, stem: str, base: ProbeCount) -> ProbeCount:
        found = noted.get((nucleus.nucleus, stem), [])
        return settled(base, found, scales[stem], params)

    nuclei = tuple(
        nucleus.model_copy(
            update={
                "counts": {
                    arm: {
                        probe: again(nucleus, f"{probe.lower()}_{arm}", count)
                        for probe, count in probes.items()
                    }
                    for arm, probes in nucleus.counts.items()
                }
            }
        )
        for nucleus in result.nuclei
    )
    return result.model_copy(update={"nuclei": nuclei})


def cluster_flags(results: Sequence[FieldResult], scales: Scales) -> Iterable[str]:
    """Yield how many scored nuclei hold a cluster, and what that was judged by."""
    for probe in PROBES:
        stem = f"{probe.lower()}_sr_merged"
        scored = [n for r in results for n in r.nuclei if not n.excluded]
        dense = sum(n.counts["sr_merged"][probe].estimated for n in scored)
        if not dense:
            continue
        scale = scales[stem]
        by = (
            f"the device's value, since only {scale.isolated} isolated signals were "
            f"found"
            if scale.is_device
            else f"{scale.isolated} isolated signals of the run"
        )
        yield f"{probe}: {dense} nuclei hold clusters; estimated by light, by {by}"


def evidence_of(results: Sequence[FieldResult]) -> Evidence:
    """Return what the fields tell together of the staining; None where none does."""
    told = [r.staining for r in results if r.staining is not None]
    return Evidence(
        cytoplasm_share=_share(
            sum(sum(one.outside.values()) for one in told),
            sum(sum(one.signals.values()) for one in told),
        ),
        autofluorescence_share=_share(
            sum(sum(one.glowing.values()) for one in told),
            sum(sum(one.seen.values()) for one in told),
        ),
        crosstalk_share=_share(
            max(0.0, sum(one.coincident - one.by_chance for one in told)),
            sum(_fewer(one) for one in told),
        ),
    )


def run_evidence(run: RunFolder) -> Evidence:
    """Return what the fields of a run that are counted tell together."""
    names = [field.name for field in read_manifest(run).fields]
    found = [result for name in names if (result := read_field(run, name)) is not None]
    return evidence_of(found)


def _fewer(staining: Staining) -> int:
    """Return the signals of the colour that has fewer: no more can be the other's."""
    return min((staining.signals.get(probe, 0) for probe in PROBES), default=0)


def _share(part: float, whole: int) -> float | None:
    return min(1.0, part / whole) if whole else None
