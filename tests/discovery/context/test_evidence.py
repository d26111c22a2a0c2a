"""Evidence, trust, Gaussians and scores of context verification: worked examples."""

import numpy as np
import pytest

from tfssl.discovery.context import evidence
from tfssl.discovery.context.ranking import deduplicate, greedy_order, mask_cosine
from tfssl.discovery.context.stuff import Half, StuffModel, half_diamonds, moment_match, posterior
from tfssl.discovery.context.verify import Context, candidates


def test_half_diamonds_cover_the_diamond():
    halves = [{tuple(cell) for cell in half} for half in half_diamonds().tolist()]
    above, right, below, left = halves
    assert len(above | below) == len(left | right) == 40  # 41 cells within 4 blocks, without the center
    assert all(len(half) == 24 for half in halves)
    assert above & below == {(0, x) for x in (-4, -3, -2, -1, 1, 2, 3, 4)}
    assert below == {(-y, -x) for y, x in above} and left == {(-y, -x) for y, x in right}


def test_moment_matching_takes_the_outer_product():
    half = np.full((1, 2), 0.5)
    mean, covariance = moment_match(half, np.array([[0.0], [2.0]]), np.ones((2, 1, 1)))
    assert mean[0] == 1 and covariance[0, 0, 0] == pytest.approx(2 + evidence.RIDGE)
    means = np.array([[0.0, 0.0], [2.0, 0.0]])
    mean, covariance = moment_match(half, means, np.stack([np.eye(2)] * 2))
    np.testing.assert_allclose(mean, [[1, 0]])
    np.testing.assert_allclose(covariance[0], np.diag([2, 1]) + evidence.RIDGE * np.eye(2))


def test_posterior_looks_at_known_cells_only():
    means = np.array([[[0.0], [0.0]], [[0.0], [1.0]]], np.float32)
    ones = np.full((2, 2, 1), 0.1, np.float32)
    half = Half(means, ones, np.zeros((2, 1)), np.ones((2, 1, 1)))
    features = np.array([[[0.0], [1.0]]], np.float32)
    np.testing.assert_allclose(posterior(half, features, np.array([[True, False]])), [[0.5, 0.5]])
    weights = posterior(half, features, np.array([[True, True]]))
    log_odds = 1 / (2 * (0.1 + evidence.RIDGE))
    np.testing.assert_allclose(weights, [[1 / (1 + np.exp(log_odds)), 1 / (1 + np.exp(-log_odds))]], rtol=1e-4)


def test_the_half_with_most_known_cells_predicts():
    def half(value):
        return Half(np.zeros((1, 24, 1)), np.ones((1, 24, 1)), np.full((1, 1), value), np.ones((1, 1, 1)))

    known = np.zeros((11, 11), bool)
    known[:3] = True
    model = StuffModel([half(value) for value in (0.0, 1.0, 2.0, 3.0)])
    assert model.predict(np.zeros((11, 11, 1)), known, np.array([[3, 5]]))[0] == 0  # above
    assert model.predict(np.zeros((11, 11, 1)), known.T, np.array([[5, 3]]))[0] == 3  # left


def test_weighted_gaussian():
    mean, covariance = evidence.weighted_gaussian(np.array([[0.0], [2.0]]), np.array([1.0, 3.0]))
    assert mean == pytest.approx(1.5) and covariance == pytest.approx(0.75)


def test_log_likelihood():
    covariance = np.array([[[2.0, 0.5], [0.5, 1.0]]])
    difference = np.array([0.3, -1.0])
    value = evidence.log_likelihood(difference[None, None], covariance)
    expected = (
        -0.5 * np.log(np.linalg.det(covariance[0])) - 0.5 * difference @ np.linalg.inv(covariance[0]) @ difference
    )
    assert value == pytest.approx(expected)


def test_masked_blur_of_a_constant_is_the_constant():
    known = np.random.default_rng(0).random((20, 30)) < 0.2
    known[5, 5] = True
    blurred = evidence.masked_blur(np.where(known, 0.7, 9.0), known)
    np.testing.assert_allclose(blurred[known], 0.7, rtol=1e-5)
    alone = np.zeros((20, 30), bool)
    alone[5, 5] = True
    blurred = evidence.masked_blur(np.full((20, 30), 0.7), alone)
    assert blurred[9, 9] == pytest.approx(0.7) and blurred[5, 10] == 0  # four cells away, five cells away


def test_equal_models_are_no_evidence():
    known = np.ones((6, 6), bool)
    half = np.full((6, 6), np.log(0.5))
    np.testing.assert_allclose(evidence.blurred_evidence(half, half, known), 0.5)
    likelihood = np.random.default_rng(0).normal(size=(6, 6))
    assert evidence.patch_score(likelihood, likelihood, np.ones((6, 6))) == 0


def test_capping():
    np.testing.assert_allclose(evidence.cap(np.array([0.7, 0.2, 0.1]), 1 / 3), [1 / 3] * 3)
    np.testing.assert_allclose(evidence.cap(np.array([0.4, 0.3, 0.2, 0.1]), 1 / 3), [1 / 3, 1 / 3, 2 / 9, 1 / 9])
    np.testing.assert_allclose(evidence.cap(np.array([[3.0, 1.0]]), 1 / 3), [[0.5, 0.5]])  # two must share


def test_ratios_are_clipped_and_only_likely_things_count():
    mimicry = np.array([0.31, 1.0, 0.3, 0.5])
    assert evidence.patch_score(np.array([37.0, 0, 99, 2]), np.array([0.0, 50, 0, 1]), mimicry) == 10 - 10 + 1


def test_growth_stays_around_what_is_promising():
    known = np.zeros((20, 20), bool)
    known[6:14, 6:14] = True
    ring = candidates(known, known.astype(float))
    assert ring.sum() == 32 and not ring[5, 5]  # four sides of eight
    assert not candidates(known, np.zeros((20, 20))).any()  # all is inside the hull already
    one_side = np.where(np.arange(20) > 9, known, 0.0)
    assert candidates(known, one_side)[:, 14].any() and not candidates(known, one_side)[:, 5].any()
    assert not candidates(np.ones((4, 4), bool), np.ones((4, 4))).any()


def test_greedy_choice():
    clusters = [{1: 4.0}, {1: 3.9}, {2: 3.0}]
    order, gains = greedy_order(clusters)
    assert order == [0, 2, 1] and gains == [4.0, 3.0, 1.95]
    assert greedy_order([{1: 4.0}, {1: 4.0}, {2: 3.0}])[0] == [0, 1, 2]
    assert greedy_order([{1: -5.0}, {1: 1.0}], 1) == ([1], [1.0])


def test_repetitions_are_left_out():
    whole, left, right = np.ones((4, 4)), np.zeros((4, 4)), np.zeros((4, 4))
    left[:, :2], right[:, 2:] = 1, 1
    assert mask_cosine(whole, left) == pytest.approx(np.sqrt(0.5)) and mask_cosine(left, right) == 0
    best = dict.fromkeys(range(5), left)
    assert deduplicate([best, dict.fromkeys(range(5), right)]) == [0, 1]
    assert deduplicate([best, dict.fromkeys(range(1, 6), whole)]) == [0]  # four of five
    assert deduplicate([best, dict.fromkeys(range(2, 7), whole)]) == [0, 1]  # three of five


def test_context_of_nothing_predicted():
    zeros = np.zeros((8, 8))
    context = Context(zeros, zeros, zeros, zeros, zeros, zeros > 0, np.zeros(3))
    assert context.score == 0
    np.testing.assert_array_equal(context.thing_probability, 0.5)
