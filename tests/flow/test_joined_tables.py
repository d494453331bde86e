"""Tables in which several channels or fields are joined: nothing is mixed or lost."""

import re

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from her2sr_proc import cli_render, cli_tables
from her2sr_proc.errors import RequestError, TableError
from her2sr_proc.expression import parse
from her2sr_proc.linking import link
from her2sr_proc.schema.table import COLUMNS, Localizations, require_one_unit
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.tables import read_table, write_table

FACTS = MovieFacts(pixel_nm=130.0, height_px=80, width_px=80, frames=400)


def table(rows=300, seed=1, side_nm=300.0, frames=40):
    """Rows in no order of frames, so near that many are linked."""
    rng = np.random.default_rng(seed)
    columns = {c.name: rng.uniform(5, 30, rows).astype(c.dtype) for c in COLUMNS}
    columns["frame"] = rng.integers(0, frames, rows).astype(np.int32)
    for axis in "xy":
        columns[f"{axis}_nm"] = rng.uniform(0, side_nm, rows).astype(np.float32)
    return Localizations(columns)


def joined(seed=1):
    """Return rows of two channels and two fields, mixed."""
    rng = np.random.default_rng(seed)
    whole = table(seed=seed)
    words = {
        "channel": rng.choice(np.array(["488", "561"], object), len(whole)),
        "field": rng.choice(np.array(["r00_c00", "r00_c01"], object), len(whole)),
    }
    return Localizations({**whole.columns, **words})


def run(*arguments):
    app = typer.Typer()
    app.callback()(lambda: None)
    cli_tables.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def stored(path, rows, form="native"):
    write_table(path, rows, FACTS, form=form)
    return path


def by_hand(rows, distance_nm, gap):
    """Link as the page says, in plain Python: return (first, last, rows, photons)."""
    order = sorted(range(len(rows)), key=lambda n: (rows["frame"][n], rows["x_nm"][n]))
    molecules = []
    for frame in sorted(set(rows["frame"].tolist())):
        now = [n for n in order if rows["frame"][n] == frame]
        lit = [m for m in molecules if frame - rows["frame"][m[-1]] <= gap + 1]
        pairs = []
        for i, molecule in enumerate(lit):
            for j, n in enumerate(now):
                dx = float(rows["x_nm"][n]) - float(rows["x_nm"][molecule[-1]])
                dy = float(rows["y_nm"][n]) - float(rows["y_nm"][molecule[-1]])
                pairs.append(((dx * dx + dy * dy) ** 0.5, i, j))
        taken_i, taken_j = set(), set()
        for distance, i, j in sorted(pairs):
            if distance <= distance_nm and i not in taken_i and j not in taken_j:
                lit[i].append(now[j])
                taken_i.add(i)
                taken_j.add(j)
        molecules += [[n] for j, n in enumerate(now) if j not in taken_j]
    return sorted(
        (
            int(rows["frame"][m[0]]),
            int(rows["frame"][m[-1]]),
            len(m),
            round(sum(float(rows["photons"][n]) for n in m), 1),
        )
        for m in molecules
    )


def told(linked):
    names = ("frame", "last_frame", "detections")
    numbers = zip(*(linked[name].tolist() for name in names), strict=True)
    photons = [round(value, 1) for value in linked["photons"].astype(float).tolist()]
    return sorted((*row, light) for row, light in zip(numbers, photons, strict=True))


