"""Rendered images of four classes."""

import numpy as np
import pytest

from tfssl.data.rendered_shapes import CLASSES, labeled_shapes
from tfssl.errors import ConfigError


def test_everything_follows_from_the_seed_and_the_number():
    first, again, other = (labeled_shapes(count=9, size=48, seed=seed) for seed in (0, 0, 1))
    for index in range(9):
        assert first.example(index)["image"].size == (48, 48)
        assert first.example(index)["image"].tobytes() == again.example(index)["image"].tobytes()
        assert first.example(index)["image"].tobytes() != other.example(index)["image"].tobytes()
    assert first.labels == (0, 1, 2, 3, 0, 1, 2, 3, 0) and first.classes == CLASSES
    assert len(first.take([4, 8])) == 2 and first.take([5]).example(0)["label"] == 1


def test_a_shape_stands_out_from_its_ground():
    shapes = labeled_shapes(count=8, size=64)
    for index in range(8):
        gray = np.asarray(shapes.example(index)["image"].convert("L"), float)
        assert gray.std() > 5


def test_bad_values_are_named():
    with pytest.raises(ConfigError, match="`count` must be an integer of at least 4"):
        labeled_shapes(count=3)
    with pytest.raises(ConfigError, match="`size` must be an integer of at least 16"):
        labeled_shapes(size=8)
