"""`her2sr statistics`: a CSV in; page, tables and figures out, all with the banner."""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import paper_cohort
import pytest
from PIL import Image
from run_folders import make_run

from her2sr_acq.cli import main
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.counts import FieldResult, NucleusCounts, ProbeCount, SignalMark
from her2sr_proc.schema.results import ARMS, Accounting, Arm, RunResult
from her2sr_proc.store.images import write_tiff
from her2sr_proc.store.results import write_field, write_result

SIZE = 64


def told(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["statistics", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def with_counts() -> list[dict[str, str]]:
    """Return the paper's rows with counts made up, instead of the groups."""
    rows = paper_cohort.rows()
    for n, row in enumerate(rows):
        for arm, factor in (("conventional", 2), ("sr", 3)):
            del row[f"group_{arm}"]
            row[f"nuclei_{arm}"] = str(10 + n)
            row[f"her2_{arm}_signals"] = str(factor * (10 + 2 * n))
            row[f"cep17_{arm}_signals"] = str(14 + n)
    return rows


def make_processed_run(root: Path) -> None:
    """Write a run of one field: a nucleus of 6 HER2, one of 4, and one excluded."""
    frames = {"561": 50, "488": 50, "405": 10}
    run = make_run(root, frames=frames, size=SIZE)
    labels = np.zeros((SIZE, SIZE), np.int32)
    labels[8:28, 8:28], labels[36:56, 30:50] = 1, 2
    rng = np.random.default_rng(1)
    write_tiff(run.labels("r00_c00"), labels, pixel_nm=130)
    for channel in frames:
        ground = rng.gamma(2.0, 5.0, (SIZE, SIZE)).astype(np.float32)
        ground += 50.0 * (labels > 0)
        for kind in ("conventional", "mean", "superresolution"):
            write_tiff(run.image("r00_c00", channel, kind), ground, pixel_nm=130)

    def counts(her2, cep17):
        pair = {
            "HER2": ProbeCount(count=her2, low=her2, high=her2, ambiguous=her2 == 6),
            "CEP17": ProbeCount(count=cep17, low=cep17, high=cep17),
        }
        return dict.fromkeys(ARMS, pair)

    nuclei = [(1, 6, 2, False), (2, 4, 0, False), (3, 9, 9, True)]
    field = FieldResult(
        run=run.name,
        field="r00_c00",
        profile="recommended",
        profile_digest="d",
        nuclei=tuple(
            NucleusCounts(
                nucleus=n,
                x_um=0,
                y_um=0,
                area_um2=50,
                quality=1,
                excluded=excluded,
                counts=counts(her2, cep17),
            )
            for n, her2, cep17, excluded in nuclei
        ),
        signals=tuple(
            SignalMark(
                arm=arm,
                probe="HER2",
                nucleus=1,
                x_px=18,
                y_px=18,
                sigma_nm=90,
                strength=1,
            )
            for arm in ARMS
        ),
    )
    write_field(run, field)
    arm = Arm(
        her2_signals=10,
        cep17_signals=2,
        nuclei=2,
        her2_per_nucleus=5.0,
        cep17_per_nucleus=1.0,
        ratio=5.0,
        ratio_interval_95=None,
        group=1,
        status="insufficient",
    )
    taps = "requested delivered written published replayed localizable localized"
    result = RunResult(
        run=run.name,
        arms=dict.fromkeys(ARMS, arm),
        headline="sr_merged",
        channel_map={"561": "HER2", "488": "CEP17", "405": "DAPI"},
        profile="recommended",
        profile_digest="d",
        accounting=Accounting(**dict.fromkeys(taps.split(), 0)),
    )
    write_result(run, result)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A cohort with counts, two samples of which have a run, written once."""
    root = tmp_path_factory.mktemp("cohort")
    make_processed_run(root / "runs" / "r1")
    rows = with_counts()
    for n, row in enumerate(rows):
        row["run"] = "runs/r1" if n in (0, 5) else ""
    (root / "study.csv").write_text(paper_cohort.as_csv(rows))
    lines = ["label,mean_adu,sd_adu,threshold_adu"]
    lines += [f"{n},{100 + n * n},{200 + 9 * n},{700 + 40 * n}" for n in range(8)]
    (root / "thresholds.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(SystemExit) as end:
        main(
            [
                *("statistics", str(root / "study.csv"), "--out", str(root / "out")),
                *("--thresholds", str(root / "thresholds.csv"), "--arm", "sr"),
            ]
        )
    assert not end.value.code
    return root / "out"


FIGURES = ("figure2", "figure3", "figure4", "figure5", "bland_altman")
TABLES = ("table1", "table2", "table3", "agreement", "tests")


def records(path: Path) -> list[list[str]]:
    lines = path.read_text().splitlines()
    assert lines[0] == f"# {BANNER}"
    return list(csv.reader(lines[1:]))


def test_everything_that_was_asked_for_is_there_and_nothing_else(written):
    wanted = {"statistics.html", "statistics.json"}
    wanted |= {f"{name}.csv" for name in (*TABLES, *FIGURES)}
    wanted |= {f"{name}.{form}" for name in FIGURES for form in ("png", "svg")}
    assert {path.name for path in written.iterdir()} == wanted


@pytest.mark.parametrize("name", [*TABLES, *FIGURES])
def test_tables_are_rectangles_under_the_banner(written, name):
    rows = records(written / f"{name}.csv")
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_pictures_with_the_banner(written, name):
    with Image.open(written / f"{name}.png") as picture:
        assert min(picture.size) > 500
        assert picture.text["Description"] == BANNER
        pixels = np.asarray(picture.convert("L"))
    assert pixels.std() > 5
    # the line at the bottom is drawn, not only told
    assert pixels[-60:, pixels.shape[1] // 2 - 200 :].min() < 128
    svg = (written / f"{name}.svg").read_text()
    assert BANNER in svg
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_the_page_stands_alone_under_the_banner(written):
    page = (written / "statistics.html").read_text()
    assert page.count(BANNER) >= 2
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "@media print" in page
    for number in (1, 2, 3):
        assert f"Table {number}." in page
    for number in (2, 3, 4, 5):
        assert f"Figure {number}." in page


def test_every_test_is_told_with_all_that_judges_it(written):
    header, *rows = records(written / "tests.csv")
    for row in rows:
        one = dict(zip(header, row, strict=True))
        assert one["method"]
        assert one["exactness"] in ("exact", "asymptotic")
        assert re.fullmatch(r"\d+( \+ \d+)?", one["n"])
        assert one["zeros"].isdigit()
        assert one["ties"].isdigit()
        assert 0 < float(one["p"]) <= 1
    said = json.loads((written / "statistics.json").read_text())
    assert said["banner"] == BANNER
    assert len(said["tests"]) == len(rows) > 20


def test_numbers_of_table_2_are_those_of_the_csv(written):
    rows = records(written / "table2.csv")
    names = [row[0] for row in rows]
    # negative samples 6 to 14 of the list: 2 * (10 + 2 n), n from 5 to 13
    at = names.index("HER2 signals")
    assert rows[at][1:4] == ["56 (40; 72)", "84 (60; 108)", "9"]
    assert rows[at][5] == "0.004"  # nine pairs that all rise: 2 / 2**9


def test_figure_3_names_the_nucleus_nearest_the_mean_with_both_probes(written):
    rows = records(written / "figure3.csv")
    assert rows[1][0] == "p1, HER2-positive, r00_c00 nucleus 1"
    assert rows[1][1:] == [
        "conventional: 6 HER2, 2 CEP17",
        "super-resolution: 6 HER2, 2 CEP17",
    ]
    assert rows[2][0].startswith("n1, HER2-negative")


def test_the_same_cohort_gives_the_same_bytes(tmp_path, capsys):
    (tmp_path / "c.csv").write_text(paper_cohort.as_csv(with_counts()))
    for out in ("first", "second"):
        told(capsys, tmp_path / "c.csv", "--out", tmp_path / out, "--arm", "sr")
    first = list((tmp_path / "first").iterdir())
    assert {"figure4.svg", "figure4.png"} <= {path.name for path in first}
    for path in first:
        again = tmp_path / "second" / path.name
        assert path.read_bytes() == again.read_bytes(), path.name


def test_counts_of_a_run_fill_what_the_csv_does_not_tell(tmp_path, capsys):
    make_processed_run(tmp_path / "r1")
    text = "sample,status,run\na,positive,r1\nb,negative,\n"
    (tmp_path / "c.csv").write_text(text)
    code, out, _ = told(capsys, tmp_path / "c.csv", "--out", tmp_path / "o", "--json")
    assert code == 0
    said = json.loads(out)
    assert said["superresolution_arm"] == "Super-resolution, doublets merged"
    rows = [row for row in said["tables"]["table2"] if row["Conventional"] not in "–"]
    cells = {row["Quantity"]: row["Conventional"] for row in rows}
    assert cells["HER2 signals"] == "10"
    assert cells["Nuclei with HER2 signals"] == "2"
    assert cells["Nuclei with CEP17 signals"] == "1"
    assert cells["Nuclei with ambiguous HER2 signals"] == "1"
    assert cells["HER2/CEP17 ratio"] == "5.00"
    assert said["tables"]["table3"][0]["Group 1"] == "1"
    assert any("fewer than 20 nuclei" in warning for warning in said["warnings"])


def test_without_runs_and_thresholds_the_figures_say_what_is_missing(tmp_path, capsys):
    (tmp_path / "c.csv").write_text(paper_cohort.as_csv())
    out = tmp_path / "o"
    (out).mkdir()
    (out / "figure4.png").write_bytes(b"of an earlier cohort")
    code, said, _ = told(capsys, tmp_path / "c.csv", "--out", out)
    assert code == 0
    for figure in ("figure2", "figure3", "figure4", "figure5"):
        assert f"{figure} left out: " in said
        assert not (out / f"{figure}.png").exists()
    page = (out / "statistics.html").read_text()
    assert "--thresholds" in page
    assert "the column &#39;run&#39;" in page


def test_text_of_the_csv_is_shown_and_never_run(tmp_path, capsys):
    rows = [
        {"sample": f"s{n}", "status": status, "nominal:x": f"<script>{n}</script>"}
        for n, status in enumerate(("positive", "negative"))
    ]
    (tmp_path / "c.csv").write_text(paper_cohort.as_csv(rows))
    told(capsys, tmp_path / "c.csv", "--out", tmp_path / "o")
    page = (tmp_path / "o" / "statistics.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;0" in page


def test_observers_are_compared_where_asked_and_gone_where_not(tmp_path, capsys):
    (tmp_path / "c.csv").write_text(paper_cohort.as_csv())
    lines = ["case,observer,her2,cep17,group"]
    lines += [
        f"n{n},{who},{n % 5 + more * (n % 2)},2,{5 - n % 2}"
        for who, more in (("A", 0), ("B", 1))
        for n in range(12)
    ]
    (tmp_path / "o.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    code, _, _ = told(
        capsys, tmp_path / "c.csv", "--out", out, "--observers", tmp_path / "o.csv"
    )
    assert code == 0
    names = ("observers.csv", "observers_bland_altman.png")
    assert all((out / name).exists() for name in names)
    cells = {row[0]: row[1] for row in records(out / "observers.csv")}
    assert cells["Same group"] == "12 of 12"
    assert "Agreement of observers" in (out / "statistics.html").read_text()
    told(capsys, tmp_path / "c.csv", "--out", out)
    assert not any((out / name).exists() for name in names)


REFUSED = [
    pytest.param(["none.csv", "--out", "o"], "there is no file", id="no file"),
    pytest.param(["c.csv", "--out", "c.csv"], "is a file", id="out is a file"),
    pytest.param(["c.csv", "--out", "o", "--arm", "sr_merged"], "choose", id="no arm"),
    pytest.param(["c.csv", "--out", "o", "--arm", "dull"], "--arm", id="unknown arm"),
    pytest.param(["run.csv", "--out", "o"], "is no run folder", id="no run"),
    pytest.param(["c.csv"], "--out", id="no out"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_a_wrong_request_is_one_sentence_and_writes_nothing(
    tmp_path, capsys, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    Path("c.csv").write_text(paper_cohort.as_csv())
    Path("run.csv").write_text("sample,status,run\na,positive,nowhere\n")
    code, out, err = told(capsys, *arguments)
    line = err.removeprefix(f"{BANNER}\n")
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", line), err
    assert words in line
    assert not Path("o").exists()
