"""Thresholds of cleaned frames: the paper's figures, models, labels by rule."""

import json

import numpy as np
import pytest

from her2sr_proc import threshold_fit
from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.schema.cohort import ThresholdRow
from her2sr_proc.schema.threshold import (
    PAPER_K,
    Anchor,
    ScheduleThreshold,
    SigmaThreshold,
)
from her2sr_proc.store.cohort import read_thresholds
from her2sr_proc.store.thresholds import read_model, write_labels_csv, write_model
from her2sr_proc.threshold import Left, Threshold, apply, figures_of, line_at
from her2sr_proc.threshold_labels import label_frame, off_nuclei, spot_heights, spread

# a 488 stack after background subtraction; authors' repository, facts alone
FRAMES = (1, 300, 500, 1000, 2000, 3000, 4000, 4999)
MEAN = (212.846031, 128.699482, 112.803062, 93.731129)
MEAN += (79.075169, 73.752136, 68.928738, 66.879509)
SD = (438.825431, 234.869838, 194.446258, 147.341099)
SD += (113.957711, 101.851745, 92.096905, 87.383914)
HIGHEST = (19859, 8037, 5977, 3969, 2370, 2051, 1570, 1368)
CHOSEN = (2336.761115, 1265.469498, 1053.922952, 806.862046)
CHOSEN += (630.630491, 566.714584, 514.677756, 489.817651)
PAPER = [
    ThresholdRow(
        frame=f, mean_adu=m, sd_adu=s, minimum_adu=0, maximum_adu=h, threshold_adu=t
    )
    for f, m, s, h, t in zip(FRAMES, MEAN, SD, HIGHEST, CHOSEN, strict=True)
]


def rows(noise_adu, count=12, seed=0):
    """Labels of 40 + 0.5 mean + 3 SD, and noise of the observer."""
    rng = np.random.default_rng(seed)
    mean, sd = rng.uniform(60, 200, count), rng.uniform(80, 400, count)
    chosen = 40 + 0.5 * mean + 3 * sd + noise_adu * rng.normal(size=count)
    return [
        ThresholdRow(mean_adu=m, sd_adu=s, threshold_adu=t, frame=n)
        for n, (m, s, t) in enumerate(zip(mean, sd, chosen, strict=True))
    ]


def test_the_paper_s_labels_are_mean_plus_4_84_sd():
    model, line = threshold_fit.fit_linear(PAPER)
    assert model.factors["mean_adu"] == pytest.approx(1.0, abs=1e-6)
    assert model.factors["sd_adu"] == pytest.approx(4.84, abs=1e-6)
    assert model.intercept_adu == pytest.approx(0, abs=1e-4)
    # figures are printed to half a millionth: 5e-7 x (1 + 4.84 + 1)
    by_formula = np.array(MEAN) + 4.84 * np.array(SD)
    assert np.abs(by_formula - CHOSEN).max() < 3.5e-6
    assert np.abs(line.fitted_adu - CHOSEN).max() < 3.5e-6
    assert model.is_formula


def test_k_of_the_paper_s_labels_is_4_84():
    model = threshold_fit.fit_sigma(PAPER)
    assert model.k_by_channel == pytest.approx({"any": PAPER_K["488"]}, abs=1e-7)
    assert model.rms_error_adu < 1e-5


def test_each_channel_has_its_own_k():
    labels = [r.model_copy(update={"channel": "488"}) for r in PAPER]
    labels += [
        r.model_copy(
            update={"channel": "561", "threshold_adu": r.mean_adu + 3.5 * r.sd_adu}
        )
        for r in PAPER
    ]
    model = threshold_fit.fit_sigma(labels)
    assert model.k_by_channel == pytest.approx({"488": 4.84, "561": 3.5}, abs=1e-6)
    frame = np.arange(12, dtype=np.uint16).reshape(3, 4)
    by = {c: Threshold(model, channel=c).of(frame, 0) for c in ("488", "561")}
    assert by["488"] - by["561"] == pytest.approx(1.34 * frame.std(), abs=1e-5)
    with pytest.raises(RequestError, match="channels 488, 561: 405 is none"):
        Threshold(model, channel="405")
    with pytest.raises(RequestError, match="say which by --channel"):
        Threshold(model)


def test_a_line_is_the_one_of_least_squares_with_its_left_out_error():
    labels = rows(noise_adu=30)
    model, _ = threshold_fit.fit_linear(labels)
    design = np.array([[1, r.mean_adu, r.sd_adu] for r in labels])
    chosen = np.array([r.threshold_adu for r in labels])
    wanted = np.linalg.lstsq(design, chosen, rcond=None)[0]
    got = [model.intercept_adu, *model.factors.values()]
    np.testing.assert_allclose(got, wanted, rtol=1e-9)
    errors = []
    for n in range(len(labels)):
        kept = np.arange(len(labels)) != n
        line = np.linalg.lstsq(design[kept], chosen[kept], rcond=None)[0]
        errors.append(chosen[n] - design[n] @ line)
    assert model.left_out_rmse_adu == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert not model.is_formula


