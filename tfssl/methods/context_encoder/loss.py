"""Losses of inpainting: squared error where an image was dropped, and what both networks want of the discriminator.

Targets hold the true colors in [-1, 1] in their first three channels, and in the fourth 1 where the pixel was dropped.
"""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class MaskedL2(keras.losses.Loss):
    """Squared error of the dropped pixels, and with another weight of the visible ones (paper, equation 1).

    ``mean(w (x - y)^2)`` over all entries of the prediction, w = 1 where x was dropped and ``visible_weight``
    elsewhere; then the mean over the batch. (The released code divides by all entries too.)

    Args:
        visible_weight: of pixels that are predicted though the network sees them: 10 for the band around the center
            (paper, section 5.1), 0 for the dropped region alone (paper, equation 1).

    Call: targets float (B, T, T, 4), see the module; predictions float (B, T, T, 3).
    """

    def __init__(self, visible_weight, name="masked_l2", **kwargs):
        super().__init__(name=name, **kwargs)
        if not visible_weight >= 0:
            raise ValueError(f"`visible_weight` must not be negative. Received: visible_weight={visible_weight!r}")
        self.visible_weight = visible_weight

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B h w 4"), y_pred=(y_pred, "B h w 3"))
        dropped = y_true[..., 3:]
        weights = dropped + self.visible_weight * (1.0 - dropped)
        return ops.mean(weights * ops.square(y_true[..., :3] - y_pred), axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "visible_weight": self.visible_weight}


def hole_error(y_true, y_pred):
    """Mean squared error of the dropped pixels alone, (B,), in units of [-1, 1]; shapes as :class:`MaskedL2`."""
    check_shapes(y_true=(y_true, "B h w 4"), y_pred=(y_pred, "B h w 3"))
    dropped = y_true[..., 3:]
    total = ops.sum(dropped * ops.square(y_true[..., :3] - y_pred), axis=(1, 2, 3))
    return total / ops.maximum(3.0 * ops.sum(dropped, axis=(1, 2, 3)), 1.0)


def discriminator_loss(real, fake):
    """Cross-entropy ``-log D(x) - log(1 - D(y))`` (B,) of logits (B, 1) of true and of made patches (equation 2).

    2 ln 2 where the discriminator cannot tell.
    """
    check_shapes(real=(real, "B 1"), fake=(fake, "B 1"))
    return ops.squeeze(ops.softplus(-real) + ops.softplus(fake), axis=-1)


def fooling_loss(fake):
    """What the inpainter pays for being found out, ``-log D(y)`` (B,) of logits (B, 1) of made patches.

    The released code's form, which does not saturate; ln 2 where the discriminator cannot tell.
    """
    check_shapes(fake=(fake, "B 1"))
    return ops.squeeze(ops.softplus(-fake), axis=-1)


def joint_loss(reconstruction, fooling, reconstruction_weight):
    """``w L_rec + (1 - w) L_adv`` (equation 3); the paper and the released code have w = 0.999."""
    return reconstruction_weight * reconstruction + (1.0 - reconstruction_weight) * fooling
