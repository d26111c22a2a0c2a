"""A method that learns without gradients: prototypes of patches, moved towards the patches that are nearest to them."""

from typing import ClassVar

import numpy as np

from tfssl.methods.base import Method, Paper


class Prototypes(Method):
    """Online k-means of patches (MacQueen 1967).

    Args:
        size: of a patch in pixels.
        patches: of an image.
        prototypes: how many.
    """

    paper: ClassVar[Paper] = Paper("Some Methods for Classification and Analysis", "MacQueen", "Berkeley", 1967)
    inputs: ClassVar[str] = "patches of photographs"
    size: int = 6
    patches: int = 3
    prototypes: int = 5

    @property
    def examples_per_item(self):
        return self.patches

    def sample(self, example, rng, training):
        pixels = np.asarray(example["image"])
        corners = rng.integers(0, np.array(pixels.shape[:2]) - self.size, (self.patches, 2)).tolist()
        return (np.stack([pixels[y : y + self.size, x : x + self.size] for y, x in corners]),)

    def prepare(self, patches):
        import tensorflow as tf

        patches = tf.cast(patches, tf.float32) / 255.0
        return patches, patches

    def adapt(self, source):
        return {"mean": np.mean([np.asarray(example["image"]).mean(axis=(0, 1)) for example in source], axis=0) / 255}

    @property
    def baseline(self):
        return 10.0

    def model(self, optimizer=None):
        from tests.training.prototypes_network import build_network

        return build_network(self.size, self.prototypes, self.statistics.get("mean", np.zeros(3)))

    def sample_sheet(self, model, data, path):
        from PIL import Image

        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