def test_minimum_and_maximum_join_where_they_are_asked_for():
    rng = np.random.default_rng(5)
    labels = [
        r.model_copy(
            update={
                "minimum_adu": (low := rng.uniform(0, 20)),
                "maximum_adu": (high := rng.uniform(500, 9000)),
                "threshold_adu": r.threshold_adu + 0.02 * high - 2 * low,
            }
        )
        for r in rows(noise_adu=0)
    ]
    features = ("mean_adu", "sd_adu", "minimum_adu", "maximum_adu")
    model, _ = threshold_fit.fit_linear(labels, features=features)
    wanted = {"mean_adu": 0.5, "sd_adu": 3, "minimum_adu": -2, "maximum_adu": 0.02}
    assert model.factors == pytest.approx(wanted, abs=1e-9)
    frame = np.array([[3, 7], [9, 400]], np.uint16)
    figures = figures_of(frame)
    by_hand = 40 + 0.5 * figures.mean_adu + 3 * figures.sd_adu - 2 * 3 + 0.02 * 400
    assert line_at(model, figures) == pytest.approx(by_hand)


REFUSED = [
    pytest.param(lambda: rows(noise_adu=900), "explains too little", id="noise"),
    pytest.param(lambda: rows(1, count=7), "7 labelled frames are too few", id="few"),
    pytest.param(
        lambda: [r.model_copy(update={"sd_adu": 2 * r.mean_adu}) for r in rows(1)],
        "cannot be told apart",
        id="one figure",
    ),
    pytest.param(
        lambda: [
            r.model_copy(update={"channel": str(488 + n % 2)})
            for n, r in enumerate(rows(1))
        ],
        "choose it by --channel",
        id="two channels",
    ),
]


@pytest.mark.parametrize(("labels", "words"), REFUSED)
def test_a_line_that_would_not_hold_is_refused_with_its_reason(labels, words):
    with pytest.raises(RequestError, match=words):
        threshold_fit.fit_linear(labels())


def test_a_line_of_a_figure_that_labels_lack_is_refused():
    with pytest.raises(RequestError, match="not every label has maximum_adu"):
        threshold_fit.fit_linear(
            rows(1), features=("mean_adu", "sd_adu", "maximum_adu")
        )


def test_a_schedule_runs_straight_between_anchors_and_level_beyond():
    anchors = (Anchor(frame=10, threshold_adu=1490), Anchor(frame=20, threshold_adu=90))
    threshold = Threshold(ScheduleThreshold(anchors=anchors))
    frame = np.zeros((2, 2), np.uint16)
    at = [threshold.of(frame, n) for n in (0, 10, 11, 15, 20, 5000)]
    assert at == pytest.approx([1490, 1490, 1350, 790, 90, 90])


def test_labels_become_anchors_in_order_of_frames():
    model = threshold_fit.fit_schedule(PAPER[::-1])
    assert [a.frame for a in model.anchors] == list(FRAMES)
    with pytest.raises(RequestError, match="labelled twice"):
        threshold_fit.fit_schedule([*PAPER, PAPER[0]])
    with pytest.raises(RequestError, match="does not say of which frame"):
        threshold_fit.fit_schedule(
            [r.model_copy(update={"frame": None}) for r in PAPER]
        )


@pytest.mark.parametrize("high", [1000, 65536])
def test_figures_of_counts_are_exact(high):
    frame = np.random.default_rng(2).integers(0, high, (37, 53)).astype(np.uint16)
    figures = figures_of(frame)
    exact = frame.astype(object)
    mean = exact.sum() / exact.size
    variance = (exact.size * (exact**2).sum() - exact.sum() ** 2) / exact.size**2
    assert figures.mean_adu == mean
    assert figures.sd_adu == variance**0.5
    assert (figures.minimum_adu, figures.maximum_adu) == (frame.min(), frame.max())


def test_figures_of_values_are_those_of_the_population():
    frame = np.random.default_rng(2).normal(1e4, 3, (40, 30)).astype(np.float32)
    figures = figures_of(frame)
    assert figures.sd_adu == pytest.approx(frame.astype(np.float64).std(), rel=1e-12)


LEVELS = ScheduleThreshold(anchors=(Anchor(frame=0, threshold_adu=10.4),))


@pytest.mark.parametrize(
    ("mode", "dtype", "wanted"),
    [
        ("tozero", np.uint16, [0, 0, 11, 12, 65535]),
        ("subtract", np.uint16, [0, 0, 1, 2, 65525]),
        ("tozero", np.float32, [0, 0, 11, 12, 65535]),
        ("subtract", np.float32, [0, 0, 0.6, 1.6, 65524.6]),
    ],
)
def test_what_is_above_is_kept_or_reduced(mode, dtype, wanted):
    frames = np.array([[[9, 10, 11, 12, 65535]]], dtype)
    out, left = apply(frames, Threshold(LEVELS), mode=mode, first_frame=0)
    np.testing.assert_allclose(out[0, 0], np.array(wanted, dtype), rtol=1e-6)
    assert out.dtype == dtype
    assert left == Left(1, 0, 3, 10.4, 10.4)


