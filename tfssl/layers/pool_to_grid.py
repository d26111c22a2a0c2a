"""Averages of a map over the cells of a grid of fixed size."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class PoolToGrid(layers.Layer):
    """Average a map of any size over ``cells`` x ``cells`` equally large cells.

    A pixel on a border counts for the share of it that lies inside, so that the mean of the cells is that of the map.

    Args:
        cells: side of the grid.

    Input: float tensor (B, H, W, C), any size, also one known only inside a graph. Output: (B, cells, cells, C).

    Raises:
        ValueError: if cells is no positive integer.
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cells, int) or cells < 1:
            raise ValueError(f"`cells` must be a positive integer. Received: cells={cells!r}")
        self.cells = cells

    def call(self, inputs):
        shape = ops.shape(inputs)
        x = ops.einsum("gh,bhwc->bgwc", self._weights(shape[1], inputs.dtype), inputs)
        return ops.einsum("kw,bgwc->bgkc", self._weights(shape[2], inputs.dtype), x)

    def _weights(self, size, dtype):
        """Share of each pixel in each cell, divided by the cell's width: (cells, size), rows that sum to 1."""
        width = ops.cast(size, "float32") / self.cells
        borders = ops.arange(self.cells + 1, dtype="float32") * width
        pixels = ops.cast(ops.arange(size), "float32")
        inside = ops.minimum(borders[1:, None], pixels + 1.0) - ops.maximum(borders[:-1, None], pixels)
        return ops.cast(ops.maximum(inside, 0.0) / width, dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.cells, self.cells, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "cells": self.cells}
