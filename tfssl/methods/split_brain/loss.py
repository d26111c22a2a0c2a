"""Losses of cross-channel prediction: classes of ab and of L, or their values."""

import keras
from keras import ops

from tfssl.methods.split_brain.network import LIGHTNESS_BINS
from tfssl.ops.ab_bins import NUM_BINS, soft_encode
from tfssl.ops.arguments import check_shapes

AB_SCALE, LIGHTNESS_SCALE = 110.0, 50.0
"""Regression predicts ab / 110 and (L - 50) / 50 (the paper does not state its scale)."""

KINDS = ("classification", "regression")


def output_channels(ab, lightness):
    """``{"ab": channels, "lightness": channels}`` of predictions, each ``"classification"`` or ``"regression"``."""
    return {
        "ab": NUM_BINS if ab == "classification" else 2,
        "lightness": LIGHTNESS_BINS if lightness == "classification" else 1,
    }


def ab_class(ab):
    """Number of the nearest of the 313 bins, int32 (...), of ab (..., 2) in ab units."""
    return soft_encode(ab, neighbors=1)[0][..., 0]


def lightness_class(lightness):
    """``min(floor(L / 2), 49)``, int32 (...), of L (...) in [0, 100]: 0 -> 0, 1.99 -> 0, 2 -> 1, 100 -> 49."""
    bins = ops.cast(ops.floor(lightness * (LIGHTNESS_BINS / 100.0)), "int32")
    return ops.clip(bins, 0, LIGHTNESS_BINS - 1)


@keras.saving.register_keras_serializable(package="tfssl")
class CrossChannelLoss(keras.losses.Loss):
    """The sum of the losses of ab and of L, each averaged over cells and images (paper, equations 1 to 3).

    Classification: cross-entropy with the nearest bin, neither soft encoding nor rebalancing. Regression:
    ``1/2 |x - x'|^2`` in units of 110 (ab) and 50 (L).

    Args:
        ab: ``"classification"``, ``"regression"``, or None where ab are not predicted.
        lightness: the same of L.

    Call: ``y_true`` Lab (B, h, w, 3), ``y_pred`` scores (B, h, w, C), those of ab before those of L.
    """

    def __init__(self, ab, lightness, name="cross_channel_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        for argument, kind in (("ab", ab), ("lightness", lightness)):
            if kind is not None and kind not in KINDS:
                raise ValueError(f"`{argument}` must be one of {KINDS} or None. Received: {argument}={kind!r}")
        if ab is None and lightness is None:
            raise ValueError("`ab` or `lightness` must be predicted. Received: None for both")
        self.ab = ab
        self.lightness = lightness

    def call(self, y_true, y_pred):
        return sum(self.parts(y_true, y_pred).values())

    def parts(self, y_true, y_pred):
        """``{"ab": loss of each cell (B, h, w), "lightness": ...}``, of what is predicted."""
        check_shapes(y_true=(y_true, "B h w 3"), y_pred=(y_pred, f"B h w {self._channels()}"))
        lab = ops.cast(y_true, "float32")
        losses = {}
        for name, scores in self.split_scores(y_pred).items():
            if getattr(self, name) == "classification":
                classes = ab_class(lab[..., 1:]) if name == "ab" else lightness_class(lab[..., 0])
                losses[name] = ops.sparse_categorical_crossentropy(classes, scores, from_logits=True)
            else:
                wanted = lab[..., 1:] / AB_SCALE if name == "ab" else lab[..., :1] / LIGHTNESS_SCALE - 1.0
                losses[name] = 0.5 * ops.sum(ops.square(scores - wanted), axis=-1)
        return losses

    def split_scores(self, scores):
        """``{"ab": float32 (B, h, w, channels), "lightness": ...}``, of what is predicted."""
        check_shapes(scores=(scores, f"B h w {self._channels()}"))
        scores, first, found = ops.cast(scores, "float32"), 0, {}
        for name, channels in output_channels(self.ab, self.lightness).items():
            if getattr(self, name) is not None:
                found[name] = scores[..., first : first + channels]
                first += channels
        return found

    def _channels(self):
        channels = output_channels(self.ab, self.lightness)
        return sum(n for name, n in channels.items() if getattr(self, name) is not None)

    def get_config(self):
        return {**super().get_config(), "ab": self.ab, "lightness": self.lightness}
