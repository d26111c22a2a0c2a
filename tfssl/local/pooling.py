"""One vector of an image out of a map: what its cells hold, summed over parts of the image."""

import keras
from keras import ops

from tfssl.layers.layer import Layer, check_positive


def cell_sums(maps, cells):
    """Sum a map over each of ``cells`` x ``cells`` parts of the image: (B, h, w, c) -> (B, cells * cells, c).

    Every position counts in one part: part i reaches from ``h * i // cells`` to ``h * (i + 1) // cells``.
    """
    height, width = ops.shape(maps)[1:3]
    edges = [[extent * i // cells for i in range(cells + 1)] for extent in (height, width)]
    parts = [
        ops.sum(maps[:, edges[0][i] : edges[0][i + 1], edges[1][j] : edges[1][j + 1]], axis=(1, 2))
        for i in range(cells)
        for j in range(cells)
    ]
    return ops.stack(parts, axis=1)


def level_weights(levels):
    """Weights of the levels of a pyramid, the coarsest first: 1/4, 1/4, 1/2 of three (Lazebnik et al., equation 3)."""
    last = levels - 1
    return [2.0 ** -(last if level == 0 else last - level + 1) for level in range(levels)]


@keras.saving.register_keras_serializable(package="tfssl")
class SpatialPyramid(Layer):
    """Histograms of visual words over the image, its quarters and its sixteenths, one behind the other.

    ``sqrt(w_l h / M)`` with the counts h, M descriptors and the weight w_l of the level: square roots, for the linear
    kernel of the vectors is then the Hellinger kernel of the histograms; their length is 1.

    Args:
        levels: 1 is the bag of words of the whole image; 3 are 1 + 4 + 16 histograms.

    Input: (B, h, w, K), one-hot words. Output: (B, K (4^levels - 1) / 3).

    Reference:
        S. Lazebnik, C. Schmid, J. Ponce: Beyond Bags of Features: Spatial Pyramid Matching for Recognizing Natural
        Scene Categories. CVPR 2006.
    """

    def __init__(self, levels=3, **kwargs):
        super().__init__(**kwargs)
        check_positive(levels=levels)
        self.levels = levels

    def call(self, inputs):
        sums = [w * cell_sums(inputs, 2**level) for level, w in enumerate(level_weights(self.levels))]
        joined = ops.concatenate(sums, axis=1)
        height, width = ops.shape(inputs)[1:3]
        fractions = joined / ops.cast(height * width, joined.dtype)
        return ops.reshape(ops.sqrt(fractions), (-1, joined.shape[1] * joined.shape[2]))

    def _output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1] * (4**self.levels - 1) // 3)


@keras.saving.register_keras_serializable(package="tfssl")
class Quadrants(Layer):
    """Means of a map over the four quarters of the image: (B, h, w, c) -> (B, 4 c) (Coates et al., section 3.1.3)."""

    def call(self, inputs):
        ones = ops.ones_like(inputs[..., :1])
        means = cell_sums(inputs, 2) / ops.maximum(cell_sums(ones, 2), 1.0)
        return ops.reshape(means, (-1, 4 * means.shape[-1]))

    def _output_shape(self, input_shape):
        return (input_shape[0], 4 * input_shape[-1])


@keras.saving.register_keras_serializable(package="tfssl")
class FlatMap(Layer):
    """All numbers of a map, row by row: (B, h, w, c) -> (B, h w c), also where a graph leaves the sizes open."""

    def call(self, inputs):
        return ops.reshape(inputs, self._output_shape(ops.shape(inputs)))

    def _output_shape(self, input_shape):
        sizes = input_shape[1:]
        return (input_shape[0], None if None in sizes else sizes[0] * sizes[1] * sizes[2])


@keras.saving.register_keras_serializable(package="tfssl")
class PowerNorm(Layer):
    """Signed square root, then Euclidean length 1: of VLAD and Fisher vectors; zeros stay.

    Reference:
        F. Perronnin, J. Sanchez, T. Mensink: Improving the Fisher Kernel for Large-Scale Image Classification. ECCV
        2010.
    """

    takes = (("inputs", "... c"),)

    def call(self, inputs):
        return unit_length(ops.sign(inputs) * ops.sqrt(ops.abs(inputs)))


def unit_length(vectors):
    """Vectors (..., c) scaled to length 1; zeros stay."""
    # Divided by the largest number first: squares of small ones would vanish.
    largest = ops.maximum(ops.max(ops.abs(vectors), axis=-1, keepdims=True), 1e-30)
    scaled = vectors / largest
    return scaled / ops.maximum(ops.norm(scaled, axis=-1, keepdims=True), 1e-12)
