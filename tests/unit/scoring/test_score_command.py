"""`her2sr score`: totals, tables, marks and cases from the command line."""

import csv
import json

import numpy as np
import pytest

from her2sr_acq.cli import main
from her2sr_proc.schema.banner import BANNER

MAP = ["--channel-map", "561=HER2,488=CEP17"]


def told(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["score", *(str(a) for a in arguments)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def answer(capsys, *arguments):
    code, out, err = told(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def refused(capsys, *arguments):
    code, out, err = told(capsys, *arguments)
    assert (code, out) in ((2, ""), (1, ""))
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return code, err


def totals(her2, cep17, nuclei=20):
    return ["--her2", her2, "--cep17", cep17, "--nuclei", nuclei]


@pytest.fixture
def table(tmp_path):
    """Write a table of counts; values of a row are her2, cep17 and perhaps region."""

    def write(rows, name="counts.csv", **extra):
        path = tmp_path / name
        columns = ["field", "nucleus", "x_um", "y_um", "her2_sr_merged"]
        columns += ["cep17_sr_merged", "region", *extra]
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for n, (her2, cep17, region) in enumerate(rows):
                place = [f"r00_c{n % 6:02d}", n, 10.0 * n, 5.0]
                writer.writerow([*place, her2, cep17, region, *extra.values()])
        return path

    return write


SCORED = [
    pytest.param(160, 40, None, 1, "definite", "positive", id="G1"),
    pytest.param(40, 40, None, 5, "definite", "negative", id="G5"),
    *(
        pytest.param(h, c, ihc, group, status, outcome, id=f"G{group} IHC {ihc}")
        for group, h, c in ((2, 3000, 1000), (3, 8000, 6000), (4, 5000, 4000))
        for ihc, status, outcome in (
            (None, "needs_ihc", None),
            (0, "definite", "negative"),
            (1, "definite", "negative"),
            (2, "needs_recount", None),
            (3, "definite", "positive"),
        )
    ),
]


@pytest.mark.parametrize(("her2", "cep17", "ihc", "group", "status", "outcome"), SCORED)
def test_totals_with_ihc(capsys, her2, cep17, ihc, group, status, outcome):
    nuclei = 1000 if her2 > 1000 else 20
    more = [] if ihc is None else ["--ihc", ihc]
    found = answer(capsys, *totals(her2, cep17, nuclei), *more)
    assert (found["group"], found["status"]) == (group, status)
    assert found["outcome"] == outcome
    assert found["final"] is False
    assert found["banner"] == BANNER


def test_no_cep17_signal_prints_no_infinity(capsys):
    found = answer(capsys, *totals(100, 0))
    assert (found["ratio"], found["group"]) == (None, None)
    assert found["status"] == "indeterminate"


WRONG = [
    pytest.param([], "nothing to score", id="nothing"),
    pytest.param(["--her2", 3], "all three", id="half of the totals"),
    pytest.param([*totals(1, 1), "--ihc", 4], "--ihc", id="IHC 4"),
    pytest.param([*totals(1, 1), "--ihc", -1], "--ihc", id="IHC -1"),
    pytest.param(totals(-1, 1), "cannot be", id="negative"),
    pytest.param(totals(5, 5, 0), "without a nucleus", id="no nuclei"),
    pytest.param(
        [*totals(1, 1), "--evidence", "e.json"], "give COUNTS", id="evidence of totals"
    ),
    pytest.param([*totals(1, 1), "--channel-map", "561=X"], "no channel map", id="map"),
    pytest.param([*totals(1, 1), "--sign", "ok"], "--record", id="no record"),
    pytest.param([*totals(1, 1), "--by", "Jane Doe"], "pseudonym", id="a name"),
    pytest.param([*totals(1, 1), "--sign", "x" * 201], "200", id="a long meaning"),
    pytest.param(["nowhere.csv"], "nowhere.csv", id="no file"),
]


@pytest.mark.parametrize(("arguments", "word"), WRONG)
def test_a_wrong_request_is_one_sentence(capsys, arguments, word):
    assert word in refused(capsys, *arguments)[1]


def test_a_single_probe_is_scored_by_its_own_limits(capsys):
    found = answer(capsys, "--single-probe", "--her2", 120, "--nuclei", 20)
    assert (found["outcome"], found["final"]) == ("positive", False)


def test_a_table_without_marks_has_no_group_and_says_why(capsys, table):
    found = answer(capsys, table([(8, 2, "unmarked")] * 24), *MAP)
    assert (found["group"], found["status"]) == (None, "insufficient")
    assert "no region was marked" in found["reasons"][0]
    assert found["unmarked_group"] == 1


def test_a_marked_table_is_scored_over_the_tumour_alone(capsys, table):
    path = table([(8, 2, "invasive")] * 24 + [(2, 2, "normal")] * 24)
    found = answer(capsys, path, *MAP)
    assert (found["group"], found["nuclei"]) == (1, 24)
    assert found["assessment"]["control"]["normal"]["ratio"] == 1.0
    assert found["ratio_interval_total"][0] < found["ratio_interval_95"][0]


def test_a_named_person_may_mark_all(capsys, table):
    path = table([(8, 2, "unmarked")] * 24)
    assert "--by" in refused(capsys, path, "--marks", "all")[1]
    found = answer(capsys, path, "--marks", "all", "--by", "observer-1")
    assert found["group"] == 1


def test_a_table_without_channel_map_is_never_final(capsys, table):
    found = answer(capsys, table([(8, 2, "invasive")] * 24))
    assert any("no channel map" in b for b in found["blockers"])


def test_areas_drawn_in_qupath_mark_the_nuclei_inside(capsys, table, tmp_path):
    path = table([(8, 2, "unmarked")] * 24 + [(2, 2, "unmarked")] * 24)
    square = [[-5, 0], [236, 0], [236, 10], [-5, 10], [-5, 0]]
    rest = [[[[236, 0], [900, 0], [900, 10], [236, 10], [236, 0]]]]
    drawn = [("Polygon", [square], "Tumor"), ("MultiPolygon", rest, "Normal")]
    areas = tmp_path / "areas.geojson"
    features = [
        {
            "type": "Feature",
            "geometry": {"type": kind, "coordinates": shape},
            "properties": {"classification": {"name": name}},
        }
        for kind, shape, name in drawn
    ]
    areas.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = answer(capsys, path, "--marks", areas, "--by", "observer-1", *MAP)
    assert found["nuclei"] == 24
    assert found["assessment"]["control"]["normal"]["nuclei"] == 24
    assert found["assessment"]["areas"] == 1


BROKEN = [
    pytest.param("her2,cep17\n1.5,2\n", "whole numbers", id="half a signal"),
    pytest.param("her2,cep17\n-1,2\n", "whole numbers", id="negative"),
    pytest.param("her2,cep17\nnan,2\n", "whole numbers", id="not a number"),
    pytest.param("her2,cep17\n,2\n", "whole numbers", id="empty"),
    pytest.param("her2,her2,cep17\n1,1,2\n", "two columns", id="twice"),
    pytest.param("a,b\n1,2\n", "lacks", id="no counts"),
    pytest.param("", "lacks", id="empty file"),
    pytest.param("her2,cep17,region\n1,1,tumor\n", "choose from", id="region"),
    pytest.param("her2,cep17,x_um,y_um\n1,1,inf,0\n", "finite", id="infinite place"),
    pytest.param("field,nucleus,her2,cep17\na,1,1,1\na,1,1,1\n", "twice", id="double"),
    pytest.param("her2,cep17\n\xff\xfe,2\n", "whole numbers", id="odd letters"),
]


@pytest.mark.parametrize(("text", "word"), BROKEN)
def test_a_broken_table_is_named_with_its_row(capsys, tmp_path, text, word):
    path = tmp_path / "counts.csv"
    path.write_text(text)
    code, err = refused(capsys, path)
    assert code == 2
    assert word in err


DRAWN = [
    pytest.param("nonsense", "holds no areas", id="no JSON"),
    pytest.param("[" * 100_000, "holds no areas", id="nested without end"),
    pytest.param('{"features": [1]}', "holds no areas", id="no feature"),
    pytest.param('{"features": []}', "no nucleus", id="no area"),
    pytest.param(
        '[{"geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": '
        '{"classification": {"name": "Tumor"}}}]',
        "not a polygon",
        id="a point",
    ),
    pytest.param(
        '[{"geometry": {"type": "Polygon", "coordinates": [[[0,0],[1,NaN],[1,1]]]}, '
        '"properties": {"classification": {"name": "Tumor"}}}]',
        "no number",
        id="not a number",
    ),
    pytest.param(
        '[{"geometry": {"type": "Polygon", "coordinates": []}, "properties": {}}]',
        "no class",
        id="no class",
    ),
]


@pytest.mark.parametrize(("text", "word"), DRAWN)
def test_broken_areas_are_one_sentence(capsys, table, tmp_path, text, word):
    areas = tmp_path / "areas.geojson"
    areas.write_text(text)
    path = table([(8, 2, "unmarked")] * 24)
    assert word in refused(capsys, path, "--marks", areas, "--by", "a")[1]


def test_marks_of_unknown_nuclei_are_refused(capsys, table, tmp_path):
    marks = tmp_path / "marks.csv"
    marks.write_text("field,nucleus,region\nr09_c09,1,invasive\n")
    path = table([(8, 2, "unmarked")] * 24)
    assert "do not hold" in refused(capsys, path, "--marks", marks, "--by", "a")[1]


# --- a case from count to signature --------------------------------------------------


@pytest.fixture
def slide(table, tmp_path):
    """A table that nothing stands against: group 2, with controls and evidence."""
    counts = ((3, 1, "invasive"), (3, 1, "invasive"))
    path = table([*counts * 40, *[(2, 2, "normal")] * 60])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    ends = ("low", "high")
    for row in rows:
        for stem in ("her2_sr_merged", "cep17_sr_merged"):
            row |= {f"{stem}_{end}": row[stem] for end in ends}
            row[f"{stem}_ambiguous"] = "false"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    evidence = tmp_path / "evidence.json"
    evidence.write_text(
        json.dumps(
            {
                "cytoplasm_share": 0.0,
                "autofluorescence_share": 0.0,
                "nuclear_resolution": 0.9,
                "external_controls_passed": True,
            }
        )
    )
    record = tmp_path / "case.jsonl"
    return [path, *MAP, "--evidence", evidence, "--record", record], record


def test_a_case_runs_from_count_to_signature(capsys, slide):
    scored, record = slide
    case = ["--record", record]
    found = answer(capsys, *scored, "--by", "first", "--accept")
    assert (found["case"]["state"], found["blockers"]) == ("needs_ihc", [])
    found = answer(capsys, *case, "--by", "first", "--ihc", 2)
    assert found["case"]["state"] == "needs_recount"
    assert "hidden" in refused(capsys, *scored, "--by", "second")[1]
    again = [*case, "--by", "second", "--recount", *totals(62, 25)]
    found = answer(capsys, *again)
    assert "her2_signals" not in found
    assert found["case"]["state"] == "needs_signature"
    found = answer(capsys, *case, "--by", "head", "--sign", "approved")
    assert found["final"] is True
    assert found["case"]["outcome"] == "negative"
    assert "little evidence" in found["case"]["comment"]
    assert found["case"]["signed_by"] == "head"


def test_a_case_with_something_against_it_cannot_be_signed(capsys, table, tmp_path):
    path = table([(8, 2, "invasive")] * 24)
    case = [path, "--record", tmp_path / "case.jsonl", "--by", "first"]
    answer(capsys, *case, "--accept")
    code, err = refused(capsys, *case, "--sign", "approved")
    assert code == 2
    assert "cannot be signed" in err


def test_every_act_needs_its_observer(capsys, slide):
    scored, record = slide
    assert "--by" in refused(capsys, *scored, "--accept")[1]
    assert not record.exists()


def test_who_reads_a_recorded_case_stands_in_the_record(capsys, slide):
    scored, record = slide
    answer(capsys, *scored, "--by", "first", "--accept")
    answer(capsys, *scored, "--by", "onlooker")
    kinds = [json.loads(x)["act"]["kind"] for x in record.read_text().splitlines()]
    assert kinds == ["counted", "viewed"]


def test_words_on_the_terminal_say_that_it_is_not_final(capsys, table):
    code, out, _ = told(capsys, table([(8, 2, "invasive")] * 24), *MAP)
    assert code == 0
    assert out.startswith(BANNER)
    assert "sampling only" in out
    assert "not final" in out
    assert "nan" not in out.lower().split()


def test_the_same_table_gives_the_same_answer(capsys, table):
    generator = np.random.default_rng(4)
    rows = [(int(h), 2, "invasive") for h in generator.poisson(5, 40)]
    path = table(rows)
    assert answer(capsys, path) == answer(capsys, path)
