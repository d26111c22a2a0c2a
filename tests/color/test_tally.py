"""Totals over images: equal to one computation over everything, whatever the order."""

import math

import numpy as np
import pytest
from skimage.color import rgb2lab

from tfssl.color import metrics as color_metrics
from tfssl.color.tally import ColorTally, RebalancedAuc
from tfssl.ops.ab_bins import CENTERS, NUM_BINS


def random_pixels(count, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 30, (count, 2)).clip(-100, 95)
    return true, true + rng.normal(0, 40, (count, 2))


def tallied(true, predicted, parts):
    auc = RebalancedAuc()
    for part in parts:
        auc.update(true[part], color_metrics.ab_error(true[part], predicted[part]))
    return auc


def by_bin(true, predicted):
    """Scores and bins of all pixels by exhaustive search in float64."""
    distance = np.linalg.norm(true - predicted, axis=-1)
    squared = np.sum((true[:, None] - CENTERS.astype(np.float64)) ** 2, axis=-1)
    return np.clip(1 - distance / 150, 0, None), np.argmin(squared, axis=-1)


class TestRebalancedAuc:
    def test_equals_brute_force(self):
        true, predicted = random_pixels(20_000)
        scores, bins = by_bin(true, predicted)
        means = {q: scores[bins == q].mean() for q in np.unique(bins)}
        large = [means[q] for q in means if np.sum(bins == q) >= 100]
        assert 10 < len(large) < len(means)  # the threshold decides something
        auc = tallied(true, predicted, [slice(None)])
        assert auc.raw() == pytest.approx(scores.mean(), rel=1e-12)
        assert auc.macro() == pytest.approx(np.mean(large), rel=1e-12)
        assert auc.counted().sum() == len(large)
        assert auc.inverse_frequency() == pytest.approx(np.mean(list(means.values())), rel=1e-12)
        prior = np.random.default_rng(5).dirichlet(np.ones(NUM_BINS))
        assert auc.inverse_frequency(prior) == pytest.approx(np.average(scores, weights=1 / prior[bins]), rel=1e-12)

    def test_order_and_batches_do_not_matter(self):
        true, predicted = random_pixels(5000, seed=1)
        whole = tallied(true, predicted, [slice(None)])
        order = np.random.default_rng(2).permutation(5000)
        split = tallied(true, predicted, np.split(order, [1, 7, 1000, 3333]))
        np.testing.assert_array_equal(whole.pixels, split.pixels)
        np.testing.assert_allclose(whole.scores, split.scores, rtol=1e-12)

    def test_two_bins_by_hand(self):
        auc = RebalancedAuc()
        auc.update(np.array([(0.0, 0.0)] * 3 + [(50.0, 50.0)]), np.array([0.0, 0.0, 0.0, 75.0]))
        gray, color = 120, 221
        assert auc.pixels[gray] == 3 and auc.pixels[color] == 1
        assert auc.raw() == pytest.approx(0.875)
        assert auc.macro(min_pixels=1) == auc.inverse_frequency() == pytest.approx(0.75)
        prior = np.zeros(NUM_BINS)
        prior[[gray, color]] = 0.8, 0.2
        assert auc.inverse_frequency(prior) == pytest.approx((3 * 1.25 + 0.5 * 5) / (3 * 1.25 + 5))
        prior[color] = 0.0  # a weight of 1 / 0 is no weight: the bin is left out
        assert auc.inverse_frequency(prior) == pytest.approx(1.0)

    def test_macro_needs_a_hundred_pixels(self):
        auc = RebalancedAuc()
        auc.update(np.full((99, 2), 50.0), np.full(99, 75.0))
        assert math.isnan(auc.macro())
        auc.update(np.full((1, 2), 50.0), np.full(1, 75.0))
        assert auc.macro() == pytest.approx(0.5)

    def test_nothing_is_nan(self):
        auc = RebalancedAuc()
        assert all(math.isnan(value) for value in (auc.raw(), auc.macro(), auc.inverse_frequency()))


def images(count=5, seed=3):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        height, width = rng.integers(16, 40, 2)
        rgb = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        yield rgb, rgb2lab(rgb), rng.normal(0, 20, (height, width, 2))


