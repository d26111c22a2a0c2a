"""Errors of predicted frames: worked by hand, and beside repeating the last frame."""

import numpy as np
import pytest

from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation.futures import HIGHEST_PSNR, FutureErrors, psnr, repeated, ssim


def test_the_last_frame_is_repeated():
    context = np.arange(2 * 3).reshape(2, 3, 1, 1, 1)
    np.testing.assert_array_equal(repeated(context, 2)[..., 0, 0, 0], [[2, 2], [5, 5]])


def test_psnr():
    """The card's value: an MSE of 0.01 is 20 dB; equal frames are no infinity."""
    np.testing.assert_allclose(psnr([0.01, 0.001, 1.0]), [20.0, 30.0, 0.0], atol=1e-12)
    assert psnr(0.0) == HIGHEST_PSNR


def test_ssim_of_constant_frames():
    """Without variance only the means count: (2 a b + c) / (a^2 + b^2 + c), c = 0.01^2."""
    a, b = np.full((16, 16, 3), 0.5), np.full((16, 16, 3), 0.25)
    assert ssim(a, b) == pytest.approx((2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4))
    assert ssim(a, a) == pytest.approx(1.0)
    assert np.isnan(ssim(a[:8], b[:8])), "smaller than the window"


def test_errors_of_each_step_over_batches():
    errors = FutureErrors()
    truth = np.zeros((2, 2, 16, 16, 1))
    offsets = np.array([0.1, 0.3])[:, None, None, None]
    errors.add(truth, model=truth + 0.1, copying=truth + offsets)
    errors.add(truth[:1], model=truth[:1] + 0.2, copying=truth[:1])
    values, kinds = errors.record_parts()
    assert values["mse_1"] == pytest.approx((0.01 + 0.01 + 0.04) / 3), "a clip counts once, whatever its batch"
    assert values["mse"] == pytest.approx(0.02)
    assert values["psnr_2"] == pytest.approx(-10 * np.log10(0.02))
    assert kinds["mse_2"] == ("", False, {"copying": pytest.approx(2 * 0.09 / 3)})
    assert kinds["psnr"][:2] == ("dB", True) and kinds["ssim"][1]
    assert "ssim" not in _without_similarity(truth)


def _without_similarity(truth):
    errors = FutureErrors(similarity=False)
    errors.add(truth, model=truth)
    return errors.record_parts()[0]


def test_nan_and_other_shapes_are_refused():
    truth = np.zeros((1, 2, 16, 16, 3))
    with pytest.raises(ModelError, match="NaN"):
        FutureErrors().add(truth, model=truth * np.nan)
    with pytest.raises(ConfigError, match="`model` must have shape"):
        FutureErrors().add(truth, model=truth[:, :1])
