"""Adversarial training: a repair network hides damage in decoded images, a discriminator spots it."""

import keras
from keras import ops

from tfssl.layers.corruption import Damage
from tfssl.methods.adversarial import AdversarialModel
from tfssl.methods.spot_artifacts.loss import intact_error, l2_penalty, mask_loss, spotting_loss
from tfssl.methods.spot_artifacts.network import CORRUPT, REAL, decode

OPTIONS = ("local_mean", "real", "objective", "mask_weight", "reconstruction_weight", "l2")


@keras.saving.register_keras_serializable(package="tfssl", name="SpottingGame")  # as in finished runs
class SpottingModel(AdversarialModel):
    """Repair network R against discriminator C, on the features of a frozen autoencoder (section 3).

    ``min_R max_C E[log C(D(phi)) + log(1 - C(D_R(phi_hat)))]`` with phi = E(x) and phi_hat the damaged features. The
    discriminator also says which cells were damaged; that loss is its own. The repair network also keeps what was
    intact: ``reconstruction_weight`` times the square error between x and its image, over intact pixels.

    Args:
        networks: ``encoder``, ``decoder``, ``discriminator`` and, unless damage is to stay unrepaired, ``repairer``, of
            :mod:`tfssl.methods.spot_artifacts.network`. The autoencoder is frozen here.
        **options: ``local_mean``, ``real``, ``objective``, ``mask_weight``, ``reconstruction_weight`` and ``l2`` as
            :class:`~tfssl.methods.SpotArtifacts`; others go to ``keras.Model``.

    Inputs: ``{"images": (B, H, W, 3) in [-1, 1], "omega": (B, h, w, 1)}``. Output: logits (B, 2) of the corrupt
    images.
    """

    metric_names: tuple[str, ...] = ("loss", "accuracy", "class_loss", "mask_loss", "swapped_loss", "intact_error")

    def __init__(self, networks, **options):
        self.options = {name: options.pop(name) for name in OPTIONS}
        super().__init__(networks, **options)
        self.damage = Damage(self.options["local_mean"], name="damage")
        for network in (self.encoder, self.decoder):
            network.trainable = False

    @property
    def generators(self):
        return [self.networks["repairer"]] if "repairer" in self.networks else []

    @property
    def discriminators(self):
        return [self.discriminator]

    def paint(self, inputs, training=False):
        """The images that the discriminator gets to see; the autoencoder never normalizes by the batch.

        Returns:
            ``{"autoencoded": D(phi), "repaired": the corrupt images, "real": what they are to be told from}``,
            (B, H, W, 3) in [-1, 1].
        """
        features = ops.stop_gradient(self.encoder(inputs["images"], training=False))
        damaged = self.damage([features, inputs["omega"]])
        repairer = self.networks.get("repairer")
        autoencoded = ops.stop_gradient(decode(self.decoder, features))
        return {
            "autoencoded": autoencoded,
            "repaired": decode(self.decoder, damaged, repairer, inputs["omega"], training=training),
            "real": autoencoded if self.options["real"] == "autoencoded" else inputs["images"],
        }

    def decode_damaged(self, inputs):
        """The damaged features, decoded without any repair: (B, H, W, 3) in [-1, 1]."""
        return decode(self.decoder, self.damage([self.encoder(inputs["images"], training=False), inputs["omega"]]))

    def call(self, inputs, training=False):
        return self.discriminator(self.paint(inputs, training)["repaired"], training=training)["logits"]

    def forward(self, inputs, targets, training):
        options = self.options
        images = self.paint(inputs, training)
        # One pass over both halves: batch normalization has to see their mixture, as it will in use.
        judged = self.discriminator(ops.concatenate([images["real"], images["repaired"]]), training=training)
        real, corrupt = ops.split(judged["logits"], 2)
        spotted = ops.mean(spotting_loss(real, corrupt))
        swapped = ops.mean(spotting_loss(corrupt, real))
        mask = ops.mean(mask_loss(*ops.split(judged["mask"], 2), inputs["omega"]))
        error = ops.mean(intact_error(targets, images["repaired"], inputs["omega"]))
        of_discriminator = spotted + options["mask_weight"] * mask
        of_generator = swapped + options["reconstruction_weight"] * error
        if options["objective"] == "confusion":
            of_generator = of_generator + of_discriminator
        metrics = (of_discriminator, _accuracy(real, corrupt), spotted, mask, swapped, error)
        return {
            "generator": of_generator + l2_penalty(self.generators, options["l2"]),
            "discriminator": of_discriminator + l2_penalty(self.discriminators, options["l2"]),
            "metrics": dict(zip(self.metric_names, metrics, strict=True)),
        }

    def get_config(self):
        return {**super().get_config(), **self.options}


def _accuracy(real, corrupt):
    right = [ops.mean(ops.cast(x[:, y] > x[:, 1 - y], "float32")) for x, y in ((real, REAL), (corrupt, CORRUPT))]
    return (right[0] + right[1]) / 2
