"""Which pictures drive each unit of a layer most, and where."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError
from tfssl.visualization.maps import batches

MASK_THRESHOLD = 0.2
"""Share of the strongest activation among a unit's top pictures from which a place counts (cnnvisualizer)."""


@dataclasses.dataclass(frozen=True)
class TopPictures:
    """For each unit of a tap, the pictures that drive it most.

    Args:
        index: int (units, K), numbers of the pictures, the strongest first; of equals the one that comes first.
        activation: float32 (units, K), the largest activation of the unit in each.
        place: int (units, K, 2), row and column of the map where it is; of equals the first one.
        live: bool (units,), False where the activation is the same everywhere in all pictures (mostly 0: a dead
            unit).
        size: (height, width) of the map.
    """

    index: np.ndarray
    activation: np.ndarray
    place: np.ndarray
    live: np.ndarray
    size: tuple[int, int]


def top_pictures(compute, images, top):
    """Rank pictures by the spatial maximum of each unit.

    Args:
        compute: function of pictures to the map of a tap, see :func:`~tfssl.visualization.maps.map_function`.
        images: uint8 (N, H, W, 3).
        top: K, pictures of each unit.

    Returns:
        :class:`TopPictures`.

    Raises:
        ConfigError: if there are fewer than K pictures.
        ModelError: if a map holds NaN or infinity.

    Reference:
        B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba: Object Detectors Emerge in Deep Scene CNNs.
        ICLR 2015; metalbubble/cnnvisualizer.
    """
    if not 1 <= top <= len(images):
        raise ConfigError(f"`top` must be from 1 to the number of pictures, {len(images)}. Received: top={top}")
    maxima, minima, places = [], [], []
    for _, batch in batches(images):
        maps = np.asarray(compute(batch))
        if not np.isfinite(maps).all():
            raise ModelError("the maps of the tap hold NaN or infinity")
        size = maps.shape[1:3]
        flat = maps.reshape(len(maps), -1, maps.shape[-1])
        maxima.append(flat.max(axis=1))
        minima.append(flat.min(axis=(0, 1)))
        places.append(flat.argmax(axis=1))
    maxima, places = np.concatenate(maxima).T, np.concatenate(places).T  # (units, N)
    index = np.argsort(-maxima, axis=1, kind="stable")[:, :top]
    place = np.take_along_axis(places, index, axis=1)
    return TopPictures(
        index,
        np.take_along_axis(maxima, index, axis=1),
        np.stack(np.unravel_index(place, size), axis=-1),
        maxima.max(axis=1) > np.min(minima, axis=0),
        tuple(size),
    )


def unit_masks(maps, *, side=120, threshold=MASK_THRESHOLD):
    """Where a unit is active in its top pictures: the quick segmentation of Zhou et al.

    The maps are enlarged and divided by the largest value among all of them, which is in the first picture; a place
    counts from ``threshold`` on.

    Args:
        maps: float array (K, h, w), a unit's maps of its top pictures.
        side: of the masks in pixels (reference: 120).
        threshold: see :data:`MASK_THRESHOLD`.

    Returns:
        bool (K, side, side); all False for a unit that is nowhere above 0.
    """
    maps = np.asarray(maps, np.float32)
    if not maps.max() > 0:
        return np.zeros((len(maps), side, side), bool)
    return tf.image.resize(maps[..., None] / maps.max(), (side, side))[..., 0].numpy() >= threshold


def class_agreement(index, labels):
    """How far the top pictures of each unit agree.

    Args:
        index: int (units, K), see :class:`TopPictures`.
        labels: class numbers of all pictures, int (N,).

    Returns:
        ``(share, label)``: float (units,), the share of the most frequent class; int (units,), that class, of equally
        frequent ones the smallest number.
    """
    counts = (labels[index][..., None] == np.arange(labels.max() + 1)).sum(axis=1)
    return counts.max(axis=1) / index.shape[1], counts.argmax(axis=1)
