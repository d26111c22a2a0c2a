"""Unsupervised Learning of Visual Representations using Videos (Wang and Gupta, ICCV 2015): tracks are the labels."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from tfssl.methods.backbone import Backbone
from tfssl.methods.base import CropArea, Method, Paper, Phase, check_resize
from tfssl.methods.video_triplet import data

_SMALLEST = {"alexnet": 67, "small": 16}  # pixels that the last map needs, of others 8


class VideoTriplet(Method):
    """Two crops that a track joins shall be closer to each other than to crops of other clips.

    ``max(0, D(x, x+) - D(x, x-) + margin)`` with the distance ``D(a, b) = 1 - f(a) f(b) / (|f(a)| |f(b)|)``. Negatives
    x- are crops of other clips in the batch that violate the margin: in the first part of a run drawn at random, then
    partly from the nearest. Both crops of a pair are anchors. On several devices each one draws from its own part of
    the batch. Tracks are mined before, by ``tfssl prepare tracks``.

    Defaults are those of the released code, but for the margin: it ships 1, which makes the loss linear, because
    cosines of rectified units lie in [0, 1]; the paper has 0.5 (recalled).

    Args:
        margin: of the triplet loss (0.5; the released file: 1).
        negatives: of each pair, at most (4).
        hard_fraction: of them, the fraction in [0, 1] that is drawn from the nearest ``negatives`` in the second part
            of a run (0.5; the paper: 1).
        random_fraction: fraction of a run in which all are drawn at random, in [0, 1): the paper's 150,000 of the
            released solver's 400,000 steps (0.375).
        resize: crops are scaled to this size in pixels, and cut at random out of that; null for ``crop_size``, so that
            all of a crop is seen (null).
        crop_size: of what the network sees, in pixels (227).
        crop_area: (smallest, largest) fraction of a track's crop that is cut at random in training, by ``resize`` no
            more, and scaled to ``crop_size``; not the paper's (null).
        mirror: whether crops are mirrored at random in training, both of a pair by draws of their own.
        color_jitter: how much brightness, contrast, saturation and hue of training crops change, both of a pair by
            draws of their own, so that color does not settle which belong together, in [0, 1]: with 1 factors of 0.2 to
            1.8, and up to a fifth of a turn of hue; not the paper's (0).
        gray_fraction: fraction of the training crops in gray, in [0, 1]; not the paper's (0).
        backbone: ``"alexnet"`` (CaffeNet with groups) or ``"small"`` (five convolutions with batch normalization, for
            CPUs).
        fc6: units of the first layer behind the convolutions (4096).
        fc7: numbers of the embedding (1024).
    """

    paper: ClassVar[Paper] = Paper(
        "Unsupervised Learning of Visual Representations using Videos", "Wang, Gupta", "ICCV", 2015
    )
    inputs: ClassVar[str] = "tracks of what moves in clips"
    kind: ClassVar[str] = "crops"

    margin: float = Field(0.5, gt=0)
    negatives: int = Field(4, ge=1, le=data.LOTS // 2)
    hard_fraction: float = Field(0.5, ge=0, le=1)
    random_fraction: float = Field(0.375, ge=0, lt=1)
    resize: int | None = Field(None, ge=8)
    crop_size: int = Field(227, ge=8)
    crop_area: CropArea = None
    mirror: bool = True
    color_jitter: float = Field(0.0, ge=0, le=1)
    gray_fraction: float = Field(0.0, ge=0, le=1)
    backbone: Annotated[Any, Backbone("alexnet", "small")] = "alexnet"
    fc6: int = Field(4096, ge=1)
    fc7: int = Field(1024, ge=2)

    @model_validator(mode="after")
    def _check(self):
        check_resize(self.resize, self.crop_size)
        smallest = _SMALLEST.get(str(self.backbone), 8)
        if self.crop_size < smallest:
            raise ValueError(
                f"`crop_size` must be at least {smallest} for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        return self

    def open(self, data):
        from tfssl.data.track_crops import track_crop_source

        return track_crop_source(data)

    def sample(self, example, rng, training):
        """Pair uint8 (2, s, s, 3); float32 (1 + LOTS,): the number of its clip, and what its negatives are drawn by."""
        return data.draw_pair(self, example, rng, training)

    def prepare(self, pairs, targets):
        return data.to_inputs(pairs), targets

    @property
    def phases(self):
        """Negatives at random, then hard ones, if there is such a first part; both train the same network."""
        second = Phase("hard", 1 - self.random_fraction, self._hard, self.margin)
        if not self.random_fraction:
            return (second,)
        return Phase(
            "random", self.random_fraction, lambda optimizer, _: self._compiled(optimizer, 0.0), self.margin
        ), second

    def _hard(self, optimizer, previous):
        model = self.model(optimizer)
        if previous is not None:
            model.set_weights(previous.get_weights())
        return model

    def model(self, optimizer=None):
        return self._compiled(optimizer, self.hard_fraction)

    def _compiled(self, optimizer, hard_fraction):
        from tfssl.methods.video_triplet.loss import TripletAccuracy, TripletLoss
        from tfssl.methods.video_triplet.network import build_network

        network = build_network(self.backbone, size=self.crop_size, fc6=self.fc6, fc7=self.fc7)
        loss = TripletLoss(self.margin, self.negatives, hard_fraction)
        # XLA fails under MirroredStrategy on CPU devices.
        network.compile(optimizer or released_optimizer(), loss, metrics=[TripletAccuracy()], jit_compile=False)
        return network

    def encoder(self, model):
        """The convolutions on whole images, RGB in [0, 1]; they share variables with the model."""
        from tfssl.methods.video_triplet.network import build_encoder

        return build_encoder(model)

    @property
    def baseline(self):
        """The margin, which is the loss of equal embeddings."""
        return self.margin

    def evaluate(self, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
        from tfssl.methods.video_triplet.evaluate import evaluate

        options = {"limit": limit, "seed": seed, "batch_size": batch_size, "progress": progress}
        return evaluate(self, model, data, out=out, **options)


def released_optimizer():
    """The released solver: SGD, momentum 0.9, 0.001 divided by 10 every 100,000 steps; biases learn twice as fast.

    Kernels decay by 5e-4, through the momentum.
    """
    import keras

    from tfssl.optimizers import SGD

    # Keras keeps a rate up to and including its boundary.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [100_000 * i - 1 for i in (1, 2, 3)], [1e-3, 1e-4, 1e-5, 1e-6]
    )
    decay = {"weight_decay": 5e-4, "weight_decay_form": "coupled"}
    return SGD(schedule, momentum=0.9, bias_learning_rate_scale=2.0, **decay)
