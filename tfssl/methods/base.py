"""The contract of every method: one frozen, checked configuration with the verbs of a training run.

Importing a method imports neither Keras nor TensorFlow: the verbs that need them import them.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pydantic

from tfssl import runtime
from tfssl.data.crop import Crop
from tfssl.data.images import image_source
from tfssl.data.listing import short
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, suggest
from tfssl.options import at_least_one

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

    Learning without gradients is a model whose ``train_step`` applies its rule, compiled without an optimizer.

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
    ``tfssl/methods/<name>/``. A wrong or unknown field raises :class:`~tfssl.errors.ConfigError`, which names it.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    paper: ClassVar[Paper]
    inputs: ClassVar[str]
    """What the method learns from, in a few words, for the table of methods."""
    kind: ClassVar[str] = "images"
    """What :meth:`open` opens: ``"images"``, ``"clips"``, ``"sounds"``, ``"captions"``, ``"pairs"``, ``"tracks"``,
    ``"actions"`` (clips with them), ``"crops"`` of tracks, ``"sounding clips"``, or ``"part-labeled clips"``."""
    export_name: ClassVar[str | None] = None
    """Under which an export is served, and of its files; None is :meth:`name`."""
    colorizes: ClassVar[bool] = False
    """Whether ``tfssl colorize`` takes its models: they are what :mod:`tfssl.color.predict` asks for."""
    prepares_in_graph: ClassVar[bool] = True
    """Whether :meth:`prepare` is a function of tensors, or of NumPy arrays, called where the files are read."""
    output_layers: ClassVar[tuple[str, ...]] = ()
    """Layers that start anew where ``weights`` are of a run that predicts something else."""

    _statistics: dict = pydantic.PrivateAttr(default_factory=dict)

    def __init__(self, **fields: Any):
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as error:
            raise ConfigError(describe(error, type(self))) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any):
        super().__pydantic_init_subclass__(**options)
        if "model" in vars(cls):  # every method's, those of users too
            cls.model = runtime.checked(cls.model)  # type: ignore[method-assign]
        if "evaluate" in vars(cls):
            cls.evaluate = runtime.measuring()(cls.evaluate)  # type: ignore[method-assign]

    # Data

    @property
    def min_size(self) -> int | None:
        """Pixels of the shorter side that decoding has to keep; None for all."""
        return None

    @property
    def crop(self) -> Crop:
        """How examples are cut, by the fields ``crop_size``, ``resize`` and ``crop_area`` of methods that have them."""
        fields: Any = self
        return Crop(fields.crop_size, resize=fields.resize, area=getattr(self, "crop_area", None))

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
            Arrays of fixed types and shapes; ValueError, with the reason, where the example does not serve.
        """
        raise NotImplementedError

    def prepare(self, *arrays):
        """``(inputs, targets)``, and maybe weights, of a batch of what :meth:`sample` gives, without randomness."""
        return arrays

    def blank(self, *arrays) -> str | None:
        """Why an example has nothing to learn from, the arrays of :meth:`sample`; None where it has.

        By default where the first array is an image, or several, (..., H, W, C), and all pixels of each are equal. A
        batch of such examples alone is told, a source of nothing else refused.
        """
        pixels = arrays[0]
        flat = pixels.ndim >= 3 and (pixels == pixels[..., :1, :1, :]).all()
        return "all pixels are equal" if flat else None

    def adapt(self, source: Source) -> dict[str, np.ndarray]:
        """Statistics that training needs and data give, ``{name: array}``; none by default.

        Learned once before the first step and kept in the run directory; :attr:`statistics` holds them afterwards.
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

    def dataset(self, data, *, batch_size: int, training: bool = True, augment=None, **options) -> tf.data.Dataset:
        """Batched, prefetched ``tf.data.Dataset`` of ``(inputs, targets)``, one epoch long.

        Args:
            data: what :meth:`open` takes, such as a folder of images; or a ``tf.data.Dataset`` of images.
            batch_size: examples per batch; in training the incomplete last batch is dropped.
            training: shuffled and augmented, anew in each iteration over the dataset.
            augment: list of Keras layers, or of names with arguments, that change the image before :meth:`sample`, in
                training; see :class:`tfssl.data.augment.Augmentation`.
            **options: ``seed`` of order and draws; ``start`` and ``count``, batches of the training stream, to resume;
                ``skipped`` and ``limit``: see :func:`tfssl.data.pipeline.batches`.
        """
        runtime.check()
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
            blank=self.blank,
            per_item=self.examples_per_item,
            augment=None if augment is None else Augmentation(augment),
            **options,
        )

    # Networks

    def model(self, optimizer: keras.optimizers.Optimizer | None = None) -> keras.Model:
        """A new, compiled model. ``optimizer`` None is the paper's."""
        raise NotImplementedError

    def start(self, model: keras.Model, weights: str) -> bool:
        """Load published weights into a new model by their name; False if the method knows none of that name."""
        return False

    def encoder(self, model: keras.Model) -> Encoder:
        """Features of a trained model: of images, RGB in [0, 1] or uint8, (B, H, W, 3) -> ``{tap: (B, h, w, c)}``."""
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

    def measured(self, source, batch_size, skipped, *, limit=None, progress=None, seed=0, repeats=1):
        """The batches of an evaluation: ``repeats`` passes over a source, each with a seed of its own from ``seed`` on.

        Arguments as :meth:`dataset` and :meth:`evaluate`; raises their errors.
        """
        at_least_one(limit=limit, repeats=repeats)
        check_source(source)
        total, done = repeats * min(len(source), limit or len(source)), 0
        options = {"batch_size": batch_size, "training": False, "skipped": skipped, "limit": limit}
        for own_seed in range(seed, seed + repeats):
            for batch in self.dataset(source, seed=own_seed, **options):
                yield batch
                done += len(batch[1])
                if progress is not None:
                    progress(done, total)

    def evaluate(self, model, data, *, out=None, limit=None, progress=None):
        """The method's own metrics on ``data``.

        Args:
            model: of :meth:`model`, or loaded.
            data: what :meth:`open` takes; it should not have trained the model.
            out: folder for ``metrics.json`` and pictures; None writes nothing.
            limit: use at most so many items, the first readable ones, at least 1; None for all.
            batch_size: examples that the network sees at a time; changes nothing but memory. Not every method has it.
            progress: called with (items done, items in all).

        Options of a method's own stand in its signature, where the command line finds them.

        Returns:
            :class:`~tfssl.evaluation.record.Record`.

        Raises:
            SourceError: if nothing is readable, or most is not.
            ConfigError: for an option outside its range.
            ModelError: if the model predicts NaN.
        """
        raise NotImplementedError

    @classmethod
    def metric_options(cls) -> dict[str, object]:
        """``{option: default}`` that a user can give to :meth:`evaluate`."""
        found = inspect.signature(cls.evaluate).parameters.values()
        return {p.name: p.default for p in found if p.kind == p.KEYWORD_ONLY and p.name not in ("out", "progress")}

    def served(self, model: keras.Model) -> keras.Model:
        """The network that an export stores: the encoder, where the rest serves the pretext task only."""
        return self.encoder(model)

    def serving(self, network: keras.Model) -> dict[str, Endpoint]:
        """The endpoints of an export, ``{name: Endpoint}``, of the network that :meth:`served` gives."""
        from tfssl.endpoint import feature_endpoints

        return feature_endpoints(network)

    def sample_sheet(self, model, data, path):
        """Draw what the model does with a few examples of ``data`` to ``path`` (PNG).

        They are spread evenly over the source and always the same; an unreadable one gives way to the next.
        By default ``write_sheet(method, model, data, path)`` of the folder's ``evaluate.py`` does it.

        Raises:
            SourceError: if none is readable.
        """
        importlib.import_module(f"{type(self).__module__}.evaluate").write_sheet(self, model, data, path)

    @classmethod
    def name(cls) -> str:
        """The name used in configurations: the folder's, ``Colorization`` -> ``colorization``; or ``module:Class``."""
        if not cls.__module__.startswith("tfssl.methods."):
            return f"{cls.__module__}:{cls.__name__}"
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")


