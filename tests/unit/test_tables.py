"""Tables as files: round trips, other programs' readers, half pixels and frame 1."""

import warnings

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from her2sr_proc.errors import RequestError, TableError
from her2sr_proc.schema.table import COLUMNS, ORIGIN, Gathered, Localizations, empty
from her2sr_proc.store import tables
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.picasso import read_picasso, write_picasso
from her2sr_proc.store.thunderstorm import read_thunderstorm, write_thunderstorm

FACTS = MovieFacts(
    pixel_nm=130.0, height_px=64, width_px=80, frames=500, source="movie.tif"
)
THUNDERSTORM_HEADER = (
    '"id","frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]",'
    '"offset [photon]","bkgstd [photon]","uncertainty [nm]"'
)


def table(rows=50) -> Localizations:
    """Random but possible rows; the first stands at pixel (3, 2), frame 0."""
    rng = np.random.default_rng(1)
    columns = {c.name: rng.uniform(1, 90, rows).astype(c.dtype) for c in COLUMNS}
    columns["frame"] = np.arange(rows, dtype=np.int32)
    columns["x_nm"] = rng.uniform(0, 130 * 79, rows).astype(np.float32)
    columns["y_nm"] = rng.uniform(0, 130 * 63, rows).astype(np.float32)
    columns["x_nm"][0], columns["y_nm"][0] = 3 * 130, 2 * 130
    columns["status"][:] = 0
    columns["uncertainty_y_nm"] = columns["uncertainty_x_nm"]
    columns["uncertainty_nm"] = columns["uncertainty_x_nm"]
    return Localizations(columns)


@pytest.mark.parametrize("rows", [50, 20_000])
def test_tables_that_are_gathered_are_those_joined_at_once(rows):
    whole, gathered = table(rows), Gathered()
    bounds = [0, 3, 3, 20, 41, *range(100, rows, 1234)]
    for part in np.split(np.arange(rows), bounds):
        gathered.add(whole.take(part))
    found = gathered.take()
    assert list(found.columns) == list(whole.columns)
    for name, column in whole.columns.items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)
    assert len(gathered.take()) == 0


def test_gathered_columns_hold_the_widest_of_their_kinds():
    narrow, wide = table(3), table(4)
    wide.columns["x_nm"] = wide["x_nm"].astype(np.float64) + 1e-9
    gathered = Gathered()
    for part in (narrow, wide):
        gathered.add(part)
    found = gathered.take()["x_nm"]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[3:], wide["x_nm"])


def assert_close(one, other, names):
    for name in names:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-6, atol=1e-3)


def test_parquet_keeps_every_bit_the_metadata_and_more_columns(tmp_path):
    rows = table()
    rows.columns["nucleus"] = np.arange(50, dtype=np.int32)
    tables.write_parquet(tmp_path / "t.parquet", rows, {"source": "live"})
    back, metadata = tables.read_parquet(tmp_path / "t.parquet")
    assert metadata == {"source": "live"}
    assert list(back.columns) == list(rows.columns)
    for name, column in rows.columns.items():
        assert back[name].dtype == column.dtype
        np.testing.assert_array_equal(back[name], column)


def test_columns_of_words_and_numbers_of_double_length_are_kept(tmp_path):
    path, places = tmp_path / "t.parquet", np.linspace(0, 1e9, 50)
    native(x_nm=places, channel=["561"] * 50, frame=np.arange(50.0))(path)
    back, _ = tables.read_table(path)
    tables.write_parquet(path, back, {})
    again, _ = tables.read_table(path)
    np.testing.assert_array_equal(again["x_nm"], places)
    assert list(again["channel"]) == ["561"] * 50
    assert again["frame"].dtype == np.int32


def test_parquet_says_the_unit_of_every_column(tmp_path):
    tables.write_parquet(tmp_path / "t.parquet", empty(), {})
    schema = pq.read_schema(tmp_path / "t.parquet")
    units = {field.name: field.metadata[b"unit"].decode() for field in schema}
    assert units == {c.name: c.unit for c in (*COLUMNS, *ORIGIN)}


def test_every_row_of_a_units_parquet_names_its_channel_and_field(tmp_path):
    one, two = tmp_path / "488.parquet", tmp_path / "561.parquet"
    tables.write_parquet(one, table(), {"channel": "488", "field": "r00_c01"})
    tables.write_parquet(two, empty(), {"channel": "561", "field": "r00_c01"})
    rows = pa.concat_tables([pq.read_table(one), pq.read_table(two)])
    assert set(rows["channel"].to_pylist()) == {"488"}
    assert set(rows["field"].to_pylist()) == {"r00_c01"}
    inside, _ = tables.read_parquet(one)
    assert list(inside.columns) == [c.name for c in COLUMNS]


