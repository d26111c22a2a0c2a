"""After training: how much of the rebalancing to keep, and how to decode."""

import itertools

import numpy as np

from tfssl.color.prior import class_weights
from tfssl.errors import ConfigError
from tfssl.ops.ab_bins import CENTERS
from tfssl.options import check_temperature

_SCORES = {"paper": "scores", "small": "scores", "efficientnet_lite0": "scores", "alexnet": "fc8"}
_SHIFTS = ("share", "reds", "grays")
_FIGURES = ("auc_raw_gain", "auc_macro_gain", "colorfulness_ratio", "false_reds", "neutral_chroma")
_TO_BE_LOW = ("false_reds", "neutral_chroma")
_RED_HUE = np.radians(15)  # the middle of the hues of false reds, tfssl.color.metrics.false_reds
_VIVID, _NEARLY_GRAY = 40.0, 15.0  # chroma


def shift_scores(method, model, share, reds=0.0, grays=0.0):
    """Change what a trained network makes of its scores, by shifting the bias of its last layer.

    A network trained with class weights w predicts colors in proportion to ``p(color | image) * w``. Subtracting
    ``share * log w`` from the scores leaves ``p * w^(1 - share)``: 0 changes nothing (rare colors count most: vivid,
    sometimes wrong), 1 gives back the frequencies of the photographs (cautious). Vivid reds are rare, so the weights
    favor them, and people mind them most where they are wrong: ``reds`` takes as much from the score of the most vivid
    of them, and less from others the farther their hue and chroma are. ``grays`` is added to the score of gray, and
    fades to nothing at a chroma of 15: neutral things stay neutral.

    Args:
        method, model: a :class:`~tfssl.methods.Colorization` with ``objective="rebalanced"`` and its network.
        share: in [-1, 1]; calls add up.
        reds, grays: nats, in [-10, 10].

    Reference:
        The prior correction of Saerens, Latinne and Decaestecker: Adjusting the outputs of a classifier to new a
        priori probabilities. Neural Computation 14, 2002. Reds and grays are our own addition.
    """
    if not -1 <= share <= 1:
        raise ConfigError(f"`share` must lie in [-1, 1]. Received: share={share}")
    for name, value in (("reds", reds), ("grays", grays)):
        if not -10 <= value <= 10:
            raise ConfigError(f"`{name}` must lie in [-10, 10]. Received: {name}={value}")
    bias = model.get_layer(_SCORES[method.backbone]).bias
    bias.assign(np.asarray(bias) + _shifts(method, [(share, reds, grays)])[0])


def measure_decodings(
    method, model, source, *, image_sizes, shares, temperatures, reds=(0.0,), grays=(0.0,), progress=None
):
    """Measure every combination of image size, shifts and temperature, for :func:`choose_decoding`.

    Args:
        method, model: as :func:`shift_scores`; left as they were.
        source: photographs that trained nothing, see :func:`tfssl.data.images.image_source`.
        image_sizes: candidates for the field of that name, pixels.
        shares, reds, grays: candidates for :func:`shift_scores`.
        temperatures: candidates for T.
        progress: see :meth:`tfssl.methods.base.Method.evaluate`.

    Returns:
        A list of dicts with ``image_size``, ``share``, ``reds``, ``grays``, ``temperature`` and the figures
        ``auc_raw_gain``, ``auc_macro_gain``, ``colorfulness_ratio``, ``false_reds`` and ``neutral_chroma``.
    """
    from tfssl.color.predict import Colorizer, GrayBaseline
    from tfssl.color.survey import Survey

    for temperature in temperatures:
        check_temperature(temperature)
    shifts = list(itertools.product(shares, reds, grays))
    candidates = {f"{i}_{t!r}_": (shift, t) for t in temperatures for i, shift in enumerate(shifts)}
    table = []
    for size in image_sizes:
        shifted = _Candidates(method.model_copy(update={"image_size": size}), [s for s, _ in candidates.values()])
        colorizer = Colorizer(shifted, model, {prefix: t for prefix, (_, t) in candidates.items()})
        survey = Survey(source, [colorizer, GrayBaseline()], None)
        for _ in survey.rows(progress):
            pass
        for prefix, (shift, temperature) in candidates.items():
            metrics = survey.metrics(method.smoothed_prior(), prefix, ["gray_"])
            row = {"image_size": size, **dict(zip(_SHIFTS, shift, strict=True)), "temperature": temperature}
            table.append(row | {key: metrics[key] for key in _FIGURES})
    return table


def choose_decoding(table, limits):
    """Pick a row of :func:`measure_decodings`.

    Args:
        table: list of dicts.
        limits: ``{figure: what a row must reach}``, the most important one first: at least so much of ``auc_raw_gain``
            and ``colorfulness_ratio``, at most so much of ``false_reds`` and ``neutral_chroma``.

    Returns:
        Of the rows that reach all limits the one with the highest class-rebalanced AuC (``auc_macro``). Where none
        of the rows that reach the limits before reaches one, it is the row of these that comes nearest.
    """
    for figure, limit in limits.items():
        sign = -1 if figure in _TO_BE_LOW else 1
        reached = [row for row in table if sign * row[figure] >= sign * limit]
        if not reached:
            return max(table, key=lambda row: sign * row[figure])
        table = reached
    return max(table, key=lambda row: row["auc_macro_gain"])


class _Candidates:
    """A method that decodes the same scores with several shifts: the network runs once."""

    def __init__(self, method, shifts):
        self._method = method
        self._shifts = _shifts(method, shifts)[:, None, None]

    def __getattr__(self, name):
        return getattr(self._method, name)

    def decode(self, output, lightness, temperature):
        return self._method.decode(output + self._shifts, lightness, temperature)


def _shifts(method, shifts):
    """What is added to the scores, float32 (n, 313), for a list of n (share, reds, grays)."""
    if method.objective != "rebalanced":
        raise ConfigError(f"only a rebalanced model can be calibrated. Received: objective={method.objective!r}")
    weights = np.log(class_weights(method.smoothed_prior(), method.rebalance_mix))
    a, b = CENTERS.T
    chroma = np.hypot(a, b)
    toward_red = np.clip(np.cos(np.arctan2(b, a) - _RED_HUE), 0, 1) ** 2
    red = toward_red * np.minimum(1, chroma / _VIVID)
    gray = np.maximum(0, 1 - chroma / _NEARLY_GRAY)
    return (np.asarray(shifts) @ np.stack([-weights, -red, gray])).astype(np.float32)
