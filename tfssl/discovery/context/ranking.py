"""Which clusters are worth a closer look, which of them show the same, and the mask of each member."""

import numpy as np

from tfssl.discovery.context.evidence import masked_blur
from tfssl.discovery.context.pyramid import SIDE

MAX_COSINE = 0.2
"""Two detections in an image are the same thing if the cosine of their masks is higher (official code)."""

MAX_REPEATED = 12 / 20
"""A cluster is left out if a larger part of its members repeats better clusters (official code: 12 of the 20 shown)."""

_MASK_GAIN, _MASK_OFFSET = 3.5, 0.5
_ALMOST_ONE = 1 - 1e-9


def greedy_order(scores, count=None):
    """Choose clusters so that ``sum_i sum_j 2^-j s_ij`` grows fastest; s_ij is the j-th best score in image i, from 0.

    Each detection that is chosen halves what weaker ones in its image still add; equal ones keep their value.

    Args:
        scores: for each cluster ``{image: score}``; negative scores count 0.
        count: most to choose; None for all.

    Returns:
        ``(order, gains)``: numbers of the clusters in the order they are chosen, and what each added.
    """
    worth = [{image: max(0.0, score) for image, score in cluster.items()} for cluster in scores]
    left = [dict(cluster) for cluster in worth]
    waiting, order, gains = list(range(len(scores))), [], []
    while waiting and len(order) < (len(scores) if count is None else count):
        best = max(waiting, key=lambda number: (sum(left[number].values()), -number))
        waiting.remove(best)
        order.append(best)
        gains.append(sum(left[best].values()))
        for image, score in worth[best].items():
            for number in waiting:
                if worth[number].get(image, np.inf) < score:
                    left[number][image] /= 2
    return order, gains


def deduplicate(clusters):
    """Walk down a ranking and leave out clusters most of whose detections are in better ones already.

    Args:
        clusters: for each, the best first, ``{image: mask}`` with float arrays; those of one image are of one shape.

    Returns:
        The numbers of those that stay.
    """
    kept, taken = [], {}
    for number, masks in enumerate(clusters):
        repeated = sum(
            any(mask_cosine(mask, other) > MAX_COSINE for other in taken.get(image, []))
            for image, mask in masks.items()
        )
        if repeated <= MAX_REPEATED * len(masks):
            kept.append(number)
            for image, mask in masks.items():
                taken.setdefault(image, []).append(mask)
    return kept


def mask_cosine(first, second):
    """``sum(a b) / sqrt(sum a^2 sum b^2)`` of two masks; 0 where one is empty."""
    product = np.sqrt(np.sum(np.square(first)) * np.sum(np.square(second)))
    return float(np.sum(first * second) / product) if product > 0 else 0.0


def thing_mask(context, patch):
    """Soft mask of a thing: ``clip(3.5 * blurred evidence * blurred beta - 0.5, 0, 1)``, float32 (H, W).

    The patch itself, which is given and not predicted, counts as thing.

    Args:
        context: :class:`~tfssl.discovery.context.verify.Context`.
        patch: :class:`~tfssl.discovery.context.pyramid.Patch`.
    """
    inside = np.zeros(context.predicted.shape, bool)
    inside[patch.y : patch.y + SIDE, patch.x : patch.x + SIDE] = True
    ratio = np.where(inside, 20.0, context.thing - context.stuff)
    beta = np.clip(np.where(inside, 1.0, context.transferred), 0, _ALMOST_ONE)
    known = beta > 0  # cells without gradient take part in nothing; the mask there is that of their neighbors
    odds, transferred = masked_blur(ratio, known), np.exp(masked_blur(np.log(np.where(known, beta, 1)), known))
    mask = _MASK_GAIN * transferred / (1 + np.exp(-np.clip(odds, -80, 80))) - _MASK_OFFSET
    return np.where(inside | context.predicted, np.clip(mask, 0, 1), 0).astype(np.float32)


def patch_mask(level, patch):
    """Mask of a patch that was not verified: its own cells."""
    mask = np.zeros(level.textured.shape, np.float32)
    mask[patch.y : patch.y + SIDE, patch.x : patch.x + SIDE] = 1
    return mask
