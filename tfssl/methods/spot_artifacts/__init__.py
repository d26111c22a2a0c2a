"""Self-Supervised Feature Learning by Learning to Spot Artifacts (Jenni and Favaro, CVPR 2018)."""

from typing import Annotated, Any, ClassVar, Literal

import keras
from pydantic import Field, model_validator

from tfssl.methods.backbone import Backbone, is_open
from tfssl.methods.base import Endpoint, Method, Paper, Phase


class SpotArtifacts(Method):
    """Tell pictures from pictures with artifacts, which a second network makes as hard to see as it can.

    A run has two phases. An autoencoder learns to encode and decode pictures, then it is frozen. After that, features
    of a picture are dropped at random places and replaced by their local mean; a repair network, working between the
    stages of the decoder, hides the damage, and a discriminator learns to tell the result from the autoencoded picture
    and to say where the damage is. What it had to understand for that is what its convolutions offer afterwards.

    Defaults are the released code's for STL-10. Where the paper differs, as far as known (its text was not at hand),
    the argument says so. Of the paper's (unconfirmed) buffer of earlier corrupt pictures there is no trace in the
    code, nor here.

    Args:
        crop_size: side of the pictures in pixels, a multiple of 16 (``"alexnet"``) or 8 (``"small"``).
        crop_area: (smallest, largest) share of a picture's area that a training crop shows.
        color_jitter: whether brightness and saturation of training crops change (by up to 32 levels of 255, and by a
            factor of 0.5 to 1.5).
        theta: probability that a place of the features is dropped, in (0, 1) (code: 0.7; the paper's base case is
            0.5, unconfirmed).
        local_mean: side of the window whose mean replaces dropped features, odd (code: 3).
        repair: whether there is a repair network; without it damaged features are decoded as they are, as a control.
        real: ``"autoencoded"``, or ``"raw"``, as a control: the discriminator then knows real pictures by their
            sharpness.
        mask_weight: of the loss of the predicted damage, which the discriminator alone lowers (0.1); 0 for no
            prediction.
        reconstruction_weight: of the square error, in [-1, 1] units, of the autoencoder and, over intact pixels, of the
            repair network (30).
        objective: ``"swapped"``: the repair network lowers the discriminator's cross-entropy with swapped labels (as
            described); ``"confusion"``: it lowers the sum of all losses that the released code has collected by then,
            the discriminator's own among them. Labels and swapped labels together are lowest where the discriminator
            is undecided, and the mask is made easier to see.
        l2: weight of the penalty ``l2 / 2 * sum(kernel ** 2)`` on the networks that learn (5e-5).
        backbone: ``"alexnet"`` (grouped, for GPUs) or ``"small"`` (for CPUs; five 3x3 convolutions with batch
            normalization, an autoencoder of 8 to 64 channels).
        fc6: units between conv5 and the class (4096).
        pool5: 3x3 / 2 max pooling before fc6; with ``crop_size=224`` it has the 6x6 places of the default size.
        dropout: share of units dropped after fc6, in [0, 1) (0.5).
        autoencoder_share: share of a run's epochs that the autoencoder gets, in (0, 1) (0.5: 500 of 1000).
        autoencoder_rate: its learning rate as a multiple of the run's (1).
        critic_rate: learning rate of the discriminator as a multiple of the repair network's (1).

    Reference:
        S. Jenni, P. Favaro: Self-Supervised Feature Learning by Learning to Spot Artifacts. CVPR 2018.
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
    autoencoder_share: float = Field(0.5, gt=0, lt=1)
    autoencoder_rate: float = Field(1.0, gt=0)
    critic_rate: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _check_sizes(self):
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
        if self.pool5 and self.places < 3:
            raise ValueError(
                f"`pool5` needs at least 3x3 places, a crop_size of {3 * self.stride}. "
                f"Received: crop_size={self.crop_size}"
            )
        return self

    @property
    def stride(self):
        """Pixels per place of the features, of the damage and of conv5."""
        from tfssl.methods.spot_artifacts.network import map_stride

        return map_stride(self.backbone)

    @property
    def places(self):
        """Places along a side of the features."""
        return self.crop_size // self.stride

    def sampler(self, training):
        """The :class:`~tfssl.methods.spot_artifacts.data.DamageSampler` of this configuration."""
        from tfssl.methods.spot_artifacts.data import DamageSampler

        return DamageSampler(
            size=self.crop_size,
            places=self.places,
            theta=self.theta,
            crop_area=self.crop_area,
            color_jitter=self.color_jitter,
            training=training,
        )

    def examples(self, source, *, training, seed=0):
        return self.dataset(source, batch_size=1, training=training, seed=seed).unbatch()

    def dataset(self, source, *, batch_size, training=True, seed=0, start=None, count=None, skipped=None):
        from tfssl.methods.spot_artifacts.data import damage_dataset

        return damage_dataset(
            source,
            self.sampler(training),
            batch_size=batch_size,
            seed=seed,
            start=start,
            count=count,
            skipped=skipped,
        )

    @property
    def phases(self):
        """The autoencoder, then the game."""
        from tfssl.methods.spot_artifacts.loss import mean_color_loss

        share = self.autoencoder_share
        return (
            Phase(
                "autoencoder",
                share,
                self.autoencoder,
                mean_color_loss(self.reconstruction_weight),
                self.autoencoder_rate,
            ),
            Phase("game", 1 - share, self.game, self.baseline),
        )

    def autoencoder(self, optimizer=None, previous=None):
        """A new, compiled autoencoder: a batch's inputs -> pictures; the first phase."""
        from tfssl.methods.spot_artifacts.network import build_autoencoder, widths

        model = build_autoencoder(widths(self.backbone), self.crop_size, self.places, self.l2)
        model.compile(
            optimizer if optimizer is not None else paper_optimizer(),
            "mean_squared_error",
            loss_weights=self.reconstruction_weight,
            jit_compile=False,  # XLA fails under MirroredStrategy on CPU devices
        )
        return model

    def game(self, optimizer=None, previous=None):
        """A new, compiled game on the autoencoder ``previous``, or on a random one; the second phase."""
        from tfssl.methods.spot_artifacts.game import SpottingGame
        from tfssl.methods.spot_artifacts.network import (
            build_decoder,
            build_discriminator,
            build_encoder,
            build_repairer,
            widths,
        )

        channels = widths(self.backbone)
        networks = {"encoder": build_encoder(channels), "decoder": build_decoder(channels)}
        if previous is not None:
            for name, network in networks.items():
                network.set_weights(previous.get_layer(name).get_weights())
        if self.repair:
            networks["repairer"] = build_repairer(channels)
        networks["discriminator"] = build_discriminator(
            self.backbone, size=self.crop_size, fc6=self.fc6, dropout=self.dropout, pool5=self.pool5
        )
        names = ("local_mean", "real", "objective", "mask_weight", "reconstruction_weight", "l2")
        game = SpottingGame(networks, **{name: getattr(self, name) for name in names}, name="spot_artifacts")
        game.compile(optimizer if optimizer is not None else paper_optimizer(), critic_rate=self.critic_rate)
        return game

    def model(self, optimizer=None):
        return self.game(optimizer)

    def encoder(self, model):
        """The convolutions of the discriminator."""
        from tfssl.methods.spot_artifacts.network import feature_encoder

        return feature_encoder(model.discriminator)

    @property
    def baseline(self):
        """Loss of a discriminator that ignores its input: ln 2, and the entropy of the damage."""
        from tfssl.methods.spot_artifacts.loss import guessing_loss

        return guessing_loss(self.theta, self.mask_weight)

    def evaluate(self, model, source, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
        from tfssl.methods.spot_artifacts.evaluate import evaluate

        options = {"limit": limit, "seed": seed, "batch_size": batch_size, "progress": progress}
        return evaluate(self, model, source, out=out, **options)

    def served(self, model):
        """What an export holds: the encoder."""
        return self.encoder(model)

    def serving(self, network) -> dict[str, Endpoint]:
        from tfssl.methods.encoding import feature_endpoints

        return feature_endpoints(network)

    def sample_sheet(self, model, source, path):
        from tfssl.methods.spot_artifacts.sheets import write_autoencoder_sheet, write_sheet

        draw = write_autoencoder_sheet if model.name == "autoencoder" else write_sheet
        draw(self, model, source, path)


def paper_optimizer(steps=195_250):
    """Adam of the released code: 3e-4, falling linearly to 1 % of it over the first 90 % of a phase's steps.

    ``beta_1 = 0.5``, ``epsilon = 1e-5``. Different from it: biases learn at the rate of the weights, not twice it
    (Keras has no rate for each variable).

    Args:
        steps: of one phase; 500 epochs of 100,000 pictures in batches of 2 x 128.
    """
    schedule = keras.optimizers.schedules.PolynomialDecay(3e-4, round(0.9 * steps), end_learning_rate=3e-6)
    return keras.optimizers.Adam(schedule, beta_1=0.5, epsilon=1e-5)
