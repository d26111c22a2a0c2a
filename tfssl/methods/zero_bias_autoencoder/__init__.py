"""Zero-bias autoencoders (Konda, Memisevic and Krueger, ICLR 2015): a fixed threshold in the place of hidden biases."""

import logging
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.base import Method, Paper
from tfssl.methods.zero_bias_autoencoder import data

log = logging.getLogger("tfssl")


class ZeroBiasAutoencoder(Method):
    """Bring patches back from the few filters whose response exceeds a threshold, without biases of the hidden units.

    ``h = W'x`` where it passes the threshold, 0 elsewhere; ``y = W h + b``; cost ``0.5 |x - y|^2``. A unit that is
    active adds all of its response to the reconstruction: biases, which sparse codes drive below zero, would take a
    part of it away. The threshold only serves learning: features are ``max(0, W'x)`` (recalled).

    Defaults are those of the released code: color patches without their mean, divided by ``sqrt(s^2 + (0.1 S)^2)``, s
    their own standard deviation and S that of all pixels (the code: ``s + 0.1 S``), each number then likewise, and
    whitened to the directions that hold 90 % of the variance. Filters start as 0.1 times such patches. All of that is
    learned by :meth:`adapt`; without it nothing is whitened, and filters start from N(0, 0.1^2).

    Args:
        form: ``"trec"``: units of ``W'x > 1`` (TRec); ``"tlin"``: of ``(W'x)^2 > 1``, both signs (TLin; recalled);
            ``"relu"``: the ordinary autoencoder for comparison, of rectified units with biases that are learned.
        units: filters (255).
        dropout: fraction of the hidden units that are dropped in training; the others are scaled up (0; the code's
            variant: 0.5).
        sparsity: of ``"relu"``: weight of the sum of each case's codes in the cost.
        whiten: fraction of the variance that is kept and made equal in all directions (0.9).
        crop_size: of the patches in pixels (10).
        resize: images are scaled so that their shorter side has this many pixels; null keeps their size.
        patches: of each image that follow each other in the stream of examples (400).
        stride: pixels between the patches whose features the encoder gives.

    Reference:
        K. Konda, R. Memisevic, D. Krueger: Zero-bias Autoencoders and the Benefits of Co-adapting Features. ICLR 2015.
    """

    paper: ClassVar[Paper] = Paper(
        "Zero-bias Autoencoders and the Benefits of Co-adapting Features", "Konda, Memisevic, Krueger", "ICLR", 2015
    )  # fmt: skip
    inputs: ClassVar[str] = "patches of color photographs"
    prepares_in_graph: ClassVar[bool] = False

    form: Literal["trec", "tlin", "relu"] = "trec"
    units: int = Field(255, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    sparsity: float = Field(0.0, ge=0)
    whiten: float = Field(0.9, gt=0, le=1)
    crop_size: int = Field(10, ge=2, le=64)
    resize: int | None = Field(None, ge=2)
    patches: int = Field(400, ge=1, le=4096)
    stride: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _check(self):
        if self.sparsity and self.form != "relu":
            raise ValueError(f"`sparsity` is for form: relu. Received: form={self.form!r}, sparsity={self.sparsity}")
        if self.resize is not None and self.resize < self.crop_size:
            raise ValueError(
                f"`resize` must be at least crop_size ({self.crop_size}), or null. Received: resize={self.resize}"
            )
        return self

    @property
    def min_size(self):
        return self.resize

    @property
    def examples_per_item(self):
        return self.patches

    def sample(self, example, rng, training):
        """uint8 (patches, s, s, 3), cut anywhere; (s, s, 3) of one."""
        cuts = data.cut_patches(self, example["image"], rng, self.patches)
        return (cuts if self.patches > 1 else cuts[0],)

    def prepare(self, patches):
        rows = data.whitened(self, patches)
        return rows, rows

    def adapt(self, source):
        """Whitening and what filters start from, of patches that are spread over the source.

        ``deviation``: of all pixels, images in [0, 1]; ``mean`` (d,) and ``matrix`` (d, k), d = 3 ``crop_size``^2: a
        standardized patch is whitened by ``(x - mean) @ matrix``; ``kept``, the fraction of the variance in it;
        ``examples`` (4 ``units``, k), whitened patches.
        """
        return data.statistics_of(self, source)

    @property
    def baseline(self):
        """Loss of answering 0, the mean of prepared patches."""
        return 0.5 * data.whitening_of(self)[1].shape[1] * (1.0 if self.statistics else data.UNWHITENED)

    def model(self, optimizer=None):
        import keras

        from tfssl.methods.zero_bias_autoencoder.loss import HalfSquaredError
        from tfssl.methods.zero_bias_autoencoder.network import build_network, start_from

        components = data.whitening_of(self)[1].shape[1]
        model = build_network(components, self.units, self.form, dropout=self.dropout, sparsity=self.sparsity)
        if self.statistics:
            start_from(model, self.statistics["examples"])
        else:
            log.warning(
                "patches are not whitened: give the method its statistics, method.adapted(method.adapt(source))"
            )
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9) if optimizer is None else optimizer
        model.compile(optimizer, HalfSquaredError(), jit_compile=False)  # XLA fails under MirroredStrategy on CPUs
        return model

    def encoder(self, model):
        """Whitened patches and codes ``max(0, W'x)`` at every ``stride``-th position, a map of each.

        RGB in [0, 1], (B, H, W, 3) -> ``{"whitened": (B, h, w, k), "codes": (B, h, w, units)}``.
        """
        from tfssl.methods.zero_bias_autoencoder.network import build_encoder

        return build_encoder(model, self.crop_size, self.stride, *data.whitening_of(self), floor=data.floor_of(self))

    def evaluate(self, model, data, *, out=None, limit=None, seed=0, batch_size=500, progress=None):
        from tfssl.methods.zero_bias_autoencoder.evaluate import evaluate

        return evaluate(self, model, data, out=out, limit=limit, seed=seed, batch_size=batch_size, progress=progress)
