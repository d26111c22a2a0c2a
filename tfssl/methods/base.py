"""The contract of every method: one frozen, checked configuration with the verbs of a training run.

Importing a method imports neither Keras nor TensorFlow: the verbs that need them import them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pydantic

from tfssl.data.images import image_source
from tfssl.errors import ConfigError, suggest

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

    from tfssl.backbones.encoder import Encoder
    from tfssl.data.source import Source
    from tfssl.endpoint import Endpoint


@dataclasses.dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    title: str
    authors: str
    venue: str
    year: int


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a training run that has a model of its own.

    Learning without gradients is a model whose ``train_step`` applies its rule: ``model.fit`` stays the one verb, and
    the model is compiled without an optimizer.

    Args:
        name: one word, for the log.
        fraction: of the run's epochs, in (0, 1]; those of all phases sum to 1.
        model: function of an optimizer and of the model of the phase before (trained; None in the first phase) that
            gives this phase's compiled model. It holds every weight that this phase and later ones need.
        baseline: training loss of the trivial predictor in this phase.
        learning_rate_scale: multiple of the run's learning rate.
        dataset: what takes the place of :meth:`Method.dataset` in this phase; None for nothing.
    """

    name: str
    fraction: float
    model: Callable
    baseline: float
    learning_rate_scale: float = 1.0
    dataset: Callable | None = None


