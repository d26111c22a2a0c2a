"""Optimizers as configurations name them."""

import pytest

from tfssl.config import parse_config
from tfssl.errors import ConfigError
from tfssl.training.optimizers import build_optimizer


def settings(**values):
    return parse_config({"method": "jigsaw", "data": "builtin", **values}).settings


def test_momentum_reaches_sgd():
    optimizer = build_optimizer(settings(optimizer="sgd", learning_rate=0.1, momentum=0.9), 10)
    assert optimizer.momentum == 0.9


def test_an_optimizer_without_momentum_says_so():
    with pytest.raises(ConfigError, match="momentum"):
        build_optimizer(settings(optimizer="adamw", learning_rate=0.1, momentum=0.9), 10)
