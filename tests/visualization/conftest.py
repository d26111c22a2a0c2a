"""Small encoders and class folders that the drawings of what was learned are tested with."""

import hashlib

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image


def small_encoder(seed=0, convert=None, channels=3, activation="relu"):
    """RGB -> {"conv1": 5x5 / 2, 8 channels, "conv2": 3x3, 6 channels}, the convolutions in a network of their own."""
    keras.utils.set_random_seed(seed)
    pixels = x = layers.Input((None, None, channels), name="pixels")
    x = conv1 = layers.Conv2D(8, 5, strides=2, padding="same", activation=activation, name="conv1")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(6, 3, padding="same", activation=activation, name="conv2")(x)
    tower = keras.Model(pixels, {"conv1": conv1, "conv2": x}, name="tower")
    rgb = layers.Input((None, None, 3), name="rgb")
    prepared = layers.Rescaling(2.0, offset=-1.0)(rgb) if convert is None else convert(rgb)
    return keras.Model(rgb, tower(prepared), name="encoder")


def weights_hash(network):
    """One number for all variables of a network."""
    return hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in network.variables)).hexdigest()


@pytest.fixture(scope="module")
def networks():
    """Two small encoders of one architecture."""
    return {"run": small_encoder(0), "untrained": small_encoder(1)}


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    """Class folders red, green, blue: eight noisy 32 x 32 images of one color each, and a broken file."""
    root, rng = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    for number, name in enumerate(("red", "green", "blue")):
        (root / name).mkdir()
        for i in range(8):
            image = rng.integers(0, 90, (32, 32, 3), np.uint8)
            image[..., number] += 150
            Image.fromarray(image).save(root / name / f"{i}.png")
    (root / "red" / "broken.jpg").write_bytes(b"no picture")
    return root
