"""Other plausible colorings of the same photograph, from the distribution that a network predicts.

A network that learned from many photographs knows that a car may be red or blue. Its usual decoding takes one of them.
Here one hue is expected more than others, in the whole image: ``p'(bin) ~ p(bin) exp(s cos(hue - expected))``, s rising
from 0 for gray to :data:`TILT`. Where the network is sure (sky, grass, skin) little changes; where several colors are
about as probable, the one nearest to the expected hue wins, everywhere the same one.
"""

import numpy as np

from tfssl.ops.ab_bins import CENTERS
from tfssl.options import MAX_VARIANTS

TILT = 1.5
"""How much more is expected: a color of the expected hue becomes exp(1.5) = 4.5 times as probable against gray."""

_FULL_CHROMA = 25.0  # ab units; below, colors of different hue look much alike

_HUES = np.arange(MAX_VARIANTS) * (2 * np.pi / MAX_VARIANTS)  # every 45 degrees of ab
_CHROMA = np.hypot(*CENTERS.T)
_TILTS = TILT * np.minimum(1, _CHROMA / _FULL_CHROMA) * np.cos(np.arctan2(*CENTERS.T[::-1]) - _HUES[:, None])


def variant_cells(scores, temperature, variant):
    """Decode one of the colorings.

    Variants are ordered by how much they differ: the first is farthest from the usual coloring, each next one farthest
    from all before it, by the mean distance in ab. Variant k does not depend on how many are asked for.

    Args:
        scores: float array (h, w, 313), see :func:`tfssl.color.predict.compiled_scores`.
        temperature: T of the annealed mean in (0, 1].
        variant: 0 for the usual coloring, 1 to :data:`tfssl.options.MAX_VARIANTS`.

    Returns:
        float32 (h, w, 2), ab units.
    """
    chosen = _decode(scores, temperature)
    if variant == 0:
        return chosen
    candidates = np.stack([_decode(scores + tilt, temperature) for tilt in _TILTS.astype(np.float32)])
    nearest = np.full(MAX_VARIANTS, np.inf)
    for _ in range(variant):
        nearest = np.minimum(nearest, np.linalg.norm(candidates - chosen, axis=-1).mean(axis=(1, 2)))
        index = int(nearest.argmax())
        chosen, nearest[index] = candidates[index], -1  # once each, also where all are alike
    return chosen


def _decode(scores, temperature):
    return probabilities(scores / np.float32(temperature)) @ CENTERS


def probabilities(scores):
    """Softmax over the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
