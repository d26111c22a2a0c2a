"""Pointwise mutual information: card, tests 1 and 2."""

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.ops.pmi import context_logit, pmi, table_pmi

JOINT = np.array([[0.4, 0.1], [0.1, 0.4]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_two_symbols_of_the_card():
    on, off = 0.470004, -0.916291
    np.testing.assert_allclose(table_pmi(JOINT), [[on, off], [off, on]], atol=1e-6)
    np.testing.assert_allclose(table_pmi(JOINT, rho=1.25)[0], [0.240931, -1.491937], atol=1e-6)


def test_best_classifier_of_the_card():
    np.testing.assert_allclose(sigmoid(context_logit(table_pmi(JOINT)))[0], [0.615385, 0.285714], atol=1e-6)
    np.testing.assert_allclose(context_logit(0.7, 0.2), 0.7 + np.log(0.25))


def test_independent_symbols_have_none():
    margins = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(table_pmi(np.outer(margins, margins)), 0, atol=1e-12)
    assert sigmoid(context_logit(0.0)) == 0.5


def test_reg_draws_rare_pairs_to_zero():
    assert pmi(0.0, 0.1, 0.1) == -np.inf
    assert pmi(1e-4, 0.1, 0.1, reg=100.0) == pytest.approx(0, abs=1e-3)
    assert pmi(4000.0, 40.0, 50.0, reg=100.0) == pytest.approx(np.log(4100 / 2100))


@pytest.mark.parametrize("options", [{"rho": 0}, {"reg": -1.0}])
def test_settings_outside_their_range(options):
    with pytest.raises(ConfigError, match="`rho` must be above 0"):
        pmi(0.1, 0.2, 0.3, **options)


@pytest.mark.parametrize("positives", [0, 1])
def test_both_kinds_of_pairs_are_needed(positives):
    with pytest.raises(ConfigError, match="`positives`"):
        context_logit(0.0, positives)
