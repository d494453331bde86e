"""Denoising models: Fiji's taken over, ours written and read, strangers' refused."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from fiji_models import bundle, described, write_fiji

from her2sr_proc.denoise import unet
from her2sr_proc.denoise.fiji import import_fiji
from her2sr_proc.denoise.graph import graph_of
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import Model, digest, read_model, write_model
from her2sr_proc.errors import IntegrityError, ModelError, ProcError, RequestError
from her2sr_proc.schema.denoise import Card, NetworkForm, Normalization
from her2sr_proc.store.tensor_bundle import read_index, tensor

SHARED = Path(__file__).parents[3] / "shared" / "data"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FORMS = [NetworkForm(method=m, filters=8) for m in ("n2v", "n2v2")]


def weights_of(form: NetworkForm, seed: int = 1) -> dict[str, np.ndarray]:
    """Return weights whose norms and biases all matter."""
    rng = np.random.default_rng(seed)
    found = unet.fresh(form, rng)
    for name, array in found.items():
        if not name.endswith("/kernel"):
            found[name] = rng.uniform(0.5, 1.5, array.shape).astype(np.float32)
    return found


def card_of(onnx: bytes, form: NetworkForm) -> Card:
    return Card(
        form=form,
        normalization=Normalization(mean_adu=500.0, sd_adu=100.0),
        halo_px=form.halo_px,
        source="trained",
        weights_sha256=digest(onnx),
    )


def denoiser(form: NetworkForm, tile_px: int = 512) -> Denoiser:
    onnx = graph_of(weights_of(form), form)
    return Denoiser(card_of(onnx, form), onnx, tile_px=tile_px)


def frame(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).poisson(500, (height, width)).astype(np.uint16)


def by_hand(weights, adu: np.ndarray) -> np.ndarray:
    """The published network, layer by layer in float64 and without any library."""

    def convolved(x, name):
        kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
        k = kernel.shape[-1]
        wide = np.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2)])
        seen = np.lib.stride_tricks.sliding_window_view(wide, (k, k), axis=(1, 2))
        return np.einsum("cyxij,ocij->oyx", seen, kernel) + bias[:, None, None]

    def block(x, name):
        g, b, m, v = (weights[f"{name}/{p}"][:, None, None] for p in unet.NORM)
        return np.maximum((convolved(x, name) - m) / np.sqrt(v + 1e-3) * g + b, 0)

    def halved(x):
        c, h, w = x.shape
        return x.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))

    def doubled(x):
        return x.repeat(2, axis=1).repeat(2, axis=2)

    x = (adu[None].astype(float) - 500) / 100
    a = block(block(x, "down_level_0_no_0"), "down_level_0_no_1")
    b = block(block(halved(a), "down_level_1_no_0"), "down_level_1_no_1")
    c = block(block(halved(b), "middle_0"), "middle_2")
    d = np.concatenate([doubled(c), b])
    d = block(block(d, "up_level_1_no_0"), "up_level_1_no_2")
    e = np.concatenate([doubled(d), a])
    e = block(block(e, "up_level_0_no_0"), "up_level_0_no_2")
    return convolved(e, "conv2d_1")[0] * 100 + 500


def test_the_network_is_the_published_one():
    form = FORMS[0]
    adu = frame(32, 48)
    wanted = by_hand(weights_of(form), adu)
    scale = np.abs(wanted).max()
    assert np.abs(denoiser(form)(adu) - wanted).max() < 1e-5 * scale


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.method)
def test_the_answer_does_not_depend_on_the_tiles(form):
    adu = frame(150, 203)
    whole, tiled = (denoiser(form, tile)(adu) for tile in (256, 48))
    assert whole.shape == adu.shape
    assert np.abs(whole - tiled).max() < 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.method)
def test_the_network_sees_no_further_than_the_margin_of_a_tile(form):
    clean = denoiser(form)
    adu = frame(128, 128).astype(np.float32)
    reach = 0
    for at in range(60, 64):  # every place within the two halvings
        changed = adu.copy()
        changed[at, at] += 5000
        ys, xs = np.nonzero(clean(changed) != clean(adu))
        reach = max(reach, np.abs(ys - at).max(), np.abs(xs - at).max())
    assert 16 < reach <= clean.margin_px


def test_a_frame_below_the_least_size_is_refused():
    with pytest.raises(RequestError, match="smaller than the 16 x 16"):
        denoiser(FORMS[0])(frame(15, 64))


def test_a_bundle_gives_back_what_was_put_in():
    arrays = {f"a/{n}": np.arange(n, dtype=float).reshape(1, n) for n in range(1, 200)}
    index, data = bundle(arrays)
    entries = read_index(index)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensor(name, entries, data), array)


def test_a_fiji_model_is_the_network_it_was_made_of(tmp_path):
    weights = weights_of(NetworkForm())
    model, apart = import_fiji(write_fiji(tmp_path / "f.zip", weights))
    adu = frame(32, 48)
    wanted = by_hand(weights, adu)
    found = Denoiser(model.card, model.onnx)(adu)
    assert apart is None
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert model.card.training == {"batchSize": 64}


def test_the_published_model_gives_its_own_sample(tmp_path):
    source = SHARED / "n2v_fiji_model.zip"
    if not source.exists():
        pytest.skip("the authors' model states no licence and is not part of this")
    model, apart = import_fiji(source)
    write_model(tmp_path / "m.zip", model, at=NOON)
    kept = read_model(tmp_path / "m.zip")
    put, wanted = (
        tifffile.imread(SHARED / f"n2v_sample_{n}.tif") for n in ("in", "out")
    )
    found = Denoiser(kept.card, kept.onnx)(put)
    assert apart < 0.01
    assert np.abs(found - wanted).max() < 0.01
    assert kept.card.normalization.mean_adu == pytest.approx(1059.9651)


def test_a_sample_that_disagrees_is_no_import(tmp_path):
    names = {}
    for name in ("sample_in.tif", "sample_out.tif"):
        tifffile.imwrite(tmp_path / name, np.full((64, 64), 500, np.float32))
        names[name] = (tmp_path / name).read_bytes()
    path = write_fiji(tmp_path / "f.zip", weights_of(NetworkForm()), extra=names)
    with pytest.raises(ModelError, match="differs from its own sample"):
        import_fiji(path)


def with_axes(axes: str) -> dict:
    found = described()
    found["inputs"][0]["axes"] = axes
    return found


def with_step(**changes) -> dict:
    found = described()
    found["inputs"][0]["preprocessing"][0] |= changes
    return found


WRONG = [
    pytest.param({"description": with_axes("bzyxc")}, "byxc", id="a model of stacks"),
    pytest.param({"description": {"a": 1}}, "0.3.0", id="no format"),
    pytest.param({"description": described() | {"inputs": []}}, "axes", id="no input"),
    pytest.param({"description": with_step(name="scale")}, "'scale'", id="other norm"),
    pytest.param(
        {"description": with_step(kwargs={"mode": "fixed", "mean": [1], "std": [0]})},
        "cannot be",
        id="deviation 0",
    ),
    pytest.param({"kind": 1}, "compressed", id="compressed index"),
    pytest.param({"extra": {"../up": b"x"}}, "outside itself", id="leads out"),
    pytest.param({"extra": {"/etc/x": b"x"}}, "outside itself", id="absolute"),
    pytest.param({"extra": {"c:/x": b"x"}}, "outside itself", id="a drive"),
]


@pytest.mark.parametrize(("changes", "word"), WRONG)
def test_a_hostile_or_other_fiji_model_is_refused(tmp_path, changes, word):
    path = write_fiji(tmp_path / "f.zip", weights_of(NetworkForm()), **changes)
    with pytest.raises(ModelError, match=word):
        import_fiji(path)


def test_a_missing_tensor_is_named(tmp_path):
    weights = weights_of(NetworkForm())
    del weights["middle_0/bias"]
    with pytest.raises(ModelError, match="no tensor 'middle_0/bias'"):
        import_fiji(write_fiji(tmp_path / "f.zip", weights))


def test_a_model_of_another_size_is_refused(tmp_path):
    path = write_fiji(tmp_path / "f.zip", weights_of(NetworkForm(filters=16)))
    with pytest.raises(ModelError, match="of another size"):
        import_fiji(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.yaml", "w", force_zip64=True) as member,
    ):
        for _ in range(17):
            member.write(bytes(16 * 2**20))
    with pytest.raises(ModelError, match="would unpack to 272 MB"):
        import_fiji(path)


def test_any_damage_is_one_sentence(tmp_path):
    whole = write_fiji(tmp_path / "f.zip", weights_of(NetworkForm())).read_bytes()
    rng = np.random.default_rng(7)
    path = tmp_path / "damaged.zip"
    for number in range(40):
        data = bytearray(whole)
        if number % 2:
            del data[int(rng.integers(len(data))) :]
        else:
            for at in rng.integers(0, len(data), 20):
                data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data))
        with pytest.raises(ProcError) as refusal:
            import_fiji(path)
        assert "\n" not in str(refusal.value)


def test_any_damage_to_an_index_is_one_sentence():
    index, data = bundle({f"layer_{n}/kernel": np.ones((3, 3)) for n in range(30)})
    rng = np.random.default_rng(8)
    refused = []
    for _ in range(300):
        torn = bytearray(index)
        for at in rng.integers(0, len(torn), 2):
            torn[at] = int(rng.integers(256))
        try:
            entries = read_index(bytes(torn))
            for name in entries:
                tensor(name, entries, data)
        except ModelError as exc:
            refused.append(str(exc))
    assert len(refused) > 150, "most bytes of an index mean something"
    assert not [sentence for sentence in refused if "\n" in sentence]


def written(tmp_path: Path, form: NetworkForm = FORMS[0]) -> Path:
    onnx = graph_of(weights_of(form), form)
    patch = np.full((64, 64), 500, np.float32)
    path = tmp_path / "m.zip"
    write_model(path, Model(card_of(onnx, form), onnx, patch, patch), at=NOON)
    return path


def test_a_model_is_read_as_it_was_written(tmp_path):
    model = read_model(written(tmp_path, FORMS[1]))
    assert model.card == card_of(model.onnx, FORMS[1])
    assert model.test_in.shape == (64, 64)


def test_a_model_says_what_the_model_zoo_asks_for(tmp_path):
    with zipfile.ZipFile(written(tmp_path)) as archive:
        rdf = yaml.safe_load(archive.read("rdf.yaml"))
        names = set(archive.namelist())
    (put,), (out,) = rdf["inputs"], rdf["outputs"]
    assert rdf["format_version"].startswith("0.5.")
    assert [axis["type"] for axis in put["axes"]] == [
        "batch",
        "channel",
        *["space"] * 2,
    ]
    assert put["preprocessing"][0]["kwargs"] == {"mean": 500.0, "std": 100.0}
    assert [axis["halo"] for axis in out["axes"][2:]] == [22, 22]
    sources = [rdf["weights"]["onnx"], put["test_tensor"], out["test_tensor"]]
    assert {part["source"] for part in sources} <= names
    assert rdf["config"]["her2sr"]["minimum_px"] == 16


def replaced(path: Path, name: str, content: bytes) -> Path:
    """Return the model with one part replaced."""
    with zipfile.ZipFile(path) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for part, data in (parts | {name: content}).items():
            archive.writestr(part, data)
    return path


def test_weights_of_another_model_are_noticed(tmp_path):
    other = graph_of(weights_of(FORMS[0], seed=2), FORMS[0])
    path = replaced(written(tmp_path), "weights.onnx", other)
    with pytest.raises(IntegrityError, match="not those of its card"):
        read_model(path)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("rdf.yaml", b"config: {her2sr: {version: 2}}", "cannot be true"),
        ("rdf.yaml", b"type: model", "no card"),
        ("rdf.yaml", b"[1, 2", "no YAML"),
        ("rdf.yaml", b"[" * 1500, "no YAML"),
        ("test_input.npy", b"no array", "no array"),
    ],
)
def test_a_model_that_cannot_be_true_is_refused(tmp_path, name, content, word):
    path = replaced(written(tmp_path), name, content)
    with pytest.raises(ModelError, match=word):
        read_model(path)


def test_a_fiji_model_is_to_be_imported_first(tmp_path):
    path = write_fiji(tmp_path / "f.zip", weights_of(NetworkForm()))
    with pytest.raises(ModelError, match="her2sr denoise import"):
        read_model(path)


def test_weights_that_are_no_network_of_one_channel_are_refused():
    form = NetworkForm(filters=8)
    card = card_of(b"", form)
    with pytest.raises(ModelError, match="cannot be run"):
        Denoiser(card, b"no network")
