"""The contract of every method: one frozen, checked configuration with the verbs of a training run."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import keras
import pydantic

from tfssl.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    title: str
    authors: str
    venue: str
    year: int


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One signature of an exported model.

    Args:
        function: a function of tensors written with TensorFlow core operators.
        signature: its ``tf.TensorSpec`` arguments, in order.
        relative: whether the outputs have no unit of their own, as features: what an export may deviate by is then a
            share of their mean magnitude.
        mobile: whether a .tflite file can hold it: float32 pictures or maps in, (B, H, W, C), float32 ones out. The
            first such endpoint of a method is the one that does.
        unit: what one unit of ab is in the outputs, which says how far an export may deviate: 1 for ab, 1/100 for
            colors in [0, 1], because ab are measured on the scale of L, from 0 to 100.
        where: name of an input that is 1 where the outputs are the network's own, None if they are everywhere. What
            a .tflite file only hands back elsewhere is left out of its mean error.
    """

    function: object
    signature: tuple
    relative: bool = False
    mobile: bool = False
    unit: float = 1.0
    where: str | None = None


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a training run that has a model of its own.

    Args:
        name: one word, for the log.
        share: of the run's epochs, in (0, 1]; those of all phases sum to 1.
        model: function of an optimizer and of the model of the phase before (trained; None in the first phase) that
            gives this phase's compiled model. It holds every weight that this phase and later ones need.
        baseline: training loss of the trivial predictor in this phase.
        rate: multiple of the run's learning rate.
    """

    name: str
    share: float
    model: Callable
    baseline: float
    rate: float = 1.0


class Method(pydantic.BaseModel):
    """A self-supervised method: hyper-parameters as keyword fields, and the verbs that use them.

    Subclasses live in ``tfssl/methods/<name>/`` and are found by folder name. Fields are checked on construction;
    a wrong or unknown one raises :class:`~tfssl.errors.ConfigError` with one line that names it.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)

    paper: ClassVar[Paper]
    inputs: ClassVar[str]
    """What the method learns from, in a few words, for the table of methods."""
    export_name: ClassVar[str | None] = None
    """Under which an export is served, and of its files; None is :meth:`name`."""

    def __init__(self, **fields):
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as error:
            raise ConfigError(describe(error, type(self))) from None

    def examples(self, source, *, training, seed=0):
        """Unbatched ``tf.data.Dataset`` of ``(inputs, targets)``."""
        raise NotImplementedError

    def dataset(self, source, *, batch_size, training=True, seed=0, start=None, count=None, skipped=None):
        """Batched, prefetched ``tf.data.Dataset`` of ``(inputs, targets)``, one epoch long.

        Args:
            source: see :func:`tfssl.data.images.image_source`.
            batch_size: examples per batch; in training the incomplete last batch is dropped.
            training: shuffled and augmented, anew in each iteration over the dataset.
            seed: of order and augmentation; the same seed gives the same batches.
            start: batch number in the training stream to start from (used to resume). None: each iteration
                over the dataset is the next epoch.
            count: number of batches, with ``start``.
            skipped: a :class:`tfssl.data.pipeline.Skipped` that collects unreadable images.
        """
        raise NotImplementedError

    def model(self, optimizer=None) -> keras.Model:
        """A new, compiled model. ``optimizer`` None is the paper's."""
        raise NotImplementedError

    def encoder(self, model) -> keras.Model:
        """Features of a trained model: RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``."""
        raise NotImplementedError

    @property
    def baseline(self) -> float:
        """Training loss of the trivial predictor that ignores its input."""
        raise NotImplementedError

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of a training run, in order; the last one's model is what :meth:`model` gives."""
        return (Phase("training", 1.0, lambda optimizer, previous: self.model(optimizer), self.baseline),)

    def evaluate(self, model, source, *, out=None, **options) -> dict:
        """The method's own metrics on ``source`` as a flat dict; writes tables and pictures to ``out``.

        Every method takes ``limit`` (use only the first so many images; None for all) and ``progress`` (called with
        images done and in all). Options of its own stand in its signature, where the command line finds them.
        """
        raise NotImplementedError

    def served(self, model) -> keras.Model:
        """The network that an export stores: the model, or its encoder where the rest serves the pretext task only."""
        return model

    def serving(self, network) -> dict[str, Endpoint]:
        """The endpoints of an export, ``{name: Endpoint}``, of the network that :meth:`served` gives."""
        raise NotImplementedError

    def sample_sheet(self, model, source, path):
        """Write a picture of what the model does with a few images of ``source`` to ``path`` (PNG)."""
        raise NotImplementedError

    @classmethod
    def name(cls):
        """The folder name, as used in configurations: ``Colorization`` -> ``colorization``."""
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")


def describe(error, cls, names=None):
    """One line for a pydantic error: the argument, the value and the mend."""
    import difflib

    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    names = list(names if names is not None else cls.model_fields)
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, names, n=1)
        mend = f"did you mean `{close[0]}`?" if close else "known keys: " + ", ".join(names)
        return f"unknown key `{key}`: {mend}"
    message = first["msg"].removeprefix("Value error, ")
    if not key:  # a rule between several fields names them itself
        return message
    return f"`{key}`: {message[0].lower() + message[1:]}. Received: {key}={first['input']!r}"
