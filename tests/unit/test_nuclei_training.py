"""What the network is taught: targets, scenes and a split that keeps parts apart."""

import numpy as np
import pytest

from her2sr_proc.segmentation.frames import REACH_PX
from training.nuclei.examples import CROP_PX, example, picture, pool, split_of, targets
from training.nuclei.scenes import scene


def test_depth_is_one_in_the_middle_and_contact_lies_between():
    labels = np.zeros((40, 60), np.int32)
    labels[10:31, 10:31] = 1
    labels[10:31, 31:52] = 2
    inside, depth, contact, *_ = targets(labels)
    assert depth[20, 20] == depth[20, 41] == 1.0
    assert 0 < depth[20, 30] < 0.1
    assert contact[20, 30] == contact[20, 31] == 1
    assert contact[20, 28] == contact[9, 20] == 0
    np.testing.assert_array_equal(inside, labels > 0)


def test_ways_lead_to_the_middle_of_each_nucleus_and_not_of_both():
    labels = np.zeros((40, 60), np.int32)
    labels[10:31, 10:31] = 1
    labels[10:31, 31:52] = 2
    *_, down, right = targets(labels)
    assert down[20, 20] == right[20, 20] == right[5, 5] == 0.5
    ends = [20 + (2 * right[20, 20 + k] - 1) * REACH_PX + k for k in (-8, 9)]
    np.testing.assert_allclose(ends, [20, 20], atol=1e-4)
    assert 31 + (2 * right[20, 31] - 1) * REACH_PX == pytest.approx(41)
    assert 12 + (2 * down[12, 20] - 1) * REACH_PX == pytest.approx(20)


def test_crowded_images_are_drawn_more_often():
    few, many = np.zeros((9, 9), np.int32), np.arange(81, dtype=np.int32)
    many = many.reshape(9, 9)
    few[4, 4] = 1
    images = [picture(n, np.zeros((9, 9)), v) for n, v in (("f", few), ("m", many))]
    source, rng = pool(images), np.random.default_rng(1)
    drawn = [source.draw(rng).name for _ in range(400)]
    assert drawn.count("m") / 400 == pytest.approx(9 / (9 + 2**0.5), abs=0.05)


def test_a_scene_follows_from_its_seed_and_holds_nuclei():
    first, second = (scene(np.random.default_rng([3, 1]), size=192) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert len(np.unique(first[1])) > 3


def test_an_example_shows_nuclei_near_the_size_that_is_used():
    image, labels = scene(np.random.default_rng([3, 2]))
    planes, wanted = example(picture("s", image, labels), np.random.default_rng(5))
    assert planes.shape == (2, CROP_PX, CROP_PX)
    assert wanted.shape == (5, CROP_PX, CROP_PX)
    assert planes.dtype == wanted.dtype == np.float32
    assert wanted[0].any()


def test_the_split_keeps_its_parts_apart_and_covers_every_size(tmp_path):
    path = tmp_path / "images.npz"
    shapes = [(8, 8)] * 20 + [(8, 9)] * 10
    arrays = {f"img_{k:02}": np.zeros(s, np.uint8) for k, s in enumerate(shapes)}
    np.savez(path, **arrays)
    parts = split_of(path)
    names = parts.training + parts.validation + parts.held_out
    assert sorted(names) == sorted(n[4:] for n in arrays)
    assert [len(parts.training), len(parts.validation)] == [21, 3]
    assert split_of(path) == parts
    assert pytest.approx(0.2) == len(parts.held_out) / len(names)
