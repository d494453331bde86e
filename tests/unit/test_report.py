"""The report is one page that tells everything, and asks no network for anything."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from her2sr_proc.comparison import Comparison, TrueCounts
from her2sr_proc.report.charts import Series, histogram
from her2sr_proc.report.page import FieldView, ReportData, render
from her2sr_proc.report.pictures import PROBE_RGB, Stretch, composite
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.counts import (
    FieldResult,
    NucleusCounts,
    ProbeCount,
    SignalMark,
)
from her2sr_proc.schema.manifest import ChannelFacts, FieldFacts, Manifest
from her2sr_proc.schema.results import (
    ARMS,
    Accounting,
    RunResult,
    Truth,
    UnitAccounting,
)
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import Sample, assess, score

SIZE = 96
FIELDS = ("r00_c00", "r00_c01")


def channel(name, probe, frames, role="signal"):
    return ChannelFacts(
        name=name,
        probe=probe,
        laser_nm=int(name),
        power_percent=40,
        exposure_ms=30,
        frames=frames,
        role=role,
    )


MANIFEST = Manifest(
    run="20260101-000000-demo",
    created_utc="2026-01-01T00:00:00Z",
    sample="sample-<1>",
    operator="operator-7",
    protocol="demo",
    plan={},
    channels=(
        channel("561", "HER2", 400),
        channel("488", "CEP17", 400),
        channel("405", "DAPI", 100, "nuclei"),
    ),
    fields=tuple(
        FieldFacts(name=name, row=0, column=i, x_um=12.48 * i, y_um=0)
        for i, name in enumerate(FIELDS)
    ),
    frame_height=SIZE,
    frame_width=SIZE,
    camera=CameraModel(),
    configuration="simulated",
    configuration_sha256="ab" * 32,
    simulation={"seed": 7, "kinetics_factor": 12.5, "time_scale": 20.0},
    versions={"her2sr": "0.1.0"},
)


def count(n, slack=0):
    return ProbeCount(count=n, ambiguous=slack > 0, low=n - slack, high=n + slack)


def nucleus(label, her2, cep17, reason=""):
    return NucleusCounts(
        nucleus=label,
        x_um=3.0 * label,
        y_um=1.0,
        area_um2=70,
        quality=0.8,
        excluded=bool(reason),
        exclusion_reason=reason,
        counts={arm: {"HER2": count(her2, 1), "CEP17": count(cep17)} for arm in ARMS},
    )


def field_view(name):
    generator = np.random.default_rng(len(name))
    labels = np.zeros((SIZE, SIZE), np.int32)
    labels[10:50, 10:50] = 1
    labels[0:30, 60:90] = 2
    images = [
        (probe, generator.poisson(20 + 50 * (labels > 0)).astype(np.float32))
        for probe in ("DAPI", "CEP17", "HER2")
    ]
    marks = tuple(
        SignalMark(
            arm=arm,
            probe="HER2",
            nucleus=1,
            x_px=20,
            y_px=30,
            sigma_nm=120,
            strength=1,
        )
        for arm in ARMS
    )
    result = FieldResult(
        run=MANIFEST.run,
        field=name,
        profile="recommended",
        profile_digest="d",
        nuclei=(nucleus(1, 9, 3), nucleus(2, 4, 2, "touches the border of the frame")),
        signals=marks,
    )
    sparse = [("HER2", np.zeros((4 * SIZE, 4 * SIZE), np.float32))]
    return FieldView(result, 12.48 * int(name[-1]), 0.0, labels, images, lambda: sparse)


def arm(her2, cep17):
    return score(
        np.full(24, her2),
        np.full(24, cep17),
        params=ScoreParams(resamples=100),
        generator=np.random.default_rng(1),
    )


def accounting(written=400):
    unit = UnitAccounting(
        field="r00_c00",
        channel="561",
        attempt=1,
        state="partial" if written < 400 else "complete",
        reason="stage stuck" if written < 400 else "",
        requested=400,
        delivered=written,
        written=written,
        published=300,
        replayed=100,
        localizable=written,
        localized=written,
        ensemble_light_frames=37,
        localizations=8123,
    )
    taps = unit.model_dump(include=set(Accounting.model_fields) - {"units"})
    return Accounting(**taps, units=(unit,))


def unmarked():
    """Return an assessed arm of nuclei that nobody marked."""
    counts = np.full(24, 9), np.full(24, 3)
    nobody = Sample(*counts, region=np.zeros(24, np.int64))
    generator = np.random.default_rng(1)
    return assess(nobody, params=ScoreParams(resamples=100), generator=generator)


def report_data(*, simulated=True, written=400, fields=FIELDS, assessed=False):
    truth = Truth(
        copies=arm(8, 3),
        signals=arm(9, 3),
        whole_tumour_nuclei=30,
        whole_tumour_nuclei_scored=24,
    )
    result = RunResult(
        run=MANIFEST.run,
        arms={name: unmarked().arm if assessed else arm(9, 3) for name in ARMS},
        assessment=unmarked().assessment if assessed else None,
        headline="sr_merged",
        channel_map={"561": "HER2", "488": "CEP17", "405": "DAPI"},
        profile="recommended",
        profile_digest="0123456789abcdef",
        accounting=accounting(written),
        flags=("simulated specimen",),
        truth=truth if simulated else None,
    )
    rows = tuple(
        TrueCounts(f, 1, {"HER2": 8, "CEP17": 3}, {"HER2": 9, "CEP17": 3})
        for f in FIELDS
    )
    return ReportData(
        manifest=MANIFEST,
        result=result,
        fields=[lambda name=name: field_view(name) for name in fields],
        comparison=Comparison(truth, rows) if simulated else None,
        made_with={"numpy": "2.4"},
    )


@pytest.fixture(scope="module")
def page():
    return render(report_data())


class Links(HTMLParser):
    """Collects every address that the page would open."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, _tag, attributes):
        self.addresses += [v for k, v in attributes if k in ("src", "href")]


