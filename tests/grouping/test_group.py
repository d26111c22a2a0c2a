"""Grouping of pixels: card, tests 4 and 5, the pairs, boundaries of what has some, regions, bad input."""

import numpy as np
import pytest
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.grouping.group import Grouper, read_grouper
from tfssl.grouping.pairs import Affinity, PairDensity, feature_sets, sample_pairs
from tfssl.grouping.spectral import (
    affinity_matrix,
    eigenvectors,
    image_eigenvectors,
    neighbor_pairs,
    spectral_groups,
)
from tfssl.ops.boundaries import suppress_non_maxima

SIZE, EDGE = 40, 24  # the right part begins at this column


@pytest.fixture(scope="module")
def textures():
    """Two textures side by side: dark reddish stripes and speckles of bright blue."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 12, (SIZE, SIZE, 3))
    pixels[:, :EDGE] += np.where(np.arange(SIZE)[:, None, None] % 4 < 2, (110, 60, 50), (90, 40, 30))
    pixels[:, EDGE:] += np.where(rng.random((SIZE, SIZE - EDGE, 1)) < 0.5, (90, 130, 210), (120, 160, 240))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def grouped(textures):
    return Grouper(kernels=1500, vectors=12, groups=2, proposals=4, halvings=0)(textures)


def test_blocks_come_back():
    """Card, test 4."""
    block = np.arange(20) // 10
    matrix = np.where(block[:, None] == block, 1.0, 0.01)
    for seed in range(5):
        found = spectral_groups(matrix, 2, seed)
        assert len(set(found[:10])) == len(set(found[10:])) == 1 and found[0] != found[10]
    assert spectral_groups(matrix, 1).tolist() == [0] * 20
    matrix[0, 1] = 3
    with pytest.raises(ConfigError, match="`matrix` must be symmetric"):
        spectral_groups(matrix, 2)


def test_affinity_within_a_texture_is_larger(textures):
    """Card, test 5: the mean within more than three times that across."""
    pixels = np.asarray(textures)
    first, second = neighbor_pairs(pixels.shape[:2], 5)
    values = Affinity(pixels, kernels=1500, regressed=3000)(first, second)
    same = (first % SIZE < EDGE) == (second % SIZE < EDGE)
    assert values[same].mean() > 3 * values[~same].mean()
    np.testing.assert_allclose(Affinity(pixels, kernels=1500, regressed=3000)(second, first), values)


def test_pairs_are_two_to_six_pixels_apart():
    pairs = sample_pairs((50, 60), 4000, np.random.default_rng(0))
    rows, columns = np.divmod(pairs, 60)
    offset = np.stack([rows[:, 0] - rows[:, 1], columns[:, 0] - columns[:, 1]])
    distance = np.hypot(*offset)
    assert 3000 < len(pairs) < 4000 and pairs.min() >= 0 and pairs.max() < 3000
    assert abs(offset).max() == 4 and distance.min() >= 1
    # |r| of two Gaussians of deviation 0.5 is 0.5 sqrt(pi / 2) in the mean: 2 (1 + 0.627), a little less for the cap.
    assert distance.mean() == pytest.approx(3.2, abs=0.1)


def test_density_by_hand():
    """One kernel of Epanechnikov in one dimension: (3 / 4 h) (1 - (x / h)^2); its pairs in both orders."""
    density = PairDensity(np.array([[[0.5], [0.5]]]), np.array([[[0.5], [0.5]]]), bandwidths=(0.1,))
    found = density.margin(np.array([[0.5], [0.55], [0.7]]))
    np.testing.assert_allclose(found, [7.5, 7.5 * 0.75, 0], rtol=0.02, atol=1e-9)
    uneven = PairDensity(np.array([[[0.2], [0.8]]]), np.array([[[0.2], [0.8]]]), bandwidths=(0.1,))
    one, other = uneven.joint(np.array([[[0.2], [0.8]], [[0.8], [0.2]]]))
    assert one == pytest.approx(other) and one > 0
    # Two dimensions: 2 / (pi h^2) at the middle; half of it for each order.
    assert one == pytest.approx(0.5 * 2 / (np.pi * 0.01), rel=0.02)


def test_features_are_decorrelated(textures):
    for maps in feature_sets(np.asarray(textures)).values():
        flat = maps.reshape(-1, 3)
        assert flat.min() == 0 and flat.max() == 1
        covariance = np.cov(flat.T)
        assert abs(covariance - np.diag(np.diag(covariance))).max() < 1e-10


def test_neighbors_are_each_pair_once():
    first, second = neighbor_pairs((6, 5), 2)
    where = np.stack(np.divmod(np.stack([first, second]), 5))
    assert (np.hypot(*(where[:, 0] - where[:, 1])) <= 2).all() and (first != second).all()
    assert len({frozenset(pair) for pair in zip(first, second, strict=True)}) == len(first)
    every = np.stack(np.divmod(np.arange(30), 5), axis=1)
    wanted = (np.linalg.norm(every[:, None] - every, axis=-1) <= 2).sum() - 30
    assert len(first) == wanted / 2


def test_fewer_pixels_give_the_same_cut():
    shape = (24, 30)
    side = np.broadcast_to(np.arange(30) < 13, shape).ravel()
    matrix = affinity_matrix(lambda a, b: np.where(side[a] == side[b], 1.0, 0.01), shape, 3)
    for halvings in (0, 1, 2):
        values, vectors = image_eigenvectors(matrix, shape, 3, halvings)
        assert vectors.shape == (720, 3) and (np.diff(values) >= 0).all()
        assert abs(np.corrcoef(vectors[:, 0], side)[0, 1]) > 0.97
    # (D - W) v = lambda D v
    values, vectors = eigenvectors(matrix, 3)
    degree = np.asarray(matrix.sum(axis=1))
    np.testing.assert_allclose(degree * vectors - matrix @ vectors, values * degree * vectors, atol=2e-3)


def test_thin_lines():
    ridge = np.exp(-((np.arange(20) - 9.0) ** 2) / 4)[None].repeat(10, axis=0)
    across = suppress_non_maxima(ridge, np.zeros((10, 20)))
    assert (across[:, 9] == 1).all() and np.count_nonzero(across) == 10
    assert np.count_nonzero(suppress_non_maxima(ridge, np.full((10, 20), np.pi / 2))) == 200, "along it nothing is less"


def test_the_border_of_two_textures_is_found(grouped):
    strength, lines = grouped.strength, grouped.boundaries
    assert strength.shape == lines.shape == (SIZE, SIZE) and lines.min() >= 0 and lines.max() <= 1
    assert abs(strength[8:-8].mean(axis=0).argmax() - (EDGE - 0.5)) <= 1
    near, far = (strength[:, distances].mean() for distances in (slice(EDGE - 2, EDGE + 2), slice(8, EDGE - 6)))
    assert near > 3 * far


def test_groups_are_the_textures(grouped):
    truth = np.broadcast_to(np.arange(SIZE) >= EDGE, (SIZE, SIZE))
    groups = grouped.groups
    assert set(groups.ravel()) == {0, 1}
    assert max((groups == truth).mean(), (groups != truth).mean()) > 0.95


def test_a_learned_affinity_stands_for_the_pixels(textures):
    """Upper and lower half belong together, which the two textures, left and right, say nothing of."""
    size = 32

    def halves(pixels):
        assert pixels.shape == (size, size, 3) and pixels.dtype == np.uint8
        upper = np.arange(size * size) // size < size // 2
        return lambda first, second: np.where(upper[first] == upper[second], 1.0, 1e-3)

    found = Grouper(size=size, vectors=6, groups=2, halvings=0)(textures, learned=halves).groups
    upper, lower = found[: SIZE // 2 - 2], found[SIZE // 2 + 2 :]
    assert np.ptp(upper) == np.ptp(lower) == 0 and upper[0, 0] != lower[0, 0]


def test_the_best_proposal_is_the_object():
    truth = np.zeros((48, 40), bool)
    truth[12:32, 10:28] = True
    pixels = np.random.default_rng(0).integers(0, 40, (48, 40, 3)) + 180 * truth[..., None]
    found = Grouper(kernels=600, vectors=6, proposals=3)(Image.fromarray(pixels.astype(np.uint8))).proposals
    best = found[0]
    assert (best.mask & truth).sum() / (best.mask | truth).sum() > 0.85
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    left, top, right, bottom = best.box
    assert best.mask[top:bottom, left:right].sum() == best.mask.sum()


def test_the_same_seed_gives_the_same(textures):
    fast = Grouper(kernels=300, vectors=6, scales=2, size=32)
    one, two = (fast(textures) for _ in range(2))
    np.testing.assert_array_equal(one.energy, two.energy)
    assert one.energy.shape == (32, 32, 8) and one.strength.shape == one.groups.shape == (SIZE, SIZE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 0}, "`groups` must be an integer of at least 1"),
        ({"scales": 4}, "`scales` must be an integer from 1 to 3"),
        ({"grops": 3}, "did you mean `groups`"),
        ({"size": 240.5}, "`size`"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        read_grouper(options)


def test_images_that_cannot_be_grouped():
    with pytest.raises(ConfigError, match=r"`image` must be at least 16x16 pixels\. Received: 8x40"):
        Grouper()(Image.new("RGB", (8, 40)))
    with pytest.raises(ConfigError, match="one color only"):
        Grouper()(Image.new("RGB", (40, 40), "red"))
