"""Max pooling of regions of a feature map to a grid of one size, as Fast R-CNN does it."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class RoIPooling(layers.Layer):
    """The largest value in each cell of a P x P grid that is laid over each region (Fast R-CNN, section 2.1).

    A region covers the map's cells ``round(x_min / stride)`` to ``round((x_max - 1) / stride)``, both included, halves
    rounded up: n of them, at least one. Cell p of the grid takes those from ``floor(p n / P)`` up to, not including,
    ``ceil((p + 1) n / P)``; neighbors overlap where P does not divide n. What lies outside the map counts for nothing,
    and a grid cell without any of the map gives 0. Caffe computes the same in single precision, where ``p n / P`` can
    round to the other side of a whole number; here it is divided in whole numbers.

    The maximum over any rectangle is that over four rectangles whose sides are powers of two and which may overlap
    (a sparse table), so that the work does not grow with the regions. The gradient goes to the cell with the maximum.

    Args:
        pool_size: P (Fast R-CNN on CaffeNet: 6).
        stride: pixels between two cells of the map (CaffeNet's conv5: 16).
        max_cells: longest side that a grid cell can have, in cells of the map; rounded up to a power of two, which
            costs memory for ``(log2 max_cells)^2`` maps. The default suits regions of 90 map cells on a side. Where a
            grid cell is longer the output is NaN, never a wrong number.

    Inputs: ``[maps, boxes]``: float (B, H, W, C), any size, also one known only inside a graph, minus infinity where a
        map is padded; and (B, R, 4), x_min, y_min, x_max, y_max in pixels of the picture, edges as in
        :mod:`tfssl.ops.boxes`. Output: (B, R, P, P, C).

    Raises:
        ValueError: if an argument is no positive number.

    Reference:
        R. Girshick: Fast R-CNN. ICCV 2015. rbgirshick/caffe-fast-rcnn, ROIPoolingLayer.
    """

    def __init__(self, pool_size=6, stride=16, max_cells=16, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("pool_size", pool_size), ("max_cells", max_cells)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        if not stride > 0:
            raise ValueError(f"`stride` must be a positive number of pixels. Received: stride={stride!r}")
        self.pool_size = pool_size
        self.stride = stride
        self.max_cells = max_cells

    def call(self, inputs):
        maps, boxes = inputs
        shape = ops.shape(maps)
        boxes = ops.cast(boxes, "float32")
        x, x_end = self._cells(boxes[..., 0], boxes[..., 2], shape[2])  # (B, R, P) each
        y, y_end = self._cells(boxes[..., 1], boxes[..., 3], shape[1])
        levels = max(1, (self.max_cells - 1).bit_length())  # two windows of 2^(levels - 1) cells cover the longest
        row_level, row_window, row_fits = _level(y_end - y, levels)
        column_level, column_window, column_fits = _level(x_end - x, levels)

        table = ops.reshape(_maxima(maps, levels), (-1, maps.shape[-1]))
        # Where the maps of each picture and level begin in the table, (B, R, P, P).
        level = row_level[..., :, None] * levels + column_level[..., None, :]
        first = (level * shape[0] + ops.arange(shape[0], dtype="int32")[:, None, None, None]) * shape[1]
        best = None
        for row in (y, y_end - row_window):
            for column in (x, x_end - column_window):
                rows = first + ops.clip(row, 0, shape[1] - 1)[..., :, None]
                index = rows * shape[2] + ops.clip(column, 0, shape[2] - 1)[..., None, :]
                values = ops.take(table, index, axis=0)  # (B, R, P, P, C)
                best = values if best is None else ops.maximum(best, values)
        there = ops.logical_and((y_end > y)[..., :, None], (x_end > x)[..., None, :])[..., None]
        there = ops.logical_and(there, ops.not_equal(best, -float("inf")))
        best = ops.where(there, best, ops.zeros_like(best))
        fits = ops.logical_and(row_fits[..., :, None], column_fits[..., None, :])[..., None]
        return ops.where(fits, best, ops.full_like(best, float("nan")))

    def _cells(self, low, high, side):
        """First and one after the last map cell of each grid cell along an axis, int32 (B, R, P), cut at the map."""
        first = ops.cast(ops.floor(low / self.stride + 0.5), "int32")[..., None]
        last = ops.cast(ops.floor((high - 1) / self.stride + 0.5), "int32")[..., None]
        count = ops.maximum(last - first + 1, 1)
        cell = ops.arange(self.pool_size, dtype="int32")
        start = first + cell * count // self.pool_size
        end = first - (-(cell + 1) * count // self.pool_size)
        return ops.clip(start, 0, side), ops.clip(end, 0, side)

    def compute_output_shape(self, input_shape):
        maps, boxes = input_shape
        return (*boxes[:2], self.pool_size, self.pool_size, maps[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "stride": self.stride,
            "max_cells": self.max_cells,
        }


def _level(count, levels):
    """k and 2^k of the largest power of two that is at most ``count``; and whether two such windows cover it."""
    level = sum((ops.cast(count >= 2**k, "int32") for k in range(1, levels)), ops.zeros_like(count))
    window = ops.left_shift(ops.ones_like(level), level)
    return level, window, count <= 2 * window


def _maxima(maps, levels):
    """Maxima over windows of 2^i x 2^j cells that begin at each cell, (levels, levels, B, H, W, C)."""
    rows = [maps]
    for k in range(levels - 1):
        rows.append(_double(rows[-1], 2**k, axis=1))
    table = []
    for level in rows:
        table.append([level])
        for k in range(levels - 1):
            table[-1].append(_double(table[-1][-1], 2**k, axis=2))
    return ops.stack([ops.stack(level) for level in table])


def _double(maps, step, axis):
    """Maximum of each window and of the one ``step`` cells after it."""
    pads = [(0, step if i == axis else 0) for i in range(4)]
    padded = ops.pad(maps, pads, constant_values=-float("inf"))
    return ops.maximum(maps, padded[:, step:] if axis == 1 else padded[:, :, step:])
