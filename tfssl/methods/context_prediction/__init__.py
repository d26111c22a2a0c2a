"""Unsupervised Visual Representation Learning by Context Prediction (Doersch, Gupta and Efros, ICCV 2015)."""

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from tfssl.methods.backbone import Backbone
from tfssl.methods.base import BatchNormEpsilon, BatchNormMomentum, Method, Paper
from tfssl.methods.context_prediction import data
from tfssl.methods.opened import check_batch_norm

_LEARNING_RATE_OF_ONE_PAIR = 1e-5
_PAIRS_PER_BATCH = 2000


class ContextPrediction(Method):
    """Say in which of the eight neighboring cells one patch of an image lies, seen from another.

    Defaults are those of the released code, but for ``loss_reduction``. Against shortcuts stand the gap and the jitter
    (lines that continue from patch to patch), ``downsample_fraction`` (traces of resampling), ``color`` (chromatic
    aberration, which tells where in the lens a patch lies) and ``rms`` (mean and contrast).

    An example is an image: ``patches_per_image`` patches of as many grids as that takes, and all ordered pairs of
    8-neighbors in them. (The released code fills a batch with whole grids below 512 patches, four of each image; the
    fixed number lets every device and every step do the same work.)

    Args:
        area: (smallest, largest) number of pixels that an image is scaled to (paper: 150,000 to 450,000).
        patch_size: in pixels (paper: 96).
        gap: between neighboring patches, in pixels (paper: 48).
        jitter: largest displacement of each patch along each axis, in pixels (paper: 7).
        patches_per_image: 48 are four grids of 4x3.
        downsample_fraction: of training patches that are shrunk and enlarged again (released code: 0.33).
        downsample_size: smallest size to which they are shrunk, in pixels (paper: 10, "100 total pixels").
        color: ``"dropping"``: one random channel is kept, the others become noise; ``"projection"``: the axis from
            green to magenta is removed; ``"none"``.
        noise: of color dropping: ``"code"``, uniform in +-1/2 gray level, or ``"paper"``, Gaussian with 1/100 of
            the deviation of the kept channel.
        rms: root mean square of each patch (released code: 50); null: the mean is removed, contrast stays (paper).
        backbone: ``"alexnet"`` (released code; 63.6 million parameters), ``"figure"`` (as the paper draws it; 55.9
            million), ``"vgg"`` (84.0 million) or ``"small"`` (five 3x3 convolutions, for CPUs).
        embedding: units of fc6, which describe one patch (paper: 4096).
        head: units of fc7 and fc8, which see two patches (paper: 4096 and 4096).
        loss_reduction: ``"mean"`` over the pairs of an image and over images, or ``"sum"`` over all pairs of a
            batch, as the released code: its loss and learning rate then depend on how many pairs there are, and
            ``baseline`` is that of one pair.
        batch_norm_epsilon: of all batch normalizations; null: Caffe's 1e-5 as the released code, for ``"small"``
            Keras' 1e-3.
        batch_norm_momentum: of their moving statistics, in [0, 1); null: 0.999 and 0.99.
    """

    paper: ClassVar[Paper] = Paper(
        "Unsupervised Visual Representation Learning by Context Prediction", "Doersch, Gupta, Efros", "ICCV", 2015
    )
    inputs: ClassVar[str] = "pairs of neighboring patches of photographs"
    prepares_in_graph: ClassVar[bool] = False

    area: tuple[int, int] = (150_000, 450_000)
    patch_size: int = Field(96, ge=12)
    gap: int = Field(48, ge=0)
    jitter: int = Field(7, ge=0)
    patches_per_image: int = Field(48, ge=2)
    downsample_fraction: float = Field(0.33, ge=0, le=1)
    downsample_size: int = Field(10, ge=1)
    color: Literal["dropping", "projection", "none"] = "dropping"
    noise: Literal["code", "paper"] = "code"
    rms: float | None = Field(50.0, gt=0)
    backbone: Annotated[Any, Backbone("alexnet", "figure", "vgg", "small")] = "alexnet"
    embedding: int = Field(4096, ge=1)
    head: tuple[PositiveInt, PositiveInt] = (4096, 4096)
    loss_reduction: Literal["mean", "sum"] = "mean"
    batch_norm_epsilon: BatchNormEpsilon = None
    batch_norm_momentum: BatchNormMomentum = None

    @model_validator(mode="after")
    def _check_sizes(self):
        check_batch_norm(self, self.backbone)
        least = 2 * self.patch_size + self.gap + self.jitter
        if not least**2 < self.area[1] or not 0 < self.area[0] <= self.area[1]:
            raise ValueError(
                f"`area` must be (smallest, largest) pixels with more than {least}x{least} at the largest, for two "
                f"patches of {self.patch_size} beside each other. Received: area={self.area}"
            )
        if self.downsample_size > self.patch_size - 2:
            raise ValueError(
                f"`downsample_size` must be at most patch_size - 2. Received: downsample_size={self.downsample_size}, "
                f"patch_size={self.patch_size}"
            )
        if not 2 * self.jitter <= self.gap:
            raise ValueError(
                f"`jitter` must be at most half the gap, or neighbors overlap. Received: jitter={self.jitter}, "
                f"gap={self.gap}"
            )
        return self

    @property
    def min_size(self):
        """Size of a square of the largest area."""
        return math.ceil(math.sqrt(self.area[1]))

    def sample(self, example, rng, training):
        return data.cut_patches(self, example["image"], rng, training)

    def colored_patches(self, image, rng):
        """The patches of :meth:`sample` in evaluation, with their colors, and the pairs among them.

        Returns:
            uint8 (P, s, s, 3); pairs int32 (n, 2), numbers of patches; labels int32 (n,), -1 where there is no pair.
        """
        patches, _, _, pairs, labels = data.cut_patches(self, image, rng, False, colors=True)
        return patches.transpose(0, 2, 3, 1), pairs, labels

    def blank(self, planes, *_):
        return super().blank(planes[..., None] if planes.ndim == 3 else np.moveaxis(planes, 1, -1))

    def prepare(self, planes, kept, starts, pairs, labels):
        return {"patches": data.to_batch(self, planes, kept, starts), "pairs": pairs}, labels

    def model(self, optimizer=None):
        import keras

        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.context_prediction.loss import NeighborAccuracy, NeighborCrossEntropy
        from tfssl.methods.context_prediction.network import build_network

        network = build_network(
            self.backbone, patch_size=self.patch_size, patches=self.patches_per_image, embedding=self.embedding,
            head=self.head,
        )  # fmt: skip
        set_batch_norm(network, self.batch_norm_epsilon, self.batch_norm_momentum)
        if optimizer is None:  # the released solver: no momentum, no decay, a constant learning rate for each pair
            pairs = 1 if self.loss_reduction == "sum" else _PAIRS_PER_BATCH
            optimizer = keras.optimizers.SGD(_LEARNING_RATE_OF_ONE_PAIR * pairs)
        network.compile(
            optimizer, NeighborCrossEntropy(self.loss_reduction), metrics=[NeighborAccuracy()], jit_compile=False
        )
        return network

    def encoder(self, model):
        from tfssl.methods.context_prediction.network import build_encoder

        return build_encoder(model, color=self.color, rms=self.rms)

    def embedder(self, model):
        """The embedding of patches: RGB in [0, 1], (N, s, s, 3) -> fc6 (N, D), as a ``keras.Model``."""
        from tfssl.methods.context_prediction.network import build_embedder

        return build_embedder(model, color=self.color, rms=self.rms)

    @property
    def baseline(self):
        """Loss of equal probabilities for all eight cells: ln 8 for a pair."""
        return math.log(8)

    def evaluate(self, model, data, *, out=None, limit=None, progress=None):
        from tfssl.methods.context_prediction.evaluate import evaluate

        return evaluate(self, model, data, out=out, limit=limit, progress=progress)

    def sample_sheet(self, model, data, path):
        from tfssl.methods.context_prediction.sheets import write_sheet

        write_sheet(self, model, data, path)
