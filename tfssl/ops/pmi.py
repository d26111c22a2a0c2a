"""Pointwise mutual information of two primitives, and what it says about a classifier of pairs, in NumPy."""

import math

import numpy as np

from tfssl.errors import ConfigError

RHO = 1.25
"""Exponent of the joint density in Isola et al. (ECCV 2014)."""

REG = 100.0
"""What is added to joint and product there, in the density units of features in [0, 1]."""


def pmi(joint, first, second, *, rho=1.0, reg=0.0):
    """``log((P(A,B) + reg)^rho / (P(A) P(B) + reg))``: positive where A and B occur together more than by chance.

    Args:
        joint: P(A, B), probabilities or densities, at least 0, any shape.
        first, second: P(A) and P(B) of the same pairs; shapes broadcast.
        rho: exponent of the joint: 1 is plain PMI, :data:`RHO` the ECCV paper's, which favors pairs that are frequent.
        reg: keeps rare pairs near 0, in the units of ``joint``, at least 0; :data:`REG` is the code's.

    Returns:
        float64; -inf where the joint is 0 and there is no ``reg``.

    Raises:
        ConfigError: for a negative ``reg`` or a ``rho`` that is not above 0.

    Reference:
        P. Isola, D. Zoran, D. Krishnan, E. H. Adelson: Crisp boundary detection using pointwise mutual information.
        ECCV 2014, equation 2.
    """
    if not 0 < rho < math.inf or not 0 <= reg < math.inf:
        raise ConfigError(f"`rho` must be above 0 and `reg` at least 0. Received: rho={rho}, reg={reg}")
    joint, product = np.asarray(joint, np.float64), np.multiply(first, second, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return rho * np.log(joint + reg) - np.log(product + reg)


def table_pmi(joint, *, rho=1.0, reg=0.0):
    """:func:`pmi` of every pair of symbols of a joint distribution (A, B), whose margins are its own."""
    joint = np.asarray(joint, np.float64)
    return pmi(joint, joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True), rho=rho, reg=reg)


def context_logit(information, positives=0.5):
    """Logit of the best classifier that tells pairs of the joint from pairs drawn independently.

    Args:
        information: plain PMI.
        positives: fraction of pairs that come from the joint, in (0, 1). At a half the logit is PMI itself; otherwise
            it is shifted by ``log(positives / (1 - positives))``.
    """
    if not 0 < positives < 1:
        raise ConfigError(f"`positives` must lie between 0 and 1. Received: positives={positives}")
    return np.asarray(information, np.float64) + math.log(positives / (1 - positives))
