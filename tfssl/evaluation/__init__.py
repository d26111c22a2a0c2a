"""An encoder in, numbers out: metrics and transfer tasks that know no method.

A task is a module of ``tasks/`` that has a function ``evaluate(encoder, data, *, out=None, ...)`` and gives a
:class:`~tfssl.evaluation.record.Record`; its options are the function's keyword arguments. Adding a file adds a task to
``tfssl evaluate --task``. These arguments mean the same in every task that has them:

Args:
    encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: map (B, h, w, c)}``, the deepest tap last. It is
        measured beside the same network with new random weights; its own weights stay as they are.
    data: folder of the training images, one folder for each class, and ``test`` that of the test images; or one folder
        with ``train/`` and ``test/``.
    train_split, test_split: where ``data`` is a benchmark's directory, names of the splits in it (VOC 2007:
        ``"trainval"``, ``"test"``).
    classes: names of the classes, in the order of their numbers; None for those that the annotations name.
    taps, tap: names of the taps to measure; None for all, or the last one.
    pool: rows and columns of the grid that maps are averaged to; None for vectors of about 9000 numbers.
    image_size: the shorter side of an image is scaled to so many pixels, and the center square taken.
    crops: 1, or 10 to measure ten crops of each test image too, out of images that are 256 / 227 as large.
    strategy: what becomes of the encoder, one of :data:`tfssl.transfer.STRATEGIES`. ``"joint"`` trains the encoder
        beside its ``pretext`` task; networks without one are then fine-tuned.
    train_from: with ``"fine_tune"``, the first tap whose layers are trained; None trains all.
    steps, batch_size, learning_rate: of the training, see :func:`tfssl.transfer.training.train_head`.
    seeds: number of runs, with seeds 0, 1, ... of whatever is random, such as splits, order and new layers.
    compare: further encoders, ``{name: keras.Model}``.
    trained: False if the encoder's weights are random: then each seed draws new ones, and it is its own baseline.
    pretext, pretext_weight: a :class:`tfssl.transfer.training.Pretext`, and lambda, for strategy ``"joint"``.
    out: folder for ``metrics.json``, ``runs.csv``, and the pictures and tables of the task; None writes nothing.
    progress: called with (units of work done, in all, what).

Raises:
    SourceError: if ``data`` is not what the task needs.
    ConfigError: for a setting outside its range, or a tap that an encoder lacks.
    TrainingError: if a loss becomes NaN.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from tfssl.errors import ConfigError, suggest
from tfssl.options import declared

_FOLDER = Path(__file__).parent / "tasks"


def task_names() -> list[str]:
    """Names of all tasks, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)]))


def get_task(name: str) -> Callable:
    """The ``evaluate`` function of a task; a ConfigError names the nearest task if there is none of that name."""
    return importlib.import_module(_module(name)).evaluate


def task_options(name: str) -> dict[str, object]:
    """``{option: default}`` of a task, found without importing it, see :func:`tfssl.options.declared`."""
    return declared(_module(name), "evaluate")


def _module(name):
    if name not in task_names():
        raise ConfigError(f"unknown task `{name}`: {suggest(name, task_names(), 'known tasks')}")
    return f"{__name__}.tasks.{name}"
