"""The network of the frame pairs, with Keras alone."""

import keras
from keras import layers, ops

from tfssl.backbones import Encoder


@keras.saving.register_keras_serializable(package="tests")
class Similarity(layers.Layer):
    """Scores (B, B) of the first frames of a batch against the second ones: cosines over a temperature."""

    def __init__(self, temperature, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, vectors):
        unit = vectors / ops.maximum(ops.norm(vectors, axis=-1, keepdims=True), 1e-6)
        return unit[:, 0] @ ops.transpose(unit[:, 1]) / self.temperature

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


def build_network(size, embedding, temperature):
    """Pairs of frames (B, 2, s, s, 3) in [0, 1] -> scores (B, B)."""
    rgb = layers.Input((None, None, 3), name="rgb")
    conv1 = layers.Conv2D(16, 5, 2, "same", activation="relu", name="conv1")(rgb)
    conv2 = layers.Conv2D(32, 3, 2, "same", activation="relu", name="conv2")(conv1)
    vector = layers.Dense(embedding, name="embedding")(layers.GlobalAveragePooling2D()(conv2))
    tower = keras.Model(rgb, {"conv1": conv1, "conv2": conv2, "embedding": vector}, name="tower")
    frames = layers.Input((2, size, size, 3), name="frames")
    vectors = tower(ops.reshape(frames, (-1, size, size, 3)))["embedding"]
    scores = Similarity(temperature, name="similarity")(ops.reshape(vectors, (-1, 2, embedding)))
    return keras.Model(frames, scores, name="frame_pairs")


def build_encoder(model):
    """The tower: maps of two convolutions and the embedding, a vector."""
    tower = model.get_layer("tower")
    return Encoder(tower.input, tower.output, modality="image", smallest=8, name="encoder")
