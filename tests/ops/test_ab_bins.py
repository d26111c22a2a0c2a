"""The 313 bins: the table's checksums, the worked encodings of the method card, decoding."""

import numpy as np
import pytest

from tfssl.ops.ab_bins import (
    CENTERS,
    GRAY_BIN,
    NUM_BINS,
    annealed_mean,
    nearest_bin,
    soft_encode,
    soft_encode_reference,
)


def dense(indices, weights):
    """(N, k) indices and weights -> (N, 313)."""
    result = np.zeros((len(indices), NUM_BINS))
    np.put_along_axis(result, np.asarray(indices), np.asarray(weights, np.float64), axis=1)
    return result


def test_grid_checksums():
    assert CENTERS.shape == (313, 2)
    assert CENTERS[[0, 120, 221, 312]].tolist() == [[-90, 50], [0, 0], [50, 50], [100, 0]]
    assert CENTERS.sum(axis=0).tolist() == [4910, 2090]
    assert np.square(CENTERS.astype(int)).sum() == 1_877_800
    assert GRAY_BIN == 120


def test_grid_equals_the_authors_file(shared_data):
    import io
    import tarfile

    with tarfile.open(shared_data / "reference_arrays.tar") as archive:
        name = next(n for n in archive.getnames() if n.endswith("pts_in_hull.npy"))
        np.testing.assert_array_equal(np.load(io.BytesIO(archive.extractfile(name).read())), CENTERS)


WORKED = [
    ((0, 0), 5, {(0, 0): 0.648786, (10, 0): 0.087804, (-10, 0): 0.087804, (0, 10): 0.087804, (0, -10): 0.087804}),
    ((12, 7), 5, {(10, 10): 0.513698, (10, 0): 0.230819, (20, 10): 0.154723, (20, 0): 0.069521, (0, 10): 0.031238}),
    (
        (12, 7),
        10,
        {
            (10, 10): 0.491833,
            (10, 0): 0.220995,
            (20, 10): 0.148137,
            (20, 0): 0.066562,
            (0, 10): 0.029908,
            (10, 20): 0.020048,
            (0, 0): 0.013439,
            (20, 20): 0.006038,
            (10, -10): 0.001819,
            (0, 20): 0.001219,
        },
    ),
    (
        (23, -41.5),
        5,
        {(20, -40): 0.531631, (30, -40): 0.238877, (20, -50): 0.131099, (30, -50): 0.058906, (20, -30): 0.039486},
    ),
    (
        (-88, 63),
        5,
        {(-90, 60): 0.519044, (-90, 70): 0.233221, (-80, 60): 0.156333, (-80, 70): 0.070245, (-90, 50): 0.021157},
    ),
]


@pytest.mark.parametrize("ab, neighbors, expected", WORKED)
def test_worked_encodings(ab, neighbors, expected):
    for indices, weights in (soft_encode([ab], neighbors), soft_encode_reference([ab], neighbors)):
        pairs = zip(np.asarray(indices)[0], np.asarray(weights)[0], strict=True)
        found = {tuple(CENTERS[i].astype(int).tolist()): w for i, w in pairs}
        assert found.keys() == expected.keys()
        for center, weight in expected.items():
            assert found[center] == pytest.approx(weight, abs=2e-6)


def test_table_lookup_is_exact_at_whole_units():
    ab = np.array([[12, 7], [-88, 63], [0, 3]], np.float32)
    for k in (5, 10):
        np.testing.assert_allclose(
            dense(*soft_encode(ab, k, lookup="table")), dense(*soft_encode_reference(ab, k)), atol=1e-6
        )


@pytest.mark.parametrize("neighbors", [1, 5, 10])
def test_fast_search_equals_exhaustive_search(neighbors):
    ab = np.random.default_rng(0).uniform(-110, 110, (20_000, 2)).astype(np.float32)
    indices, weights = soft_encode(ab, neighbors)
    expected_indices, expected_weights = soft_encode_reference(ab, neighbors)
    np.testing.assert_allclose(np.asarray(weights).sum(axis=-1), 1, atol=1e-5)
    assert indices.shape == (20_000, neighbors)
    # float32 squares of distances up to 100 units carry errors near 1e-3 of 2 sigma^2 = 50.
    np.testing.assert_allclose(weights, expected_weights, atol=2e-5)
    # Where the last neighbor is a tie to float32 precision either choice is right; elsewhere the bins agree.
    next_weights = soft_encode_reference(ab, neighbors + 1)[1]
    clear = next_weights[:, -2] > next_weights[:, -1] * 1.001
    assert clear.mean() > 0.95
    np.testing.assert_allclose(
        dense(indices, weights)[clear], dense(expected_indices, expected_weights)[clear], atol=2e-5
    )


def test_nearest_bin_equals_exhaustive_search():
    ab = np.random.default_rng(1).uniform(-110, 110, (20_000, 2)).astype(np.float32)
    np.testing.assert_array_equal(nearest_bin(ab), soft_encode_reference(ab, 1)[0][:, 0])


def test_encoding_survives_colors_far_outside():
    indices, weights = soft_encode([[1e6, -1e6]], 5)
    assert np.isfinite(np.asarray(weights)).all() and np.asarray(indices).max() < NUM_BINS


def test_entropy_of_worked_targets():
    for ab, entropy in (((0, 0), 1.135082), ((12, 7), 1.262952)):
        weights = soft_encode_reference([ab], 5)[1][0]
        assert -np.sum(weights * np.log(weights)) == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize(
    "temperature, expected", [(1.0, (12, 6)), (0.38, (5.5153, 0.4593)), (1 / 2.606, (5.5981, 0.4795))]
)
def test_annealed_mean_of_three_bins(temperature, expected):
    logits = np.full((1, NUM_BINS), -1e9, np.float32)
    for center, probability in (((0, 0), 0.6), ((40, 0), 0.3), ((0, 60), 0.1)):
        logits[0, np.flatnonzero((center == CENTERS).all(axis=1))[0]] = np.log(probability)
    np.testing.assert_allclose(np.asarray(annealed_mean(logits, temperature))[0], expected, atol=2e-4)


@pytest.mark.parametrize("temperature", [0.1, 0.38, 1.0])
def test_annealed_mean_of_the_uniform_distribution(temperature):
    np.testing.assert_allclose(
        np.asarray(annealed_mean(np.zeros((1, NUM_BINS)), temperature))[0], (15.687, 6.677), atol=1e-3
    )


def test_annealed_mean_tends_to_the_mode():
    logits = np.random.default_rng(0).normal(size=(50, NUM_BINS)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(annealed_mean(logits, 1e-3)), CENTERS[logits.argmax(axis=1)], atol=1.0)


def test_encode_then_decode_returns_the_color():
    ab = np.random.default_rng(0).uniform(-40, 40, (500, 2)).astype(np.float32)
    probabilities = dense(*soft_encode(ab, 10))
    decoded = np.asarray(annealed_mean(np.log(probabilities + 1e-30), 1.0))
    assert np.linalg.norm(decoded - ab, axis=1).max() < 0.5


@pytest.mark.parametrize("arguments", [{"neighbors": 0}, {"neighbors": 314}, {"sigma": 0.0}, {"lookup": "fast"}])
def test_wrong_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        soft_encode([[0.0, 0.0]], **arguments)
