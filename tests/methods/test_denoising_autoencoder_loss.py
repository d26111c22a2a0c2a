"""Reconstruction losses by hand."""

import numpy as np
import pytest

from tfssl.methods.denoising_autoencoder.loss import ReconstructionLoss

X, Z, J = np.array([[1.0, 0.0]]), np.array([[0.8, 0.3]]), np.array([[1.0, 0.0]])


def test_cross_entropy():
    """Card, test 1."""
    assert float(ReconstructionLoss()(X, Z)) == pytest.approx(0.579818, abs=1e-6)


@pytest.mark.parametrize("beta, expected", [(0.5, 0.401481), (0.0, 0.223144)])
def test_emphasis(beta, expected):
    """Card, test 2: double and full emphasis on the corrupted component."""
    weights = beta + (1.0 - beta) * J
    assert float(ReconstructionLoss()(X, Z, sample_weight=weights)) == pytest.approx(expected, abs=1e-6)


def test_squared():
    assert float(ReconstructionLoss("squared")(X, Z)) == pytest.approx(0.13, abs=1e-6)
    assert float(ReconstructionLoss("squared", "mean")(X, Z)) == pytest.approx(0.065, abs=1e-6)


def test_is_summed_over_components_and_averaged_over_the_batch():
    x, z = np.random.default_rng(0).random((2, 5, 4, 4, 3))
    expected = np.mean(np.sum(-x * np.log(z) - (1 - x) * np.log(1 - z), axis=(1, 2, 3)))
    assert float(ReconstructionLoss()(x, z)) == pytest.approx(expected, rel=1e-5)


def test_saturated_outputs_stay_finite():
    assert float(ReconstructionLoss()([[1.0, 0.0]], [[0.0, 1.0]])) == pytest.approx(2 * 16.1, abs=0.2)


def test_config_and_wrong_values():
    loss = ReconstructionLoss("squared", "mean")
    assert ReconstructionLoss.from_config(loss.get_config()).get_config() == loss.get_config()
    for options in ({"kind": "l1"}, {"components": "max"}):
        with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
            ReconstructionLoss(**options)
