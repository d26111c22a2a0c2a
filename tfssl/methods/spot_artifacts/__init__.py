"""Self-Supervised Feature Learning by Learning to Spot Artifacts (Jenni and Favaro, CVPR 2018)."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.backbone import Backbone
from tfssl.methods.base import BatchNormEpsilon, BatchNormMomentum, Method, Paper, Phase
from tfssl.methods.opened import check_batch_norm, is_open
from tfssl.methods.spot_artifacts import data

_WIDTHS = {"alexnet": (32, 64, 128, 256, 512), "small": (8, 16, 32, 64)}
"""Backbone -> channels of the autoencoder at strides 1, 2, 4 ..."""


class SpotArtifacts(Method):
    """Tell images from images with artifacts, which a second network makes as hard to see as it can.

    A run has two phases. An autoencoder learns to encode and decode images, then it is frozen. After that, features
    of an image are dropped at random cells and replaced by their local mean; a repair network, working between the
    stages of the decoder, hides the damage, and a discriminator learns to tell the result from the autoencoded image
    and to say where the damage is. What it had to understand for that is what its convolutions offer afterwards.

    Defaults are the released code's for STL-10, but for ``objective``. Where the paper differs, as far as known (its
    text was not at hand), the argument says so. Of the paper's (unconfirmed) buffer of earlier corrupt images there is
    no trace in the code, nor here.

    Args:
        crop_size: of the images in pixels, a multiple of 16 (``"alexnet"``) or 8 (``"small"``).
        crop_area: (smallest, largest) fraction of an image's area that a training crop shows.
        color_jitter: whether brightness and saturation of training crops change (by up to 32 levels of 255, and by a
            factor of 0.5 to 1.5).
        theta: probability that a cell of the features is dropped, in (0, 1) (code: 0.7; the paper's base case is
            0.5, unconfirmed).
        local_mean: size of the window whose mean replaces dropped features, odd (code: 3).
        repair: whether there is a repair network; without it damaged features are decoded as they are, as a control.
        real: ``"autoencoded"``, or ``"raw"``, as a control: the discriminator then knows real images by their
            sharpness.
        mask_weight: of the loss of the predicted damage, which the discriminator alone lowers (0.1); 0 for no
            prediction.
        reconstruction_weight: of the square error, in [-1, 1] units, of the autoencoder and, over intact pixels, of the
            repair network (30).
        objective: ``"swapped"``: the repair network lowers the discriminator's cross-entropy with swapped labels (as
            described); ``"confusion"``: it lowers the sum of all losses that the released code has collected by then,
            the discriminator's own among them: lowest where the discriminator is undecided, and the mask is made easier
            to see.
        l2: weight of the penalty ``l2 / 2 * sum(kernel ** 2)`` on the networks that learn (5e-5).
        backbone: ``"alexnet"`` (grouped, for GPUs) or ``"small"`` (for CPUs; five 3x3 convolutions with batch
            normalization, an autoencoder of 8 to 64 channels).
        fc6: units between conv5 and the class (4096).
        pool5: 3x3 / 2 max pooling before fc6; with ``crop_size=224`` it has the 6x6 cells of the default size.
        dropout: fraction of units dropped after fc6, in [0, 1) (0.5).
        autoencoder_fraction: fraction of a run's epochs that the autoencoder gets, in (0, 1) (0.5: 500 of 1000).
        autoencoder_learning_rate_scale: its learning rate as a multiple of the run's (1).
        discriminator_learning_rate_scale: the discriminator's, as a multiple of the repair network's (1).
        batch_norm_epsilon: of all batch normalizations; null: Keras' 1e-3, as the released code.
        batch_norm_momentum: of their moving statistics, in [0, 1); null: 0.975 as the released code, 0.99 in the
            discriminator of ``"small"``.
    """

    paper: ClassVar[Paper] = Paper(
        "Self-Supervised Feature Learning by Learning to Spot Artifacts", "Jenni, Favaro", "CVPR", 2018
    )
    inputs: ClassVar[str] = "photographs"

    crop_size: int = Field(96, ge=16, le=512)
    crop_area: tuple[float, float] = (1 / 3, 1.0)
    color_jitter: bool = True
    theta: float = Field(0.7, gt=0, lt=1)
    local_mean: int = Field(3, ge=1)
    repair: bool = True
    real: Literal["autoencoded", "raw"] = "autoencoded"
    mask_weight: float = Field(0.1, ge=0)
    reconstruction_weight: float = Field(30.0, ge=0)
    objective: Literal["swapped", "confusion"] = "swapped"
    l2: float = Field(5e-5, ge=0)
    backbone: Annotated[Any, Backbone("alexnet", "small")] = "alexnet"
    fc6: int = Field(4096, ge=1)
    pool5: bool = False
    dropout: float = Field(0.5, ge=0, lt=1)
    autoencoder_fraction: float = Field(0.5, gt=0, lt=1)
    autoencoder_learning_rate_scale: float = Field(1.0, gt=0)
    discriminator_learning_rate_scale: float = Field(1.0, gt=0)
    batch_norm_epsilon: BatchNormEpsilon = None
    batch_norm_momentum: BatchNormMomentum = None

    @model_validator(mode="after")
    def _check_sizes(self):
        check_batch_norm(self, self.backbone)
        low, high = self.crop_area
        if not 0 < low <= high <= 1:
            raise ValueError(f"`crop_area` must be 0 < smallest <= largest <= 1. Received: crop_area={[low, high]}")
        if self.local_mean % 2 == 0:
            raise ValueError(f"`local_mean` must be odd. Received: local_mean={self.local_mean}")
        if self.crop_size % self.stride:
            raise ValueError(
                f"`crop_size` must be a multiple of {self.stride} for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        if self.pool5 and is_open(self.backbone):
            raise ValueError("`pool5` is for backbones alexnet and small; leave it out. Received: pool5=True")
        if self.pool5 and self.cells < 3:
            raise ValueError(
                f"`pool5` needs at least 3x3 cells, a crop_size of {3 * self.stride}. "
                f"Received: crop_size={self.crop_size}"
            )
        return self

    @property
    def _widths(self):
        return _WIDTHS.get(str(self.backbone), _WIDTHS["small"])

    @property
    def stride(self):
        """Pixels per cell of the features, of the damage and of conv5."""
        return 2 ** (len(self._widths) - 1)

    @property
    def cells(self):
        """Cells of the features along each axis."""
        return self.crop_size // self.stride

    @property
    def min_size(self):
        return max(data.crop_of(self).min_size, math.ceil(self.crop_size / data.TEST_SIZE))

    def sample(self, example, rng, training):
        omega = (rng.random((self.cells, self.cells, 1)) >= self.theta).astype("uint8")  # 1: the cell is kept
        pixels = data.cut(self, example["image"], rng, training)
        return pixels, omega, data.draw_color(rng if training and self.color_jitter else None)

    def prepare(self, pixels, omega, colors):
        import tensorflow as tf

        images = data.change_color(tf.cast(pixels, tf.float32) / 255.0, colors)
        return {"images": images, "omega": tf.cast(omega, tf.float32)}, images

    @property
    def phases(self):
        """The autoencoder, then the repair network against the discriminator."""
        from tfssl.methods.spot_artifacts.loss import mean_color_loss

        fraction, scale = self.autoencoder_fraction, self.autoencoder_learning_rate_scale
        baseline = mean_color_loss(self.reconstruction_weight)
        return (
            Phase("autoencoder", fraction, self.autoencoder, baseline, scale),
            Phase("adversarial", 1 - fraction, self.adversarial, self.baseline),
        )

    def autoencoder(self, optimizer=None, previous=None):
        """A new, compiled autoencoder: a batch's inputs -> images; the first phase."""
        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.spot_artifacts.network import build_autoencoder

        model = build_autoencoder(self._widths, self.crop_size, self.cells, self.l2)
        set_batch_norm(model, self.batch_norm_epsilon, self.batch_norm_momentum)
        model.compile(
            optimizer if optimizer is not None else paper_optimizer(),
            "mean_squared_error",
            loss_weights=self.reconstruction_weight,
            jit_compile=False,  # XLA fails under MirroredStrategy on CPU devices
        )
        return model

    def adversarial(self, optimizer=None, previous=None):
        """A new, compiled model of the second phase, on the autoencoder ``previous`` or on a random one."""
        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.spot_artifacts import network
        from tfssl.methods.spot_artifacts.adversarial import OPTIONS, SpottingModel

        widths = self._widths
        networks = {"encoder": network.build_encoder(widths), "decoder": network.build_decoder(widths)}
        if previous is not None:
            for name, part in networks.items():
                part.set_weights(previous.get_layer(name).get_weights())
        if self.repair:
            networks["repairer"] = network.build_repairer(widths)
        networks["discriminator"] = network.build_discriminator(
            self.backbone, size=self.crop_size, fc6=self.fc6, dropout=self.dropout, pool5=self.pool5
        )
        for part in networks.values():
            set_batch_norm(part, self.batch_norm_epsilon, self.batch_norm_momentum)
        model = SpottingModel(networks, **{name: getattr(self, name) for name in OPTIONS}, name="spot_artifacts")
        model.compile(optimizer if optimizer is not None else paper_optimizer(), self.discriminator_learning_rate_scale)
        return model

    def model(self, optimizer=None):
        return self.adversarial(optimizer)

    def encoder(self, model):
        from tfssl.methods.spot_artifacts.network import feature_encoder

        return feature_encoder(model.discriminator)

    @property
    def baseline(self):
        """Loss of a discriminator that ignores its input: ln 2, and the entropy of the damage in both halves."""
        dropped = self.theta / 2  # the real half has none
        entropy = -dropped * math.log(dropped) - (1 - dropped) * math.log(1 - dropped)
        return math.log(2) + self.mask_weight * entropy

    def evaluate(self, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
        from tfssl.methods.spot_artifacts.evaluate import evaluate

        return evaluate(self, model, data, out=out, limit=limit, seed=seed, batch_size=batch_size, progress=progress)

    def sample_sheet(self, model, data, path):
        from tfssl.methods.spot_artifacts.evaluate import write_sheet

        write_sheet(self, model, data, path)


def paper_optimizer(steps=195_250):
    """Adam of the released code: 3e-4, falling linearly to 1 % of it over the first 90 % of a phase's steps.

    The code doubles the gradients of biases, which Adam divides out again but for its epsilon: not done here. ``steps``
    are those of one phase; 500 epochs of 100,000 images in batches of 2 x 128.
    """
    import keras

    schedule = keras.optimizers.schedules.PolynomialDecay(3e-4, round(0.9 * steps), end_learning_rate=3e-6)
    return keras.optimizers.Adam(schedule, beta_1=0.5, epsilon=1e-5)
