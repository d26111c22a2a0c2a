"""Denoising autoencoders (Vincent, Larochelle, Bengio and Manzagol, ICML 2008; stacked: JMLR 2010)."""

import functools
import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from tfssl.methods.backbone import Backbone
from tfssl.methods.base import Method, Paper, Phase
from tfssl.methods.denoising_autoencoder import data
from tfssl.ops.corruption import Corruption
from tfssl.ops.whitening import MARGIN

_EXTREME = 2.0
"""Salt and pepper of standardized images, in standard deviations."""

# Of photographs in [0, 1], measured on 500 of many kinds: mean 0.44 in color and 0.45 in gray, variance 0.075
# and 0.066. Of patches brought to deviation 1 unless they are flat: 16,000 of 12 pixels, from such photographs of 128.
_MEAN = 0.45
_VARIANCE = {"none": 0.07, "standardize": 0.94, "whiten": 0.72}


class DenoisingAutoencoder(Method):
    """Bring back a clean image from a corrupted one.

    Defaults are the tutorial's dA, on gray crops of 28 pixels: 784 -> 500 sigmoid units, tied, 0.3 of the pixels
    masked, cross-entropy. Several ``units`` make a stack that is trained layer by layer, as phases of one run.
    ``corruption="none"`` is the ordinary autoencoder.

    The 2008 paper masks an exact number of components, the tutorial's code each one with the probability nu
    (``exact: false``). The 2010 paper adds other corruptions, free weights, linear outputs with squared loss, emphasis
    on corrupted components. (What both papers say is recalled, unconfirmed; the tutorial's numbers are confirmed.)

    Args:
        backbone: ``"dense"``; ``"conv"``: four 3x3 convolutions, three of stride 2, and back, 1,077,635 parameters in
            color; ``"small"``: five 3x3 convolutions with pooling, for features conv1 ... conv5 on CPUs.
        units: of the codes of ``"dense"``, from below (500,).
        tied: whether ``"dense"`` decodes with the transposed kernel.
        activation: of the codes of ``"dense"``: ``"sigmoid"`` (papers), ``"relu"``, under which filters become edges
            within minutes, or ``"linear"``, whose code without noise spans the principal subspace.
        output: ``"sigmoid"`` for images in [0, 1], ``"linear"`` for any.
        loss: ``"cross_entropy"`` or ``"squared"``, summed over components for ``"dense"``, their mean for the others.
            Upper layers of a stack: cross-entropy between sigmoid codes, squared for others.
        corruption: ``"masking"``, ``"salt_and_pepper"``, ``"gaussian"``, ``"pixel"``, ``"block"`` or ``"none"``, see
            :class:`tfssl.ops.corruption.Corruption`. Codes inside a stack are corrupted in the same way, by masking
            where images have pixels or blocks masked.
        noise: fraction of components, or standard deviation for ``"gaussian"``: one number for the images, and one for
            the code that each further layer of a stack starts from.
        exact: exactly that fraction of each image (2008), or each component with that probability (tutorial).
        fill: value of masked components, in units of the prepared image. Codes are filled with 0.
        clip: whether images with Gaussian noise are clipped to [0, 1].
        block: size of masked squares in pixels (8).
        alpha: weight of corrupted components in the loss (1).
        beta: weight of the others (1); ``0.5`` is double, ``0`` full emphasis.
        color: three channels, or gray.
        preprocess: of ``"dense"``: ``"none"``; ``"standardize"``: each patch has mean 0 and deviation 1;
            ``"whiten"``: filtered before that, as Olshausen's images.
        batch_norm: in the convolutional forms, behind each convolution. Its statistics are those of corrupted images,
            features are taken from clean ones: off by default.
        crop_size: of the images that the network sees in pixels, a multiple of 8 for the convolutional forms.
        resize: photographs are scaled so that their shorter side has this many pixels; null keeps their size.
        patches: crops of each photograph that follow each other in the stream of examples.

    Reference:
        P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P.-A. Manzagol: Stacked Denoising Autoencoders. JMLR 11, 2010.
    """

    paper: ClassVar[Paper] = Paper(
        "Extracting and Composing Robust Features with Denoising Autoencoders",
        "Vincent, Larochelle, Bengio, Manzagol", "ICML", 2008,
    )  # fmt: skip
    inputs: ClassVar[str] = "photographs"
    prepares_in_graph: ClassVar[bool] = False

    backbone: Annotated[Any, Backbone("dense", "conv", "small")] = "dense"
    units: tuple[int, ...] = (500,)
    tied: bool = True
    activation: Literal["sigmoid", "relu", "linear"] = "sigmoid"
    output: Literal["sigmoid", "linear"] = "sigmoid"
    loss: Literal["cross_entropy", "squared"] = "cross_entropy"
    corruption: Literal["none", "masking", "salt_and_pepper", "gaussian", "pixel", "block"] = "masking"
    noise: tuple[float, ...] = (0.3,)
    exact: bool = True
    fill: float = 0.0
    clip: bool = False
    block: int = Field(8, ge=1)
    alpha: float = Field(1.0, ge=0)
    beta: float = Field(1.0, ge=0)
    color: bool = False
    preprocess: Literal["none", "standardize", "whiten"] = "none"
    batch_norm: bool = False
    crop_size: int = Field(28, ge=2, le=1024)
    resize: int | None = Field(64, ge=2)
    patches: int = Field(1, ge=1, le=4096)

    @model_validator(mode="after")
    def _check(self):
        if not self.units or min(self.units) < 1:
            raise ValueError(f"`units` must hold at least one size, all positive. Received: units={self.units!r}")
        if len(self.noise) != self.layers:
            raise ValueError(
                f"`noise` must hold one number for each of {self.layers} layers. Received: noise={self.noise!r}"
            )
        for amount in self.noise:
            Corruption(self.corruption, amount)
        if self.alpha == self.beta == 0:
            raise ValueError("`alpha` and `beta` must not both be 0, there would be nothing to learn")
        if self.loss == "cross_entropy" and (self.output == "linear" or self.preprocess != "none"):
            raise ValueError(
                "`loss` cross_entropy needs output: sigmoid and preprocess: none; take loss: squared. "
                f"Received: output={self.output!r}, preprocess={self.preprocess!r}"
            )
        if self.output == "sigmoid" and self.preprocess != "none":
            raise ValueError(f"`output` must be linear with preprocess={self.preprocess!r}. Received: output='sigmoid'")
        if self.preprocess == "whiten" and self.color:
            raise ValueError("`color` must be false with preprocess='whiten', which filters gray images")
        if self.backbone != "dense" and self.preprocess != "none":
            raise ValueError(f"`preprocess` is for backbone: dense. Received: preprocess={self.preprocess!r}")
        if self.backbone != "dense" and self.crop_size % 8:
            raise ValueError(
                f"`crop_size` must be a multiple of 8 for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        if self.resize is not None and self.resize < self.cut_size:
            raise ValueError(
                f"`resize` must be at least {self.cut_size} pixels, or null. Received: resize={self.resize}"
            )
        return self

    @property
    def layers(self):
        """Layers that are trained one after the other."""
        return len(self.units) if self.backbone == "dense" else 1

    @property
    def image_shape(self):
        """(height, width, channels) of what the network sees."""
        return self.crop_size, self.crop_size, 3 if self.color else 1

    @property
    def cut_size(self):
        """Size of the patches that are cut from images, in pixels: with the margin that whitening takes off."""
        return self.crop_size + (2 * MARGIN if self.preprocess == "whiten" else 0)

    @property
    def min_size(self):
        return self.resize

    @property
    def examples_per_item(self):
        return self.patches

    def corruption_rule(self):
        low, high = (0.0, 1.0) if self.preprocess == "none" else (-_EXTREME, _EXTREME)
        return Corruption(
            self.corruption, self.noise[0], self.exact, self.fill, low, high, clip=self.clip, block=self.block
        )

    def sample(self, example, rng, training):
        arrays = data.corrupted_patches(self, example["image"], rng, training)
        return arrays if self.patches > 1 else tuple(array[0] for array in arrays)

    def blank(self, corrupted, clean, *_):
        return super().blank(clean.round(3))  # whitening leaves traces of rounding

    def prepare(self, corrupted, clean, mask):
        if self.alpha == self.beta == 1:
            return corrupted, clean
        return corrupted, clean, np.where(mask, np.float32(self.alpha), np.float32(self.beta))

    def network(self, layers=None):
        """New weights: the functional autoencoder, of the lowest ``layers`` layers of a stack (None: all)."""
        from tfssl.methods.denoising_autoencoder.network import build_convolutional, build_dense

        size, _, channels = self.image_shape
        if self.backbone == "dense":
            options = {"tied": self.tied, "activation": self.activation, "output": self.output}
            return build_dense(size, channels, self.units[:layers], **options)
        normalization = "batch" if self.batch_norm else None
        return build_convolutional(self.backbone, channels, size=size, normalization=normalization, output=self.output)

    @property
    def phases(self):
        """One phase a layer of a stack."""
        return tuple(
            Phase(f"layer{k}", 1 / self.layers, functools.partial(self._layer_model, k), self._layer_baseline(k))
            for k in range(1, self.layers + 1)
        )

    def model(self, optimizer=None):
        """The model of the last phase. A stack with fresh lower layers learns little: train it by :attr:`phases`."""
        return self._layer_model(self.layers, optimizer)

    def _layer_model(self, layer, optimizer=None, previous=None):
        import keras

        from tfssl.layers.corruption import Corrupt
        from tfssl.methods.denoising_autoencoder.loss import ReconstructionLoss
        from tfssl.methods.denoising_autoencoder.network import UpperLayer, copy_layers, stack_of

        model = self.network(layer)
        loss = ReconstructionLoss(self.loss, "sum" if self.backbone == "dense" else "mean")
        if layer > 1:
            if previous is not None:
                copy_layers(stack_of(previous), model)
            kind = "masking" if self.corruption in ("pixel", "block") else self.corruption  # codes have neither
            corrupt = Corrupt(kind, self.noise[layer - 1], self.exact, name="corrupt")
            model = UpperLayer(model, corrupt, self.alpha, self.beta, name="upper_layer")
            loss = ReconstructionLoss(self._code_loss)
        if optimizer is None:  # the tutorial's dA, and Keras' usual one for the rest
            optimizer = keras.optimizers.SGD(0.1) if self.backbone == "dense" else keras.optimizers.Adam(1e-3)
        model.compile(optimizer, loss, jit_compile=False)  # XLA fails under MirroredStrategy on CPU devices
        return model

    @property
    def _code_loss(self):
        return "cross_entropy" if self.activation == "sigmoid" else "squared"

    def _layer_baseline(self, layer):
        """Loss of a constant: the best one for images, 1/2 for sigmoid codes, 0 for codes of about unit size."""
        fraction = Corruption(self.corruption, self.noise[layer - 1]).fraction
        weight = self.alpha * fraction + self.beta * (1 - fraction)
        if layer > 1:
            return weight * self.units[layer - 2] * (math.log(2) if self._code_loss == "cross_entropy" else 1.0)
        components = math.prod(self.image_shape) if self.backbone == "dense" else 1
        if self.loss == "squared":
            return weight * components * _VARIANCE[self.preprocess]
        return weight * components * -(_MEAN * math.log(_MEAN) + (1 - _MEAN) * math.log(1 - _MEAN))

    @property
    def baseline(self):
        """Loss of the last phase for a constant prediction."""
        return self._layer_baseline(self.layers)

    def encoder(self, model):
        """Features of whole images, never corrupted: conv1 ... conv5 or conv4.

        ``"dense"``: the stack applied to patches with stride ``crop_size // 4``, its codes as maps conv1 ... convK.
        """
        from tfssl.methods.denoising_autoencoder.network import convolutional_encoder, dense_encoder

        if self.backbone == "dense":
            return dense_encoder(model, size=self.crop_size, color=self.color, preprocess=self.preprocess)
        return convolutional_encoder(model, color=self.color)

    def evaluate(self, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
        from tfssl.methods.denoising_autoencoder.evaluate import evaluate

        return evaluate(self, model, data, out=out, limit=limit, seed=seed, batch_size=batch_size, progress=progress)

    def sample_sheet(self, model, data, path):
        from tfssl.methods.denoising_autoencoder.evaluate import write_sheet

        write_sheet(self, model, data, path)
