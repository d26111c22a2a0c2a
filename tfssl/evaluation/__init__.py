"""An encoder in, numbers out: metrics and transfer tasks that know no method.

A task is a module of ``tasks/`` that has a function ``evaluate(encoder, data, *, out=None, ...)`` and gives a
:class:`~tfssl.evaluation.record.Record`; its options are the function's keyword arguments. Adding a file adds a task to
``tfssl evaluate --task``. These arguments mean the same in every task that has them:

Args:
    encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: map (B, h, w, c)}``, the deepest tap last. It is
        measured beside the same network with new random weights; its own weights stay as they are.
    data: folder of the training images, one folder for each class; or one folder with ``train/`` and ``test/``.
    test: folder of the test images, one folder for each class; None where ``data`` holds ``train/`` and ``test/``.
    train_split, test_split: where ``data`` is a benchmark's directory, names of the splits in it (VOC 2007:
        ``"trainval"``, ``"test"``).
    classes: names of the classes, in the order of their numbers; None for those that the annotations name.
    taps: names of the taps to measure, on the command line parted by commas; None for all.
    tap: name of the tap to measure; None for the last one.
    pool: rows and columns of the grid that maps are averaged to, at least 1; None for vectors of about 9000 numbers.
    image_size: 8 to 2048; the shorter side of an image is scaled to so many pixels, and the center square taken.
    crops: 1, or 10 to measure ten crops of each test image too, out of images that are 256 / 227 as large.
    limit: use at most so many images of each split, at least 1; None for all. They lie evenly spread over the split,
        class after class where images have one: always the same.
    strategy: what becomes of the encoder: ``"freeze"``, ``"fine_tune"``, ``"augment"`` or ``"joint"``, which trains it
        beside its pretext task; networks without one are then fine-tuned.
    train_from: with ``"fine_tune"``, the first tap whose layers are trained; None trains all.
    steps: of the training, at least 1.
    batch_size: images in a batch of the training, at least 1.
    learning_rate: of the training, above 0.
    seeds: number of runs, at least 1, with seeds 0, 1, ... of whatever is random, such as splits, order and new layers.
    compare: further encoders to measure beside, ``{name: keras.Model}``; on the command line sources, as RUN.
    trained: False if the encoder's weights are random: then each seed draws new ones, and it is its own baseline.
    pretext: a :class:`tfssl.transfer.training.Pretext`, for strategy ``"joint"``.
    pretext_weight: of the pretext task's loss (lambda), with strategy ``"joint"``.
    pretext_data: of :func:`tfssl.evaluate`: images that the pretext task goes on with; ``"joint"`` needs them.
    out: folder for ``metrics.json``, ``runs.csv``, and the pictures and tables of the task; None writes nothing.
    progress: called with (units of work done, in all, what), at first with none done, once the arguments are checked.

Raises:
    SourceError: if ``data`` is not what the task needs.
    ConfigError: for a setting outside its range, or a tap that an encoder lacks.
    TrainingError: if a loss becomes NaN.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from tfssl import runtime
from tfssl.errors import ConfigError, suggest
from tfssl.options import declared, meanings

_NOT_GIVEN = ("encoder", "data", "out", "progress", "trained", "references", "pretext")
"""Arguments of tasks that are no options: :func:`tfssl.evaluate` gives them."""

_FOLDER = Path(__file__).parent / "tasks"


def task_names() -> list[str]:
    """Names of all tasks, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)]))


def get_task(name: str) -> Callable:
    """The ``evaluate`` function of a task; a ConfigError names the nearest task if there is none of that name."""
    return runtime.measuring()(importlib.import_module(_module(name)).evaluate)


def task_options(name: str) -> dict[str, object]:
    """``{option: default}`` that a user can give to a task, found without importing it."""
    found = declared(_module(name), "evaluate")
    found |= {"pretext_data": None} if "pretext" in found else {}
    return {option: default for option, default in found.items() if option not in _NOT_GIVEN}


def task_meanings(name: str) -> dict[str, str]:
    """``{option: what it means}`` of a task, as the docstrings have it."""
    return meanings(__name__) | meanings(_module(name), "evaluate")


def _module(name):
    if name not in task_names():
        raise ConfigError(f"unknown task `{name}`: {suggest(name, task_names(), 'known tasks')}")
    return f"{__name__}.tasks.{name}"