class TestColorTally:
    def test_pools_pixels_and_averages_images(self):
        tally, rows, errors = ColorTally(), [], []
        for rgb, lab, predicted in images():
            rows.append(tally.add(rgb, lab, predicted))
            errors.append(color_metrics.ab_error(lab[::4, ::4, 1:], predicted[::4, ::4]).ravel())
        result = tally.result()
        assert result["auc_raw"] == pytest.approx(color_metrics.auc(np.concatenate(errors)))
        assert result["rmse_ab"] == pytest.approx(color_metrics.rmse(np.concatenate(errors)))
        for name in ("psnr", "ssim", "ciede2000", "colorfulness"):
            assert result[name] == pytest.approx(np.mean([row[name] for row in rows]))
        assert result["psnr_of_mean_mse"] == pytest.approx(color_metrics.psnr(np.mean([row["mse"] for row in rows])))
        assert result["psnr_of_mean_mse"] < result["psnr"]  # the logarithm is concave
        true = [color_metrics.colorfulness(rgb) for rgb, _, _ in images()]
        color = [row["colorfulness"] for row in rows]
        assert result["colorfulness_ratio"] == pytest.approx(np.mean(color) / np.mean(true))
        assert result["colorfulness_error"] == pytest.approx(np.mean(np.abs(np.subtract(color, true))))

    def test_memory_does_not_grow(self):
        def held(tally):
            return sum(np.size(v) for v in vars(tally.auc).values()) + len(tally._sums) + len(tally._counts)

        tally = ColorTally()
        tally.add(*next(images()))
        first = held(tally)
        for image in images(20):
            tally.add(*image)
        assert held(tally) == first

    def test_perfect(self):
        tally = ColorTally()
        for rgb, lab, _ in images():
            tally.add(rgb, lab, lab[..., 1:])
        result = tally.result()
        assert result["auc_raw"] == result["auc_inverse_frequency"] == 1.0
        assert result["rmse_ab"] == result["ciede2000"] == result["colorfulness_error"] == 0.0
        assert result["ssim"] == pytest.approx(1.0) and result["colorfulness_ratio"] == 1.0
        assert result["psnr"] == result["psnr_of_mean_mse"] == np.inf and result["psnr_infinite"] == 5

    def test_infinite_psnr_is_counted_not_averaged(self):
        tally = ColorTally()
        (rgb, lab, predicted), (other, other_lab, _) = images(2)
        row = tally.add(rgb, lab, predicted)
        tally.add(other, other_lab, other_lab[..., 1:])
        result = tally.result()
        assert result["psnr"] == row["psnr"] and result["psnr_infinite"] == 1
        assert result["psnr_of_mean_mse"] == pytest.approx(color_metrics.psnr(row["mse"] / 2))

    def test_errors_are_measured_before_clipping(self):
        rgb = np.full((16, 16, 3), (255, 0, 0), np.uint8)
        lab = rgb2lab(rgb)
        outside = lab[..., 1:] + (150.0, 0.0)  # far outside the gamut: no sRGB color has a = 230
        row = ColorTally().add(rgb, lab, outside)
        assert row["auc_raw"] == pytest.approx(0.0, abs=1e-12) and row["rmse_ab"] == pytest.approx(150.0)
        assert np.isfinite(row["psnr"])


def test_chroma_of_neutral_pixels_is_pooled_by_lightness():
    lab = np.zeros((8, 12, 3))  # sampled at (0, 0), (0, 4), (0, 8), (4, 0), (4, 4), (4, 8)
    lab[0, 0], lab[0, 4], lab[0, 8] = (10, 3, 3), (95, 0, -4), (95, 0, 2)
    lab[4, 0], lab[4, 4], lab[4, 8] = (60, 5, 1), (100, 0, 0), (60, 40, 0)  # the first and the last have color
    predicted = np.zeros((8, 12, 2))
    predicted[0, 0], predicted[0, 4], predicted[4, 0], predicted[4, 8] = (3, 4), (0, 9), (50, 50), (50, 50)
    tally = ColorTally()
    for columns in (np.s_[:, :4], np.s_[:, 4:]):
        part = lab[columns]
        tally.add(color_metrics.join_lab(part[..., 0], part[..., 1:]), part, predicted[columns])
    found = tally.result()
    assert found["neutral_chroma"] == pytest.approx((5 + 9 + 0 + 0) / 4)
    assert found["neutral_chroma_0_25"] == pytest.approx(5)
    assert found["neutral_chroma_75_100"] == pytest.approx(3)
    assert math.isnan(found["neutral_chroma_50_75"])
    assert color_metrics.neutral_chroma(lab, predicted).sum(axis=1).tolist()[1] > 4  # every pixel, without sampling


def test_false_reds_by_hand():
    true = np.zeros((1, 5, 2))
    true[0, 4] = 15, 0  # red enough to be called red
    predicted = np.array([[(35, 0), (30, 30), (34, 0), (0, 60), (50, 0)]], float)  # weak; yellow; rightly red
    assert color_metrics.false_reds(true, predicted) == pytest.approx(2 / 5)
    lab = np.zeros((40, 40, 3))
    two, three = np.zeros((2, 40, 40, 2))
    two[0, [0, 4]] = three[0, [0, 4, 8]] = 40, 0  # 2 and 3 of 100 sampled pixels
    tally = ColorTally()
    for field in (two, three):
        tally.add(np.zeros((40, 40, 3), np.uint8), lab, field)
    assert tally.result()["false_reds"] == 0.5
