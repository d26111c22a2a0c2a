"""The map of words: those with like vectors lie together."""

import numpy as np
import pytest
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.visualization.word_map import word_map


def test_groups_lie_together(tmp_path):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(2, 16))
    vectors = centers[np.repeat((0, 1), 12)] + 0.1 * rng.normal(size=(24, 16))
    vectors *= rng.uniform(1, 9, (24, 1))  # lengths do not matter
    words = [f"$wörd_{n}^" for n in range(24)]
    points = word_map(words, vectors, tmp_path / "map.png", most=22)
    assert points.shape == (22, 2)
    first, second = points[:12], points[12:]
    apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert apart > 2 * max(np.linalg.norm(part - part.mean(axis=0), axis=1).mean() for part in (first, second))
    with Image.open(tmp_path / "map.png") as image:
        assert min(image.size) > 500


def test_too_few_words(tmp_path):
    with pytest.raises(ConfigError, match="at least 6"):
        word_map("abc", np.eye(3), tmp_path / "map.png")
