"""After training: how much of the rebalancing to keep, and which temperature to decode with."""

import numpy as np

from tfssl.color.prior import class_weights
from tfssl.errors import ConfigError

_SCORES = {"paper": "scores", "small": "scores", "efficientnet_lite0": "scores", "alexnet": "fc8"}


def undo_rebalancing(method, model, fraction):
    """Take back part of the rebalancing of a trained network, by shifting its last bias.

    A network trained with class weights w predicts colors in proportion to ``p(color | image) * w``.
    Subtracting ``fraction * log w`` from the scores leaves ``p * w^(1 - fraction)``: 0 changes nothing (rare colors
    count most: vivid, sometimes wrong), 1 gives back the frequencies of the photographs (cautious).

    Args:
        method, model: a :class:`~tfssl.methods.Colorization` with ``objective="rebalanced"`` and its network.
        fraction: in [-1, 1]; calls add up.

    Reference:
        The prior correction of Saerens, Latinne and Decaestecker: Adjusting the outputs of a classifier to new a
        priori probabilities. Neural Computation 14, 2002.
    """
    if method.objective != "rebalanced":
        raise ConfigError(f"only a rebalanced model can be calibrated. Received: objective={method.objective!r}")
    if not -1 <= fraction <= 1:
        raise ConfigError(f"`fraction` must lie in [-1, 1]. Received: fraction={fraction}")
    weights = class_weights(method.smoothed_prior(), method.rebalance_mix)
    bias = model.get_layer(_SCORES[method.backbone]).bias
    bias.assign(np.asarray(bias) - fraction * np.log(weights).astype(np.float32))


def choose_decoding(method, model, source, *, fractions, temperatures, raw_gain):
    """Measure every pair of fraction and temperature, and pick the best.

    Args:
        method, model: as :func:`undo_rebalancing`; the model is left as it was.
        source: photographs that trained nothing, see :func:`tfssl.data.images.image_source`.
        fractions: candidates for :func:`undo_rebalancing`.
        temperatures: candidates for T.
        raw_gain: smallest gain in raw AuC over the gray image, in [0, 1], that a pair must reach.

    Returns:
        ``((fraction, temperature), table)``: of the pairs that reach raw_gain the one with the highest
        class-rebalanced AuC (``auc_macro``), or the one with the highest raw gain if none does; and a list of dicts
        with the figures of every pair.
    """
    from tfssl.methods.colorization.evaluate import sweep_temperature

    keys = ("auc_raw_gain", "auc_macro_gain", "colorfulness_ratio")
    table = []
    for fraction in fractions:
        undo_rebalancing(method, model, fraction)
        for temperature, metrics in sweep_temperature(method, model, source, temperatures).items():
            table.append({"share": fraction, "temperature": temperature, **{k: metrics[k] for k in keys}})
        undo_rebalancing(method, model, -fraction)
    good = [row for row in table if row["auc_raw_gain"] >= raw_gain]
    candidates, figure = (good, "auc_macro_gain") if good else (table, "auc_raw_gain")
    best = max(candidates, key=lambda row: row[figure])
    return (best["share"], best["temperature"]), table
