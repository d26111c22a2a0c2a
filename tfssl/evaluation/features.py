"""Vectors of features: an encoder's maps, averaged over the cells of a grid, for any number of pictures."""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.ops.geometry import cell_weights

NUMBERS = 9000
"""Length that the vector of a map is brought near to by default (Zhang et al., 2016, linear classification)."""


@dataclasses.dataclass(frozen=True)
class Features:
    """What an encoder makes of a labeled set.

    Args:
        rows: ``{tap: float32 array (N, numbers)}``; memory maps where they were written to a folder.
        labels: int32 (N,).
        shapes: ``{tap: (rows, columns, channels)}`` of the pooled map that a vector is.
    """

    rows: dict
    labels: np.ndarray
    shapes: dict


def grid_side(channels, numbers=NUMBERS):
    """Side g of the grid for which ``g * g * channels`` comes near ``numbers``; at least 1.

    AlexNet's conv1 ... conv5 (96, 256, 384, 384, 256 channels) get 10, 6, 5, 5, 6: vectors of 9600, 9216, 9600, 9600,
    9216 numbers, as in the table of Zhang et al.
    """
    return max(1, round((numbers / channels) ** 0.5))


def pool_to_grid(maps, cells):
    """Average maps over the cells of a grid.

    Args:
        maps: float tensor (B, H, W, C).
        cells: (rows, columns), at most (H, W).

    Returns:
        float32 (B, rows, columns, C).
    """
    maps = tf.cast(maps, tf.float32)
    height, width = maps.shape[1:3]
    if (height, width) == tuple(cells):
        return maps
    # Products of matrices as the maps lie in memory; the einsum of the same sums copies them into another order first.
    channels = maps.shape[-1]
    rows = tf.matmul(cell_weights(height, cells[0]), tf.reshape(maps, (-1, height, width * channels)))
    return tf.matmul(cell_weights(width, cells[1]), tf.reshape(rows, (-1, cells[0], width, channels)))


def tap_features(encoder, batches, *, taps=None, pool=None, numbers=NUMBERS, folder=None, progress=None):
    """Run an encoder over labeled pictures and pool every tap to a vector.

    With ``folder`` each tap goes to a file as it is computed, so that memory does not grow with the number of
    pictures.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        batches: dataset of uint8 (B, H, W, 3) of one size, and labels (B,).
        taps: names to keep, in this order; None for all.
        pool: side of the grid that every map is averaged to, or the map's own size where that is smaller. None:
            :func:`grid_side` of ``numbers``.
        numbers: about how many numbers a vector is to have; without effect where ``pool`` is given.
        folder: where to write ``<tap>.npy``; None keeps them in memory.
        progress: called with (pictures done, None) after each batch.

    Returns:
        :class:`Features`.

    Raises:
        ConfigError: for a tap that the encoder lacks.
        SourceError: if there is no readable picture.
        ModelError: if a tap holds NaN or infinity.
    """
    side = tuple(batches.element_spec[0].shape[1:3])
    sizes = _map_sizes(encoder, side, taps)
    cells = {name: _cells(size, pool, numbers) for name, size in sizes.items()}
    compute = _compiled(encoder, side, sizes, cells)
    columns = {name: _Column(name, None if folder is None else Path(folder) / f"{name}.npy") for name in sizes}
    labels = []
    for images, batch_labels in batches:
        for name, values in compute(images).items():
            columns[name].append(values.numpy())
        labels.append(batch_labels.numpy())
        if progress is not None:
            progress(sum(map(len, labels)), None)
    if not labels:
        raise SourceError("`data` holds no readable picture")
    rows = {name: column.finish() for name, column in columns.items()}
    return Features(rows, np.concatenate(labels), {name: (*cells[name], sizes[name][-1]) for name in sizes})


def _map_sizes(encoder, side, taps):
    """``{tap: (height, width, channels)}`` for pictures of a size; what layers leave open in a graph is known here."""
    maps = encoder(tf.zeros((1, *side, 3)), training=False)
    if not isinstance(maps, dict):
        raise ModelError(f"{encoder.name!r} is no encoder: it must answer with a dict of taps")
    unknown = sorted(set(taps or ()) - set(maps))
    if unknown:
        raise ConfigError(f"`taps`: there is no {unknown[0]!r}; the encoder has {', '.join(maps)}")
    flat = [name for name in maps if len(maps[name].shape) != 4]
    if flat:
        raise ModelError(f"tap {flat[0]!r} has shape {tuple(maps[flat[0]].shape)}; an encoder's taps are (B, h, w, c)")
    return {name: tuple(maps[name].shape[1:]) for name in taps or maps}


def _cells(size, pool, numbers):
    side = grid_side(size[-1], numbers) if pool is None else pool
    return min(side, size[0]), min(side, size[1])


def _compiled(encoder, side, sizes, cells):
    @tf.function(input_signature=[tf.TensorSpec((None, *side, 3), tf.uint8)])
    def compute(images):
        maps = encoder(tf.cast(images, tf.float32) / 255.0, training=False)
        pooled = {name: pool_to_grid(tf.ensure_shape(maps[name], (None, *sizes[name])), cells[name]) for name in sizes}
        return {name: tf.reshape(x, (-1, np.prod(x.shape[1:]))) for name, x in pooled.items()}

    return compute


class _Column:
    """The vectors of one tap, batch after batch: in memory, or in a .npy file whose header is completed at the end."""

    def __init__(self, name, path):
        self._name, self._path = name, path
        self._parts, self._shape = [], None

    def append(self, values):
        if not np.isfinite(values).all():
            raise ModelError(f"tap {self._name!r} holds NaN or infinity")
        if self._path is None:
            self._parts.append(values)
            return
        # Plain writes: the pages of a memory map that is written to would count as memory of this process.
        with open(self._path, "wb" if self._shape is None else "ab") as file:
            if self._shape is None:
                self._shape = (0, values.shape[1])
                self._write_header(file)
            file.write(np.ascontiguousarray(values, np.float32))
        self._shape = (self._shape[0] + len(values), self._shape[1])

    def finish(self):
        if self._path is None:
            return np.concatenate(self._parts)
        with open(self._path, "r+b") as file:
            self._write_header(file)
        return np.load(self._path, mmap_mode="r")

    def _write_header(self, file):
        # NumPy pads headers so that the number of rows may grow in place.
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": self._shape})
