"""What tests of tasks share: a tiny encoder, and noisy images whose classes differ in their mean color."""

import keras
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def encoder():
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(4, 3, activation="relu", padding="same")(rgb)
    two = keras.layers.Conv2D(6, 3, strides=2, activation="relu", padding="same")(one)
    return keras.Model(rgb, {"conv1": one, "conv2": two}, name="encoder")


@pytest.fixture(scope="session")
def colors(tmp_path_factory):
    """Function (train, test) -> a folder with so many images of each of three classes."""
    made = {}

    def make(train, test):
        if (train, test) not in made:
            folder, random = tmp_path_factory.mktemp("colors"), np.random.default_rng(0)
            for part, count in (("train", train), ("test", test)):
                for channel, name in enumerate(("blue", "green", "red")):
                    (folder / part / name).mkdir(parents=True)
                    for i in range(count):
                        pixels = random.integers(0, 200, (24, 24, 3))
                        pixels[..., channel] += 50
                        Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.png")
            made[train, test] = folder
        return made[train, test]

    return make
