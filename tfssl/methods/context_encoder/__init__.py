"""Context Encoders: Feature Learning by Inpainting (Pathak, Kraehenbuehl, Donahue, Darrell and Efros, CVPR 2016)."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.backbone import Backbone
from tfssl.methods.base import BatchNormEpsilon, BatchNormMomentum, Method, Paper, check_resize
from tfssl.methods.context_encoder import data
from tfssl.methods.opened import check_batch_norm

# Mean squared difference of photographs from their mean color, in units of [-1, 1]: that of predicting it.
# Measured on 500 photographs of many sources; single sets differ.
_MEAN_COLOR_ERROR = 0.31


class ContextEncoder(Method):
    """Predict what was cut out of an image from the rest of it.

    Defaults are the paper's inpainting network: the central half of 128-pixel crops, reconstruction and adversarial
    loss together. The paper's feature network is another one: ``network="features", mask="regions", resize=256,
    crop_size=227, visible_weight=0, reconstruction_weight=1`` (``configs/context_encoder/features.yaml``). The released
    commands have ``overlap=4``; for random masks ``mask="pattern", mask_per="batch", visible_weight=1``
    (``configs/context_encoder/random.yaml``).

    Args:
        network: ``"inpainting"`` (71 million parameters), ``"features"`` (AlexNet with a channel-wise fully connected
            layer) or ``"small"`` (0.8 million, for CPUs).
        mask: what is dropped, see :mod:`tfssl.ops.masks`: ``"center"``, ``"blocks"`` (several rectangles),
            ``"regions"`` (arbitrary shapes, the paper's choice for features) or ``"pattern"`` (the released code's
            substitute for them). With ``"center"`` the network predicts the central half, with the others (and in
            ``"features"`` always) the whole image.
        mask_per: a new mask for each ``"image"``, or one for each ``"batch"`` in training, that of its first
            image (released code).
        shapes: for ``mask="regions"``, a folder of segmentation masks whose objects are the shapes (paper: those of
            PASCAL VOC 2012); None for generated blobs.
        overlap: pixels along the border of the predicted center that stay visible (paper: 7, released commands: 4).
        resize: images are scaled so that their shorter side has this many pixels (released code: 350).
        crop_size: of the crop in pixels: 128 for ``"inpainting"``, at least 67 for ``"features"`` (paper: 227), a
            multiple of 16 for ``"small"``.
        bottleneck: units between encoder and decoder of ``"inpainting"`` (4000).
        visible_weight: weight of the error of visible pixels, that of dropped ones is 1 (10; released command for
            random masks: 1; paper's equation 1, as the feature network has it: 0).
        reconstruction_weight: fraction w of the squared error in the loss, in [0, 1]; 1 - w is that of the adversarial
            loss (0.999). With 1 there is no discriminator.
        discriminator_learning_rate_scale: learning rate of the discriminator as a multiple of the inpainter's (0.1).
        batch_norm_epsilon: of all batch normalizations; null: Torch's 1e-5 as the released code, for ``"small"``
            Keras' 1e-3.
        batch_norm_momentum: of their moving statistics, in [0, 1); null: 0.9 (Torch's 0.1) and 0.99.
    """

    paper: ClassVar[Paper] = Paper(
        "Context Encoders: Feature Learning by Inpainting",
        "Pathak, Kraehenbuehl, Donahue, Darrell, Efros",
        "CVPR",
        2016,
    )
    inputs: ClassVar[str] = "photographs"

    network: Annotated[Any, Backbone("inpainting", "features", "small")] = "inpainting"
    mask: Literal["center", "blocks", "regions", "pattern"] = "center"
    mask_per: Literal["image", "batch"] = "image"
    shapes: str | None = None
    overlap: int = Field(7, ge=0)
    resize: int = Field(350, ge=32)
    crop_size: int = Field(128, ge=32, le=1000)
    bottleneck: int = Field(4000, ge=1)
    visible_weight: float = Field(10.0, ge=0)
    reconstruction_weight: float = Field(0.999, ge=0, le=1)
    discriminator_learning_rate_scale: float = Field(0.1, gt=0)
    batch_norm_epsilon: BatchNormEpsilon = None
    batch_norm_momentum: BatchNormMomentum = None

    @model_validator(mode="after")
    def _check(self):
        size = self.crop_size
        rules = {"inpainting": ("128", size == 128), "features": ("at least 67", size >= 67)}
        wanted, fits = rules.get(str(self.network), ("a multiple of 16", size % 16 == 0))
        if not fits:
            raise ValueError(f"`crop_size` must be {wanted} for network {self.network!r}. Received: crop_size={size}")
        check_resize(self.resize, size)
        check_batch_norm(self, self.network, without=("features",))
        if self.mask == "center" and size // 2 - 2 * self.overlap < 1:
            raise ValueError(
                f"`overlap` leaves nothing of the center of {size // 2} pixels. Received: overlap={self.overlap}"
            )
        if self.network == "features" and self.reconstruction_weight < 1:
            raise ValueError(
                "`reconstruction_weight` must be 1 for network 'features', without discriminator (adversarial training "
                f"diverged in the paper). Received: reconstruction_weight={self.reconstruction_weight}"
            )
        if self.shapes is not None and self.mask != "regions":
            raise ValueError(f"`shapes` needs mask='regions'. Received: mask={self.mask!r}, shapes={self.shapes!r}")
        return self

    @property
    def whole(self):
        """Whether the network predicts the whole image, or its central half."""
        return self.network == "features" or self.mask != "center"

    @property
    def adversarial(self):
        """Whether there is a discriminator."""
        return self.reconstruction_weight < 1

    @property
    def min_size(self):
        return self.crop.min_size

    def sample(self, example, rng, training):
        return data.cut_hole(self, example["image"], rng, training)

    def prepare(self, pixels, dropped, shared):
        import tensorflow as tf

        dropped = tf.where(shared[:, None, None], dropped[:1], dropped)
        return data.to_example(pixels, dropped, self.whole)

    def model(self, optimizer=None):
        """The inpainter, or with a discriminator an ``InpaintingModel`` of both."""
        from tfssl.layers.normalization import set_batch_norm
        from tfssl.methods.context_encoder.loss import MaskedL2
        from tfssl.methods.context_encoder.network import build_discriminator, build_inpainter

        sizes = {"crop_size": self.crop_size, "whole": self.whole, "bottleneck": self.bottleneck}
        inpainter = build_inpainter(self.network, **sizes)
        set_batch_norm(inpainter, self.batch_norm_epsilon, self.batch_norm_momentum)
        optimizer = optimizer or self._paper_optimizer()
        if not self.adversarial:
            inpainter.compile(optimizer, MaskedL2(self.visible_weight), jit_compile=False)
            return inpainter
        from tfssl.methods.context_encoder.adversarial import InpaintingModel

        discriminator = build_discriminator(self.network, inpainter.output.shape[1])
        set_batch_norm(discriminator, self.batch_norm_epsilon, self.batch_norm_momentum)
        networks = {"inpainter": inpainter, "discriminator": discriminator}
        model = InpaintingModel(networks, self.reconstruction_weight, self.visible_weight)
        model.compile(optimizer, discriminator_learning_rate_scale=self.discriminator_learning_rate_scale)
        return model

    def _paper_optimizer(self):
        """Adam: 2e-3 with discriminator, 2e-4 without (released code); 1e-3 for features (recalled, unconfirmed)."""
        import keras

        if self.network == "features":
            return keras.optimizers.Adam(1e-3)
        return keras.optimizers.Adam(2e-3 if self.adversarial else 2e-4, beta_1=0.5, epsilon=1e-8)

    def served(self, model):
        """What an export holds: the inpainter without its discriminator; of ``"features"`` the encoder."""
        return self.encoder(model) if self.network == "features" else _inpainter(model)

    def encoder(self, model):
        from tfssl.methods.context_encoder.network import build_encoder

        return build_encoder(_inpainter(model))

    @property
    def baseline(self):
        """Loss of predicting the mean color everywhere, with a discriminator that cannot tell."""
        reconstruction = _MEAN_COLOR_ERROR * self._mean_weight()
        if not self.adversarial:
            return reconstruction
        return self.reconstruction_weight * reconstruction + (1.0 - self.reconstruction_weight) * math.log(2.0)

    def _mean_weight(self):
        """Mean weight of a predicted pixel in the squared error; of random masks with their expected area."""
        from tfssl.ops.masks import MEAN_AREA

        if self.mask == "center":
            predicted = self.crop_size if self.whole else self.crop_size // 2
            area = ((self.crop_size // 2 - 2 * self.overlap) / predicted) ** 2
        else:
            area = MEAN_AREA[self.mask]
        return area + self.visible_weight * (1.0 - area)

    def evaluate(self, model, data, *, out=None, limit=None, bank=None, bank_limit=2000, batch_size=32, progress=None):
        from tfssl.methods.context_encoder.evaluate import evaluate

        options = {"limit": limit, "bank": bank, "bank_limit": bank_limit, "batch_size": batch_size}
        return evaluate(self, model, data, out=out, progress=progress, **options)

    def serving(self, network):
        from tfssl.methods.context_encoder.serving import endpoints

        return super().serving(network) if self.network == "features" else endpoints(self, network)


def _inpainter(model):
    """The inpainting network of an adversarial model, or the model itself."""
    return getattr(model, "inpainter", model)
