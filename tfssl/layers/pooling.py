"""Pooling: with Caffe's sizes, to a grid, and of regions."""

import keras
from keras import ops

from tfssl.layers.layer import Layer, check_positive


@keras.saving.register_keras_serializable(package="tfssl")
class CaffeMaxPooling2D(Layer):
    """Max pooling whose output size rounds up: ``ceil((n + 2 padding - k) / s) + 1``, as in BVLC/caffe's PoolingLayer.

    One less where the last window would start in the padding. Keras rounds down (``"valid"``) or forgets the
    padding (``"same"``), which shifts every later size of the networks that were defined in Caffe: 24 -> 12,
    27 -> 13, 55 -> 27, 6 -> 3 with 3x3 windows and stride 2. What lies outside the input never wins a maximum.

    Args:
        pool_size: k in pixels.
        strides: s in pixels, at most ``pool_size``.
        padding: rows and columns added on each side, less than ``pool_size``.

    Input: float (B, H, W, C), any size, also one known only inside a graph. Output: (B, H', W', C).
    """

    def __init__(self, pool_size=3, strides=2, padding=0, **kwargs):
        super().__init__(**kwargs)
        check_positive(pool_size=pool_size)
        if not isinstance(strides, int) or not 1 <= strides <= pool_size:
            raise ValueError(f"`strides` must be an integer in [1, pool_size]. Received: strides={strides!r}")
        if not isinstance(padding, int) or not 0 <= padding < pool_size:
            raise ValueError(f"`padding` must be an integer in [0, pool_size). Received: padding={padding!r}")
        self.pool_size, self.strides, self.padding = pool_size, strides, padding

    def output_size(self, n):
        """Output pixels along an axis of ``n`` input pixels; n may be an int, None or an integer tensor."""
        if n is None:
            return None
        size = -(-(n + 2 * self.padding - self.pool_size) // self.strides) + 1
        if isinstance(size, int) and size < 1:
            window = f"{self.pool_size}x{self.pool_size}"
            raise ValueError(f"The input must be about as large as a window of {window}. Received: a side of {n}")
        starts_in_padding = self.padding > 0 and (size - 1) * self.strides >= n + self.padding
        return size - (starts_in_padding if isinstance(n, int) else ops.cast(starts_in_padding, "int32"))

    def call(self, inputs):
        sizes = inputs.shape[1:3]
        after = [self._rows_after(n) for n in sizes]
        if self.padding == 0 and None not in sizes:
            # Keras' own modes need no copy of the input: "same" adds a single row or column at the end.
            if after == [0, 0]:
                return ops.max_pool(inputs, self.pool_size, self.strides, "valid", "channels_last")
            if after == [1, 1] and self.pool_size <= self.strides + 1:
                return ops.max_pool(inputs, self.pool_size, self.strides, "same", "channels_last")
        pads = [(0, 0), *((self.padding, n) for n in after), (0, 0)]
        x = ops.pad(inputs, pads, constant_values=-float("inf"))
        x = ops.max_pool(x, self.pool_size, self.strides, "valid", "channels_last")
        if self.padding:
            shape = ops.shape(inputs)
            x = x[:, : self.output_size(shape[1]), : self.output_size(shape[2])]
        return x

    def _rows_after(self, n):
        """Rows to add at the end: what the last window lacks, or the most it can lack where n is unknown."""
        if n is None:
            return self.padding + self.strides - 1
        return max(0, (self.output_size(n) - 1) * self.strides + self.pool_size - n - self.padding)

    def _output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, self.output_size(height), self.output_size(width), channels)


@keras.saving.register_keras_serializable(package="tfssl")
class PoolToGrid(Layer):
    """Average a map of any size over ``cells`` x ``cells`` equally large cells.

    A pixel on a border counts for the fraction of it that lies inside, so that the mean of the cells is that of the
    map.

    Input: float (B, H, W, C), any size, also one known only inside a graph. Output: (B, cells, cells, C).
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        check_positive(cells=cells)
        self.cells = cells

    def call(self, inputs):
        shape = ops.shape(inputs)
        x = ops.einsum("gh,bhwc->bgwc", self._weights(shape[1], inputs.dtype), inputs)
        return ops.einsum("kw,bgwc->bgkc", self._weights(shape[2], inputs.dtype), x)

    def _weights(self, size, dtype):
        """Fraction of each pixel in each cell, divided by the cell's width: (cells, size), rows that sum to 1."""
        width = ops.cast(size, "float32") / self.cells
        borders = ops.arange(self.cells + 1, dtype="float32") * width
        pixels = ops.cast(ops.arange(size), "float32")
        inside = ops.minimum(borders[1:, None], pixels + 1.0) - ops.maximum(borders[:-1, None], pixels)
        return ops.cast(ops.maximum(inside, 0.0) / width, dtype)

    def _output_shape(self, input_shape):
        return (input_shape[0], self.cells, self.cells, input_shape[-1])


@keras.saving.register_keras_serializable(package="tfssl")
class RoIPooling(Layer):
    """The largest value in each cell of a P x P grid that is laid over each region (Girshick 2015, section 2.1).

    A region covers the map's cells ``round(x_min / stride)`` to ``round((x_max - 1) / stride)``, both included, halves
    rounded up: n of them, at least one. Cell p of the grid takes those from ``floor(p n / P)`` up to, not including,
    ``ceil((p + 1) n / P)``. What lies outside the map counts for nothing, and a grid cell without any of the map gives
    0. Caffe computes the same in single precision, where ``p n / P`` can round to the other side of a whole number.

    The maximum over any rectangle is that over four rectangles whose sides are powers of two and which may overlap
    (a sparse table), so that the work does not grow with the regions. The gradient goes to the cell with the maximum.

    Args:
        pool_size: P (Fast R-CNN on CaffeNet: 6).
        stride: pixels between two cells of the map (CaffeNet's conv5: 16).
        max_cells: most map cells along a side of a grid cell, rounded up to a power of two, which costs memory for
            ``(log2 max_cells)^2`` maps. The default suits regions of 90 map cells. Larger grid cells give NaN.

    Inputs: ``[maps, boxes]``: float (B, H, W, C), any size, also one known only inside a graph, minus infinity where a
        map is padded; and (B, R, 4), boxes of :mod:`tfssl.ops.boxes`. Output: (B, R, P, P, C).
    """

    takes = (("maps", "B H W C"), ("boxes", "B R 4"))

    def __init__(self, pool_size=6, stride=16, max_cells=16, **kwargs):
        super().__init__(**kwargs)
        check_positive(pool_size=pool_size, max_cells=max_cells)
        if not stride > 0:
            raise ValueError(f"`stride` must be a positive number of pixels. Received: stride={stride!r}")
        self.pool_size, self.stride, self.max_cells = pool_size, stride, max_cells

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

    def _output_shape(self, input_shape):
        maps, boxes = input_shape
        return (*boxes[:2], self.pool_size, self.pool_size, maps[-1])


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
