"""After training: how much of the rebalancing to keep, and which temperature to decode with."""

import numpy as np

from tfssl.color.prior import class_weights
from tfssl.errors import ConfigError
from tfssl.options import check_temperature

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
    if not -1 <= fraction <= 1:
        raise ConfigError(f"`fraction` must lie in [-1, 1]. Received: fraction={fraction}")
    shift = fraction * _log_weights(method)
    bias = model.get_layer(_SCORES[method.backbone]).bias
    bias.assign(np.asarray(bias) - shift)


def measure_decodings(method, model, source, *, image_sizes, fractions, temperatures, progress=None):
    """Measure every combination of image size, fraction and temperature, for :func:`choose_decoding`.

    Args:
        method, model: as :func:`undo_rebalancing`; left as they were.
        source: photographs that trained nothing, see :func:`tfssl.data.images.image_source`.
        image_sizes: candidates for the field of that name, pixels.
        fractions: candidates for :func:`undo_rebalancing`.
        temperatures: candidates for T.
        progress: see :meth:`tfssl.methods.base.Method.evaluate`.

    Returns:
        A list of dicts with ``image_size``, ``share``, ``temperature`` and the figures ``auc_raw_gain``,
        ``auc_macro_gain`` and ``colorfulness_ratio``.
    """
    from tfssl.color.predict import Colorizer, GrayBaseline
    from tfssl.color.survey import Survey

    for temperature in temperatures:
        check_temperature(temperature)
    pairs = {f"{f!r}_{t!r}_": (f, t) for f in fractions for t in temperatures}
    keys = ("auc_raw_gain", "auc_macro_gain", "colorfulness_ratio")
    table = []
    for size in image_sizes:
        candidates = _Candidates(method.model_copy(update={"image_size": size}), [f for f, _ in pairs.values()])
        colorizer = Colorizer(candidates, model, {prefix: t for prefix, (_, t) in pairs.items()})
        survey = Survey(source, [colorizer, GrayBaseline()], None)
        for _ in survey.rows(progress):
            pass
        for prefix, (fraction, temperature) in pairs.items():
            metrics = survey.metrics(method.smoothed_prior(), prefix, ["gray_"])
            row = {"image_size": size, "share": fraction, "temperature": temperature}
            table.append(row | {key: metrics[key] for key in keys})
    return table


def choose_decoding(table, *, raw_gain, colorfulness=0.0):
    """Pick a row of :func:`measure_decodings`.

    Args:
        table: list of dicts.
        raw_gain: smallest gain in raw AuC over the gray image, in [0, 1], that a row must reach.
        colorfulness: smallest colorfulness, as a fraction of the truth's, that it must reach.

    Returns:
        Of the rows that reach both the one with the highest class-rebalanced AuC (``auc_macro``); of those that reach
        raw_gain alone if there is none; and the one with the highest raw gain if there is none of these.
    """
    accurate = [row for row in table if row["auc_raw_gain"] >= raw_gain]
    vivid = [row for row in accurate if row["colorfulness_ratio"] >= colorfulness]
    choices, figure = (vivid or accurate, "auc_macro_gain") if accurate else (table, "auc_raw_gain")
    return max(choices, key=lambda row: row[figure])


class _Candidates:
    """A method that decodes the same scores with several fractions of the rebalancing undone: the network runs once."""

    def __init__(self, method, fractions):
        self._method = method
        self._shifts = np.float32(fractions)[:, None, None, None] * _log_weights(method)

    def __getattr__(self, name):
        return getattr(self._method, name)

    def decode(self, output, lightness, temperature):
        return self._method.decode(output - self._shifts, lightness, temperature)


def _log_weights(method):
    if method.objective != "rebalanced":
        raise ConfigError(f"only a rebalanced model can be calibrated. Received: objective={method.objective!r}")
    return np.log(class_weights(method.smoothed_prior(), method.rebalance_mix)).astype(np.float32)
