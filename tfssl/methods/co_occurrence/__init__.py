"""Visual Groups from Co-occurrences in Space and Time (Isola, Zoran, Krishnan and Adelson, ICLR workshop 2016)."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from tfssl.errors import ConfigError
from tfssl.methods.backbone import Backbone
from tfssl.methods.base import Method, Paper, check_resize
from tfssl.methods.co_occurrence import data
from tfssl.methods.opened import is_open


class CoOccurrence(Method):
    """Tell whether two images come from one context: patches side by side, frames of one moment, photographs of a day.

    A network sees both images and gives the logit of "one context". Where it does as well as can be done the logit is
    the pointwise mutual information of the two, plus ``log(r / (1 - r))`` for a fraction r of positives::

        PMI(A, B) = log P(A, B) / (P(A) P(B))

    The probability that it gives, the mean of both orders, is an affinity: spectral clustering of it finds objects,
    scenes and places (:mod:`tfssl.grouping`, ``tfssl group clip.mp4 --model RUN``).

    No code was released with the paper. Its network is recalled: two patches of 17 pixels, features behind each other,
    two dense layers; numbers of channels and units are this project's.

    Args:
        context: ``"patches"``, two patches of an image beside each other, along any of eight directions; ``"frames"``,
            two frames of a clip; ``"photographs"``, two photographs that lie near each other in their order.
        negatives: of patches, where the second patch of a pair of different contexts comes from: ``"image"``, another
            place of the same image, which teaches objects; or ``"dataset"``, another image, which teaches scenes.
            Frames and photographs always take another clip or pair.
        positives: fraction of pairs from one context, between 0 and 1 (a half).
        pairs_per_image: of patches: pairs that are drawn from each image that was read, and follow each other in the
            stream of examples. With ``negatives: dataset`` a batch has to hold those of two images.
        crop_size: of what the network sees, in pixels (17, recalled).
        resize: images and frames are scaled so that their shorter side has this many pixels; null keeps them. Of
            frames and photographs a square is cut anywhere in training, in the middle otherwise.
        gap: between patches, in pixels (4): lines and noise that go on across a border tell without any content.
        jitter: largest displacement of the second patch along each axis, in pixels (2).
        color: ``"none"``, colors stay; ``"dropping"``, one random channel of each image stands for all three; or
            ``"projection"``, without the axis from green to magenta and without the mean color. Both take away
            chromatic aberration.
        seconds: within which frames come from one context (3, "a few", recalled).
        within: places within which photographs do (4).
        order: of photographs: ``"name"``, or ``"time"``, when their EXIF says that they were taken.
        backbone: ``"plain"``, 3x3 convolutions, ReLU and pooling by 2, one for each of ``channels``.
        channels: of the convolutions of ``"plain"``.
        features: numbers that describe one image.
        head: units of the two dense layers that see both.
    """

    paper: ClassVar[Paper] = Paper(
        "Learning Visual Groups from Co-occurrences in Space and Time",
        "Isola, Zoran, Krishnan, Adelson",
        "ICLR workshop",
        2016,
    )
    inputs: ClassVar[str] = "patches of photographs, frames of clips, or photographs in their order"
    output_layers: ClassVar[tuple[str, ...]] = ("head",)

    context: Literal["patches", "frames", "photographs"] = "patches"
    negatives: Literal["image", "dataset"] = "image"
    positives: float = Field(0.5, gt=0, lt=1)
    pairs_per_image: int = Field(1, ge=1, le=4096)
    crop_size: int = Field(17, ge=8)
    resize: int | None = Field(None, ge=8)
    gap: int = Field(4, ge=0)
    jitter: int = Field(2, ge=0)
    color: Literal["none", "dropping", "projection"] = "none"
    seconds: float = Field(3.0, gt=0)
    within: int = Field(4, ge=1)
    order: Literal["name", "time"] = "name"
    backbone: Annotated[Any, Backbone("plain")] = "plain"
    channels: tuple[PositiveInt, ...] = Field((64, 128), min_length=1)
    features: int = Field(256, ge=1)
    head: tuple[PositiveInt, PositiveInt] = (256, 128)

    @model_validator(mode="after")
    def _check(self):
        check_resize(self.resize, self.crop_size)
        if self.jitter > self.gap:
            raise ValueError(
                f"`jitter` must be at most the gap, or patches overlap. Received: jitter={self.jitter}, gap={self.gap}"
            )
        if self.pairs_per_image > 1 and self.context != "patches":
            raise ValueError(
                f"`pairs_per_image` must be 1 but for patches. Received: pairs_per_image={self.pairs_per_image}, "
                f"context={self.context!r}"
            )
        if self.crop_size < 2 ** len(self.channels):
            raise ValueError(
                f"`channels`: {len(self.channels)} poolings leave nothing of {self.crop_size} pixels; give fewer. "
                f"Received: channels={self.channels}"
            )
        if is_open(self.backbone) and self.color == "projection":
            raise ValueError("`color` must be none or dropping for networks of others. Received: color='projection'")
        return self

    @property
    def min_size(self):
        return self.resize

    @property
    def examples_per_item(self):
        return self.pairs_per_image

    def open(self, data):
        if self.context == "frames":
            from tfssl.data.clips import clip_source
            from tfssl.data.part_labeled import KeptClips
            from tfssl.data.source import Source

            source = data if isinstance(data, Source) else KeptClips(clip_source(data))
            return source.sized(self.min_size)
        source = super().open(data)
        if self.context == "patches":
            return source
        from tfssl.data.neighboring import NeighboringPhotographs, neighboring_photographs

        if isinstance(source, NeighboringPhotographs):
            return source
        return neighboring_photographs(source, within=self.within, order=self.order)

    @property
    def mixes_images(self):
        """Whether the second image of a pair of different contexts is that of another pair of the batch."""
        return self.context != "patches" or self.negatives == "dataset"

    def dataset(self, data, *, batch_size, training=True, **options):
        if training and self.mixes_images and batch_size < 2 * self.pairs_per_image:
            raise ConfigError(
                f"`batch_size` must be at least {2 * self.pairs_per_image}: different contexts are made of two "
                f"images of a batch. Received: batch_size={batch_size}, pairs_per_image={self.pairs_per_image}"
            )
        return super().dataset(data, batch_size=batch_size, training=training, **options)

    def sample(self, example, rng, training):
        """Pair uint8 (2, s, s, 3), and int32 (1,): 1 for one context; of several from an image (n, ...) of each."""
        arrays = data.draw_pairs(self, example, rng, training)
        return arrays if self.pairs_per_image > 1 else tuple(array[0] for array in arrays)

    def prepare(self, pairs, labels):
        return data.to_inputs(self, pairs, labels)

    def model(self, optimizer=None):
        """Pairs, RGB in [0, 1], (B, 2, s, s, 3) -> logits (B, 1)."""
        import keras

        from tfssl.methods.co_occurrence.loss import ContextAccuracy, ContextCrossEntropy
        from tfssl.methods.co_occurrence.network import build_network

        network = build_network(
            self.backbone,
            size=self.crop_size,
            channels=self.channels,
            features=self.features,
            head=self.head,
            color=self.color,
        )
        # XLA fails under MirroredStrategy on CPU devices.
        options = {"metrics": [ContextAccuracy()], "jit_compile": False}
        network.compile(optimizer or keras.optimizers.Adam(1e-3), ContextCrossEntropy(), **options)
        return network

    def encoder(self, model):
        """The convolutions on whole images, RGB in [0, 1]; it shares variables with the model."""
        from tfssl.methods.co_occurrence.network import build_encoder

        return build_encoder(model)

    def affinities(self, model, images):
        """Probability that each two images come from one context, the mean of both orders.

        Args:
            model: of :meth:`model`.
            images: list of ``PIL.Image``; they are scaled and cut in the middle as frames are.

        Returns:
            float64 (n, n), symmetric, in [0, 1]; on the diagonal 1.
        """
        from tfssl.methods.co_occurrence.affinity import affinities

        return affinities(self, model, images)

    def pixel_affinity(self, model, pixels):
        """Affinity of the pixels of an image, uint8 (H, W, 3), by the patches around them.

        Returns:
            A function of two arrays of numbers of pixels, row by row, that gives the odds of one context of each pair.
        """
        from tfssl.methods.co_occurrence.affinity import PixelAffinity

        return PixelAffinity(self, model, pixels)

    @property
    def baseline(self):
        """Loss of always answering the fraction of positives: its entropy, ln 2 for a half."""
        r = self.positives
        return -r * math.log(r) - (1 - r) * math.log(1 - r)

    def evaluate(self, model, data, *, out=None, limit=None, repeats=4, seed=0, batch_size=64, progress=None):
        from tfssl.methods.co_occurrence.evaluate import evaluate

        options = {"limit": limit, "repeats": repeats, "seed": seed, "batch_size": batch_size, "progress": progress}
        return evaluate(self, model, data, out=out, **options)
