"""Reports on demand: conditions of a run, exports for others, many runs on one page."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaozarrs
import zarr
from run_folders import make_run
from typer.testing import CliRunner

from her2sr_acq.cli import build
from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.offline.cohort import CohortRequest, describe_cohort
from her2sr_proc.offline.conditions import conditions_of
from her2sr_proc.offline.reporting import report_cohort, report_run
from her2sr_proc.offline.runs import close_run
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.case import RegionsMarked
from her2sr_proc.schema.counts import FieldResult, NucleusCounts, ProbeCount
from her2sr_proc.schema.results import ARMS
from her2sr_proc.store.images import write_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_result, write_field

SIDE = 96
CENTRES = {1: (20, 20), 2: (20, 70), 3: (70, 45)}


def nucleus(label, her2, cep17, reason=""):
    def of(n):
        return ProbeCount(count=n, low=n, high=n)

    y, x = CENTRES[label]
    return NucleusCounts(
        nucleus=label,
        x_um=(x - 47.5) * 0.13,
        y_um=(y - 47.5) * 0.13,
        area_um2=50,
        quality=0.9,
        excluded=bool(reason),
        exclusion_reason=reason,
        counts={arm: {"HER2": of(her2), "CEP17": of(cep17)} for arm in ARMS},
    )


@pytest.fixture
def run(tmp_path):
    """A counted run without raw frames, as an offloaded copy may be."""
    run = make_run(tmp_path / "r1", frames={"561": 40, "405": 20}, size=SIDE)
    labels = np.zeros((SIDE, SIDE), np.int32)
    for label, (y, x) in CENTRES.items():
        labels[y - 12 : y + 12, x - 12 : x + 12] = label
    write_tiff(run.labels("r00_c00"), labels, pixel_nm=130.0)
    image = (labels > 0).astype(np.float32) * 50
    write_tiff(run.image("r00_c00", "405", "mean"), image, pixel_nm=130.0)
    write_field(
        run,
        FieldResult(
            run=run.name,
            field="r00_c00",
            profile="recommended",
            profile_digest="d",
            nuclei=(
                nucleus(1, 9, 3),
                nucleus(2, 2, 2),
                nucleus(3, 1, 1, "touches the border of the frame"),
            ),
        ),
    )
    close_run(run)
    return run


def mark(run, **regions):
    marks = {f"r00_c00/{name[1:]}": region for name, region in regions.items()}
    CaseFile(run.case, lambda: "2026-01-01T00:00:00Z").add(
        RegionsMarked(marks=marks), by="observer-1"
    )


def test_exports_hold_counts_with_units_and_nuclei_as_labels(run):
    written = report_run(run)
    names = [path.name for path in written]
    assert names == [
        "report.html",
        "counts.csv",
        "nuclei.geojson",
        "counts.parquet",
        "r00_c00_nuclei.ome.zarr",
    ]
    table = pq.read_table(written[3])
    assert table.column("her2_sr").to_pylist() == [9, 2, 1]
    assert table.column("excluded").to_pylist() == [False, False, True]
    assert table.schema.metadata[b"banner"].decode() == BANNER
    assert table.schema.field("area_um2").metadata == {b"unit": b"um2"}


def test_labels_are_valid_ome_zarr_and_lie_where_the_field_lies(run):
    path = report_run(run)[-1]
    yaozarrs.validate_zarr_store(str(path))
    yaozarrs.validate_zarr_store(str(path / "labels" / "nuclei"))
    group = zarr.open_group(path, mode="r")
    assert group["labels"].attrs["labels"] == ["nuclei"]
    mine = group["labels/nuclei"]
    assert np.unique(mine["0"][:]).tolist() == [0, 1, 2, 3]
    (data,) = mine.attrs["multiscales"][0]["datasets"]
    scale, translation = data["coordinateTransformations"]
    assert scale["scale"] == [0.13, 0.13]
    facts = read_manifest(run).fields[0]
    first = [facts.y_um - 47.5 * 0.13, facts.x_um - 47.5 * 0.13]
    assert translation["translation"] == pytest.approx(first)
    properties = mine.attrs["image-label"]["properties"]
    assert properties[0]["her2_sr_merged"] == 9
    assert properties[2]["exclusion_reason"] == "touches the border of the frame"


def test_a_field_without_an_image_of_nuclei_has_no_labels(run):
    run.labels("r00_c00").unlink()
    assert [p.name for p in report_run(run)][-1] == "counts.parquet"


def test_the_report_tells_regions_and_counts_tumour_alone(run):
    mark(run, n1="invasive", n2="normal")
    report_run(run, exports=False)
    assert not run.exports.exists()
    page = run.report.read_text()
    assert "1 nuclei scored; HER2 : CEP17 in every arm" in page
    assert "1 nuclei accepted, and not of invasive tumour" in page
    assert "not scored: not tumour" in page
    assert "1 counted, ratio 1.00" in page
    assert "95 % (in all)" in page
    assert "Not validated on real HER2 slides" in page


def test_a_marked_run_in_a_cohort_counts_tumour_alone(run, tmp_path):
    mark(run, n1="invasive", n2="other")
    close_run(run)
    path = tmp_path / "cohort.csv"
    path.write_text("sample,status,run\na,positive,r1\n")
    page = describe_cohort(CohortRequest(path, tmp_path / "out"))
    figures = page.cohort.samples[0].arms["sr"]
    assert (figures.nuclei, figures.her2_nuclei, figures.her2_signals) == (1, 1, 9)


def light(nm, lit_s, frames):
    data = {"nm": nm, "power_percent": 40.0, "lit_s": lit_s, "frames": frames}
    return {"kind": "light", "data": data}


def started(field):
    return {"kind": "unit started", "data": {"unit": {"field": field}}}


def write_events(run, *events):
    lines = [json.dumps(one, separators=(",", ":")) for one in events]
    run.events.write_text("\n".join([*lines, "no json"]) + "\n")


def conditions(run):
    results = [
        FieldResult(run="r1", field="f", profile="p", profile_digest="d", nuclei=())
    ]
    return conditions_of(run, read_manifest(run), results)


def test_dose_is_summed_by_line_and_told_for_the_field_that_had_most(run):
    write_events(
        run,
        started("r00_c00"),
        light(561, 10.0, 300),
        started("r00_c01"),
        light(561, 12.0, 300),
        started("r00_c01"),
        light(488, 5.0, 100),
    )
    green, red = conditions(run).doses
    assert (green.nm, red.nm) == (488, 561)
    assert (red.exposures, red.frames) == (2, 600)
    assert (red.lit_s, red.most_lit_s) == (22.0, 12.0)
    assert red.full_power_s == pytest.approx(4.8)
    report_run(run, exports=False)
    page = run.report.read_text()
    assert "561 nm" in page
    assert "these are its bursts alone" in page


def test_every_exposure_counts_where_the_run_records_them(run):
    write_events(run, light(561, 99.0, 1))
    line = {
        "nm": 561,
        "power_percent": 5.0,
        "field": "r00_c00",
        "light_s": 0.2,
        "frames": 2,
    }
    lines = [line | {"purpose": p} for p in ("focus", "burst", "focus")]
    run.dose.write_text("".join(json.dumps(one) + "\n" for one in (*lines, {"nm": 1})))
    burst, focus = conditions(run).doses
    assert (burst.purpose, focus.purpose) == ("burst", "focus")
    assert focus.lit_s == pytest.approx(0.4)
    report_run(run, exports=False)
    assert "these are its bursts alone" not in run.report.read_text()


def test_focus_of_the_bursts_is_told_where_it_is_recorded(run):
    with run.ledger.open("a") as file:
        for z_end, lost in ((1.02, None), (0.95, 30)):
            record = {"z_um": 1.0, "z_end_um": z_end, "lost_at_frame": lost}
            file.write(json.dumps({"focus": record | {"method": "image"}}) + "\n")
    focus = conditions(run).focus
    assert (focus.method, focus.units, focus.lost) == ("image", 2, 1)
    assert focus.largest_drift_um == pytest.approx(0.05)


def counted(end, coincident, reason=""):
    """A field whose counter tells its ensemble phase and its staining."""
    phase = SimpleNamespace(frames=40, end=end, reason=reason)
    staining = SimpleNamespace(
        signals={"HER2": 100, "CEP17": 40}, coincident=coincident, by_chance=2.0
    )
    return SimpleNamespace(ensemble={"561": phase}, staining=staining)


def test_ensemble_phase_and_crosstalk_are_told_where_fields_carry_them(run):
    fields = [counted(10.0, 6), counted(20.0, 6), counted(None, 6, "too few loci")]
    found = conditions_of(run, read_manifest(run), fields)
    (phase,) = found.phases
    assert (phase.channel, phase.fields) == ("561", 2)
    assert phase.ensemble_share == pytest.approx(15 / 40)
    assert phase.unknown == ("too few loci",)
    assert found.crosstalk.share == pytest.approx((18 - 6) / 120)


def test_coincidence_below_chance_is_no_crosstalk(run):
    found = conditions_of(run, read_manifest(run), [counted(10.0, 1)])
    assert found.crosstalk.share == 0.0


def test_a_run_that_recorded_nothing_says_so(run):
    found = conditions(run)
    assert (found.doses, found.phases, found.crosstalk) == ((), (), None)
    page = run.report.read_text()
    assert "Dose: not recorded in this run." in page
    assert "none were marked, so that the internal control is missing" in page


def test_many_runs_stand_on_one_page_each_with_its_link(run, tmp_path):
    other = tmp_path / "r2"
    shutil.copytree(run.root, other)
    out = tmp_path / "pages" / "runs.html"
    page, table = report_cohort([run, RunFolder(other)], out)
    text = page.read_text()
    assert BANNER in text
    assert 'href="../r1/report.html"' in text
    assert text.count("if all tumour") == 2
    assert table.read_text().startswith(f"# {BANNER}\nsample,run,headline")


def test_wrong_requests_write_nothing_and_say_what_to_do(run, tmp_path):
    out = tmp_path / "runs.html"
    with pytest.raises(RequestError, match="--out"):
        report_cohort([run, run], None)
    with pytest.raises(RequestError, match="twice"):
        report_cohort([run, run], out)
    with pytest.raises(RequestError, match=r"ends in \.html"):
        report_cohort([run], tmp_path / "runs.pdf")
    with pytest.raises(StateError, match="no run folder"):
        report_cohort([run, RunFolder(tmp_path)], out)
    run.result.unlink()
    with pytest.raises(StateError, match="no result yet"):
        report_cohort([run], out)
    assert not out.exists()


def test_the_verb_prints_what_it_wrote_and_the_banner(run, tmp_path):
    done = CliRunner().invoke(build(), ["report", str(run.root), "--json"])
    assert done.exit_code == 0
    assert str(run.report) in json.loads(done.stdout)["wrote"]
    assert read_result(run).run == run.name
