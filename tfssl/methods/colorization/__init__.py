"""Colorful Image Colorization (Zhang, Isola and Efros, ECCV 2016)."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from tfssl.color.prior import class_weights, load_prior
from tfssl.errors import ConfigError
from tfssl.methods.backbone import Backbone
from tfssl.methods.base import BatchNormEpsilon, BatchNormMomentum, CropArea, Method, Paper, check_resize
from tfssl.methods.colorization import data
from tfssl.methods.opened import check_batch_norm
from tfssl.ops.ab_bins import CENTERS, SIGMA
from tfssl.ops.bytes_lab import ab, is_gray


class Colorization(Method):
    """Predict the color of every pixel from lightness alone, as a distribution over 313 quantized ab colors.

    Defaults are the paper's full method as the released code has it.

    Args:
        backbone: ``"paper"`` (32.2 million parameters, dilated), ``"alexnet"`` (the representation variant),
            ``"small"`` (3.2 million, for CPUs and phones) or ``"efficientnet_lite0"`` (4.4 million, likewise; with
            the run's ``weights: imagenet`` it starts from a classifier of ImageNet, which is supervised).
        objective: ``"rebalanced"`` (the full method), ``"classification"`` (no rebalancing) or ``"regression"``
            (L2 on ab; the run's ``weights: RUN`` of a classification start all but its last layer, the paper's "L2,
            ft").
        resize: images are scaled so that their shorter side has this many pixels (paper: 256); None keeps their size.
        crop_size: of the training crops in pixels, a multiple of the network's stride (paper: 176).
        crop_area: (smallest, largest) fraction of the image a training crop covers, then scaled to crop_size;
            None cuts crop_size pixels without scaling, as the paper.
        lightness_jitter: strength of the exposure and contrast jitter on the input; 0 for none, as the paper.
        aging: fraction of the training crops whose lightness is aged, see :func:`tfssl.color.aging.age`; 0 for none,
            as the paper.
        neighbors: k of the soft encoding (released code: 10, paper: 5).
        sigma: width of the soft encoding in ab units (paper: 5).
        lookup: ``"exact"``, or ``"table"`` of ab rounded to 1 unit (faster, see ``tfssl.ops.ab_bins``).
        prior: ``"imagenet"``, the paper's own numbers; ``"varied"``, of the shipped colorizer's training photographs;
            ``"photographs"``, of 12,645 others, mostly landscapes; or a .npy file written by ``tfssl prior``.
        prior_sigma: width of a smoothing of the prior in ab units; None for what it needs: 5 (paper) for ``"varied"``
            and ``"photographs"``, none for the others, which are smoothed already.
        rebalance_mix: lambda of the rebalancing weights in [0, 1] (paper: 1/2); 1 is no rebalancing.
        temperature: T of the annealed mean in (0, 1] (paper: 0.38).
        image_size: whole images are scaled for the network so that their shorter side has this many pixels; colors
            are joined with the full-size lightness. None is ``resize``, or 4/3 of crop_size without it.
        batch_norm_epsilon: of all batch normalizations; null: Caffe's 1e-5 as the released code, for ``"small"``
            and ``"efficientnet_lite0"`` Keras' 1e-3.
        batch_norm_momentum: of their moving statistics, in [0, 1); null: 0.999 and 0.99.
        encoder_input: what features for other tasks see: ``"lightness"``, as the network that colorizes, or ``"lab"``:
            the first convolution gets weights for a and b that start at 0, for fine-tuning in color (the paper's
            variant; not with ``"efficientnet_lite0"`` or a network of your own).
    """

    paper: ClassVar[Paper] = Paper("Colorful Image Colorization", "Zhang, Isola, Efros", "ECCV", 2016)
    inputs: ClassVar[str] = "color photographs"
    export_name: ClassVar[str | None] = "colorizer"
    colorizes: ClassVar[bool] = True
    prepares_in_graph: ClassVar[bool] = False
    output_layers: ClassVar[tuple[str, ...]] = ("scores", "fc8")

    backbone: Annotated[Any, Backbone("paper", "alexnet", "small", "efficientnet_lite0")] = "paper"
    objective: Literal["rebalanced", "classification", "regression"] = "rebalanced"
    resize: int | None = Field(256, ge=8)
    crop_size: int = Field(176, ge=16)
    crop_area: CropArea = None
    lightness_jitter: float = Field(0.0, ge=0.0, le=1.0)
    aging: float = Field(0.0, ge=0.0, le=1.0)
    neighbors: int = Field(10, ge=1, le=50)
    sigma: float = Field(SIGMA, gt=0)
    lookup: Literal["exact", "table"] = "exact"
    prior: str = "imagenet"
    prior_sigma: float | None = Field(None, ge=0)
    rebalance_mix: float = Field(0.5, ge=0, le=1)
    temperature: float = Field(0.38, gt=0, le=1)
    image_size: int = Field(256, ge=8, le=2048)
    batch_norm_epsilon: BatchNormEpsilon = None
    batch_norm_momentum: BatchNormMomentum = None
    encoder_input: Literal["lightness", "lab"] = "lightness"

    @model_validator(mode="before")
    @classmethod
    def _default_size(cls, fields):
        if isinstance(fields, dict) and fields.get("image_size") is None:
            resize, crop = fields.get("resize", 256), fields.get("crop_size", 176)
            if isinstance(crop, int):
                fields = {**fields, "image_size": resize or round(crop * 4 / 3)}
        return fields

    @model_validator(mode="after")
    def _check_size(self):
        multiple = self.input_multiple
        if self.crop_size % multiple:
            raise ValueError(
                f"`crop_size` must be a multiple of {multiple} for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        check_resize(self.resize, self.crop_size)
        check_batch_norm(self, self.backbone)
        if self.encoder_input == "lab" and self.backbone not in data.COLOR_BACKBONES:
            raise ValueError(
                f"`encoder_input: lab` needs a backbone among {', '.join(data.COLOR_BACKBONES)}. "
                f"Received: backbone={str(self.backbone)!r}"
            )
        return self

    @property
    def output_stride(self):
        """Input pixels per output position of the network."""
        return data.OUTPUT_STRIDE.get(str(self.backbone), data.OPEN_OUTPUT_STRIDE)

    @property
    def input_multiple(self):
        """The network takes heights and widths that are multiples of this many pixels."""
        return data.INPUT_MULTIPLE.get(str(self.backbone), data.OPEN_INPUT_MULTIPLE)

    @property
    def min_size(self):
        return self.crop.min_size

    def sample(self, example, rng, training):
        return data.cut(self, example["image"], rng, training)

    def blank(self, pixels, light):
        return "the crop is gray" if is_gray(pixels[:: self.output_stride, :: self.output_stride]) else None

    def prepare(self, pixels, light):
        # Point sampling, as the released code: pixels 0, stride, 2 stride, ...
        return light, ab(pixels[:, :: self.output_stride, :: self.output_stride])

    def start(self, model, weights):
        if weights != "imagenet":
            return False
        if self.backbone != "efficientnet_lite0":
            raise ConfigError(f"`weights: imagenet` needs backbone: efficientnet_lite0. Received: {self.backbone!r}")
        from tfssl.backbones.efficientnet import load_imagenet

        load_imagenet(model)
        return True

    def smoothed_prior(self):
        """Smoothed prior over the bins, float64 (313,)."""
        return load_prior(self.prior, self.prior_sigma)

    def loss(self):
        """The training loss of the objective, a ``keras.losses.Loss``."""
        from tfssl.methods.colorization.loss import ColorCrossEntropy, ColorRegression

        if self.objective == "regression":
            return ColorRegression()
        weights = None
        if self.objective == "rebalanced":
            weights = class_weights(self.smoothed_prior(), self.rebalance_mix)
        return ColorCrossEntropy(weights, self.neighbors, self.sigma, self.lookup)

    def model(self, optimizer=None):
        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.colorization.network import build_network
        from tfssl.optimizers import Adam

        network = build_network(self.backbone, "ab" if self.objective == "regression" else "bins")
        set_batch_norm(network, self.batch_norm_epsilon, self.batch_norm_momentum)
        decay = {"weight_decay": 1e-3, "weight_decay_form": "coupled", "bias_weight_decay": True}
        released = Adam(3e-5, beta_1=0.9, beta_2=0.99, epsilon=1e-8, **decay)
        # XLA makes these networks slower on CPUs and fails there under MirroredStrategy.
        network.compile(optimizer or released, self.loss(), jit_compile=False)
        return network

    def encoder(self, model):
        import keras

        from tfssl.backbones.encoder import Encoder
        from tfssl.layers.color import Lab, Lightness
        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.colorization.network import encoder_taps, see_colors

        rgb = keras.Input((None, None, 3), name="rgb")
        seen = Lightness(name="lightness")(rgb)
        if self.encoder_input == "lab":
            model = see_colors(model, self.backbone)
            set_batch_norm(model, self.batch_norm_epsilon, self.batch_norm_momentum)
            seen = Lab(dtype="float32", name="to_lab")(rgb)
        taps = keras.Model(model.input, encoder_taps(model, self.backbone), name="taps")
        return Encoder(rgb, taps(seen), name="encoder")

    @property
    def baseline(self):
        """Loss of the best constant prediction: the entropy of the (rebalanced) prior, or the variance of ab."""
        prior = self.smoothed_prior()
        if self.objective == "regression":
            mean = prior @ CENTERS
            return float(0.5 * prior @ np.sum(np.square((CENTERS - mean) / 110.0), axis=-1))
        weights = class_weights(prior, self.rebalance_mix) if self.objective == "rebalanced" else np.ones_like(prior)
        weighted = prior * weights / np.sum(prior * weights)
        occurs = weighted > 0
        return float(-np.sum(weighted[occurs] * np.log(weighted[occurs])))

    def evaluate(
        self, model, data, *, out=None, temperature=None, limit=None, compare=None, semantic=False, progress=None
    ):
        from tfssl.methods.colorization.evaluate import evaluate

        options = {"temperature": temperature, "limit": limit, "compare": compare, "semantic": semantic}
        return evaluate(self, model, data, out=out, progress=progress, **options)

    def decode(self, output, lightness, temperature):
        """Colors of the network's output: ab, float32 (B, h, w, 2), of scores (B, h, w, 313) or of ab themselves."""
        from keras import ops

        from tfssl.ops.ab_bins import annealed_mean

        if self.objective == "regression":
            return ops.cast(output, "float32")
        return annealed_mean(output, temperature)

    def served(self, model):
        """The whole network: coloring is what is served."""
        return model

    def serving(self, network):
        from tfssl.color.serving import endpoints

        return endpoints(self, network)
