"""Split-Brain Autoencoders (Zhang, Isola and Efros, CVPR 2017)."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.backbone import Backbone
from tfssl.methods.base import BatchNormEpsilon, BatchNormMomentum, CropArea, Method, Paper, check_resize
from tfssl.methods.opened import check_batch_norm
from tfssl.methods.split_brain import data
from tfssl.ops.bytes_lab import is_gray

Objective = Literal["classification", "regression"]


class SplitBrain(Method):
    """Predict the colors of an image from its lightness and its lightness from its colors, by two half networks.

    Together the halves describe the whole image, and neither could get through by copying. Defaults are the paper's.

    Args:
        task: ``"split"``: two halves of the channels that share nothing. The paper's controls: ``"ensemble"``, two
            halves that both predict ab, the second one as ``ab`` does not say (classes, or values); and one network of
            the full width each: ``"l_to_ab"``, ``"ab_to_l"``; ``"shared"``: both with the same weights, unseen channels
            zero; ``"mixture"``: that and Lab from Lab; ``"autoencoder"``: Lab from Lab alone. ``"rgbd"`` learns from
            color and depth (section 4.2): a network predicts HHA from Lab, another one ab and L from HHA.
        ab: ``"classification"`` into the nearest of 313 bins of 10 units (paper: no soft encoding, no rebalancing), or
            ``"regression"``.
        lightness: ``"classification"`` into 50 bins of 2 units, or ``"regression"``.
        input_dropout: fraction of the input's numbers that ``"autoencoder"`` does not see, in [0, 1) (paper's control:
            0.5).
        mixture_weight: of ``"mixture"``, in (0, 0.5): factor w of the losses of ab and of L where they are not seen;
            that of Lab from Lab has 1 - 2 w. null: the paper's 1/3.
        ab_weight: of ``"rgbd"``: factor of the loss of the classes of ab, beside ``1/2 |L - L'|^2`` in units of L.
            null: the paper's 200, there to make the gradients of both comparable (it does not state the unit of L).
        backbone: ``"alexnet"``, fully convolutional with batch normalization, or ``"small"``, five 3x3 convolutions of
            32 to 96 channels for CPUs.
        fc: channels of fc6 and fc7, of both halves together (4096); even. Of ``"rgbd"`` those of the network that sees
            color; each branch of the other one has an eighth (512).
        resize: images are scaled so that their shorter side has this many pixels (256); null keeps their size.
        crop_size: of the training crops in pixels (180). The network predicts 12x12 cells of them, the mean of
            each (the paper does not say how it reduced them).
        crop_area: (smallest, largest) fraction of the image's area that a crop covers, scaled to ``crop_size``; null
            cuts crops without scaling.
        batch_norm_epsilon: of all batch normalizations; null: Caffe's 1e-5 as the released code, for ``"small"``
            Keras' 1e-3.
        batch_norm_momentum: of their moving statistics, in [0, 1); null: 0.999 and 0.99.
    """

    paper: ClassVar[Paper] = Paper(
        "Split-Brain Autoencoders: Unsupervised Learning by Cross-Channel Prediction",
        "Zhang, Isola, Efros",
        "CVPR",
        2017,
    )
    inputs: ClassVar[str] = "color photographs"
    prepares_in_graph: ClassVar[bool] = False

    task: Literal["split", "l_to_ab", "ab_to_l", "ensemble", "shared", "mixture", "autoencoder", "rgbd"] = "split"
    ab: Objective = "classification"
    lightness: Objective = "classification"
    input_dropout: float = Field(0.0, ge=0, lt=1)
    mixture_weight: float | None = Field(None, gt=0, lt=0.5)
    ab_weight: float | None = Field(None, gt=0)
    backbone: Annotated[Any, Backbone("alexnet", "small")] = "alexnet"
    fc: int = Field(4096, ge=2, multiple_of=2)
    resize: int | None = Field(256, ge=8)
    crop_size: int = Field(180, ge=8, le=1024)
    crop_area: CropArea = None
    batch_norm_epsilon: BatchNormEpsilon = None
    batch_norm_momentum: BatchNormMomentum = None

    @model_validator(mode="after")
    def _check_fields(self):
        smallest = 23 if self.backbone == "alexnet" else 8
        if self.crop_size < smallest:
            raise ValueError(
                f"`crop_size` must be at least {smallest} pixels for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        check_resize(self.resize, self.crop_size)
        check_batch_norm(self, self.backbone)
        for name, task in (("input_dropout", "autoencoder"), ("mixture_weight", "mixture"), ("ab_weight", "rgbd")):
            value = getattr(self, name)
            if value and self.task != task:
                raise ValueError(f"`{name}` is for task {task!r}; leave it out. Received: {name}={value}")
        if self.task == "rgbd" and (self.ab, self.lightness) != ("classification", "regression"):
            raise ValueError(
                "task 'rgbd' weighs classes of ab against values of L; give `ab`=classification and "
                f"`lightness`=regression. Received: ab={self.ab!r}, lightness={self.lightness!r}"
            )
        return self

    @property
    def grid_cells(self):
        """Cells along each axis that are predicted of a crop."""
        return data.grid_size(self.backbone, self.crop_size)

    @property
    def min_size(self):
        return self.crop.min_size

    def open(self, data):
        """Photographs; for task ``"rgbd"`` images with their HHA, see :func:`tfssl.data.hha_source`."""
        if self.task != "rgbd":
            return super().open(data)
        from tfssl.data.rgbd import hha_source

        return hha_source(data)

    def sample(self, example, rng, training):
        rng = rng if training else None
        if self.task == "rgbd":
            return (data.crop_both(self.crop, example["image"], example["hha"], rng),)
        return (self.crop.apply(example["image"], rng),)

    def blank(self, pixels):
        if self.task in ("autoencoder", "mixture", "rgbd"):  # lightness, or depth, is something to learn
            return super().blank(pixels)
        return "the crop is gray" if is_gray(pixels) else None

    def prepare(self, pixels):
        return data.to_example(pixels, self.grid_cells)

    @property
    def kinds(self):
        """``{name of a prediction: "classification" or "regression"}``, in the order of the network's scores."""
        ab, lightness = {"ab": self.ab}, {"lightness": self.lightness}
        other = {"classification": "regression", "regression": "classification"}
        return {
            "l_to_ab": ab,
            "ab_to_l": lightness,
            "ensemble": ab | {"ab_again": other[self.ab]},
            "mixture": ab | lightness | {"ab_again": self.ab, "lightness_again": self.lightness},
            "rgbd": ab | lightness | {"hha": "regression"},
        }.get(self.task, ab | lightness)

    @property
    def weights(self):
        """``{name of a prediction: factor of its loss}``, where that is not 1."""
        if self.task == "mixture":
            weight = 1 / 3 if self.mixture_weight is None else self.mixture_weight
            again = 1.0 - 2.0 * weight
            return {"ab": weight, "lightness": weight, "ab_again": again, "lightness_again": again}
        if self.task == "rgbd":
            # The loss is in units of 50: squared, in units of 1 it is so much more.
            return {"ab": 200.0 if self.ab_weight is None else self.ab_weight, "lightness": 50.0**2}
        return {}

    def loss(self):
        """The training loss, a :class:`tfssl.methods.split_brain.loss.CrossChannelLoss`."""
        from tfssl.methods.split_brain.loss import CrossChannelLoss

        return CrossChannelLoss(**{"ab": None, "lightness": None} | self.kinds, weights=self.weights)

    def model(self, optimizer=None):
        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.split_brain.loss import output_channels
        from tfssl.methods.split_brain.network import build_network

        outputs = output_channels(**self.kinds)
        network = build_network(self.task, self.backbone, fc=self.fc, outputs=outputs, input_dropout=self.input_dropout)
        set_batch_norm(network, self.batch_norm_epsilon, self.batch_norm_momentum)
        # XLA fails under MirroredStrategy on CPU devices.
        network.compile(optimizer or borrowed_optimizer(), self.loss(), jit_compile=False)
        return network

    def encoder(self, model):
        """Features of whole images: the maps of both halves, one behind the other.

        Of task ``"rgbd"`` those of the network that sees color;
        :func:`tfssl.methods.split_brain.network.build_depth_encoder` gives the other.
        """
        from tfssl.methods.split_brain.network import build_encoder

        return build_encoder(model)

    @property
    def baseline(self):
        """Loss of guessing where every bin is as frequent as the others: ln 313 + ln 50 for two classifications."""
        from tfssl.ops.ab_bins import CENTERS

        levels = {
            ("ab", "classification"): math.log(len(CENTERS)),
            ("ab", "regression"): float(0.5 * ((CENTERS - CENTERS.mean(axis=0)) ** 2).sum(axis=1).mean() / 110.0**2),
            ("lightness", "classification"): math.log(50),
            ("lightness", "regression"): 0.5 / 3,  # half the variance of the uniform distribution over [-1, 1]
        }
        levels["hha", "regression"] = 3 * levels["lightness", "regression"]  # three numbers, as uniform
        return sum(
            self.weights.get(name, 1.0) * levels[name.removesuffix("_again"), kind] for name, kind in self.kinds.items()
        )

    def evaluate(self, model, data, *, out=None, limit=None, batch_size=32, progress=None):
        from tfssl.methods.split_brain.evaluate import evaluate

        return evaluate(self, model, data, out=out, limit=limit, batch_size=batch_size, progress=progress)


def borrowed_optimizer():
    """Adam at 3e-5, 1e-5, 3e-6 and 1e-6 from steps 0, 240,000, 300,000 and 400,000 on; biases learn twice as fast.

    Kernels decay by 1e-3, as part of the gradient. The paper prints none; this is the solver of its sibling, the
    AlexNet of Colorful Image Colorization.
    """
    import keras

    from tfssl.optimizers import Adam

    # Keras keeps a rate up to and including its boundary.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [240_000 - 1, 300_000 - 1, 400_000 - 1], [3e-5, 1e-5, 3e-6, 1e-6]
    )
    decay = {"weight_decay": 1e-3, "weight_decay_form": "coupled"}
    return Adam(schedule, beta_1=0.9, beta_2=0.999, epsilon=1e-8, bias_learning_rate_scale=2.0, **decay)