def test_the_page_opens_nothing_but_itself(page):
    links = Links()
    links.feed(page)
    assert links.addresses
    assert all(a.startswith(("data:image/jpeg;base64,", "#")) for a in links.addresses)
    assert "<script" not in page
    assert not re.search(r"url\(|@import", page)


def test_the_banner_stands_above_and_below(page):
    body, style = page.split("<body>")[1], page.split("<body>")[0]
    assert body.count(BANNER) == 2
    assert f'@bottom-center {{ content: "{BANNER}"' in style  # of every printed page


def test_the_headline_says_group_ratio_and_interval(page):
    assert "Group 1" in page
    assert "3.00" in page
    assert "3.00 to 3.00" in page


def test_an_unmarked_run_has_no_group_and_says_what_is_missing():
    text = render(report_data(assessed=True))
    assert "No group" in text
    assert "would form group 1" in text
    assert "Not final." in text
    assert "no region was marked" in text
    assert "not tested: too few" in text


def test_names_from_outside_are_escaped(page):
    assert "sample-&lt;1&gt;" in page
    assert "sample-<1>" not in page


def test_truth_stands_beside_the_answer_of_a_simulated_run(page):
    assert "truth: copies" in page
    assert "24 of 30 tumour nuclei" in page
    assert "mean difference +1.00" in page


def test_a_real_run_speaks_of_no_truth():
    page = render(report_data(simulated=False))
    assert "truth" not in page.split("</style>")[1].lower()


def test_provenance_names_seed_factor_digest_and_versions(page):
    for fact in ("kinetics_factor", "12.5", "0123456789abcdef", "numpy 2.4", "her2sr"):
        assert fact in page


def test_every_field_has_both_pictures_with_bars_and_counts(page):
    assert page.count("µm</text>") == 1 + 2 * len(FIELDS)
    assert page.count('class="count"') == 2 * len(FIELDS)  # the excluded has none
    assert page.count("<img ") == 1 + 2 * len(FIELDS)


def test_a_partial_unit_is_marked():
    page = render(report_data(written=200))
    assert "stage stuck" in page
    assert "Frames are missing" in page


def test_a_run_without_any_field_still_has_a_page():
    page = render(report_data(fields=()))
    assert "No field has an image." in page
    assert "No nuclei were found." in page


def test_the_histogram_draws_a_bar_for_every_count_that_occurs():
    svg = histogram([Series("a", "sr", [2, 2, 5, 99])], "HER2")
    assert svg.count("<rect") == 3
    assert "30+" in svg


def test_a_composite_shows_each_probe_in_its_colour():
    image = np.zeros((10, 10), np.float32)
    image[:5] = 1
    picture = composite([("HER2", image, Stretch(0, 1))], 20)
    assert picture.shape == (20, 20, 3)
    np.testing.assert_array_equal(
        picture[0, 0], (np.array(PROBE_RGB["HER2"]) * 255).astype(int)
    )
    assert picture[-1, 0].max() == 0


def test_the_report_says_how_many_frames_showed_ensemble_light(page):
    assert '<td class="n">37</td></tr>' in page
    assert "the middle of that blob, not one dye" in page