def test_a_table_made_of_a_units_keeps_its_origin_without_the_metadata(tmp_path):
    unit, made = tmp_path / "488.parquet", tmp_path / "made.parquet"
    tables.write_parquet(unit, table(), {"channel": "488", "field": "r00_c01"})
    tables.write_table(made, tables.read_table(unit)[0], FACTS, form="native")
    assert set(pq.read_table(made)["field"].to_pylist()) == {"r00_c01"}
    assert tables.is_whole_parquet(made)


def test_rows_of_several_channels_keep_their_own(tmp_path):
    path, again = tmp_path / "t.parquet", tmp_path / "again.parquet"
    rows = table()
    rows.columns["channel"] = np.array(["488", "561"] * 25, object)
    tables.write_parquet(path, rows, {"channel": "488"})
    tables.write_table(again, tables.read_table(path)[0], FACTS, form="native")
    assert pq.read_table(again)["channel"].to_pylist() == ["488", "561"] * 25


@pytest.mark.parametrize("suffix", ["parquet", "csv", "hdf5"])
@pytest.mark.parametrize("rows", [0, 50])
def test_every_form_reads_back_what_it_wrote(tmp_path, suffix, rows):
    path = tmp_path / f"t.{suffix}"
    tables.write_table(
        path, table() if rows else empty(), FACTS, form=tables.form_of(path)
    )
    back, facts = tables.read_table(path, pixel_nm=130.0)
    assert len(back) == rows
    lost = {"log_likelihood", "background_sd_photons"} if suffix != "parquet" else {}
    names = [c.name for c in COLUMNS if c.name not in lost]
    assert_close(back, table() if rows else empty(), names)
    assert facts == (None if suffix == "csv" else FACTS)
    assert {n: a.dtype for n, a in back.columns.items()} == {
        c.name: np.dtype(c.dtype) for c in COLUMNS
    }


def test_a_native_csv_has_native_names_and_conventions(tmp_path):
    path = tmp_path / "t.csv"
    tables.write_table(path, table(), FACTS, form="native")
    assert path.read_text().startswith('"frame","x_nm","y_nm"')
    back, _ = tables.read_table(path)
    assert_close(back, table(), back.columns)


@pytest.mark.parametrize(
    ("name", "form"),
    [("T.CSV", "native"), ("T.CSV", "thunderstorm"), ("T.PARQUET", "native")],
)
def test_a_suffix_in_capitals_means_the_same(tmp_path, name, form):
    tables.write_table(tmp_path / name, table(), FACTS, form=form)
    back, _ = tables.read_table(tmp_path / name)
    assert_close(back, table(), ["frame", "x_nm", "photons"])


def test_thunderstorm_counts_frames_from_1_and_pixels_from_their_corner(tmp_path):
    path = tmp_path / "t.csv"
    write_thunderstorm(path, table(), pixel_nm=130.0)
    lines = path.read_text().splitlines()
    assert lines[0] == THUNDERSTORM_HEADER
    first = [float(value) for value in lines[1].split(",")]
    assert first[:4] == [1, 1, 3.5 * 130, 2.5 * 130]


