"""Many networks in one process: each function is traced once, and TensorFlow has nothing to warn of."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.evaluation.disparity import PairMaps, Views
from tfssl.evaluation.features import tap_features
from tfssl.methods import Synchrony
from tfssl.transfer.training import train_head
from tfssl.visualization.maps import vectors

IMAGES = np.zeros((6, 8, 8, 3), np.uint8)


def _features(network):
    tap_features(network, tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(6))).batch(4))


def _training(network):
    batches = tf.data.Dataset.from_tensor_slices((IMAGES / np.float32(255), np.zeros(6, np.float32))).batch(4).repeat()
    train_head(network, batches, lambda wanted, maps: tf.reduce_mean(maps["map"]), steps=3)


def _vectors(network):
    vectors(network, "map", IMAGES)


def _pairs(network):
    method = Synchrony(units=3, components=9)
    list(PairMaps(method.encoder(method.model())).moves(Views(*np.zeros((2, 12, 12, 3), np.float32), None), (0, 1)))


@pytest.mark.parametrize("use", [_features, _training, _vectors, pytest.param(_pairs, marks=pytest.mark.slow)])
def test_eight_networks_bring_no_warning(use):
    said, handler = [], logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("tensorflow")
    logger.addHandler(handler)
    try:
        for _ in range(8):
            rgb = keras.Input((None, None, 3))
            use(keras.Model(rgb, {"map": keras.layers.Conv2D(2, 1)(rgb)}))
    finally:
        logger.removeHandler(handler)
    assert not said
