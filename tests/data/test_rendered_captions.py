"""Rendered shapes: captions say what is drawn, and everything follows from the seed."""

import collections
import pickle

import numpy as np
import pytest

from tfssl.data.captions import captioned_source
from tfssl.data.rendered_captions import COLORS, GROUNDS, GROUPS, NOISE, captioned_shapes
from tfssl.errors import ConfigError


def test_captions_say_what_is_drawn():
    source = captioned_shapes(count=40, size=48)
    for index in range(len(source)):
        words, example = source.words(index), source.example(index)
        assert example["captions"] == source.captions[index]
        assert all(set(words.values()) <= set(caption.split()) for caption in example["captions"])
        pixels = np.asarray(example["image"], np.float64).reshape(-1, 3)
        color, ground = np.array(COLORS[words["color"]]), np.array(GROUNDS[words["ground"]])
        near = [np.abs(pixels - level).max(axis=1) < 60 for level in (color, ground)]
        assert near[0].sum() > 10 and near[1].mean() > 0.5


def test_follows_from_the_seed():
    source, again = captioned_shapes(count=3), pickle.loads(pickle.dumps(captioned_shapes(count=9)))
    for index in range(3):
        np.testing.assert_array_equal(source[index]["image"], again[index]["image"])
        assert source[index]["captions"] == again[index]["captions"]
    assert source.captions != captioned_shapes(count=3, seed=1).captions


def test_words_are_drawn_evenly():
    source = captioned_shapes(count=2000)
    for group, known in GROUPS.items():
        counts = collections.Counter(source.words(index)[group] for index in range(len(source)))
        assert set(counts) == set(known)
        assert all(abs(count / 2000 - 1 / len(known)) < 0.05 for count in counts.values())
    noisy = np.mean([caption.split()[-1] in NOISE for captions in source.captions for caption in captions])
    assert abs(noisy - 0.3) < 0.03
    silent = captioned_shapes(count=100, noise=0)
    assert not any(set(caption.split()) & set(NOISE) for captions in silent.captions for caption in captions)


def test_is_what_builtin_means():
    assert len(captioned_source("builtin")) == 10_000


@pytest.mark.parametrize("options", [{"count": 0}, {"size": 8}, {"noise": 1.5}])
def test_wrong_values_are_named(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        captioned_shapes(**options)
