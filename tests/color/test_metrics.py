"""Color metrics against the worked numbers of the method cards and against slow, obvious computations."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from tfssl.color import metrics


def lab_of(*rgb):
    return rgb2lab(np.array([[rgb]], np.uint8))[0, 0]


def cumulative_curve(error):
    """Fraction of pixels with d <= t at the 151 thresholds of the published evaluation."""
    return np.array([np.mean(error <= t) for t in range(151)])


class TestAuc:
    ERROR = np.array([0.0, 10.0, 50.0, 200.0])

    def test_worked_example(self):
        assert metrics.auc(self.ERROR) == pytest.approx(0.65, abs=1e-12)

    def test_sweep_of_the_worked_example(self):
        curve = cumulative_curve(self.ERROR)
        assert np.trapezoid(curve) / 150 == pytest.approx(0.651667, abs=5e-7)
        assert np.mean(curve) == pytest.approx(0.650662, abs=5e-7)

    def test_sweep_differs_by_a_300th_at_most(self):
        error = np.random.default_rng(0).gamma(2.0, 20.0, 5000)
        assert abs(np.trapezoid(cumulative_curve(error)) / 150 - metrics.auc(error)) <= 1 / 300

    def test_fine_sweep_approaches_the_integral(self):
        error = np.random.default_rng(1).gamma(2.0, 20.0, 500)
        curve = np.mean(error <= np.linspace(0, 150, 15001)[:, None], axis=1)
        assert np.trapezoid(curve) / 15000 == pytest.approx(metrics.auc(error), abs=1 / 30000)

    @pytest.mark.parametrize(
        "rgb, distance, score",
        [
            ((255, 0, 0), 104.551, 0.30299),
            ((0, 255, 0), 119.776, 0.20149),
            ((200, 120, 60), 52.231, 0.65180),
        ],
    )
    def test_gray_prediction_for_solid_colors(self, rgb, distance, score):
        error = metrics.ab_error(lab_of(*rgb)[1:], np.zeros(2))
        assert error == pytest.approx(distance, abs=5e-4)
        assert metrics.auc(error) == pytest.approx(score, abs=5e-6)

    def test_gray_prediction_for_neutral_gray(self):
        # Not exactly 1: scikit-image's white differs from R = G = B in the sixth digit, ab = 0.003.
        assert metrics.auc(metrics.ab_error(lab_of(128, 128, 128)[1:], np.zeros(2))) == pytest.approx(1.0, abs=5e-5)

    def test_error_is_the_euclidean_distance(self):
        true, predicted = np.array([[1.0, 2.0], [-3.0, 0.0]]), np.array([[4.0, 6.0], [-3.0, 0.0]])
        np.testing.assert_allclose(metrics.ab_error(true, predicted), [5.0, 0.0])

    def test_rmse_is_over_pixels(self):
        assert metrics.rmse(np.array([3.0, 4.0])) == pytest.approx(np.sqrt(12.5))


class TestPsnr:
    def test_a_hundredth_is_20_db(self):
        assert metrics.psnr(0.01 * 255**2) == pytest.approx(20.0, abs=1e-12)

    def test_one_level(self):
        true = np.random.default_rng(0).integers(0, 255, (7, 5, 3)).astype(np.uint8)
        assert metrics.psnr(metrics.mse(true, true + np.uint8(1))) == pytest.approx(48.1308, abs=5e-5)

    def test_identical_is_infinite(self):
        assert metrics.psnr(0.0) == np.inf

    def test_8_bit_values_do_not_wrap_around(self):
        black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
        assert metrics.mse(black, white) == 255.0**2 == metrics.mse(white, black)


class TestSsim:
    def test_constants(self):
        a, b = np.full((16, 16, 3), 0.5 * 255), np.full((16, 16, 3), 0.6 * 255)
        assert metrics.ssim(a, b) == pytest.approx(0.983609, abs=5e-7)

    def test_against_the_definition(self):
        rng = np.random.default_rng(1)
        a = rng.integers(0, 256, (19, 23, 3)).astype(np.uint8)
        b = np.clip(a + rng.normal(0, 30, a.shape), 0, 255).astype(np.uint8)
        offset = np.arange(-5, 6)
        window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
        window /= window.sum()
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        values = []
        for y, x, channel in np.ndindex(19 - 10, 23 - 10, 3):
            p, q = (image[y : y + 11, x : x + 11, channel].astype(float) for image in (a, b))
            mean_p, mean_q = np.sum(window * p), np.sum(window * q)
            covariance = np.sum(window * p * q) - mean_p * mean_q
            variances = np.sum(window * (p**2 + q**2)) - mean_p**2 - mean_q**2
            values.append(
                (2 * mean_p * mean_q + c1) * (2 * covariance + c2) / ((mean_p**2 + mean_q**2 + c1) * (variances + c2))
            )
        assert metrics.ssim(a, b) == pytest.approx(np.mean(values), abs=1e-9)

    def test_too_small_for_the_window(self):
        small = np.zeros((10, 40, 3), np.uint8)
        assert np.isnan(metrics.ssim(small, small))


class TestColorfulness:
    def test_gray_is_zero(self):
        gray = np.repeat(np.random.default_rng(0).integers(0, 256, (9, 9, 1)), 3, axis=-1).astype(np.uint8)
        assert metrics.colorfulness(gray) == 0.0

    def test_pure_red(self):
        assert metrics.colorfulness(np.full((4, 4, 3), (255, 0, 0), np.uint8)) == pytest.approx(85.5296, abs=5e-5)

    def test_four_pixels(self):
        pixels = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]], np.uint8)
        assert metrics.colorfulness(pixels) == pytest.approx(238.5307, abs=5e-5)


def test_ciede2000_pair_of_the_cie():
    assert metrics.ciede2000([50, 2.6772, -79.7751], [50, 0, -82.7485]) == pytest.approx(2.0425, abs=5e-5)


class TestJoin:
    def test_inverts_lab(self):
        rgb = np.random.default_rng(2).integers(0, 256, (40, 30, 3)).astype(np.uint8)
        lab = rgb2lab(rgb)
        np.testing.assert_array_equal(metrics.join_lab(lab[..., 0], lab[..., 1:]), rgb)

    def test_clips_to_the_gamut_in_silence(self, recwarn):
        result = metrics.join_lab(np.full((2, 2), 50.0), np.full((2, 2, 2), (0.0, 300.0)))
        assert result.dtype == np.uint8 and (result[..., 2] == 0).all()
        assert not recwarn.list
