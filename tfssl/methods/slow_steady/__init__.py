"""Slow and steady feature analysis (Jayaraman and Grauman, CVPR 2016): video beside very few labels."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.errors import ConfigError, SourceError
from tfssl.methods.backbone import Backbone
from tfssl.methods.base import Method, Paper
from tfssl.methods.opened import is_open
from tfssl.methods.slow_steady import data


class SlowSteady(Method):
    """Learn classes from a few labeled images, with features that change little and evenly along unlabeled clips.

    ::

        loss = cross-entropy(labels) + slowness (R2 + steadiness R3)
        R2 = mean of D(z_j, z_k),   R3 = mean of D(z_l - z_m, z_m - z_n)
        D(a, b) = p d(a, b) + (1 - p) max(delta - d(a, b), 0)

    with p = 1 for pairs within ``window`` seconds and for triples that are equidistant in time within it, else 0, and z
    the linear features on which the softmax stands. The paper's baselines are settings of the fields:

    - UNREG: ``slowness=0``, the labels alone;
    - SFA-1: ``steadiness=0, contrast=False``, slowness without far pairs (what it was is recalled);
    - SFA-2: ``steadiness=0``, slowness with contrast;
    - SSFA, the paper's own: all of it.

    No code was released. The formulas are confirmed; ``delta``, ``window``, the network and the kinds of far tuples are
    recalled. Means stand in place of the paper's sums, so that weights do not depend on the number of tuples.

    Args:
        slowness: lambda, weight of what clips teach, at least 0 (1, this project's choice).
        steadiness: lambda', weight of R3 relative to R2, at least 0 (1, this project's choice).
        contrast: whether far tuples are pushed apart; without it only the labels keep features from becoming constant.
        delta: distance from which on far tuples cost nothing, above 0 (1, recalled).
        distance: d: ``"squared"``, the squared Euclidean distance, or ``"l1"``, the sum of absolute differences.
        window: seconds within which frames are near, above 0 (0.5, recalled).
        pairs: near pairs that are drawn from a clip for each labeled image, and as many far ones (1).
        triples: steady triples that are drawn from a clip for each labeled image, and as many others (1).
        classes: number of classes; null: as many as the data have, known when the method is adapted to them.
        backbone: ``"quick"``: Caffe's CIFAR-10 quick (its use is recalled, sizes are Caffe's); ``"dense"``: one hidden
            layer of 25 units, the NORB network (recalled); ``"small"``: ``"quick"`` with half the channels, and initial
            values for short training.
        features: numbers in z (64).
        color: whether the network sees color, or gray (paper).
        resize: frames and images are scaled so that their shorter side has this many pixels (32).
        crop_size: of what the network sees, in pixels (32).

    Reference:
        R. Hadsell, S. Chopra, Y. LeCun: Dimensionality reduction by learning an invariant mapping. CVPR 2006.
    """

    paper: ClassVar[Paper] = Paper(
        "Slow and Steady Feature Analysis: Higher Order Temporal Coherence in Video", "Jayaraman, Grauman", "CVPR", 2016
    )
    inputs: ClassVar[str] = "clips, and a few labeled images"
    kind: ClassVar[str] = "part-labeled clips"
    output_layers: ClassVar[tuple[str, ...]] = ("logits",)

    slowness: float = Field(1.0, ge=0)
    steadiness: float = Field(1.0, ge=0)
    contrast: bool = True
    delta: float = Field(1.0, gt=0)
    distance: Literal["squared", "l1"] = "squared"
    window: float = Field(0.5, gt=0)
    pairs: int = Field(1, ge=1)
    triples: int = Field(1, ge=1)
    classes: int | None = Field(None, ge=2)
    backbone: Annotated[Any, Backbone("quick", "dense", "small")] = "quick"
    features: int = Field(64, ge=1)
    color: bool = False
    resize: int = Field(32, ge=8)
    crop_size: int = Field(32, ge=8)

    @model_validator(mode="after")
    def _check(self):
        if self.resize < self.crop_size:
            raise ValueError(f"`resize` must be at least crop_size ({self.crop_size}). Received: resize={self.resize}")
        if is_open(self.backbone) and not self.color:
            raise ValueError("`color` must be true for networks of others, which see RGB")
        return self

    @property
    def weights(self):
        """``{term of the loss: its weight}`` of those that have any: ``label``, ``pairs``, ``triples``."""
        found = {"label": 1.0, "pairs": self.slowness, "triples": self.slowness * self.steadiness}
        return {term: weight for term, weight in found.items() if weight}

    @property
    def names(self):
        """Names of the classes, of a method that is adapted to data; otherwise None."""
        found = self.statistics.get("classes")
        return None if found is None else tuple(map(str, found))

    @property
    def min_size(self):
        return self.resize

    def open(self, data):
        from tfssl.data.part_labeled import part_labeled_clips

        source = part_labeled_clips(data, classes=self.names, min_size=self.resize)
        found = len(_classes(source))
        if self.classes not in (None, found):
            raise SourceError(f"`data` has {found} classes, `classes` says {self.classes}; leave it out, or correct it")
        return source

    def adapt(self, source):
        """``classes``: the names of the classes, str (n,)."""
        import numpy as np

        return {"classes": np.array(_classes(source))}

    def sample(self, example, rng, training):
        """A labeled image uint8 (s, s, 3), its class int32; of terms that count pairs uint8 (n, 2, s, s, 3) and
        nearness int32 (n,), triples uint8 (m, 3, s, s, 3) and steadiness int32 (m,)."""
        return data.draw(self, example, rng, training)

    def prepare(self, *arrays):
        return data.to_inputs(self, *arrays)

    def model(self, optimizer=None):
        import keras

        from tfssl.methods.slow_steady.loss import ActiveFraction, TupleContrastive
        from tfssl.methods.slow_steady.network import build_network

        count = len(self.names) if self.names else self.classes
        if count is None:
            raise ConfigError(
                "`classes` is not known: give it, or adapt the method to its data: method.adapted(method.adapt(source))"
            )
        network = build_network(
            self.backbone,
            size=self.crop_size,
            features=self.features,
            classes=count,
            color=self.color,
            tuples={"pairs": 2 * self.pairs, "triples": 2 * self.triples} if self.slowness else {},
            steady=bool(self.steadiness),
            distance=self.distance,
        )
        losses = {"label": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
        metrics = {"label": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]}
        for term in self.weights.keys() - {"label"}:
            losses[term] = TupleContrastive(self.delta, self.contrast, name=f"{term}_contrastive")
            metrics[term] = [ActiveFraction(self.delta)] if self.contrast else []
        # XLA fails under MirroredStrategy on CPU devices.
        options = {"loss_weights": self.weights, "metrics": metrics, "jit_compile": False}
        network.compile(optimizer or released_optimizer(), losses, **options)
        return network

    def encoder(self, model):
        """The layers below the softmax, on images of any size that are scaled to ``crop_size``; the last tap is z."""
        from tfssl.methods.slow_steady.network import build_encoder

        return build_encoder(model)

    @property
    def baseline(self):
        """Loss of equal features for all images: ln(classes), and delta for each far tuple, which half of them are.

        Of 2 classes where their number is not known yet.
        """
        count = len(self.names) if self.names else self.classes or 2
        far = self.delta / 2 if self.contrast else 0.0
        return math.log(count) + far * sum(weight for term, weight in self.weights.items() if term != "label")

    def evaluate(self, model, data, *, out=None, limit=None, repeats=4, seed=0, batch_size=64, progress=None):
        from tfssl.methods.slow_steady.evaluate import evaluate

        options = {"limit": limit, "repeats": repeats, "seed": seed, "batch_size": batch_size, "progress": progress}
        return evaluate(self, model, data, out=out, **options)


def _classes(source):
    return getattr(source, "source", source).labeled.classes  # of what worker processes read


def released_optimizer():
    """Caffe's cifar-quick solver: SGD at 0.001, momentum 0.9 (Nesterov's: recalled), weights decay by 0.004."""
    from tfssl.optimizers import SGD

    return SGD(0.001, momentum=0.9, nesterov=True, weight_decay=0.004, weight_decay_form="coupled")
