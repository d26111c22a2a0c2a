"""Pixels as the unknown: an objective of an image made small, within bounds, by L-BFGS-B or Adam."""

import math

import keras
import numpy as np
from scipy.optimize import Bounds, minimize as scipy_minimize

from tfssl.errors import TrainingError

HISTORY = 20
"""Steps that L-BFGS-B remembers, as in DeepTextures."""

LEARNING_RATE = 2 / 255
"""Of Adam: released code has 1 to 2 for levels of 0 to 255."""


def minimize(objective, start, low, high, *, optimizer="lbfgs", iterations=200, progress=None):
    """Change an image until an objective is small.

    Args:
        objective: function of an image to ``(value, gradient, {term: value})``.
        start: float (H, W, 3).
        low, high: bounds of each value, that broadcast to its shape. Where they are equal the value is known and stays.
        optimizer: ``"lbfgs"``, SciPy's L-BFGS-B as in DeepTextures (20 steps remembered, no other end than
            ``iterations``, or a line search that float32 cannot go on with); or ``"adam"``, whose steps are clipped to
            the bounds.
        iterations: of the optimizer; L-BFGS-B now and then needs two evaluations for one.
        progress: called after each with (its number, ``{term: value}``).

    Returns:
        ``(image, history)``: float32 (H, W, 3); the values of the terms, a dict for each iteration.

    Raises:
        TrainingError: if the objective becomes NaN or infinite.
    """
    low, high = (np.broadcast_to(bound, start.shape).astype(np.float32) for bound in (low, high))
    start = np.clip(np.asarray(start, np.float32), low, high)
    latest, history = {}, []

    def evaluate(image):
        value, gradient, terms = objective(image)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise TrainingError(f"the objective became {value} at iteration {len(history) + 1}; give smaller weights")
        latest.update(terms)
        return value, gradient

    def count(*_):
        history.append(dict(latest))
        if progress is not None:
            progress(len(history), history[-1])

    image = _STEPS[optimizer](evaluate, start, low, high, iterations, count)
    if not history:  # nothing to get better
        history.append(latest)
    return np.clip(image.astype(np.float32), low, high), history


def _lbfgs(evaluate, start, low, high, iterations, count):
    def flat(values):
        value, gradient = evaluate(values.reshape(start.shape))
        return value, gradient.astype(np.float64).ravel()

    found = scipy_minimize(
        flat,
        start.astype(np.float64).ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(low.ravel().astype(np.float64), high.ravel().astype(np.float64)),
        callback=count,
        options={"maxcor": HISTORY, "maxiter": iterations, "maxfun": 20 * iterations, "ftol": 0.0, "gtol": 0.0},
    )
    return found.x.reshape(start.shape)


def _adam(evaluate, start, low, high, iterations, count):
    image = keras.Variable(start)
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    for _ in range(iterations):
        _, gradient = evaluate(np.asarray(image))
        optimizer.apply([gradient], [image])
        image.assign(np.clip(np.asarray(image), low, high))
        count()
    return np.asarray(image)


_STEPS = {"lbfgs": _lbfgs, "adam": _adam}
