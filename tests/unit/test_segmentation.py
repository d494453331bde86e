"""The network answers alike in tiles, gives way when it must, and makes room."""

import builtins
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from her2sr_proc.errors import DataError, NetworkError, RequestError, SegmenterError
from her2sr_proc.schema.count_params import NucleiParams
from her2sr_proc.segmentation import instances, network, plugins
from her2sr_proc.segmentation.choice import segment
from her2sr_proc.segmentation.network import MODEL, Network
from simulators.options import SimulationOptions
from simulators.sections import Crowd, section

PIXEL_UM = 0.13


@pytest.fixture(scope="module")
def crowd():
    options = SimulationOptions(seed=77, height=256, width=256)
    return section(options, Crowd(nuclei=12))


def test_the_shipped_network_is_small_and_says_what_it_is():
    assert MODEL.stat().st_size < 2_000_000
    content = MODEL.read_bytes()
    assert b"research use only" in content
    assert b"learning_rate" in content


def test_tiles_give_the_answer_of_the_whole(monkeypatch):
    planes = np.random.default_rng(1).random((2, 203, 310), np.float32)
    whole = Network().predict(planes)
    monkeypatch.setattr(network, "TILE_PX", 96)
    tiled = Network().predict(planes)
    assert tiled.shape == (5, 203, 310)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_the_same_image_gives_the_same_labels(crowd):
    first, second = (
        segment(crowd.adu, pixel_um=PIXEL_UM, params=NucleiParams()) for _ in range(2)
    )
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.method == f"network {Network().digest}"
    assert first.fallback_reason == ""


def test_nuclei_are_found_at_twice_and_half_the_pixel(crowd):
    from skimage.transform import rescale

    wanted = len(np.unique(crowd.labels)) - 1
    for scale in (0.5, 1.0, 2.0):
        image = rescale(crowd.adu, scale, order=1, anti_aliasing=scale < 1)
        found = instances.find(
            image.astype(np.float32), Network(), diameter_px=69.2 * scale
        )
        assert found.shape == image.shape
        assert abs(int(found.max()) - wanted) <= 1


def test_the_size_of_nuclei_is_measured_within_a_third(crowd):
    sizes = np.bincount(crowd.labels.ravel())[1:]
    true = 2 * np.sqrt(np.median(sizes) / np.pi)
    measured = instances.measured_diameter_px(crowd.adu, Network())
    assert measured == pytest.approx(true, rel=1 / 3)


def missing() -> Network:
    raise NetworkError("the network is away; fetch it")


def test_without_a_network_the_watershed_answers_and_says_why(crowd):
    params = NucleiParams()
    found = segment(crowd.adu, pixel_um=PIXEL_UM, params=params, network=missing)
    classical = NucleiParams(method="classical")
    wanted = segment(crowd.adu, pixel_um=PIXEL_UM, params=classical)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    assert found.method == wanted.method == "classical"
    assert found.fallback_reason == "the network is away; fetch it"
    assert wanted.fallback_reason == ""


def test_a_missing_runtime_is_named_with_its_cure(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NetworkError, match="pip install onnxruntime"):
        Network()


@pytest.mark.parametrize("content", [None, b"", b"not a network"])
def test_a_missing_or_broken_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "gone.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError, match=r"gone\.onnx"):
        Network(path)


def halves(image, *, pixel_um):
    labels = np.zeros(image.shape, np.int64)
    labels[:, : image.shape[1] // 2] = 9
    labels[:, image.shape[1] // 2 :] = 4
    return labels if pixel_um == PIXEL_UM else labels * 0


def fractions(image, *, pixel_um):
    return image * pixel_um


def another_shape(image, *, pixel_um):
    return np.zeros((2, 2), int)


def falls_over(image, *, pixel_um):
    raise ZeroDivisionError("inside")


def offered(function):
    value = f"{__name__}:{function}"
    return [EntryPoint("mine", value, plugins.GROUP)]


@pytest.fixture(autouse=True)
def loadable(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__, _this()))


def _this():
    from types import ModuleType

    module = ModuleType(__name__)
    module.__dict__.update(globals())
    return module


IMAGE = np.ones((8, 12), np.float32)


def test_a_plug_in_of_the_laboratory_is_asked_and_numbered_anew():
    found = plugins.run("mine", IMAGE, pixel_um=PIXEL_UM, offered=offered("halves"))
    assert found.dtype == np.int32
    assert (found[0, 0], found[0, -1]) == (2, 1)


FAULTY = [
    pytest.param("fractions", DataError, "whole numbers", id="fractions"),
    pytest.param("another_shape", DataError, "shape", id="another shape"),
    pytest.param("falls_over", SegmenterError, "ZeroDivisionError: inside", id="fault"),
    pytest.param("nowhere", SegmenterError, "install its package", id="not there"),
]


@pytest.mark.parametrize(("function", "error", "words"), FAULTY)
def test_a_faulty_plug_in_is_named(function, error, words):
    with pytest.raises(error, match=words):
        plugins.run("mine", IMAGE, pixel_um=PIXEL_UM, offered=offered(function))


def test_an_unknown_segmenter_lists_the_known_ones():
    params = NucleiParams(method="plugin:nosuch")
    with pytest.raises(RequestError, match="there are: cellpose, instanseg, stardist"):
        segment(IMAGE, pixel_um=PIXEL_UM, params=params)


PROGRAMS = ("stardist", "cellpose", "instanseg")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_is_not_installed_says_how_to_get_it(name):
    adapter = {e.name: e for e in plugins.OWN}[name].load()

    def bring(module):
        raise ImportError(module)

    with pytest.raises(SegmenterError, match=f"pip install {name}"):
        adapter(IMAGE, pixel_um=PIXEL_UM, bring=bring)


class FakeProgram:
    """Answers as StarDist, Cellpose and InstanSeg are documented to."""

    def __init__(self, *_, **__):
        self.asked = {}

    StarDist2D = CellposeModel = InstanSeg = property(lambda self: self)

    def __call__(self, *_, **__):
        return self

    def from_pretrained(self, name):
        assert name == "2D_versatile_fluo"
        return self

    def predict_instances(self, image, *, scale):
        self.asked = {"scale": scale}
        return np.ones(image.shape, np.int32), {}

    def eval(self, image, *, diameter):
        self.asked = {"diameter": diameter}
        return np.ones(image.shape, np.uint16), None, None

    def eval_small_image(self, image, pixel_um, *, target):
        self.asked = {"pixel_um": pixel_um, "target": target}
        return np.ones((1, *image.shape), np.float32), None


ASKED = [
    pytest.param(plugins.stardist, {"scale": PIXEL_UM / 0.4}, id="stardist"),
    pytest.param(plugins.cellpose, {"diameter": 9.0 / PIXEL_UM}, id="cellpose"),
    pytest.param(
        plugins.instanseg, {"pixel_um": PIXEL_UM, "target": "nuclei"}, id="instanseg"
    ),
]


@pytest.mark.parametrize(("adapter", "asked"), ASKED)
def test_programs_of_others_are_told_the_size_of_nuclei(adapter, asked):
    program = FakeProgram()
    labels = adapter(IMAGE, pixel_um=PIXEL_UM, bring=lambda _: program)
    assert program.asked == pytest.approx(asked)
    assert labels.shape == IMAGE.shape
    assert labels.all()
