"""Losses of cross-channel prediction: classes of ab and of L, or their values; and values of depth (HHA)."""

import keras
from keras import ops

from tfssl.methods.split_brain.network import LIGHTNESS_BINS
from tfssl.ops.ab_bins import NUM_BINS, soft_encode
from tfssl.ops.arguments import check_shapes

AB_SCALE, LIGHTNESS_SCALE, HHA_SCALE = 110.0, 50.0, 127.5
"""Regression predicts ab / 110, L / 50 - 1 and HHA / 127.5 - 1 (the paper does not state its scale)."""

KINDS = ("classification", "regression")

_VALUES = {"ab": 2, "lightness": 1, "hha": 3}  # numbers of each cell
_CLASSES = {"ab": NUM_BINS, "lightness": LIGHTNESS_BINS}


def channels_of(name):
    """Which channels a prediction is of, ``"ab"``, ``"lightness"`` or ``"hha"``: ``"ab_again"`` -> ``"ab"``."""
    return name.removesuffix("_again")


def output_channels(**kinds):
    """``{name: channels}`` of predictions; ``kinds`` are ``"classification"`` or ``"regression"``, None is left out."""
    return {
        name: (_CLASSES if kind == "classification" else _VALUES)[channels_of(name)]
        for name, kind in kinds.items()
        if kind is not None
    }


def ab_class(ab):
    """Number of the nearest of the 313 bins, int32 (...), of ab (..., 2) in ab units."""
    return soft_encode(ab, neighbors=1)[0][..., 0]


def lightness_class(lightness):
    """``min(floor(L / 2), 49)``, int32 (...), of L (...) in [0, 100]: 0 -> 0, 1.99 -> 0, 2 -> 1, 100 -> 49."""
    bins = ops.cast(ops.floor(lightness * (LIGHTNESS_BINS / 100.0)), "int32")
    return ops.clip(bins, 0, LIGHTNESS_BINS - 1)


def _standardized(name, truth):
    """What regression is to predict, (B, h, w, channels), of Lab or Lab and HHA, (B, h, w, 3 or 6)."""
    if name == "ab":
        return truth[..., 1:3] / AB_SCALE
    return truth[..., :1] / LIGHTNESS_SCALE - 1.0 if name == "lightness" else truth[..., 3:] / HHA_SCALE - 1.0


@keras.saving.register_keras_serializable(package="tfssl")
class CrossChannelLoss(keras.losses.Loss):
    """The weighted sum of the losses of what is predicted, averaged over cells and images (paper, equations 1 to 3).

    Classification: cross-entropy with the nearest bin, neither soft encoding nor rebalancing. Regression:
    ``1/2 |x - x'|^2`` in units of 110 (ab), 50 (L) and 127.5 (HHA).

    Args:
        ab: ``"classification"``, ``"regression"``, or None where ab are not predicted.
        lightness: the same of L.
        ab_again, lightness_again: the same of a second prediction of each.
        hha: ``"regression"`` where disparity, height and angle are predicted, or None.
        weights: ``{name of one of these: factor of its loss}``; 1 for the others.

    Call: ``y_true`` Lab (B, h, w, 3), or Lab and HHA (B, h, w, 6) with ``hha``; ``y_pred`` scores (B, h, w, C), one
    prediction behind the other in the order of the arguments.
    """

    def __init__(
        self,
        ab,
        lightness,
        ab_again=None,
        lightness_again=None,
        hha=None,
        weights=None,
        name="cross_channel_loss",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        kinds = {"ab": ab, "lightness": lightness, "ab_again": ab_again, "lightness_again": lightness_again, "hha": hha}
        for argument, kind in kinds.items():
            allowed = ("regression",) if argument == "hha" else KINDS
            if kind is not None and kind not in allowed:
                raise ValueError(f"`{argument}` must be one of {allowed} or None. Received: {argument}={kind!r}")
        self.kinds = {argument: kind for argument, kind in kinds.items() if kind is not None}
        if not self.kinds:
            raise ValueError("`ab` or `lightness` must be predicted. Received: None for both")
        strange = sorted(set(weights or {}) - set(self.kinds))
        if strange:
            raise ValueError(f"`weights` must be of {', '.join(self.kinds)}. Received: weights of {strange[0]!r}")
        self.weights = {argument: float((weights or {}).get(argument, 1.0)) for argument in self.kinds}
        self._channels = output_channels(**self.kinds)

    def call(self, y_true, y_pred):
        return sum(self.weights[name] * loss for name, loss in self.parts(y_true, y_pred).items())

    def parts(self, y_true, y_pred):
        """``{"ab": loss of each cell (B, h, w), "lightness": ...}``, of what is predicted, without the weights."""
        channels = 6 if "hha" in self.kinds else 3
        check_shapes(y_true=(y_true, f"B h w {channels}"), y_pred=(y_pred, f"B h w {sum(self._channels.values())}"))
        truth = ops.cast(y_true, "float32")
        losses = {}
        for name, scores in self.split_scores(y_pred).items():
            of = channels_of(name)
            if self.kinds[name] == "classification":
                classes = ab_class(truth[..., 1:3]) if of == "ab" else lightness_class(truth[..., 0])
                losses[name] = ops.sparse_categorical_crossentropy(classes, scores, from_logits=True)
            else:
                losses[name] = 0.5 * ops.sum(ops.square(scores - _standardized(of, truth)), axis=-1)
        return losses

    def split_scores(self, scores):
        """``{"ab": float32 (B, h, w, channels), "lightness": ...}``, of what is predicted."""
        check_shapes(scores=(scores, f"B h w {sum(self._channels.values())}"))
        scores, first, found = ops.cast(scores, "float32"), 0, {}
        for name, channels in self._channels.items():
            found[name] = scores[..., first : first + channels]
            first += channels
        return found

    def get_config(self):
        kinds = {"ab": None, "lightness": None} | self.kinds
        return {**super().get_config(), **kinds, "weights": self.weights}
