"""How much of an image a unit really uses: random occluders slid over its top images."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError
from tfssl.visualization.maps import answer
from tfssl.visualization.receptive_field import ReceptiveField, receptive_field

BATCH = 100
"""Occluded copies that go through a network together."""

FIELD_THRESHOLD = 0.2
"""Fraction of the largest mean change from which a pixel belongs to the field; the paper names none."""


@dataclasses.dataclass(frozen=True)
class EmpiricalField:
    """The receptive field of a unit as measured.

    Args:
        change: float32 (2 S + 1, 2 S + 1) for images of S pixels: mean absolute change of the activation when the
            occluder's center is there, relative to the center of the cell where the unit is strongest; 0 where
            nothing was measured.
        size: side in pixels of a square as large as the area where the change is at least :data:`FIELD_THRESHOLD` of
            the largest; 0 if nothing changes.
        copies: occluded images that went through the network.
    """

    change: np.ndarray
    size: float
    copies: int


class FieldProbe:
    """Measures receptive fields of the units of a tap by the change that occluders of random pixels make.

    For each image and each position of the occluder: |activation with it - activation without|, at the cell where
    the unit was strongest. The maps are shifted so that the centers of these cells fall together, and averaged over
    the images that reach each pixel. Positions that do not touch the theoretical field, where that is known, cannot
    change anything and are left out.

    Args:
        network: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        tap: name of a tap.
        image_size: S in pixels.
        occluder: side in pixels. Paper: 11 on 227 pixels with stride 3, 5329 copies; 5 with stride 2 on 64 pixels
            are 900.
        stride: pixels between positions.
        seed: of the random pixels.

    Raises:
        ConfigError: if occluder or stride is out of range.

    Reference:
        B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba: Object Detectors Emerge in Deep Scene CNNs.
        ICLR 2015, section 3.2.
    """

    def __init__(self, network, tap, image_size, *, occluder=5, stride=2, seed=0):
        if not (1 <= occluder <= image_size and 1 <= stride <= occluder):
            raise ConfigError(
                f"`occluder` must be from 1 to {image_size} pixels, `stride` from 1 to it. Received: "
                f"occluder={occluder}, stride={stride}"
            )
        self.occluder, self.stride = occluder, stride
        self._noise = np.random.default_rng(seed).integers(0, 256, (occluder, occluder, 3), np.uint8)
        self._activation = _activation_function(network, tap)
        self._theory, self._centers = _theory(network, tap, image_size)

    def measure(self, unit, images, cells):
        """The field of a unit.

        Args:
            unit: its number.
            images: its top images, uint8 (K, S, S, 3).
            cells: row and column of the map where it is strongest in each, int (K, 2).

        Returns:
            :class:`EmpiricalField`.
        """
        total = np.zeros((2 * images.shape[1] + 1,) * 2)
        count, copies = np.zeros_like(total), 0
        for image, cell in zip(images, np.asarray(cells).tolist(), strict=True):
            center = [self._centers.center(c) for c in cell]
            corners = positions(len(image), self.occluder, self.stride, center, self._theory)
            changes = self._changes(image, corners, np.array([*cell, unit], np.int32))
            # Each change belongs to the stride x stride pixels about its occluder's center.
            offset = corners + (self.occluder - self.stride) / 2 - center + len(total) // 2
            _add(total, count, changes, np.rint(offset).astype(int), self.stride)
            copies += len(corners)
        change = (total / np.maximum(count, 1)).astype(np.float32)
        area = (change >= FIELD_THRESHOLD * change.max()).sum() if change.max() > 0 else 0
        return EmpiricalField(change, float(np.sqrt(area)), copies)

    def _changes(self, image, corners, where):
        whole = self._activation(image[None], where).numpy()[0]
        parts = []
        for start in range(0, len(corners), BATCH):
            copies = _occluded(image, self._noise, corners[start : start + BATCH])
            parts.append(np.abs(self._activation(copies, where).numpy() - whole))
        return np.concatenate(parts)


def positions(image_size, occluder, stride, center=None, field=None):
    """Upper left corners of the occluders in an image that touch a field about a center, int (M, 2), row by row.

    Args:
        image_size: in pixels.
        occluder, stride: as of :class:`FieldProbe`.
        center: (row, column) of the field's center.
        field: its :class:`~tfssl.visualization.receptive_field.ReceptiveField`; None for all positions,
            ``(floor((image_size - occluder) / stride) + 1)^2``.
    """
    starts = np.arange(0, image_size - occluder + 1, stride)
    keep = [starts, starts]
    if field is not None:
        reach = (field.size - 1) / 2
        keep = [starts[(starts <= c + reach) & (starts + occluder - 1 >= c - reach)] for c in center]
    return np.stack(np.meshgrid(*keep, indexing="ij"), axis=-1).reshape(-1, 2)


def _activation_function(network, tap):
    """A unit's activation at one cell: of images uint8 (B, S, S, 3) and (row, column, unit), float32 (B,)."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8), tf.TensorSpec((3,), tf.int32)])
    def activation(images, where):
        return answer(network, tap, tf.cast(images, tf.float32) / 255.0)[:, where[0], where[1], where[2]]

    return activation


def _theory(network, tap, image_size):
    """The theoretical field, or None where it is unknown or endless, and one that gives the centers of cells."""
    field = receptive_field(network, tap, image_size)
    if field is None:
        maps = answer(network, tap, tf.zeros((1, image_size, image_size, 3)))
        jump = image_size / maps.shape[1]
        return None, ReceptiveField(jump=jump, start=(jump - 1) / 2)
    return (field if np.isfinite(field.size) else None), field


def _occluded(image, noise, corners):
    copies = np.repeat(image[None], len(corners), axis=0)
    for copy, (top, left) in zip(copies, corners.tolist(), strict=True):
        copy[top : top + len(noise), left : left + len(noise)] = noise
    return copies


def _add(total, count, changes, corners, stride):
    for change, (row, column) in zip(changes.tolist(), corners.tolist(), strict=True):
        part = (slice(max(0, row), row + stride), slice(max(0, column), column + stride))
        total[part] += change
        count[part] += 1
