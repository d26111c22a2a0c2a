"""Nearest neighbors against brute force, what they may not be, and how pure they are."""

import numpy as np
import pytest
from PIL import Image

from tfssl.data.examples import Skipped
from tfssl.errors import ConfigError
from tfssl.visualization.embedding import embedding
from tfssl.visualization.neighbors import (
    chance_purity,
    cosine_neighbors,
    cut_patches,
    distance,
    neighbors,
    purity_at_k,
)
from tfssl.visualization.units import units

from .conftest import weights_hash


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)


def test_equals_brute_force(rows):
    index, far = cosine_neighbors(rows, 5)
    for query in range(len(rows)):
        lengths = np.linalg.norm(rows, axis=1)
        expected = 1 - rows @ rows[query] / (lengths * lengths[query])
        order = np.argsort(expected)[:5]
        np.testing.assert_array_equal(index[query], order)
        np.testing.assert_allclose(far[query], np.maximum(expected[order], 0), atol=1e-6)
    np.testing.assert_array_equal(index[:, 0], np.arange(60))  # itself, where nothing is excluded
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    squared = ((unit[index[:, 3]] - unit) ** 2).sum(axis=1)
    np.testing.assert_allclose(squared, 2 * far[:, 3], atol=1e-5)  # ||x - y||^2 = 2 - 2 cos


def test_own_group_is_left_out_and_order_does_not_matter(rows):
    groups = np.repeat(np.arange(20), 3)
    index, far = cosine_neighbors(rows, 4, groups=groups)
    assert not (groups[index] == groups[:, None]).any()
    order = np.random.default_rng(1).permutation(60)
    shuffled, shuffled_far = cosine_neighbors(rows[order], 4, groups=groups[order])
    np.testing.assert_array_equal(order[shuffled], index[order])
    np.testing.assert_allclose(shuffled_far, far[order], atol=1e-6)
    with pytest.raises(ConfigError, match="1 to 57"):
        cosine_neighbors(rows, 58, groups=groups)


def test_ties_and_dead_rows():
    index, far = cosine_neighbors(np.zeros((4, 3)), 2, groups=np.arange(4))
    np.testing.assert_array_equal(index, [[1, 2], [0, 2], [0, 1], [0, 1]])
    assert (far == 1).all()


def test_purity():
    labels = np.array([0, 0, 1, 1])
    assert purity_at_k(np.array([[1, 2], [0, 2], [3, 0], [0, 1]]), labels) == pytest.approx(3 / 8)
    assert chance_purity(labels) == pytest.approx(1 / 3)
    assert chance_purity(labels, groups=np.array([0, 0, 0, 1])) == pytest.approx((0 + 0 + 1 + 1 / 3) / 4)


def test_patches():
    images = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    patches, owner = cut_patches(images, 3)
    assert patches.shape == (18, 4, 4, 3) and owner.tolist() == [0] * 9 + [1] * 9
    np.testing.assert_array_equal(patches[5], images[0, 2:6, 4:8])


def test_networks_side_by_side(tmp_path, networks, classes):
    before, skipped = [weights_hash(n) for n in networks.values()], Skipped()
    numbers = neighbors(networks, str(classes), out=tmp_path, image_size=32, k=3, queries=4, skipped=skipped)
    assert before == [weights_hash(n) for n in networks.values()]
    assert numbers["run"]["images_purity"] == 1.0  # the classes are colors
    assert numbers["run"]["chance_purity"] == pytest.approx(7 / 23)
    assert [name.endswith("broken.jpg") for name in skipped.reasons] == [True]
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"{k}-{n}.png" for k in ("neighbors", "patches") for n in networks} | {
        "index.html",
        "numbers.json",
    }
    again = neighbors(networks, str(classes), out=tmp_path / "again", image_size=32, k=3, queries=4)
    assert again == numbers
    same = [(tmp_path / folder / "patches-run.png").read_bytes() for folder in ("", "again")]
    assert same[0] == same[1]


def test_distance_of_images(tmp_path, networks, classes):
    photos = [str(classes / name) for name in ("red/0.png", "red/1.png", "blue/0.png")]
    numbers = distance(networks, photos, out=tmp_path, image_size=32)
    for column in numbers.values():
        assert set(column) == {"1_to_2", "1_to_3", "2_to_3"} and column["1_to_2"] < column["1_to_3"]
    assert Image.open(tmp_path / "distance.png").width > 3 * 160
    assert "1.png" in (tmp_path / "index.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="at least twice"):
        distance(networks, photos[:1], out=tmp_path)


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (neighbors, ("image_size", "limit", "k", "queries", "grid", "cells")),
        (embedding, ("image_size", "limit", "cells")),
        (units, ("image_size", "limit", "top", "shown", "occluder", "stride")),
    ],
)
def test_counts_below_one_are_named(draw, names, tmp_path):
    for name in names:
        for value in (0, -3):
            with pytest.raises(ConfigError, match=f"`{name}` must be at least 1. Received: {name}={value}"):
                draw({}, "builtin", out=tmp_path, **{name: value})
    with pytest.raises(ConfigError, match="`cells` must be at least 1"):
        distance({}, ["a.jpg", "b.jpg"], out=tmp_path, cells=0)
    with pytest.raises(ConfigError, match="`fields` must be at least 0"):
        units({}, "builtin", out=tmp_path, fields=-1)
