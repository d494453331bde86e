"""Training of denoisers: what is hidden, what is learned from, and going on."""

import numpy as np
import pytest

from her2sr_proc.denoise.training.hiding import hide
from her2sr_proc.denoise.training.pool import gather, patches, stratified
from her2sr_proc.errors import RequestError
from her2sr_proc.schema.denoise import NetworkForm, TrainParams

SIDE = 64


class Held:
    """A movie in memory."""

    def __init__(self, adu: np.ndarray) -> None:
        self.adu = adu
        self.shape = adu.shape

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.adu[start:stop]


def movie(frames: int = 40, side: int = 80, seed: int = 1) -> Held:
    rng = np.random.default_rng(seed)
    light = 300 + 100 * np.sin(np.arange(side) / 9.0)[:, None] * np.ones(side)
    return Held(rng.poisson(light, (frames, side, side)).astype(np.uint16))


def numbered(count: int = 4) -> np.ndarray:
    """Return patches in which every pixel has a value of its own."""
    flat = np.arange(count * SIDE * SIDE, dtype=np.float32)
    return flat.reshape(count, SIDE, SIDE)


def places(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return y and x of the values of `numbered`."""
    index = values.astype(int) % (SIDE * SIDE)
    return index // SIDE, index % SIDE


def params(**changes) -> TrainParams:
    return TrainParams(**{"radius_px": 3, "masked_percent": 1.5, **changes})


def test_a_hidden_pixel_shows_another_one_of_its_window():
    whole = numbered()
    hidden = hide(whole, params(), np.random.default_rng(1))
    shown = hidden.shown[hidden.patch, hidden.y, hidden.x]
    y, x = places(shown)
    assert np.abs(y - hidden.y).max() == np.abs(x - hidden.x).max() == 3
    assert ((y != hidden.y) | (x != hidden.x)).all()
    assert (hidden.shown != whole).sum() == len(hidden.y)


def test_so_many_pixels_are_hidden_as_asked_and_evenly():
    hidden = hide(numbered(40), params(masked_percent=1.6), np.random.default_rng(2))
    share = 100 * len(hidden.y) / (40 * SIDE * SIDE)
    assert share == pytest.approx(1.6, rel=0.1)
    quarters = np.histogram2d(hidden.y, hidden.x, bins=2)[0]
    assert quarters.min() > 0.9 * quarters.mean()


def test_every_pixel_of_the_window_has_the_same_chance():
    whole = numbered(200)
    hidden = hide(whole, params(radius_px=1), np.random.default_rng(3))
    inner = (np.minimum(hidden.y, hidden.x) > 0) & (
        np.maximum(hidden.y, hidden.x) < SIDE - 1
    )
    y, x = places(hidden.shown[hidden.patch, hidden.y, hidden.x][inner])
    where = 3 * (y - hidden.y[inner] + 1) + x - hidden.x[inner] + 1
    counts = np.bincount(where, minlength=9)
    assert counts[4] == 0
    expected = counts.sum() / 8
    assert np.abs(np.delete(counts, 4) - expected).max() < 5 * np.sqrt(expected)


def test_n2v2_shows_the_median_of_the_window_without_the_pixel():
    whole = np.random.default_rng(4).random((2, SIDE, SIDE), np.float32)
    settings = params(form=NetworkForm(method="n2v2"))
    hidden = hide(whole, settings, np.random.default_rng(5))
    for patch, y, x in zip(hidden.patch, hidden.y, hidden.x, strict=True):
        window = whole[patch, max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].ravel()
        others = window[window != whole[patch, y, x]]
        assert hidden.shown[patch, y, x] == pytest.approx(np.median(others))


@pytest.mark.parametrize("struct", ["row", "column"])
def test_structn2v_hides_a_line_and_fills_it_from_beside(struct):
    whole = numbered()
    settings = params(struct=struct, struct_px=4)
    hidden = hide(whole, settings, np.random.default_rng(6))
    turned = [
        a if struct == "row" else a.transpose(0, 2, 1) for a in (whole, hidden.shown)
    ]
    y, x = (hidden.y, hidden.x) if struct == "row" else (hidden.x, hidden.y)
    changed = turned[0] != turned[1]
    for patch, row, column in zip(hidden.patch, y, x, strict=True):
        assert changed[patch, row, max(column - 4, 0) : column + 5].all()
    own = places(hidden.shown[hidden.patch, hidden.y, hidden.x])
    assert (own[0 if struct == "row" else 1] != y).all()


def test_frames_are_taken_from_every_part_of_a_movie():
    chosen = stratified(1000, 50, np.random.default_rng(7))
    assert (chosen // 20 == np.arange(50)).all()
    assert list(stratified(3, 50, np.random.default_rng(7))) == [0, 1, 2]


def test_every_movie_gives_its_share_and_some_frames_are_kept_apart():
    movies = [movie(seed=1), movie(frames=60, side=96, seed=2)]
    pool = gather(movies, params(frames=40, held_out_percent=20))
    assert (len(pool.training), len(pool.held_out)) == (32, 8)
    assert [m.frames_taken for m in pool.movies] == [20, 20]
    pixels = np.concatenate([w.ravel() for w in pool.training])
    assert pool.normalization.mean_adu == pytest.approx(pixels.mean())
    assert pool.normalization.sd_adu == pytest.approx(pixels.std())


def test_a_movie_is_known_by_its_content():
    first, again, other = (
        gather([movie(seed=seed)], params(frames=10)).movies[0].sha256
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_patches_are_parts_of_frames_turned_in_all_eight_ways():
    window = np.arange(80 * 80, dtype=np.uint16).reshape(80, 80)
    found = patches([window], 200, params(), np.random.default_rng(9)).astype(int)
    steps = {(int(p[0, 1] - p[0, 0]), int(p[1, 0] - p[0, 0])) for p in found}
    assert steps == {
        (a * s, b * t) for a, b in ((1, 80), (80, 1)) for s in (-1, 1) for t in (-1, 1)
    }


WRONG = [
    pytest.param([movie(side=63)], {}, "smaller than a patch", id="small frames"),
    pytest.param([movie(frames=1)], {}, "one frame", id="one frame"),
    pytest.param([movie()] * 3, {"frames": 5}, "fewer than two", id="few frames"),
    pytest.param(
        [Held(np.full((9, 80, 80), 7, np.uint16))], {}, "same value", id="flat"
    ),
]


@pytest.mark.parametrize(("movies", "changes", "word"), WRONG)
def test_movies_that_cannot_be_trained_on_are_refused(movies, changes, word):
    with pytest.raises(RequestError, match=word):
        gather(movies, params(**changes))


@pytest.fixture
def trainer_of():
    torch = pytest.importorskip("torch", reason="training needs the extra train")
    torch.set_num_threads(1)  # threads that wait for each other on a busy machine
    from her2sr_proc.denoise.training.trainer import Trainer

    def make(**changes):
        settings = params(
            **{
                "form": NetworkForm(filters=4),
                "batch": 2,
                "steps": 4,
                "epochs": 2,
                "frames": 10,
                **changes,
            }
        )
        return Trainer(gather([movie()], settings), settings)

    return make


def finished(trainer, save=lambda: None):
    trainer.run(progress=lambda done, total: None, save=save)
    return trainer


def test_an_interrupted_training_ends_as_one_that_was_not(trainer_of):
    whole = finished(trainer_of())
    first, kept = trainer_of(), {}
    with pytest.raises(KeyboardInterrupt):
        first.run(
            progress=lambda done, total: done < 6 or _interrupt(),
            save=lambda: kept.update(first.arrays()),
        )
    second = trainer_of()
    second.restore(kept)
    assert second.progress.step == 4
    finished(second)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name], array)


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_training_ends_when_nothing_is_gained(trainer_of):
    trainer = finished(trainer_of(epochs=40, steps=1, patience=1, learning_rate=1e-9))
    progress = trainer.progress
    assert len(progress.history) < 40
    assert len(progress.history) == progress.best_epoch + 1


@pytest.mark.parametrize("method", ["n2v", "n2v2"])
def test_the_file_answers_as_the_network_that_was_trained(trainer_of, method):
    import torch

    from her2sr_proc.denoise.graph import graph_of
    from her2sr_proc.denoise.inference import Denoiser
    from her2sr_proc.denoise.model import digest
    from her2sr_proc.schema.denoise import Card, Normalization

    form = NetworkForm(filters=4, method=method)
    trainer = finished(trainer_of(form=form))
    onnx = graph_of(trainer.progress.best, form)
    card = Card(
        form=form,
        normalization=Normalization(mean_adu=0, sd_adu=1),
        halo_px=form.halo_px,
        source="trained",
        weights_sha256=digest(onnx),
    )
    seen = np.random.default_rng(1).normal(size=(48, 64)).astype(np.float32)
    trainer.restore({**trainer.arrays(), **_best_as_now(trainer)})
    with torch.no_grad():
        wanted = trainer._network.forward(
            torch.from_numpy(seen[None, None]), is_training=False
        )
    found = Denoiser(card, onnx)(seen)
    np.testing.assert_allclose(found, wanted[0, 0].numpy(), atol=1e-4)


def _best_as_now(trainer):
    return {f"now/{n}": a for n, a in trainer.progress.best.items()}