@pytest.mark.parametrize("gap", [0, 1, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_linking_gives_what_plain_python_gives(seed, gap):
    rows = table(rows=120, seed=seed)
    found, expected = told(link(rows, distance_nm=60, gap=gap)), by_hand(rows, 60, gap)
    assert len(expected) < len(rows)
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    np.testing.assert_allclose([r[3] for r in found], [r[3] for r in expected], 0.002)


@pytest.mark.parametrize("name", ["one.parquet", "one.csv"])
def test_molecules_of_two_channels_are_not_one(tmp_path, name):
    rows = joined()
    source = stored(tmp_path / name, rows)
    out = tmp_path / f"linked-{name}"
    options = ["--distance-nm", "60", "--gap", "3"]
    assert run("link", source, "--out", out, *options).exit_code == 0
    linked, _ = read_table(out)
    for channel in ("488", "561"):
        for field in ("r00_c00", "r00_c01"):
            mine = (rows["channel"] == channel) & (rows["field"] == field)
            found = (linked["channel"] == channel) & (linked["field"] == field)
            alone = Localizations({c.name: rows[c.name][mine] for c in COLUMNS})
            expected = told(link(alone, distance_nm=60, gap=3))
            assert told(linked.take(found)) == expected
    assert linked["detections"].sum() == len(rows)


def test_a_native_csv_with_words_reads_as_it_was_written(tmp_path):
    rows = joined()
    found, _ = read_table(stored(tmp_path / "joined.csv", rows))
    assert found["channel"].tolist() == rows["channel"].tolist()
    assert found["field"].tolist() == rows["field"].tolist()
    blank = Localizations({**rows.columns, "field": np.full(len(rows), "", object)})
    found, _ = read_table(stored(tmp_path / "blank.csv", blank))
    assert "field" not in found.columns


@pytest.mark.parametrize("formula", ["channel == '561'", "channel = 561"])
def test_a_channel_is_chosen_by_its_name(tmp_path, formula):
    rows = joined()
    out = tmp_path / "one.parquet"
    source = stored(tmp_path / "joined.parquet", rows)
    assert run("filter", source, formula, "--out", out).exit_code == 0
    found, _ = read_table(out)
    assert len(found) == (rows["channel"] == "561").sum()
    assert set(found["channel"].tolist()) == {"561"}
    other = run("filter", source, 'channel != "561" & photons > 9', "--out", out)
    assert other.exit_code == 0
    found, _ = read_table(out)
    mine = (rows["channel"] == "488") & (rows["photons"] > 9)
    assert len(found) == mine.sum()


@pytest.mark.parametrize(
    "formula", ["channel > '5'", "channel + 1 > 2", "abs(channel) > 1", "!channel"]
)
def test_words_are_not_reckoned_with(formula):
    values = {"channel": joined()["channel"]}
    with pytest.raises(RequestError, match="compare them with == or != alone"):
        parse(formula).evaluate(values)


def test_words_that_say_neither_yes_nor_no_are_refused(tmp_path):
    source, out = stored(tmp_path / "joined.parquet", joined()), tmp_path / "o.parquet"
    for formula in ("channel", "'561'"):
        refused = run("filter", source, formula, "--out", out)
        assert "not yes or no" in str(refused.exception)
    assert not out.exists()


SEVERAL = r"several channels \(488, 561\).*her2sr filter"


@pytest.mark.parametrize("verb", ["drift", "resolution"])
def test_what_is_of_one_channel_names_the_way_to_it(tmp_path, verb):
    source, out = stored(tmp_path / "joined.parquet", joined()), tmp_path / "o.parquet"
    refused = run(verb, source, *(["--out", out] if verb == "drift" else []))
    assert isinstance(refused.exception, TableError)
    assert re.search(SEVERAL, str(refused.exception))
    assert not out.exists()


def test_a_picture_is_of_one_channel(tmp_path):
    out = tmp_path / "o.tif"
    request = cli_render.RenderRequest(
        locs=stored(tmp_path / "joined.parquet", joined()),
        method="gaussian",
        pixel_nm=20.0,
        sigma_nm=None,
        max_uncertainty_nm=100.0,
        drift_corrected=False,
        colour="grey",
        size=None,
        camera_pixel_nm=130.0,
    )
    with pytest.raises(TableError, match=SEVERAL):
        cli_render.render(request, out, as_json=False)
    assert not out.exists()


def test_a_table_of_one_unit_raises_no_error_whatever_it_says():
    rows = table(rows=5)
    require_one_unit(rows)
    for word in ("561", "", None):
        words = np.full(len(rows), word, object)
        require_one_unit(Localizations({**rows.columns, "channel": words}))
    unknown = np.full(len(rows), np.nan)
    require_one_unit(Localizations({**rows.columns, "channel": unknown}))