class Method(pydantic.BaseModel):
    """A self-supervised method: hyper-parameters as keyword fields, and the verbs that use them.

    One image goes ``source.example(i) -> sample -> prepare -> model -> loss``. Subclasses live in
    ``tfssl/methods/<name>/`` and are found by folder name. Fields are checked on construction; a wrong or unknown one
    raises :class:`~tfssl.errors.ConfigError` with one line that names it.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)

    paper: ClassVar[Paper]
    inputs: ClassVar[str]
    """What the method learns from, in a few words, for the table of methods."""
    kind: ClassVar[str] = "images"
    """What :meth:`open` opens: ``"images"``, ``"clips"``, ``"sounds"``, ``"captions"``, ``"pairs"``."""
    export_name: ClassVar[str | None] = None
    """Under which an export is served, and of its files; None is :meth:`name`."""
    prepares_in_graph: ClassVar[bool] = True
    """Whether :meth:`prepare` is a function of tensors, or of NumPy arrays, called where the files are read."""

    _statistics: dict = pydantic.PrivateAttr(default_factory=dict)

    def __init__(self, **fields: Any):
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as error:
            raise ConfigError(describe(error, type(self))) from None

    # Data

    @property
    def min_size(self) -> int | None:
        """Pixels of the shorter side that decoding has to keep; None for all."""
        return None

    @property
    def examples_per_item(self) -> int:
        """Examples that :meth:`sample` takes from one item of a source: its arrays then have that many rows."""
        return 1

    def open(self, data) -> Source:
        """The source that the method learns from: of images, unless a method says otherwise."""
        return image_source(data, min_size=self.min_size)

    def sample(self, example: dict, rng: np.random.Generator, training: bool) -> tuple[np.ndarray, ...]:
        """Draw one example for the network from an example of a source, in NumPy.

        Args:
            example: a dict, see :mod:`tfssl.data.source`.
            rng: everything random comes from it; its seed follows from the run's and the position, in evaluation from
                the number of the item.
            training: cut and changed at random; otherwise only what the task itself draws is random.

        Returns:
            Arrays of fixed types and shapes.

        Raises:
            ValueError: where the example does not serve, with the reason.
        """
        raise NotImplementedError

    def prepare(self, *arrays):
        """``(inputs, targets)``, and maybe weights, of a batch of what :meth:`sample` gives.

        Tensors in the graph, or NumPy arrays, as :attr:`prepares_in_graph` says. A function of its arguments alone:
        randomness belongs to :meth:`sample`.
        """
        return arrays

    def adapt(self, source: Source) -> dict[str, np.ndarray]:
        """Statistics that training needs and data give, ``{name: array}``; none by default.

        Learned once before the first step, kept in the run directory and restored on resume. :attr:`statistics`
        holds them while :meth:`sample`, :meth:`prepare` and :meth:`model` are called.
        """
        return {}

    @property
    def statistics(self) -> dict[str, np.ndarray]:
        """What :meth:`adapt` gave, or nothing."""
        return self._statistics

    def adapted(self, statistics: Mapping[str, np.ndarray]) -> Method:
        """This method with statistics."""
        method = self.model_copy()
        method._statistics = dict(statistics)
        return method

    def dataset(
        self,
        data,
        *,
        batch_size: int,
        training: bool = True,
        seed: int = 0,
        start: int | None = None,
        count: int | None = None,
        skipped=None,
        limit: int | None = None,
        augment=None,
    ) -> tf.data.Dataset:
        """Batched, prefetched ``tf.data.Dataset`` of ``(inputs, targets)``, one epoch long.

        Args:
            data: what :meth:`open` takes, such as a folder of images; or a ``tf.data.Dataset`` of images.
            batch_size: examples per batch; in training the incomplete last batch is dropped.
            training: shuffled and augmented, anew in each iteration over the dataset.
            seed: of order and augmentation; the same seed gives the same batches.
            start: batch number in the training stream to start from (used to resume). None: each iteration
                over the dataset is the next epoch.
            count: number of batches, with ``start``.
            skipped: a :class:`tfssl.data.Skipped` that collects unreadable items.
            limit: in evaluation, use the first so many readable items.
            augment: list of Keras layers, or of names with arguments, that change the image before :meth:`sample`, in
                training; see :class:`tfssl.data.augment.Augmentation`.
        """
        import tensorflow as tf

        from tfssl.data.augment import Augmentation
        from tfssl.data.pipeline import batches

        return batches(
            data if isinstance(data, tf.data.Dataset) else self.open(data),
            self.sample,
            batch_size,
            prepare=self.prepare,
            in_graph=self.prepares_in_graph,
            training=training,
            seed=seed,
            start=start,
            count=count,
            skipped=skipped,
            limit=limit,
            per_item=self.examples_per_item,
            augment=None if augment is None else Augmentation(augment),
        )

    # Networks

    def model(self, optimizer: keras.optimizers.Optimizer | None = None) -> keras.Model:
        """A new, compiled model. ``optimizer`` None is the paper's."""
        raise NotImplementedError

    def encoder(self, model: keras.Model) -> Encoder:
        """Features of a trained model: of images, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``."""
        raise NotImplementedError

    @property
    def baseline(self) -> float:
        """Training loss of the trivial predictor that ignores its input."""
        raise NotImplementedError

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of a training run, in order; the last one's model is what :meth:`model` gives."""
        return (Phase("training", 1.0, lambda optimizer, previous: self.model(optimizer), self.baseline),)

    # Use

    def evaluate(self, model, data, *, out=None, limit=None, progress=None):
        """The method's own metrics on ``data``; writes tables and pictures to ``out``.

        Every method takes ``limit`` (use only the first so many items; None for all) and ``progress`` (called with
        items done and in all). Options of its own stand in its signature, where the command line finds them.
        """
        raise NotImplementedError

    def served(self, model: keras.Model) -> keras.Model:
        """The network that an export stores: the encoder, where the rest serves the pretext task only."""
        return self.encoder(model)

    def serving(self, network: keras.Model) -> dict[str, Endpoint]:
        """The endpoints of an export, ``{name: Endpoint}``, of the network that :meth:`served` gives."""
        from tfssl.endpoint import feature_endpoints

        return feature_endpoints(network)

    def sample_sheet(self, model, data, path):
        """Write a picture of what the model does with a few examples of ``data`` to ``path`` (PNG)."""
        raise NotImplementedError

    @classmethod
    def name(cls) -> str:
        """The name used in configurations: the folder's, ``Colorization`` -> ``colorization``; or ``module:Class``."""
        if not cls.__module__.startswith("tfssl.methods."):
            return f"{cls.__module__}:{cls.__name__}"
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")


def describe(error, cls, names=None):
    """One line for a pydantic error: the argument, the value and the fix."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    names = list(names if names is not None else cls.model_fields)
    if first["type"] == "extra_forbidden":
        return f"unknown key `{key}`: {suggest(key, names, 'known keys')}"
    message = first["msg"].removeprefix("Value error, ")
    if not key:  # a rule between several fields names them itself
        return message
    return f"`{key}`: {message[0].lower() + message[1:]}. Received: {key}={first['input']!r}"
