"""Learning Representations for Automatic Colorization (Larsson, Maire and Shakhnarovich, ECCV 2016)."""

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from tfssl.errors import ConfigError
from tfssl.methods.base import Method, Paper
from tfssl.methods.hypercolumn_colorization import data
from tfssl.ops.bytes_lab import is_gray
from tfssl.ops.hue_chroma import AB_DEVIATION

Decoder = Literal["median", "interpolated_median", "expectation", "mode", "sample"]


class HypercolumnColorization(Method):
    """Predict histograms of hue and chroma of a pixel from the activations of all layers above it, its hypercolumn.

    Trained at a few pixels of each image, used at every fourth one. Defaults are those of the released files; where the
    paper differs, it is said. With the run's ``weights: imagenet`` VGG-16 starts from a classifier of ImageNet, as in
    the paper, every map of the hypercolumn balanced to a mean square of 1; that is supervised.

    Args:
        target: ``"hue_chroma"``: a histogram of each (paper's best); ``"lab_histogram"``: of a and of b;
            ``"lab_regression"``: a and b themselves, by their squared error.
        bins: of each histogram (32): of hue and chroma equally wide, of a and b equally frequent under a Gaussian of
            deviation 25.
        joint: one histogram of pairs of a and b instead of two (paper: 16 bins along each axis).
        backbone: ``"vgg16"``, fully convolutional, on one channel (147 million parameters with ``h_fc1``), or
            ``"small"``, nine convolutions of 16 to 64 channels for CPUs.
        fc: channels of fc6 and fc7 of ``"vgg16"`` (4096).
        hidden: units of ``h_fc1`` (1024).
        dropout: fraction of the units of fc6, fc7 and ``h_fc1`` dropped in training (0.5).
        normalization: batch normalization behind each convolution: null, as in the released network; ``"batch"``; or
            ``"batch_without_affine"``, with which the released files train from scratch.
        locations: pixels of each crop that are predicted in training (128).
        margin: distance in pixels of these from the border of the crop (96).
        window: histograms are of the ``window`` x ``window`` pixels around a location, odd (released files: 7; paper:
            1, having seen no benefit from more).
        hue_weight: lambda_H, the weight of the divergence of hue, times the true chroma (5).
        gray_weighting: weight the divergence of chroma by 3 min(g, 1/3, 1 - g) of the gray level g (released files; not
            in the paper).
        gray: the gray image of a photograph is the ``"mean"`` of R, G and B (released files), or has its CIE
            ``"lightness"``, which is what networks see in ``tfssl evaluate`` and ``colorize``.
        resize: (smallest, largest) size in pixels to which the shorter side is scaled, drawn evenly, before a crop is
            cut.
        crop_size: of the training crops in pixels (352).
        decoder: one color of the histograms: ``"median"`` of chroma in whole bins, as the released code;
            ``"interpolated_median"``, as the paper; ``"expectation"``; ``"mode"``; or ``"sample"``, at quantiles that
            are drawn once for all pixels. Hue is the circular mean in the first three. null: median for hue and chroma,
            expectation for a and b.
        fading: eta of chromatic fading, for 32 bins, 32 / bins times that for others (0.03); 0 for none.
        seed: of the draws of ``"sample"``.
        temperature: T in (0, 1] that divides the logits (1).
        image_size: whole images are scaled for the network so that their shorter side has this many pixels (256).
    """

    paper: ClassVar[Paper] = Paper(
        "Learning Representations for Automatic Colorization", "Larsson, Maire, Shakhnarovich", "ECCV", 2016
    )
    inputs: ClassVar[str] = "color photographs"
    export_name: ClassVar[str | None] = "colorizer"
    colorizes: ClassVar[bool] = True
    prepares_in_graph: ClassVar[bool] = False

    target: Literal["hue_chroma", "lab_histogram", "lab_regression"] = "hue_chroma"
    bins: int = Field(32, ge=2, le=256)
    joint: bool = False
    backbone: Literal["vgg16", "small"] = "vgg16"
    fc: int = Field(4096, ge=1)
    hidden: int = Field(1024, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    normalization: Literal["batch", "batch_without_affine"] | None = None
    locations: int = Field(128, ge=1)
    margin: int = Field(96, ge=0)
    window: int = Field(7, ge=1, le=63)
    hue_weight: float = Field(5.0, ge=0)
    gray_weighting: bool = True
    gray: Literal["mean", "lightness"] = "mean"
    resize: tuple[int, int] = (352, 600)
    crop_size: int = Field(352, ge=32, le=2048)
    decoder: Decoder | None = None
    fading: float = Field(0.03, ge=0, le=1)
    seed: int = Field(0, ge=0)
    temperature: float = Field(1.0, gt=0, le=1)
    image_size: int = Field(256, ge=8, le=2048)

    @model_validator(mode="after")
    def _check_fields(self):
        if self.crop_size % self.input_multiple:
            raise ValueError(
                f"`crop_size` must be a multiple of {self.input_multiple} for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        if not self.crop_size <= self.resize[0] <= self.resize[1]:
            raise ValueError(
                f"`resize` must be (smallest, largest), at least crop_size ({self.crop_size}). "
                f"Received: resize={self.resize}"
            )
        if 2 * self.margin >= self.crop_size:
            raise ValueError(
                f"`margin` must be less than half of crop_size ({self.crop_size}). Received: margin={self.margin}"
            )
        if self.window % 2 == 0:
            raise ValueError(f"`window` must be odd. Received: window={self.window}")
        if self.joint and self.target != "lab_histogram":
            raise ValueError(f"`joint` is for target 'lab_histogram'; leave it out. Received: target={self.target!r}")
        if self.joint and self.bins > 32:
            raise ValueError(f"`bins` must be at most 32 along each axis with `joint`. Received: bins={self.bins}")
        if self.decoder and self.target == "lab_regression":
            raise ValueError(f"`decoder` is for histograms; leave it out. Received: decoder={self.decoder!r}")
        return self

    @property
    def objective(self):
        """What is predicted: by it evaluations name compared models."""
        return self.target

    @property
    def output_stride(self):
        """Input pixels per decoded color: histograms are enlarged to every pixel, and decoded there."""
        return 1

    @property
    def input_multiple(self):
        """The network takes heights and widths that are multiples of this many pixels."""
        return {"vgg16": 32, "small": 16}[self.backbone]

    @property
    def min_size(self):
        return self.resize[1]

    @property
    def crop(self):
        from tfssl.data.crop import Crop

        return Crop(self.crop_size, resize=sum(self.resize) // 2)

    @property
    def groups(self):
        """Bins of the histograms that are predicted, one behind the other; () for ab themselves."""
        if self.target == "lab_regression":
            return ()
        return (self.bins**2,) if self.joint else (self.bins, self.bins)

    def sample(self, example, rng, training):
        return data.cut(self, example["image"], rng, training)

    def blank(self, pixels, locations):
        return "the crop is gray" if is_gray(pixels) else None

    def prepare(self, pixels, locations):
        light = data.network_lightness(pixels, self.gray)
        return (light, locations), data.targets(self, pixels, locations)

    def start(self, model, weights):
        """``"imagenet"``: VGG-16's convolutions, balanced on the builtin photographs as training cuts them."""
        if weights != "imagenet":
            return False
        if self.backbone != "vgg16" or self.normalization:
            raise ConfigError(
                "`weights: imagenet` needs backbone: vgg16 and normalization: null (maps are balanced instead). "
                f"Received: backbone={self.backbone!r}, normalization={self.normalization!r}"
            )
        from tfssl.methods.hypercolumn_colorization.start import balance, load_imagenet

        load_imagenet(model)
        source, rng = self.open("builtin"), np.random.default_rng(0)
        pixels = (self.sample(source.example(i), rng, False)[0] for i in range(len(source)))
        balance(model, [data.network_lightness(crop[None], self.gray) for crop in pixels])
        return True

    def loss(self):
        """The training loss of the target, a ``keras.losses.Loss``."""
        from tfssl.methods.hypercolumn_colorization.loss import AbRegression, HistogramDivergence, HueChromaDivergence

        if self.target == "hue_chroma":
            return HueChromaDivergence(self.bins, self.hue_weight, self.gray_weighting)
        return HistogramDivergence(self.groups) if self.groups else AbRegression()

    def model(self, optimizer=None):
        from tfssl.methods.hypercolumn_colorization.network import build_network

        network = build_network(
            self.backbone,
            sum(self.groups) or 2,
            fc=self.fc,
            hidden=self.hidden,
            dropout=self.dropout,
            normalization=self.normalization,
            outputs_ab=not self.groups,
        )
        # XLA fails under MirroredStrategy on CPU devices.
        network.compile(optimizer or released_optimizer(), self.loss(), jit_compile=False)
        return network

    def encoder(self, model):
        from tfssl.methods.hypercolumn_colorization.network import build_encoder

        return build_encoder(model, self.backbone)

    @property
    def baseline(self):
        """Loss of guessing every bin alike for one-hot targets where weights average 1; of ab, that of their mean."""
        if self.groups:
            return sum(map(math.log, self.groups))
        from tfssl.color.prior import load_prior
        from tfssl.ops.ab_bins import CENTERS

        prior = load_prior("imagenet")
        return float(prior @ np.sum(np.square((CENTERS - prior @ CENTERS) / AB_DEVIATION), axis=-1))

    def decode(self, output, lightness, temperature):
        """Colors of the dense network's output (B, H / 4, W / 4, C) and of L (B, H, W, 1): ab, float32 (B, H, W, 2)."""
        from tfssl.methods.hypercolumn_colorization.decode import decode

        return decode(
            output,
            lightness,
            target=self.target,
            decoder=self.decoder or ("median" if self.target == "hue_chroma" else "expectation"),
            bins=self.bins,
            joint=self.joint,
            temperature=temperature,
            fading=self.fading,
            draw=tuple(np.random.default_rng(self.seed).random(2)),
        )

    def evaluate(
        self,
        model,
        data,
        *,
        out=None,
        decoder=None,
        fading=None,
        temperature=None,
        limit=None,
        compare=None,
        progress=None,
    ):
        from tfssl.methods.hypercolumn_colorization.evaluate import evaluate

        decoding = {"decoder": decoder, "fading": fading, "temperature": temperature}
        return evaluate(self, model, data, out=out, limit=limit, compare=compare, progress=progress, **decoding)

    def served(self, model):
        """The dense form of the network."""
        from tfssl.methods.hypercolumn_colorization.network import dense_network

        return dense_network(model, self.backbone)

    def serving(self, network):
        from tfssl.color.serving import endpoints

        return endpoints(self, network)


def released_optimizer():
    """SGD with momentum 0.9 at 1e-3, a tenth of it from 1.0, 1.5 and 1.75 million steps on; biases learn twice as fast.

    Kernels decay by 5e-4 inside the gradient, biases do not.
    """
    import keras

    from tfssl.optimizers import SGD

    # Keras keeps a rate up to and including its boundary.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1_000_000 - 1, 1_500_000 - 1, 1_750_000 - 1], [1e-3, 1e-4, 1e-5, 1e-6]
    )
    decay = {"weight_decay": 5e-4, "weight_decay_form": "coupled"}
    return SGD(schedule, momentum=0.9, bias_learning_rate_scale=2.0, **decay)