def test_locan_reads_our_thunderstorm_table_at_the_same_places(tmp_path):
    path = tmp_path / "t.csv"
    write_thunderstorm(path, table(), pixel_nm=130.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        from locan.locan_io.locdata.thunderstorm_io import load_thunderstorm_file

        data = load_thunderstorm_file(path).data
    assert len(data) == 50
    np.testing.assert_allclose(data["position_x"] - 65, table()["x_nm"], atol=1e-2)
    np.testing.assert_allclose(data["intensity"], table()["photons"], rtol=1e-5)


def test_picasso_reads_our_table_at_the_same_pixels(tmp_path):
    path = tmp_path / "t.hdf5"
    write_picasso(path, table(), FACTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        from picasso.io import load_locs

        locs, info = load_locs(str(path))
    assert len(locs) == 50
    assert (locs["x"].iloc[0], locs["y"].iloc[0]) == (3.0, 2.0)
    assert locs["frame"].iloc[0] == 0
    np.testing.assert_allclose(
        locs["lpx"] * 130, table()["uncertainty_x_nm"], rtol=1e-5
    )
    assert info[0]["Pixelsize"] == 130.0
    assert (info[0]["Height"], info[0]["Width"], info[0]["Frames"]) == (64, 80, 500)


def test_a_picasso_table_that_fails_leaves_the_former_one_with_its_yaml(
    tmp_path, monkeypatch
):
    path = tmp_path / "t.hdf5"
    write_picasso(path, table(), FACTS)
    former, description = path.read_bytes(), path.with_suffix(".yaml").read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="No space"):
        write_picasso(path, table(), MovieFacts(65.0, 9, 9, 9))
    assert path.read_bytes() == former
    assert path.with_suffix(".yaml").read_bytes() == description
    assert len(list(tmp_path.iterdir())) == 2


def test_picasso_gets_no_column_that_would_make_it_drop_rows(tmp_path):
    rows = table()
    rows["log_likelihood"][3] = np.nan
    write_picasso(tmp_path / "t.hdf5", rows, FACTS)
    with h5py.File(tmp_path / "t.hdf5") as file:
        assert "log_likelihood" not in file["locs"].dtype.names
        assert len(file["locs"]) == 50


def test_a_table_of_later_thunderstorm_builds_is_read(tmp_path):
    path = tmp_path / "t.csv"
    header = THUNDERSTORM_HEADER.replace("uncertainty [nm]", "uncertainty_xy [nm]")
    path.write_text(header + "\n1.0,3.0,195.0,65.0,140.0,900.0,20.0,5.0,11.0\n")
    back = read_thunderstorm(path, pixel_nm=130.0)
    assert (back["frame"][0], back["x_nm"][0], back["y_nm"][0]) == (2, 130.0, 0.0)
    assert back["uncertainty_y_nm"][0] == 11.0
    assert np.isnan(back["log_likelihood"][0])


def test_a_picasso_table_of_other_columns_is_read(tmp_path):
    form = [(n, "f4") for n in ("x", "y", "photons", "sx", "sy", "bg", "lpx", "lpy")]
    rows = np.zeros(1, [("frame", "u4"), *form, ("net_gradient", "f4")])
    rows["x"], rows["sx"], rows["sy"] = 4.5, 1.0, 1.2
    with h5py.File(tmp_path / "p.hdf5", "w") as file:
        file["locs"] = rows
    documents = [{"Height": 32, "Width": 32, "Frames": 9}, {"Pixelsize": 100}]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump_all(documents))
    back, facts = read_picasso(tmp_path / "p.hdf5")
    assert back["x_nm"][0] == 450.0
    assert back["sigma_nm"][0] == pytest.approx(110.0)
    assert facts.pixel_nm == 100.0


def half(path):
    tables.write_parquet(path, table(), {})
    path.write_bytes(path.read_bytes()[:200])


def foreign(path):
    columns = {"a": np.zeros(2, np.float32)}
    tables.write_parquet(path, Localizations(columns), {})


def without_yaml(path):
    write_picasso(path, table(), FACTS)
    path.with_suffix(".yaml").unlink()


def twice(path):
    columns = [*table().columns.items(), ("frame", np.arange(50))]
    arrays = [pa.array(array) for _, array in columns]
    pq.write_table(pa.Table.from_arrays(arrays, [n for n, _ in columns]), path)


def native(**changed):
    """A Parquet of native columns, some of them changed."""

    def write(path):
        pq.write_table(pa.table({**table().columns, **changed}), path)

    return write


def one_row(frame, x="200"):
    row = f"1,{frame},{x},100,100,500,0,0,10"
    return lambda p: p.write_text(f"{THUNDERSTORM_HEADER}\n{row}\n")


def picasso(name, kind, value=0, shape=5):
    """A Picasso table in which one column is of another kind."""

    def write(path):
        write_picasso(path, table(), FACTS)
        with h5py.File(path, "a") as file:
            form = file["locs"].dtype
            fields = [(n, kind if n == name else form[n]) for n in form.names]
            del file["locs"]
            rows = np.zeros(shape, fields)
            rows[name] = value
            file["locs"] = rows

    return write


def described(**changed):
    """A native table whose metadata are partly wrong."""
    return lambda p: tables.write_parquet(
        p, table(), {**FACTS.to_metadata(), **changed}
    )


def picasso_of(**changed):
    """A Picasso table whose YAML is partly wrong."""

    def write(path):
        write_picasso(path, table(), FACTS)
        said = yaml.safe_load(path.with_suffix(".yaml").read_text())
        path.with_suffix(".yaml").write_text(yaml.safe_dump({**said, **changed}))

    return write


