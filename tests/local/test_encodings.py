"""What descriptors become: histograms, pyramids, VLAD and Fisher vectors, triangle codes."""

import numpy as np
import pytest
from skimage.feature import fisher_vector
from sklearn.mixture import GaussianMixture

from tfssl.errors import ModelError, SourceError
from tfssl.local.fisher import FisherVector
from tfssl.local.pooling import FlatMap, PowerNorm, Quadrants, SpatialPyramid, cell_sums, level_weights
from tfssl.local.triangle import TriangleCode, WhitenedPatches
from tfssl.local.vlad import Vlad
from tfssl.local.words import VisualWords


def descriptors(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def adapted(layer, maps, seed=0):
    if not layer.built:
        layer.build(maps.shape)
    layer.adapt(layer.samples(maps), seed)
    return layer


@pytest.fixture(scope="module")
def words():
    maps = descriptors(3, 9, 10, 16)
    return adapted(VisualWords(8), maps)(maps).numpy()


def test_each_descriptor_has_one_word_the_nearest(words):
    maps = descriptors(3, 9, 10, 16)
    layer = adapted(VisualWords(8), maps)
    (centers, _) = layer.get_weights()
    far = np.linalg.norm(maps[..., None, :] - centers, axis=-1)
    np.testing.assert_array_equal(words.argmax(axis=-1), far.argmin(axis=-1))
    np.testing.assert_array_equal(words.sum(axis=-1), 1)
    assert words.sum(axis=(1, 2)).sum(axis=1).tolist() == [90, 90, 90]


def test_a_bag_has_length_1_and_no_order(words):
    bag = SpatialPyramid(1)(words).numpy()
    np.testing.assert_allclose(np.square(bag).sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(np.square(bag) * 90, words.sum(axis=(1, 2)), atol=1e-4)
    mixed = np.random.default_rng(1).permutation(words.reshape(3, 90, 8), axis=1).reshape(3, 9, 10, 8)
    np.testing.assert_array_equal(SpatialPyramid(1)(mixed).numpy(), bag)


def test_cells_of_a_level_sum_to_the_level_above(words):
    whole, quarters, sixteenths = (cell_sums(words, cells).numpy() for cells in (1, 2, 4))
    np.testing.assert_array_equal(whole[:, 0], words.sum(axis=(1, 2)))
    np.testing.assert_array_equal(quarters.sum(axis=1), whole[:, 0])
    np.testing.assert_array_equal(sixteenths.sum(axis=1), whole[:, 0])
    np.testing.assert_array_equal(quarters[:, 1], words[:, :4, 5:].sum(axis=(1, 2)))  # the upper right one


def test_a_pyramid_has_21_histograms_with_the_weights_of_their_levels(words):
    found = SpatialPyramid(3)(words).numpy()
    assert found.shape == (3, 21 * 8) == SpatialPyramid(3).compute_output_shape(words.shape)
    energy = np.square(found)
    parts = [energy[:, :8], energy[:, 8:40], energy[:, 40:]]
    for part, weight in zip(parts, (1 / 4, 1 / 4, 1 / 2), strict=True):
        np.testing.assert_allclose(part.sum(axis=-1), weight, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(4 * energy[:, :8]), SpatialPyramid(1)(words).numpy(), atol=1e-6)
    assert level_weights(1) == [1] and level_weights(2) == [1 / 2, 1 / 2]


def test_one_word_tells_nothing():
    maps = descriptors(4, 5, 5, 16)
    bags = SpatialPyramid(3)(adapted(VisualWords(1), maps)(maps)).numpy()
    np.testing.assert_array_equal(bags, np.broadcast_to(bags[:1], bags.shape))


def test_vlad_of_descriptors_that_are_centers_is_zero():
    maps = descriptors(1, 8, 8, 128)
    layer = adapted(Vlad(64), maps)
    layer.set_weights([maps.reshape(64, 128), np.float32(1)])
    found = PowerNorm()(layer(maps)).numpy()
    assert found.shape == (1, 8192)
    assert not found.any()


def test_vlad_is_the_sum_of_what_is_left():
    maps = descriptors(2, 6, 6, 16)
    layer = adapted(Vlad(4), maps)
    centers, _ = layer.get_weights()
    rows = maps[1].reshape(-1, 16)
    nearest = np.linalg.norm(rows[:, None] - centers, axis=-1).argmin(axis=-1)
    sums = np.stack([(rows[nearest == k] - centers[k]).sum(axis=0) for k in range(4)])
    sums /= np.linalg.norm(sums, axis=-1, keepdims=True)
    np.testing.assert_allclose(layer(maps).numpy()[1], sums.ravel(), atol=1e-4)
    roots = np.sign(sums.ravel()) * np.sqrt(np.abs(sums.ravel()))
    np.testing.assert_allclose(PowerNorm()(layer(maps)).numpy()[1], roots / np.linalg.norm(roots), atol=1e-4)


def test_fisher_vectors_are_those_of_scikit_image():
    maps = descriptors(3, 8, 8, 20)
    layer = adapted(FisherVector(components=4, dimensions=6), maps)
    mean, directions, log_weights, means, deviations, _ = layer.get_weights()
    mixture = GaussianMixture(4, covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = np.exp(log_weights), means, deviations**2
    mixture.precisions_cholesky_ = 1 / deviations
    reference = fisher_vector((maps[2].reshape(-1, 20) - mean) @ directions, mixture)
    found = layer(maps).numpy()[2]
    assert found.shape == (2 * 4 * 6,)
    np.testing.assert_allclose(found[:24], reference[4:28], atol=1e-4)
    np.testing.assert_allclose(found[24:], -reference[28:], atol=1e-4)  # there the sign is turned round
    assert FisherVector(64, 64).compute_output_shape((None, None, None, 128)) == (None, 8192)


def test_triangle_codes_are_zero_for_centers_farther_than_the_mean():
    maps = descriptors(2, 5, 6, 10)
    layer = adapted(TriangleCode(7), maps)
    far = np.linalg.norm(maps[..., None, :] - layer.get_weights()[0], axis=-1)
    np.testing.assert_allclose(layer(maps), np.maximum(far.mean(axis=-1, keepdims=True) - far, 0), atol=1e-4)


def test_quadrants_are_means():
    maps = descriptors(2, 5, 6, 3)
    found = Quadrants()(maps).numpy()
    assert found.shape == (2, 12)
    np.testing.assert_allclose(found[:, :3], maps[:, :2, :3].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found[:, 9:], maps[:, 2:, 3:].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(FlatMap()(maps), maps.reshape(2, -1))


def test_whitened_patches_have_variance_1_and_no_correlation():
    images = descriptors(4, 40, 40, 3)
    found = adapted(WhitenedPatches(components=20), images)(images).numpy().reshape(-1, 20)
    np.testing.assert_allclose(np.cov(found.T), np.eye(20), atol=0.02)


def test_gray_images_have_fewer_directions_and_work():
    images = np.repeat(descriptors(4, 40, 40, 1), 3, axis=-1)
    found = adapted(WhitenedPatches(components=64), images)(images).numpy().reshape(-1, 64)
    np.testing.assert_allclose(found.var(axis=0), [1] * 35 + [0] * 29, atol=0.02)


@pytest.mark.parametrize("layer", [VisualWords(4), Vlad(4), FisherVector(2, 3), TriangleCode(4)], ids=lambda x: x.name)
def test_the_seed_fixes_the_vocabulary(layer):
    maps = descriptors(2, 6, 6, 8)
    first, again, other = (adapted(layer, maps, seed=seed)(maps).numpy() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_vocabulary_is_needed_and_enough_descriptors_for_it():
    layer = VisualWords(8, name="words")
    with pytest.raises(ModelError, match=r"VisualWords 'words': learn its vocabulary first: encoder.adapt\(images\)"):
        layer(descriptors(1, 2, 2, 4))
    with pytest.raises(SourceError, match="`images` give 4 descriptors, VisualWords 'words' needs at least 8"):
        layer.adapt(descriptors(4, 4))
    layer.adapt(np.zeros((9, 4)))  # all alike: seven words stay empty
    assert SpatialPyramid(1)(layer(np.zeros((1, 3, 3, 4), np.float32))).numpy().tolist() == [[1.0] + [0.0] * 7]