def test_a_value_at_the_threshold_is_not_above_it():
    model = ScheduleThreshold(anchors=(Anchor(frame=0, threshold_adu=11),))
    out, _ = apply(
        np.array([[[10, 11, 12]]], np.uint16),
        Threshold(model),
        mode="tozero",
        first_frame=0,
    )
    assert out.tolist() == [[[0, 0, 12]]]


@pytest.mark.parametrize("level", [-5.0, 65535.0, 1e9])
def test_levels_no_count_can_have_keep_all_or_nothing(level):
    model = ScheduleThreshold(anchors=(Anchor(frame=0, threshold_adu=level),))
    frames = np.array([[[0, 7, 65535]]], np.uint16)
    out, left = apply(frames, Threshold(model), mode="tozero", first_frame=0)
    assert out.tolist() == (frames.tolist() if level < 0 else [[[0, 0, 0]]])
    assert left.is_empty is (level > 0)


def test_a_model_read_again_is_the_same(tmp_path):
    labels = tmp_path / "labels.csv"
    write_labels_csv(labels, PAPER)
    assert read_thresholds(labels) == tuple(PAPER)
    path = tmp_path / "model.json"
    for model in (
        threshold_fit.fit_linear(PAPER)[0],
        threshold_fit.fit_sigma(PAPER),
        threshold_fit.fit_schedule(PAPER),
    ):
        digest = write_model(path, model, labels=labels)
        assert read_model(path).model == model
        assert read_model(path).digest == digest


CHANGES = [
    pytest.param(lambda d: d["model"]["k_by_channel"].update(any=9), id="k"),
    pytest.param(lambda d: d.update(labels_sha256="0"), id="labels"),
    pytest.param(lambda d: d.update(version=2), id="version"),
    pytest.param(lambda d: d.update(format="other"), id="format"),
    pytest.param(lambda d: d["model"].update(kind="magic"), id="kind"),
    pytest.param(lambda d: d.pop("model"), id="no model"),
    pytest.param(lambda d: d.update(extra=1), id="extra"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_is_refused(tmp_path, change):
    path = tmp_path / "model.json"
    write_model(path, SigmaThreshold(k_by_channel={"any": 4.84}), labels=None)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="threshold fit"):
        read_model(path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\x80", "[" * 100_000])
def test_what_is_no_model_is_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="threshold fit") as refusal:
        read_model(path)
    assert "\n" not in str(refusal.value)


def test_a_plateau_is_one_spot_and_a_slope_is_none():
    frame = np.zeros((9, 9), np.uint16)
    frame[1, 1], frame[4, 4:6], frame[8, 6:] = 5, 7, (1, 2, 3)
    everywhere = np.ones(frame.shape, bool)
    assert sorted(spot_heights(frame, everywhere)) == [3, 5, 7]


def test_a_label_is_the_smallest_threshold_under_the_rate():
    rng = np.random.default_rng(8)
    frames = rng.poisson(20, (6, 40, 40)).astype(np.uint16)
    nuclei = np.zeros((40, 40), np.int32)
    nuclei[10:30, 10:30] = 1
    frames[:, 20, 20] = 5000  # a signal in the nucleus decides nothing
    off = off_nuclei(nuclei, margin_px=2)
    row = label_frame(frames, 2, 100, off, rate=1.5)
    assert row.frame == 102
    assert row.maximum_adu == 5000

    def spots(limit):
        heights = np.concatenate([spot_heights(frame, off) for frame in frames])
        return (heights > limit).sum() / len(frames)

    assert spots(row.threshold_adu) <= 1.5 < spots(row.threshold_adu - 1)


def test_a_frame_without_spots_off_nuclei_needs_no_threshold():
    frames = np.zeros((2, 20, 20), np.uint16)
    off = off_nuclei(np.zeros((20, 20), np.int32), margin_px=5)
    assert label_frame(frames, 0, 0, off, rate=0).threshold_adu == 0


def test_a_field_full_of_nuclei_cannot_be_labelled_by_rule():
    with pytest.raises(RequestError, match="off the nuclei"):
        off_nuclei(np.ones((20, 20), np.int32), margin_px=0)


@pytest.mark.parametrize(("count", "frames"), [(12, 5000), (12, 12), (9, 4), (1, 7)])
def test_labels_are_spread_from_the_first_frame_to_the_last(count, frames):
    chosen = spread(count, frames)
    assert len(chosen) == len(set(chosen)) == min(count, frames)
    assert chosen[0] == 0
    assert chosen == sorted(chosen)
    if count > 1:
        assert chosen[-1] == frames - 1
