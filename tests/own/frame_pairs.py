"""A method of one's own, of another kind than images: two frames of a clip belong together, frames of others do not.

It uses the public interface alone: no file of the library knows it.
"""

import math
from typing import ClassVar

import numpy as np
from pydantic import Field

from tfssl.data import clip_source, spread_examples
from tfssl.methods.base import Method, Paper


class FramePairs(Method):
    """Contrastive learning of frames that lie close to each other in time.

    Args:
        size: of the crops in pixels.
        gap: frames between the two of a pair.
        pairs: taken from one clip.
        embedding: units that describe a frame.
        temperature: of the softmax over the batch.
    """

    paper: ClassVar[Paper] = Paper(
        "Representation Learning with Contrastive Predictive Coding", "van den Oord, Li, Vinyals", "arXiv", 2018
    )
    inputs: ClassVar[str] = "clips"
    kind: ClassVar[str] = "clips"

    size: int = Field(32, ge=8)
    gap: int = Field(2, ge=1)
    pairs: int = Field(4, ge=1)
    embedding: int = Field(16, ge=1)
    temperature: float = Field(0.2, gt=0)

    @property
    def examples_per_item(self):
        return self.pairs

    def open(self, data):
        return clip_source(data, min_size=self.size)

    def sample(self, example, rng, training):
        clip = example["clip"]
        if len(clip) <= self.gap:
            raise ValueError(f"a clip of {len(clip)} frames has no pair {self.gap} frames apart")
        starts = rng.integers(0, len(clip) - self.gap, self.pairs)
        frames = clip.frames(np.stack([starts, starts + self.gap], axis=1).ravel())
        corner = rng.random(2) if training else 0.5
        y, x = (np.array(frames.shape[1:3]) - self.size) * corner // 1
        cut = frames[:, int(y) : int(y) + self.size, int(x) : int(x) + self.size]
        return (cut.reshape(self.pairs, 2, self.size, self.size, 3),)

    def prepare(self, frames):
        import tensorflow as tf

        return tf.cast(frames, tf.float32) / 255.0, tf.range(tf.shape(frames)[0])

    @property
    def baseline(self):
        """ln 4: of guessing in a batch of four."""
        return math.log(4)

    def model(self, optimizer=None):
        import keras

        from tests.own.frame_pairs_network import build_network

        network = build_network(self.size, self.embedding, self.temperature)
        network.compile(
            optimizer if optimizer is not None else keras.optimizers.Adam(1e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        return network

    def encoder(self, model):
        from tests.own.frame_pairs_network import build_encoder

        return build_encoder(model)

    def evaluate(self, model, data, *, out=None, limit=None, batch_size=16, progress=None):
        """How often the other frame of a pair is the nearest of a batch."""
        from tfssl.evaluation.record import Metric, Record

        right = []
        for frames, numbers in self.dataset(data, batch_size=batch_size, training=False, limit=limit):
            right += (np.argmax(model(frames, training=False), axis=1) == numbers.numpy()).tolist()
            if progress is not None:
                progress(len(right), len(right))
        value = Metric(float(np.mean(right)), n=len(right), higher_is_better=True, baselines={"chance": 1 / batch_size})
        about = {"config": {"method": self.name(), **self.model_dump(mode="json")}}
        record = Record(self.name(), {"accuracy": value}, about=about)
        if out is not None:
            record.write(out)
            self.sample_sheet(model, data, f"{out}/sheet.png")
        return record

    def sample_sheet(self, model, data, path):
        from tfssl.visualization.sheet import picture_sheet

        def pair(example, seed):
            return self.sample(example, np.random.default_rng(seed), training=False)[0][0]

        pairs = spread_examples(self.open(data), 4, pair)
        picture_sheet([[first, second] for first, second in pairs], path, labels=["clip"] * len(pairs))
