"""Adversarial inpainting: the inpainter against a discriminator that sees the predicted pixels alone."""

import keras
from keras import ops

from tfssl.methods.adversarial import AdversarialModel
from tfssl.methods.context_encoder.loss import MaskedL2, discriminator_loss, fooling_loss, hole_error, joint_loss


@keras.saving.register_keras_serializable(package="tfssl", name="InpaintingGame")
class InpaintingModel(AdversarialModel):
    """Reconstruction and adversarial loss together (paper, equation 3).

    Each step the inpainter is run once, for both gradients; neither is updated before. (The released code updates the
    discriminator first: the inpainter's update differs only in the discriminator's weights in its gradient.)

    Metrics: ``loss`` is the inpainter's, ``l2`` the mean squared error of the dropped pixels in units of [-1, 1],
    ``adversarial`` -log D of its images, ``discriminator`` the discriminator's cross-entropy (2 ln 2 = 1.386 where it
    cannot tell).

    Args:
        networks: ``{"inpainter": keras.Model, "discriminator": keras.Model}``.
        reconstruction_weight: w in [0, 1] (paper: 0.999).
        visible_weight: see :class:`~tfssl.methods.context_encoder.loss.MaskedL2`.
    """

    metric_names: tuple[str, ...] = ("loss", "l2", "adversarial", "discriminator")

    def __init__(self, networks, reconstruction_weight=0.999, visible_weight=10.0, **kwargs):
        super().__init__(networks, **kwargs)
        self.reconstruction_weight = reconstruction_weight
        self.visible_weight = visible_weight
        self._reconstruction = MaskedL2(visible_weight, reduction=None)

    @property
    def generators(self):
        return [self.inpainter]

    @property
    def discriminators(self):
        return [self.discriminator]

    def call(self, inputs, training=False):
        return self.inpainter(inputs, training=training)

    def forward(self, inputs, targets, training):
        made = self.inpainter(inputs, training=training)
        # One after the other, as the released code: batch normalization must not mix true and made patches.
        real = self.discriminator(targets[..., :3], training=training)
        fake = self.discriminator(made, training=training)
        reconstruction = ops.mean(self._reconstruction(targets, made))
        fooling = ops.mean(fooling_loss(fake))
        loss = joint_loss(reconstruction, fooling, self.reconstruction_weight)
        judging = ops.mean(discriminator_loss(real, fake))
        metrics = {
            "loss": loss,
            "l2": ops.mean(hole_error(targets, made)),
            "adversarial": fooling,
            "discriminator": judging,
        }
        return {"generator": loss, "discriminator": judging, "metrics": metrics}

    def get_config(self):
        own = {"reconstruction_weight": self.reconstruction_weight, "visible_weight": self.visible_weight}
        return super().get_config() | own
