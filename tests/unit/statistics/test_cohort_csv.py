"""A cohort as a CSV: what is read, and one sentence for what cannot be."""

import re
from pathlib import Path

import paper_cohort
import pytest

from her2sr_proc.errors import TableError
from her2sr_proc.schema.cohort import FEATURES
from her2sr_proc.schema.results import ARMS
from her2sr_proc.store.cohort import (
    arm_columns,
    read_cohort,
    read_observers,
    read_thresholds,
)


def written(tmp_path, text, *, encoding="utf-8"):
    path = tmp_path / "cohort.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_columns_of_counts_are_named_as_in_the_counts_of_a_run():
    names = arm_columns()
    assert names["her2_sr_signals"] == ("sr", "her2_signals")
    assert names["ratio_conventional"] == ("conventional", "ratio")
    assert names["group_sr_merged"] == ("sr_merged", "group")
    assert names["nuclei_sr"] == ("sr", "nuclei")
    assert names["her2_conventional_per_nucleus"][1] == "her2_per_nucleus"


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_spreadsheets_way_to_separate_makes_no_difference(tmp_path, sign, encoding):
    path = written(tmp_path, paper_cohort.as_csv(sign=sign), encoding=encoding)
    cohort = read_cohort(path)
    assert len(cohort.samples) == 14
    assert cohort.samples[0].features["age_years"] == 54.0
    assert cohort.samples[3].arms["conventional"].group == "unevaluable"


def test_a_comment_a_blank_line_and_an_empty_cell_are_passed_over(tmp_path):
    text = "# for research\nsample,status,age_years\n\ns1,positive,\ns2,negative,NA\n"
    cohort = read_cohort(written(tmp_path, text))
    assert [s.features for s in cohort.samples] == [{}, {}]


def test_any_characteristic_can_be_named_with_its_kind(tmp_path):
    head = "sample,status,nominal:grade,continuous:Ki67 %,ordinal:stage"
    text = f"{head}\ns1,positive,II,12.5,2\ns2,negative,III,30,1\n"
    cohort = read_cohort(written(tmp_path, text))
    assert [(f.title, f.kind) for f in cohort.features] == [
        ("grade", "nominal"),
        ("Ki67 %", "continuous"),
        ("stage", "ordinal"),
    ]
    assert cohort.samples[1].features == {
        "nominal:grade": "III",
        "continuous:Ki67 %": 30.0,
        "ordinal:stage": 1.0,
    }


HEAD = "sample,status"
REFUSED = [
    pytest.param("", "has no rows", id="empty"),
    pytest.param(f"{HEAD}\n", "has no rows", id="header alone"),
    pytest.param("status\npositive\n", "no column 'sample'", id="no sample"),
    pytest.param("sample\ns1\n", "no column 'status'", id="no status"),
    pytest.param(f"{HEAD},grade\ns,positive,1\n", "'nominal:grade'", id="unknown"),
    pytest.param(f"{HEAD},pt,pt\ns,positive,1,2\n", "two columns 'pt'", id="twice"),
    pytest.param(
        f"{HEAD}\ns,positive\ns,negative\n", "line 3: sample s stands", id="same sample"
    ),
    pytest.param(f"{HEAD}\ns,maybe\n", "line 2: status:", id="no status word"),
    pytest.param(f"{HEAD}\nJane Doe,positive\n", "line 2: sample:", id="a name"),
    pytest.param(f"{HEAD}\ns,positive,7\n", "3 cells", id="a cell too many"),
    pytest.param(f"{HEAD},ihc\ns,positive,4\n", "known are 0, 1, 2, 3", id="ihc 4"),
    pytest.param(f"{HEAD},age_years\ns,positive,nan\n", "number is", id="nan"),
    pytest.param(
        "sample;status;age_years\ns;positive;54,5\n", "with a point", id="comma"
    ),
    pytest.param(
        f"{HEAD},her2_sr_signals\ns,positive,-1\n",
        "line 2: her2_sr_signals:",
        id="negative count",
    ),
    pytest.param(
        f"{HEAD},her2_sr_signals\ns,positive,2.5\n",
        "line 2: her2_sr_signals:",
        id="half a signal",
    ),
    pytest.param(
        f"{HEAD},ratio_sr\ns,positive,inf\n", "line 2: ratio_sr:", id="infinite ratio"
    ),
    pytest.param(f"{HEAD},age_years\ns,positive,-5\n", "less than 0", id="age -5"),
    pytest.param(f"{HEAD},group_sr\ns,positive,6\n", "group_sr", id="group 6"),
    pytest.param(
        f"{HEAD},nuclei_sr,her2_sr_nuclei\ns,positive,20,21\n",
        "21 nuclei with HER2 signals are more than the 20",
        id="more than counted",
    ),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path, text, words):
    with pytest.raises(TableError) as refusal:
        read_cohort(written(tmp_path, text))
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "cohort.csv" in str(refusal.value)


def test_what_is_no_text_or_no_file_is_refused(tmp_path):
    (tmp_path / "cohort.csv").write_bytes(b"sample,status\n\xff\xfe,positive\n")
    with pytest.raises(TableError, match="UTF-8"):
        read_cohort(tmp_path / "cohort.csv")
    with pytest.raises(TableError, match="there is no file"):
        read_cohort(tmp_path / "none.csv")
    with pytest.raises(TableError, match="is a folder"):
        read_cohort(tmp_path)


def test_thresholds_need_their_three_columns(tmp_path):
    path = written(tmp_path, "mean_adu,sd_adu\n1,2\n")
    with pytest.raises(TableError, match="no column 'threshold_adu'"):
        read_thresholds(path)
    path = written(tmp_path, "mean_adu,sd_adu,threshold_adu,max\n1,2,3,4\n")
    with pytest.raises(TableError, match="unknown column 'max'"):
        read_thresholds(path)
    path = written(tmp_path, "label,mean_adu,sd_adu,threshold_adu\n1,2,3,4\n")
    assert read_thresholds(path)[0].threshold_adu == 4.0


def test_a_case_that_an_observer_read_twice_is_refused(tmp_path):
    path = written(tmp_path, "case,observer,her2\nc1,A,4\nc1,B,5\nc1,A,6\n")
    with pytest.raises(TableError, match="line 4: A read case c1 twice"):
        read_observers(path)
    path = written(tmp_path, "case,observer,her2\nc1,A,-4\n")
    with pytest.raises(TableError, match="line 2: her2:"):
        read_observers(path)


DOCS = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text()


def test_every_column_is_told_in_the_docs_and_none_that_is_not_read():
    section = DOCS.split("## The cohort's columns")[1].split("## What is computed")[0]
    cells = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    told = set(re.findall(r"`([^`]+)`", " ".join(cells)))
    generic = {f"{kind}:NAME" for kind in ("nominal", "ordinal", "continuous")}
    arms = {name for name in told if "ARM" in name}
    own = {feature.name for feature in FEATURES} | {"sample", "status", "run"}
    assert told - generic - arms == own
    names = {n.replace("ARM", arm) for n in arms for arm in ARMS}
    assert names == set(arm_columns())