SOME = np.arange(50.0)
BAD = {
    "words.parquet": (native(x_nm=["a"] * 50), "'x_nm' of .* holds no numbers"),
    "lists.parquet": (native(photons=[[1.0]] * 50), "'photons' of .* holds no numbers"),
    "gap.parquet": (
        native(frame=[3, None] * 25),
        "row 2 of .* has a frame that cannot",
    ),
    "between.parquet": (native(frame=SOME + 0.5), "row 1 of .* in whole numbers"),
    "before.parquet": (native(frame=SOME - 9), "row 1 of .* count from 0"),
    "late.parquet": (native(frame=SOME * 1e9), "row 4 of .* has a frame"),
    "odd.parquet": (native(status=SOME * 1e4), "row 5 of .* has a status that cannot"),
    "twice.parquet": (twice, "two columns 'frame'"),
    "twice.csv": (
        lambda p: p.write_text(f'"frame",{THUNDERSTORM_HEADER}\n'),
        "two columns 'frame'",
    ),
    "frame0.csv": (one_row(0), "row 1 of .*ThunderSTORM's from 1"),
    "frame15.csv": (one_row(1.5), "row 1 of .* in whole numbers"),
    "late.csv": (one_row(1e12), "row 1 of .* has a frame"),
    "nobody.csv": (one_row(""), "row 1 of .* has a frame"),
    "latin.csv": (lambda p: p.write_bytes(b"\xb5,x\n1,2\n"), "UTF-8"),
    "wide.csv": (lambda p: p.write_bytes("x_nm\n1\n".encode("utf-16")), "UTF-8"),
    "words.hdf5": (picasso("x", "S8"), "no list of rows of numbers"),
    "nan.hdf5": (picasso("frame", "f4", np.nan), "row 1 of .* has a frame"),
    "square.hdf5": (picasso("x", "f4", shape=(5, 2)), "no list of rows of numbers"),
    "pixel.parquet": (described(pixel_nm="nan"), "what cannot be .pixels of nan nm"),
    "word.parquet": (described(pixel_nm="small"), "what cannot be"),
    "flat.parquet": (described(height_px="0"), "frames of 0 x 80 pixels"),
    "endless.parquet": (described(frames="99999999999"), "99999999999 frames"),
    "pixel.hdf5": (picasso_of(Pixelsize=0), "must name .*pixels of 0.0 nm"),
    "flat.hdf5": (picasso_of(Height=-5), "must name .*frames of -5 x 80 pixels"),
    "endless.hdf5": (picasso_of(Frames=10**11), "must name .*100000000000 frames"),
    "absent.parquet": (lambda p: None, "there is no table"),
    "half.parquet": (half, "cannot be read as Parquet"),
    "foreign.parquet": (foreign, "lacks frame, x_nm"),
    "empty.csv": (lambda p: p.write_text(""), "cannot be read as a CSV"),
    "words.csv": (lambda p: p.write_text("a,b\nx,y\n"), "CSV of numbers"),
    "other.csv": (lambda p: p.write_text("a,b\n1,2\n"), "no ThunderSTORM table"),
    "some.csv": (lambda p: p.write_text("x_nm,y_nm\n1,2\n"), "it lacks frame"),
    "lonely.hdf5": (without_yaml, "must name Height"),
    "none.hdf5": (lambda p: p.write_bytes(b"x"), "must name Height"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path, name):
    write, message = BAD[name]
    write(tmp_path / name)
    with pytest.raises(TableError, match=message) as caught:
        tables.read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "form"),
    [("t.parquet", "thunderstorm"), ("t.csv", "picasso"), ("t.hdf5", "native")],
)
def test_a_form_with_a_foreign_suffix_is_refused(tmp_path, name, form):
    with pytest.raises(RequestError, match="is written as"):
        tables.write_table(tmp_path / name, table(), FACTS, form=form)
    assert not list(tmp_path.iterdir())


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(RequestError, match=r"\.csv \(ThunderSTORM\)"):
        tables.form_of(tmp_path / "t.xls")


@pytest.mark.parametrize("suffix", ["parquet", "csv", "hdf5"])
def test_a_failed_write_leaves_the_former_file(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(b"former")
    broken = Localizations(table().columns | {"frame": np.array([object()] * 50)})
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the writer raises
        tables.write_table(path, broken, FACTS, form=tables.form_of(path))
    assert path.read_bytes() == b"former"
