"""What encodings learn from descriptors of training images, and how: the common part of their layers."""

import keras
import numpy as np
from keras import ops

from tfssl.backbones.adapting import no_vocabulary
from tfssl.errors import SourceError
from tfssl.layers.layer import Layer, check_positive


class VocabularyLayer(Layer):
    """A layer whose weights :meth:`adapt` finds in training data; used before that, it raises a ModelError.

    Subclasses give ``_learn(samples, seed)``, which returns their weights by name, and ``least``, how many samples that
    needs. Weights stay as they are in every training of a network, and are kept by files and by clones of it.
    """

    keeps_weights = True
    """They describe data: a network that is drawn anew for comparison keeps them."""

    least = 1

    def __init__(self, **kwargs):
        super().__init__(trainable=kwargs.pop("trainable", False), dtype=kwargs.pop("dtype", "float32"), **kwargs)

    def _add_weights(self, **shapes):
        fixed = {"initializer": "zeros", "trainable": False}
        self._state = {name: self.add_weight(shape, name=name, **fixed) for name, shape in shapes.items()}
        self._known = self.add_weight((), name="adapted", **fixed)

    @property
    def adapted(self):
        """Whether :meth:`adapt` was called, on these weights or those that were loaded."""
        if not self.built:
            return False
        if keras.config.backend() != "tensorflow":
            return bool(ops.convert_to_numpy(self._known))
        import tensorflow as tf

        with tf.init_scope():  # a graph that is being made cannot read variables
            return bool(self._known.value.numpy())

    def adapt(self, samples, seed=0):
        """Learn from samples, float (N, d), rows of what :meth:`samples` gives; the seed fixes what is random."""
        samples = np.asarray(samples, np.float32)
        if len(samples) < self.least:
            needed = f"{self._title()} needs at least {self.least}; give more images"
            raise SourceError(f"`images` give {len(samples)} descriptors, {needed}")
        for name, value in self._learn(samples, seed).items():
            self._state[name].assign(value)
        self._known.assign(1.0)

    def samples(self, inputs):
        """What is to be learned from, out of inputs of the layer as NumPy arrays: (B, h, w, c) -> (B h w, c)."""
        return inputs.reshape(-1, inputs.shape[-1])

    def _check_adapted(self):
        if not self.adapted:
            raise no_vocabulary(self._title())


class CentersLayer(VocabularyLayer):
    """A layer that learns ``words`` centers of k-means, ``centers`` (words, d)."""

    def __init__(self, words=128, **kwargs):
        super().__init__(**kwargs)
        check_positive(words=words)
        self.words = words

    @property
    def least(self):
        return self.words

    def build(self, input_shape):
        self._add_weights(centers=(self.words, input_shape[-1]))

    def _learn(self, samples, seed):
        return {"centers": k_means(samples, self.words, seed)}


def k_means(samples, clusters, seed):
    """Centers of k-means in mini-batches, the best of three starts: float32 (N, d) -> (clusters, d)."""
    import warnings

    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different samples than words: some stay empty
        found = MiniBatchKMeans(clusters, batch_size=4096, n_init=3, random_state=seed).fit(samples)
    return found.cluster_centers_.astype(np.float32)


def squared_distances(vectors, centers):
    """Squared Euclidean distances: (..., d) and (K, d) -> (..., K), not below 0."""
    products = ops.matmul(vectors, ops.transpose(centers))
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return ops.maximum(squares - 2 * products + ops.sum(ops.square(centers), axis=-1), 0.0)


def flat(maps):
    """The vectors of a map: (B, h, w, c) -> (B, h w, c), also where sizes are known only when it runs."""
    height, width, channels = ops.shape(maps)[1:]
    return ops.reshape(maps, (-1, height * width, channels))
