"""What an image is to have: a sum of few terms, each the distance of some statistics of a map from their targets."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfssl.ops.gram import flipped_gram, gram, gram_distance, shifted_gram
from tfssl.synthesis.recipe import SYMMETRIES

_MOST_SHIFTS = 4  # of a map; as many as released code has on its finest


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
    """The mean distance of statistics of one map from their targets.

    Args:
        kind, tap: what is compared, and of which map; together the name of the term.
        distance: function ``(found, target) -> (1,)``.
        statistics: functions of a map (1, h, w, C).
        targets: what each shall be.
        weight: in the objective.
    """

    kind: str
    tap: str
    distance: Callable
    statistics: Sequence[Callable]
    targets: Sequence[Any]
    weight: float = 1.0

    @property
    def name(self):
        return f"{self.kind} {self.tap}"

    def __call__(self, maps):
        """The distance, a scalar, of ``{tap: (1, h, w, C)}``; not weighted."""
        pairs = zip(self.statistics, self.targets, strict=True)
        return tf.add_n([self.distance(of(maps[self.tap]), target)[0] for of, target in pairs]) / len(self.targets)


def gram_term(tap, reference, weight=1.0):
    """Which features occur together: ``E = 1 / (4 C^2) sum (G - G')^2`` (Gatys et al., equation 4)."""
    return Term("gram", tap, gram_distance, [gram], [gram(reference[tap])], weight)


def shift_term(tap, reference, weight=1.0, shifts=(2, 4, 8)):
    """Which features occur at distances from each other: E of shifted Gram matrices, the mean over shifts and axes.

    Args:
        shifts: in positions of the map, down and to the right (Berger and Memisevic).
    """
    statistics = [
        lambda maps, moved=moved: shifted_gram(maps, **moved)
        for shift in shifts
        for moved in ({"down": shift}, {"right": shift})
    ]
    return Term("shift", tap, gram_distance, statistics, [of(reference[tap]) for of in statistics], weight)


def flip_term(tap, reference, weight=1.0, symmetry="left-right"):
    """Which features occur at mirrored positions: E of flipped Gram matrices, the mean over flips.

    Args:
        reference: maps of an image that has the symmetry, see :func:`tfssl.synthesis.structure.symmetrized`: mirrored,
            a slope is the opposite slope, and which features answer to both is in the statistics of such an image only.
        symmetry: a key of :data:`~tfssl.synthesis.recipe.SYMMETRIES`.
    """
    statistics = [lambda maps, flip=flip: flipped_gram(maps, flip) for flip in SYMMETRIES[symmetry]]
    return Term("flip", tap, gram_distance, statistics, [of(reference[tap]) for of in statistics], weight)


def content_term(tap, content, weight=1.0):
    """The same features at the same positions: half their mean squared difference.

    The paper (equation 1) has the sum; with the mean a weight means the same for all sizes and layers.
    """
    return Term("content", tap, _half_mean_square, [lambda maps: maps], [content[tap]], weight)


def _half_mean_square(found, target):
    return tf.reduce_mean(tf.square(found - target), axis=(1, 2, 3)) / 2


def default_shifts(length):
    """Powers of two from 2 to a quarter of a map's shorter side, the four largest of them; at least 1.

    On maps of 128 positions these are 4, 8, 16, 32, as in third-party code; the paper's own are not known here.
    """
    return tuple(2**n for n in range(1, int(np.log2(max(2, length // 4))) + 1))[-_MOST_SHIFTS:] if length >= 8 else (1,)


class Objective:
    """Weighted sum of terms of one image, and its gradient.

    Args:
        features: function of images (1, H, W, 3) to ``{tap: (1, h, w, C)}``, such as
            :class:`tfssl.synthesis.features.Features`.
        terms: :class:`Term` objects.
        shape: of the image: (H, W, 3), or (H, W, 1) of a gray one.
    """

    def __init__(self, features, terms, shape):
        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
        def compute(image):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(image)
                maps = features(tf.broadcast_to(image, (1, *shape[:2], 3)))
                values = [term(maps) for term in terms]
                total = tf.add_n([term.weight * value for term, value in zip(terms, values, strict=True)])
            return total, tape.gradient(total, image), tf.stack(values)

        self._names = [term.name for term in terms]
        self._compute = compute.get_concrete_function()

    def __call__(self, image):
        """``(value, gradient, {name of a term: its value, not weighted})`` of an image in [0, 1], float."""
        total, gradient, values = self._compute(tf.constant(image, tf.float32))
        return float(total), gradient.numpy(), dict(zip(self._names, values.numpy().tolist(), strict=True))
