"""Affinities by a trained network: of images with each other, and of the pixels of one."""

import numpy as np
from scipy.special import expit

from tfssl.data.crop import Crop
from tfssl.errors import ModelError

_AT_ONCE = 16_384  # images, or pairs of features
_LEAST = 1e-4  # probability that is told from 0, and from 1


def affinities(method, model, images):
    """See :meth:`tfssl.methods.CoOccurrence.affinities`."""
    crop = Crop(method.crop_size, resize=method.resize, flip=False)
    found = tower_features(method, model, np.stack([crop.apply(image.convert("RGB")) for image in images]))
    first, second = np.triu_indices(len(found), 1)
    given = np.ones((len(found), len(found)))
    given[first, second] = given[second, first] = pair_probabilities(model, found, first, second)
    return given


def tower_features(method, model, pixels):
    """What the network's tower makes of images uint8 (n, s, s, 3): float32 (n, features)."""
    tower, found = model.get_layer("tower"), []
    for start in range(0, len(pixels), _AT_ONCE):
        part = pixels[start : start + _AT_ONCE].astype(np.float32) / 255
        if method.color == "dropping":  # the mean of the channels, any of which it has seen
            part = np.repeat(part.mean(axis=-1, keepdims=True), 3, axis=-1)
        found.append(np.asarray(tower(part)["features"], np.float32))
    return np.concatenate(found)


def pair_probabilities(model, features, first, second):
    """Probability of one context, the mean of both orders, of pairs of what has these features: float64 (n,).

    Args:
        features: of :func:`tower_features`.
        first, second: numbers of rows of it, int (n,).
    """
    head, given = model.get_layer("head"), []
    for start in range(0, len(first), _AT_ONCE):
        pair = [features[numbers[start : start + _AT_ONCE]] for numbers in (first, second)]
        orders = (np.concatenate(order, axis=1) for order in (pair, pair[::-1]))
        given.append(np.mean([expit(np.asarray(head(both), np.float64)[:, 0]) for both in orders], axis=0))
    given = np.concatenate(given) if given else np.zeros(0)
    if not np.isfinite(given).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    return given


class PixelAffinity:
    """Affinity of any pairs of pixels of one image: the odds that the patches around them lie beside each other.

    Where half of the pairs were positive in training that is ``exp(PMI)``. Patches at the border are completed by
    mirroring.

    Args:
        method, model: see :meth:`tfssl.methods.CoOccurrence.affinities`.
        pixels: uint8 (H, W, 3).
    """

    def __init__(self, method, model, pixels):
        size = method.crop_size
        before = (size - 1) // 2
        whole = np.pad(pixels, ((before, size - 1 - before),) * 2 + ((0, 0),), mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(whole, (size, size), axis=(0, 1))
        patches = np.moveaxis(windows, 2, -1).reshape(-1, size, size, 3)
        self._model, self._features = model, tower_features(method, model, patches)

    def __call__(self, first, second):
        """Affinity of pixels, by number, int (n,) each: float64 (n,), above 0."""
        given = np.clip(pair_probabilities(self._model, self._features, first, second), _LEAST, 1 - _LEAST)
        return given / (1 - given)