def _check_area(area):
    if area is not None and not 0 < area[0] <= area[1] <= 1:
        raise ValueError("must be (smallest, largest) with 0 < smallest <= largest <= 1")
    return area


BatchNormEpsilon = Annotated[float | None, pydantic.Field(gt=0)]
BatchNormMomentum = Annotated[float | None, pydantic.Field(ge=0, lt=1)]

CropArea = Annotated[tuple[float, float] | None, pydantic.AfterValidator(_check_area)]
"""A field: (smallest, largest) fraction of an image's area that a crop covers, or None."""


def check_resize(resize, crop_size):
    """Raise ValueError, for a rule between fields, where crops would be larger than what they are cut from."""
    if resize is not None and resize < crop_size:
        raise ValueError(f"`resize` must be at least crop_size ({crop_size}). Received: resize={resize}")


def describe(error, cls, names=None):
    """One line for a pydantic error: the argument, the value and the fix."""
    first = error.errors()[0]
    # Below the field only numbers of items: the rest are names that pydantic gives to the types it tried.
    key = ".".join(str(part) for place, part in enumerate(first["loc"]) if place == 0 or isinstance(part, int))
    names = list(names if names is not None else cls.model_fields)
    if first["type"] == "extra_forbidden":
        return f"unknown key `{key}`: {suggest(key, names, 'known keys')}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        close = difflib.get_close_matches(first["input"], re.findall(r"'([^']*)'", message), n=1)
        message += f" (did you mean `{close[0]}`?)" if close else ""
    if not key:  # a rule between several fields names them itself
        return message
    try:
        given = short(first["input"])
    except ValueError:  # Python does not write numbers of thousands of digits
        given = "a number of thousands of digits"
    return f"`{key}`: {message[0].lower() + message[1:]}. Received: {key}={given}"
