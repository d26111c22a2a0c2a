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
        task: ``"split"``: two halves of the channels that share nothing. The paper's controls, one network of the full
            width each: ``"l_to_ab"``, ``"ab_to_l"``; ``"shared"``: both with the same weights, unseen channels zero;
            ``"autoencoder"``: Lab from Lab.
        ab: ``"classification"`` into the nearest of 313 bins of 10 units (paper: no soft encoding, no rebalancing), or
            ``"regression"``.
        lightness: ``"classification"`` into 50 bins of 2 units, or ``"regression"``.
        input_dropout: fraction of the input's numbers that ``"autoencoder"`` does not see, in [0, 1) (paper's control:
            0.5).
        backbone: ``"alexnet"``, fully convolutional with batch normalization, or ``"small"``, five 3x3 convolutions of
            32 to 96 channels for CPUs.
        fc: channels of fc6 and fc7, of both halves together (4096); even.
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

    task: Literal["split", "l_to_ab", "ab_to_l", "shared", "autoencoder"] = "split"
    ab: Objective = "classification"
    lightness: Objective = "classification"
    input_dropout: float = Field(0.0, ge=0, lt=1)
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
        if self.input_dropout and self.task != "autoencoder":
            raise ValueError(
                f"`input_dropout` is for task 'autoencoder'; leave it out. Received: input_dropout={self.input_dropout}"
            )
        return self

    @property
    def grid_cells(self):
        """Cells along each axis that are predicted of a crop."""
        return data.grid_size(self.backbone, self.crop_size)

    @property
    def min_size(self):
        return self.crop.min_size

    def sample(self, example, rng, training):
        return (self.crop.apply(example["image"], rng if training else None),)

    def blank(self, pixels):
        if self.task == "autoencoder":  # lightness alone is something to learn
            return super().blank(pixels)
        return "the crop is gray" if is_gray(pixels) else None

    def prepare(self, pixels):
        return data.to_example(pixels, self.grid_cells)

    def loss(self):
        """The training loss, a :class:`tfssl.methods.split_brain.loss.CrossChannelLoss`."""
        from tfssl.methods.split_brain.loss import CrossChannelLoss

        ab, lightness = self.task != "ab_to_l", self.task != "l_to_ab"
        return CrossChannelLoss(self.ab if ab else None, self.lightness if lightness else None)

    def model(self, optimizer=None):
        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.split_brain.loss import output_channels
        from tfssl.methods.split_brain.network import build_network

        outputs = output_channels(self.ab, self.lightness)
        network = build_network(self.task, self.backbone, fc=self.fc, outputs=outputs, input_dropout=self.input_dropout)
        set_batch_norm(network, self.batch_norm_epsilon, self.batch_norm_momentum)
        # XLA fails under MirroredStrategy on CPU devices.
        network.compile(optimizer or borrowed_optimizer(), self.loss(), jit_compile=False)
        return network

    def encoder(self, model):
        """Features of whole images: the maps of both halves, one behind the other."""
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
        kinds = {"ab": self.ab, "lightness": self.lightness}
        kinds.pop({"ab_to_l": "ab", "l_to_ab": "lightness"}.get(self.task), None)
        return sum(levels[name, kind] for name, kind in kinds.items())

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
