"""Gram matrices against the hand-worked numbers of Gatys' and Berger's losses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.errors import ConfigError
from tfssl.ops.gram import FLIPS, flipped_gram, gram, gram_distance, shifted_gram

TWO = np.array([[1, 2, 3, 4], [0, 1, 1, 0]], np.float64).T.reshape(1, 2, 2, 2)  # two channels, four positions
THREE = np.stack([np.arange(1.0, 10).reshape(3, 3), np.eye(3)], axis=-1)[None]


def value(result):
    return keras.ops.convert_to_numpy(result)[0]


def test_gram_and_distance_of_the_card():
    np.testing.assert_allclose(value(gram(TWO)), [[7.5, 1.25], [1.25, 0.5]])
    assert value(gram_distance(gram(TWO), np.zeros((1, 2, 2)))) == pytest.approx(3.7265625)


def test_gradient_of_the_card():
    maps = tf.constant(TWO)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        distance = gram_distance(gram(maps), np.zeros((1, 2, 2)))
    found = tape.gradient(distance, maps).numpy().reshape(4, 2).T
    np.testing.assert_allclose(found, [[0.46875, 1.015625, 1.484375, 1.875], [0.078125, 0.1875, 0.265625, 0.3125]])


def test_shifted_grams_of_the_card():
    np.testing.assert_allclose(value(shifted_gram(THREE, right=1)), [[31, 4 / 3], [2, 0]])
    np.testing.assert_allclose(value(shifted_gram(THREE, down=1)), [[77 / 3, 2], [4 / 3, 0]])
    np.testing.assert_allclose(value(shifted_gram(THREE, right=2)), [[30, 1], [7 / 3, 0]])
    np.testing.assert_allclose(value(shifted_gram(THREE)), value(gram(THREE)))


def test_flipped_gram_of_the_card():
    np.testing.assert_allclose(value(flipped_gram(THREE, "left-right")), [[91 / 3, 5 / 3], [5 / 3, 1 / 9]])


def test_quarter_turn_is_that_of_numpy():
    maps = np.random.default_rng(0).normal(size=(2, 5, 5, 3))
    turned = keras.ops.convert_to_numpy(FLIPS["quarter-turn"](maps))
    np.testing.assert_array_equal(turned, np.rot90(maps, axes=(1, 2)))


def test_stripes_are_told_from_shuffled_pixels_only_by_shifts():
    stripes = np.tile([1.0, 0.0], (4, 2))[None, ..., None]
    shuffled = np.random.default_rng(0).permutation(stripes.ravel()).reshape(stripes.shape)
    assert value(gram(stripes)) == value(gram(shuffled)) == 0.5
    assert value(shifted_gram(stripes, right=1)) == 0 and value(shifted_gram(stripes, right=2)) == 0.5
    assert value(shifted_gram(shuffled, right=1)) > 0


def test_opposite_shift_and_mirror_transpose():
    maps = np.random.default_rng(1).normal(size=(1, 6, 7, 3))
    mirrored = maps[:, :, ::-1]
    np.testing.assert_allclose(value(shifted_gram(maps, right=2)), value(shifted_gram(mirrored, right=2)).T)
    symmetric = value(gram(maps))
    np.testing.assert_allclose(symmetric, symmetric.T)
    assert np.linalg.eigvalsh(symmetric).min() > 0


@pytest.mark.parametrize("flip", FLIPS)
def test_flipped_gram_measures_differences_at_mirrored_positions(flip):
    maps = np.random.default_rng(2).normal(size=(1, 6, 6, 3))
    # A turn moves |F|^2 elsewhere without changing its mean, so the identity of the docstring holds for it too.
    differences = np.sum((maps - keras.ops.convert_to_numpy(FLIPS[flip](maps))) ** 2, axis=-1).mean()
    assert differences == pytest.approx(2 * np.trace(value(gram(maps)) - value(flipped_gram(maps, flip))))


STATISTICS = {
    "gram": gram,
    "shifted": lambda maps: shifted_gram(maps, down=1, right=2),
    **{flip: lambda maps, flip=flip: flipped_gram(maps, flip) for flip in FLIPS},
}


@pytest.mark.parametrize("name", STATISTICS)
def test_gradients_are_those_of_finite_differences(name):
    rng = np.random.default_rng(3)
    maps, target = rng.normal(size=(1, 4, 4, 2)), rng.normal(size=(1, 2, 2))
    x = tf.constant(maps)
    with tf.GradientTape() as tape:
        tape.watch(x)
        distance = gram_distance(STATISTICS[name](x), target)
    found = tape.gradient(distance, x).numpy()
    expected, step = np.zeros_like(maps), 1e-5
    for place in np.ndindex(maps.shape):
        ends = []
        for sign in (1, -1):
            moved = maps.copy()
            moved[place] += sign * step
            ends.append(value(gram_distance(STATISTICS[name](moved), target)))
        expected[place] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_what_cannot_be():
    with pytest.raises(ConfigError, match="`right` must be an integer from 0 to 2"):
        shifted_gram(THREE, right=3)
    with pytest.raises(ConfigError, match="did you mean `left-right`"):
        flipped_gram(THREE, "left-rigth")
    with pytest.raises(ConfigError, match="square"):
        flipped_gram(THREE[:, :2], "quarter-turn")
    with pytest.raises(ConfigError, match="floating"):
        gram(np.ones((1, 2, 2, 1), np.uint8))
