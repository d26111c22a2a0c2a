"""Visual odometry by a convolutional network on synchrony filters (Konda and Memisevic, VISAPP 2015)."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from tfssl.methods.base import Method, Paper, Phase
from tfssl.methods.odometry import data


class Odometry(Method):
    """Tell speed and change of heading of a pair of cameras from a few consecutive stereo frames, as classes of each.

    A first phase learns pairs of filters over space and time without labels: the synchrony autoencoder on blocks of the
    left and the right camera. A second phase puts a classifier on the products of their responses: two convolutions, a
    dense layer, a softmax for each of the two answers; the filters go on learning. Labels come from the poses. The
    answers of windows, put one behind the other, are a path.

    The five frames, filters, products and classes are the paper's; sizes and numbers of classes are this project's.
    (What the paper says is recalled, unconfirmed.)

    Args:
        frames: consecutive stereo frames that a window holds (5).
        height: pixels that frames are scaled to.
        width: pixels that are cut from the middle of the scaled frames.
        patch_size: of the first filters, in pixels.
        stride: of the first filters, in pixels.
        components: directions that blocks of ``patch_size`` x ``patch_size`` x ``frames`` are whitened to.
        units: pairs of filters.
        channels: of both convolutions.
        hidden: units of the dense layer.
        dropout: fraction of its inputs.
        velocity_bins: classes of the speed, of equal width, from the least to the largest of the training data.
        heading_bins: classes of the change of heading likewise; an odd number has one around straight on.
        soft: an example belongs to the two classes whose centers it lies between, the nearer one more, and the answer
            is the mean of the centers of the likeliest class and its neighbors; otherwise to one class, and the answer
            is the center of the likeliest.
        mirror: half of the training windows are mirrored, cameras exchanged and headings negated; evaluations look at
            each window both ways.
        initialize: ``"synchrony"``: the first filters are those of the first phase; ``"random"``: no first phase.
        autoencoder_fraction: of the epochs that the first phase takes, in (0, 1).
        patches: blocks of a window that follow each other in the first phase.

    Reference:
        K. Konda, R. Memisevic: Learning Visual Odometry with a Convolutional Network. VISAPP 2015.
    """

    paper: ClassVar[Paper] = Paper(
        "Learning Visual Odometry with a Convolutional Network", "Konda, Memisevic", "VISAPP", 2015
    )
    inputs: ClassVar[str] = "stereo sequences with poses"
    kind: ClassVar[str] = "tracks"
    prepares_in_graph: ClassVar[bool] = False

    frames: int = Field(5, ge=2, le=32)
    height: int = Field(32, ge=16)
    width: int = Field(96, ge=16)
    patch_size: int = Field(10, ge=3, le=64)
    stride: int = Field(3, ge=1)
    components: int = Field(100, ge=1)
    units: int = Field(64, ge=1)
    channels: int = Field(64, ge=1)
    hidden: int = Field(128, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    velocity_bins: int = Field(21, ge=3)
    heading_bins: int = Field(21, ge=3)
    soft: bool = True
    mirror: bool = True
    initialize: Literal["synchrony", "random"] = "synchrony"
    autoencoder_fraction: float = Field(0.2, gt=0, lt=1)
    patches: int = Field(8, ge=1, le=4096)

    @model_validator(mode="after")
    def _check(self):
        pixels = self.patch_size**2 * self.frames
        if self.components >= pixels:
            raise ValueError(
                f"`components` must be below the {pixels} pixels of a block. Received: components={self.components}"
            )
        positions = (min(self.height, self.width) - self.patch_size) // self.stride + 1
        if positions < 2:
            raise ValueError(
                f"`patch_size` must leave two positions on {self.height} x {self.width} pixels. "
                f"Received: patch_size={self.patch_size}, stride={self.stride}"
            )
        return self

    def open(self, data):
        from tfssl.data.tracks import track_source
        from tfssl.data.workers import ParallelSource

        return data if isinstance(data, ParallelSource) else track_source(data, frames=self.frames)

    def sample(self, example, rng, training):
        """uint8 (height, width, 2 frames), the left camera's frames first, and float32 (2,): its motion per frame."""
        return data.window(self, example, mirrored=training and self.mirror and rng.random() < 0.5)

    def prepare(self, windows, motion):
        return windows.astype(np.float32) / np.float32(255), {"velocity": motion[:, 0], "heading": motion[:, 1]}

    def adapt(self, source):
        """Whitening of blocks, as :class:`~tfssl.methods.Synchrony` has it, and borders of the classes.

        ``mean``, ``matrix``, ``kept``; ``velocity_edges``, meters a frame, and ``heading_edges``, radians a frame;
        ``velocity_counts`` and ``heading_counts``, the windows of each class.
        """
        return data.statistics_of(self, source)

    def edges(self, answer):
        """Borders of the classes of ``"velocity"``, meters a frame, or ``"heading"``, radians a frame, (bins + 1,)."""
        return data.edges_of(self, answer)

    @property
    def phases(self):
        """The synchrony autoencoder on blocks, then the classifier."""
        second = Phase("odometry", 1.0, lambda optimizer, previous: self.classifier(optimizer, previous), self.baseline)
        if self.initialize == "random":
            return (second,)
        first = Phase("synchrony", self.autoencoder_fraction, self.autoencoder, 1.0, dataset=self.blocks)
        return first, Phase(second.name, 1 - self.autoencoder_fraction, second.model, second.baseline)

    def blocks(self, source, *, batch_size, training=True, **options):
        """The dataset of the first phase: whitened blocks of both cameras at one place, and both behind each other."""
        from tfssl.data.pipeline import batches

        options.pop("augment", None)
        return batches(
            self.open(source), self.sample_blocks, batch_size, prepare=self.prepare_blocks, in_graph=False,
            training=training, per_item=self.patches, **options,
        )  # fmt: skip

    def sample_blocks(self, example, rng, training):
        return (data.cut_blocks(self, self.sample(example, rng, training)[0], rng),)

    def prepare_blocks(self, blocks):
        sides = data.whitened(self, blocks)
        return sides, np.concatenate(sides, axis=1)

    def autoencoder(self, optimizer=None, previous=None):
        """A new, compiled synchrony autoencoder of whitened blocks; the first phase."""
        import keras

        from tfssl.backbones.synchrony import build_autoencoder

        model = build_autoencoder(self.components, self.units)
        model.compile(keras.optimizers.Adam(1e-3) if optimizer is None else optimizer, "mse", jit_compile=False)
        return model

    def classifier(self, optimizer=None, previous=None):
        """A new, compiled classifier, on the filters of the autoencoder ``previous`` or on random ones."""
        import keras

        from tfssl.methods.odometry.loss import ClassCrossEntropy
        from tfssl.methods.odometry.network import build_network

        model = build_network(
            (self.height, self.width), self.frames, patch_size=self.patch_size, stride=self.stride,
            components=self.components, units=self.units, channels=self.channels, hidden=self.hidden,
            dropout=self.dropout, bins=(self.velocity_bins, self.heading_bins),
        )  # fmt: skip
        model.get_layer("whitening").adapt_to(*data.whitening_of(self))
        if previous is not None:
            model.get_layer("product").set_weights(previous.get_layer("product").get_weights())
        losses = {name: ClassCrossEntropy(self.edges(name).tolist(), self.soft) for name in ("velocity", "heading")}
        model.compile(keras.optimizers.Adam(1e-3) if optimizer is None else optimizer, losses, jit_compile=False)
        return model

    def model(self, optimizer=None):
        return self.classifier(optimizer)

    @property
    def baseline(self):
        """Loss of answering every window with how often each class occurs in training."""
        return sum(data.entropy_of(self, name) for name in ("velocity", "heading"))

    def encoder(self, model):
        """Codes, maps and both answers of windows, RGB in [0, 1], (B, 2 frames, height, width, 3), left ones first."""
        from tfssl.methods.odometry.network import build_encoder

        return build_encoder(model, self.frames)

    def evaluate(self, model, data, *, out=None, limit=None, segment=100.0, batch_size=64, progress=None):
        from tfssl.methods.odometry.evaluate import evaluate

        options = {"limit": limit, "segment": segment, "batch_size": batch_size}
        return evaluate(self, model, data, out=out, progress=progress, **options)
