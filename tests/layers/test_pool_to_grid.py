"""Averages over the cells of a grid, on maps of any size."""

import keras
import numpy as np
import pytest

from tfssl.evaluation.features import pool_to_grid
from tfssl.layers.pooling import PoolToGrid


@pytest.mark.parametrize(("height", "width", "cells"), [(12, 8, 4), (7, 10, 3), (5, 5, 5), (2, 3, 1)])
def test_equals_the_pooling_of_features(height, width, cells):
    maps = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)
    found = PoolToGrid(cells)(maps)
    np.testing.assert_allclose(found, pool_to_grid(maps, (cells, cells)), atol=1e-5)
    np.testing.assert_allclose(np.mean(found, axis=(1, 2)), maps.mean(axis=(1, 2)), atol=1e-5)


def test_maps_smaller_than_the_grid_and_of_unknown_size():
    rgb = keras.Input((None, None, 2))
    model = keras.Model(rgb, PoolToGrid(4)(rgb))
    assert model.output.shape == (None, 4, 4, 2)
    maps = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    np.testing.assert_allclose(model(maps), maps.repeat(2, axis=1).repeat(2, axis=2))
    again = keras.Model.from_config(model.get_config(), custom_objects={"PoolToGrid": PoolToGrid})
    np.testing.assert_allclose(again(maps), model(maps))
    with pytest.raises(ValueError, match="cells=0"):
        PoolToGrid(0)
