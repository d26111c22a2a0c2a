"""Data without anything to learn from: refused where it is all there is, told where a batch of it comes."""

import logging

import numpy as np
import pytest

from tfssl import methods
from tfssl.config import load_config
from tfssl.errors import SourceError

RAMP = np.add.outer(np.arange(120), np.arange(120)).astype(np.uint8)
GRAY = np.repeat(RAMP[..., None], 3, axis=-1)
COLOR = GRAY * np.array([1, 0, 0], np.uint8)
FLAT = np.full((120, 120, 3), (0, 90, 200), np.uint8)
# Own tests of the other kinds have blank ones.
NAMES = [name for name in methods.names() if methods.get(name).kind == "images"]
NEEDS_COLOR = ("colorization", "hypercolumn_colorization", "split_brain")


def method(name, *overrides):
    return load_config(f"{name}/cpu", overrides).method


@pytest.mark.parametrize("name", NAMES)
def test_a_source_without_anything_to_learn_from_is_refused(name):
    worthless = GRAY if name in NEEDS_COLOR else FLAT
    asked = method(name)
    batch_size = 2 * asked.examples_per_item
    with pytest.raises(SourceError, match="holds nothing to learn from: none of the 3 images tried"):
        asked.dataset(np.stack([worthless] * 3), batch_size=batch_size)
    asked.dataset(np.stack([worthless, worthless, COLOR]), batch_size=batch_size)


class Own(methods.Jigsaw):
    """A user's own method: what is the same for all is so for it too."""


@pytest.mark.parametrize("name", [*NAMES, "own"])
def test_fewer_examples_than_a_batch_are_refused(name):
    asked = Own() if name == "own" else method(name)
    data = np.stack([COLOR] * 7)
    if asked.examples_per_item > 1:  # several crops of an image, so that seven images make a batch
        data = data[: max(1, 7 // asked.examples_per_item)]
    batch_size = max(32, 8 * asked.examples_per_item)
    with pytest.raises(
        SourceError, match=rf"holds \d+ examples, fewer than batch_size {batch_size}; lower batch_size or"
    ):
        asked.dataset(data, batch_size=batch_size)


def test_black_images_cannot_be_whitened():
    black = np.zeros((2, 120, 120, 3), np.uint8)
    whitening = method("denoising_autoencoder", "preprocess=whiten", "color=false", "backbone=dense")
    with pytest.raises(SourceError, match="holds nothing to learn from"):
        whitening.dataset(black, batch_size=1)


def test_gray_images_serve_an_autoencoder_of_all_channels():
    method("split_brain", "task=autoencoder", "ab=regression").dataset(GRAY[None], batch_size=1)


def test_a_batch_without_anything_to_learn_from_is_told_once(caplog):
    with caplog.at_level(logging.WARNING, logger="tfssl"):
        list(method("colorization").dataset(np.stack([GRAY, GRAY, COLOR]), batch_size=1))
    (told,) = [record.getMessage() for record in caplog.records]
    assert "nothing to learn from all examples of a batch: of the last one the crop is gray" in told
