"""The calls most people need: load a trained model or its encoder, measure it, colorize an image."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tfssl import methods, runtime
from tfssl.encoders import find_encoder, is_random, load_encoder
from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation import get_task, task_options
from tfssl.evaluation.table import append_result, check_table
from tfssl.files import check_folder
from tfssl.options import as_path, check, check_strength, check_temperature, check_variant
from tfssl.resources import find_model, method_of, model_state

if TYPE_CHECKING:
    import keras

    from tfssl.evaluation.record import Record
    from tfssl.methods.base import Method

    Pathlike = str | os.PathLike[str]

_NO_OPTIONS = ("networks", "out", "progress", "skipped")
"""Arguments of what `visualize` draws that are not the user's to give."""


def load(source: Pathlike = "colorizer") -> tuple[Method, keras.Model]:
    """Load a trained model: ``(method, model)``, the checked configuration and the ``keras.Model``, in float32.

    Args:
        source: the name of a model that ships (``"colorizer"``), a run directory, or the folder of a SavedModel
            written by ``tfssl export``.

    Raises:
        ModelError: if there is no such model, or it is incomplete; names the models that ship.
    """
    find_model(source)
    from tfssl.backbones import Encoder
    from tfssl.export.run import load_source

    method, model = load_source(source)
    if isinstance(model, Encoder):
        what = f"holds only the encoder of a {method.name()} model"
        raise ModelError(f"{str(source)!r} {what}: give the run directory, or take tfssl.load_encoder")
    return method, model


def evaluate(
    source: Pathlike,
    data,
    *,
    task: str | None = None,
    out: Pathlike | None = None,
    table: Pathlike | None = None,
    progress: Callable | None = None,
    compare: Pathlike | Sequence[Pathlike] | None = None,
    ensemble: Pathlike | Sequence[Pathlike] | None = None,
    **options: Any,
) -> Record:
    """Measure a trained model by its method's own metrics, or its encoder by a transfer task.

    Args:
        source: as :func:`load`; with a task, as :func:`load_encoder`.
        data: images, see :func:`tfssl.data.images.image_source`; with a task, folders of labeled ones.
        task: a name of :func:`tfssl.evaluation.task_names`; None for the method's own metrics.
        out: folder for ``metrics.json``, tables and pictures; None writes nothing.
        table: .csv or .json file that the evaluation is appended to as a row.
        progress: called with (done, in all).
        compare: further sources to measure beside.
        ensemble: with a task, further encoders whose taps are joined to those of ``source``, see
            :func:`tfssl.backbones.ensemble`; each of them is measured beside, by its name.
        **options: of the method's or the task's ``evaluate``. With ``strategy="joint"`` also ``pretext_data``, images
            for the task that the run was trained on, which goes on beside.

    Raises:
        ConfigError, ModelError, SourceError: for an unknown task or option, a model that cannot be loaded, other data.
    """
    as_path("source", source)
    out, table = (value if value is None else as_path(name, value) for name, value in (("out", out), ("table", table)))
    others, members = _as_list("compare", compare), _as_list("ensemble", ensemble)
    if isinstance(options.get("taps"), str):
        options["taps"] = options["taps"].split(",")
    _check_evaluation(source, task, options | ({"compare": others} if others else {}))
    if members:
        members = [source, *members]
        _check_ensemble(members, task, options.get("strategy"))
    if out is not None:
        check_folder(out)
    if table is not None:
        check_table(table)
    runtime.check_backend()
    if task is None:
        method, model = load(source)
        run = method.evaluate
        options |= {"compare": _named("compare", others, load)} if others else {}
    else:
        run = get_task(task)
        pretext_data = options.pop("pretext_data", None)
        if options.get("strategy") == "joint":
            model, options["pretext"] = _with_pretext(source, pretext_data)
        else:
            model = load_encoder(source)
        beside = _named("compare", others, load_encoder)
        if members:
            joined = _named("ensemble", members, lambda item: model if item is source else load_encoder(item))
            model, beside = _joined(joined, options), joined | beside
        options |= {"compare": beside} if beside else {}
        options["trained"] = not all(map(is_random, members or [source]))
    if "progress" in inspect.signature(run).parameters:
        options["progress"] = progress
    from tfssl.data.pipeline import pipeline_errors

    with pipeline_errors("be measured on"):
        record = run(model, data, out=out, **options).of(" + ".join(map(os.fspath, members or [source])))
    if out is not None:
        record.write(out)
    if table is not None:
        append_result(table, record)
    return record


def _as_list(argument, sources):
    """What is given to ``compare`` or ``ensemble``: one source, or several."""
    if sources is None:
        return []
    sources = list(sources) if isinstance(sources, (list, tuple)) else [sources]
    for source in sources:
        as_path(argument, source)
    return sources


def _check_ensemble(members, task, strategy):
    if task is None:
        raise ConfigError("`ensemble` joins encoders, for a task: name one, task=linear_probe")
    if strategy == "joint":
        raise ConfigError("`ensemble`: strategy=joint goes on with one pretext task; choose another strategy")
    _names("ensemble", members)
    for member in members:
        find_encoder(member)


def _joined(members, options):
    """The members as one encoder, with the taps that the task is asked to measure."""
    from tfssl.backbones import ensemble

    taps = options.get("taps") or ([options["tap"]] if options.get("tap") else None)
    return ensemble(members, taps)


def _with_pretext(source, data):
    """The encoder of a run, and its pretext task on images: they share their variables."""
    from tfssl.config import load_config
    from tfssl.transfer.training import Pretext

    if data is None:
        raise ConfigError("strategy=joint trains on the pretext task too: name its images, pretext_data=FOLDER")
    config = as_path("source", source) / "config.yaml"
    if not config.is_file():
        raise ModelError(f"strategy=joint needs a run directory. Received: {str(source)!r}")
    method, model = load(source)
    settings = load_config(config).settings
    batches = method.dataset(data, batch_size=settings.batch_size, seed=settings.seed).repeat()
    return method.encoder(model), Pretext(model, batches)


def _named(argument, sources, open_one):
    return {name: open_one(source) for name, source in zip(_names(argument, sources), sources, strict=True)}


def _names(argument, sources):
    names = [Path(source).name or os.fspath(source) for source in sources]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"`{argument}`: two of them are called {repeated[0]!r}; rename a folder")
    return names


def _check_evaluation(source, task, options):
    """What can be known to be wrong before TensorFlow is imported."""
    if task is not None:
        known, what = task_options(task), f"the task {task}"
        find_encoder(source)
    else:
        name = method_of(source)
        if name is None:
            return  # loading it says what is wrong
        known, what = methods.get(name).metric_options(), f"the metrics of {name}"
    check(options, known, what)


def visualize(
    source: Pathlike,
    kind: str,
    *,
    out: Pathlike,
    compare: Sequence[Pathlike] = (),
    seed: int = 0,
    progress: Callable | None = None,
    skipped=None,
    **options: Any,
) -> dict[str, dict[str, float]]:
    """Draw what a network learned, beside the same network untrained and others.

    Args:
        source: see :func:`load_encoder`.
        kind: one of :data:`tfssl.report.kinds.KINDS`.
        out: folder for the images, ``index.html`` and ``numbers.json``.
        compare: further sources to set beside.
        seed: of the untrained network and of all that is drawn by chance.
        progress: called with (done, in all).
        skipped: a :class:`tfssl.data.Skipped` that collects unreadable images.
        **options: of the kind's function.

    Returns:
        ``{network: {name: number}}``.

    Raises:
        ConfigError, ModelError, SourceError: as :func:`evaluate`, and for two networks of one name.
    """
    from tfssl.report import kinds

    known, out, compare = kinds.kind_options(kind), as_path("out", out), _as_list("compare", compare)
    check(options, {name: default for name, default in known.items() if name not in _NO_OPTIONS}, kind)
    for name, value in options.items():
        if isinstance(value, list) and name in ("tap", "photo") and (kind, name) not in _LISTS:
            raise ConfigError(f"`{name}` can be given once for {kind}. Received: {', '.join(map(str, value))}")
    if isinstance(options.get("photo"), str) and (kind, "photo") in _LISTS:
        options["photo"] = [options["photo"]]
    paths = [as_path("source", source), *(as_path("compare", other) for other in compare)]
    names = [path.absolute().name if path.exists() else str(path) for path in paths]
    for name in names:
        if names.count(name) > 1 or name == "untrained":
            raise ConfigError(f"`compare`: two networks would be called {name!r}; rename a folder")
    for item in (source, *compare):
        find_encoder(item)
    check_folder(out)
    runtime.check_backend()
    from tfssl.data.pipeline import pipeline_errors

    networks = _beside_untrained(names[0], source, seed)
    networks |= {name: load_encoder(other) for name, other in zip(names[1:], compare, strict=True)}
    given = {"seed": seed, "skipped": skipped, "progress": progress}
    options |= {name: value for name, value in given.items() if name in known}
    with pipeline_errors("be drawn from"):
        return kinds.draw(kind, networks, out=out, **options)


_LISTS = (("dream", "tap"), ("distance", "photo"))
"""Options of kinds that take several values; of the others there is one."""


def _beside_untrained(name, source, seed):
    from tfssl.evaluation.baselines import learned, untrained

    encoder = load_encoder(source)
    # Something without weights that training found, or with random ones, is its own control.
    alone = not learned(encoder) or is_random(source)
    return {name: encoder} if alone else {name: encoder, "untrained": untrained(encoder, seed)}


@functools.lru_cache(maxsize=2)
def _predictor(source, state):
    """The colorizer at ``source``; ``state`` is there for the cache: what is trained or exported anew is read anew."""
    from tfssl.color import predict

    method, model = load(source)
    if not method.colorizes:
        raise ModelError(f"model {str(source)!r} is a {method.name()} model; colorizing needs a colorization model")
    colors = predict.compiled_predictor(method, method.served(model))
    return method, colors, functools.cache(lambda: predict.compiled_scores(method, model))


def colorize(
    image: Pathlike | bytes | Image.Image | np.ndarray,
    *,
    model: Pathlike = "colorizer",
    temperature: float | None = None,
    strength: float = 1.0,
    variant: int = 0,
    hints: Sequence[dict] = (),
) -> Image.Image:
    """Colorize one image at its own size.

    Args:
        image: a path, encoded bytes, a ``PIL.Image`` of any mode, read as the file it was opened from (orientation,
            color profile, transparency over white), or an array (H, W), (H, W, 1) or (H, W, 3), uint8 or float in
            [0, 1]. The colors of a color image are ignored, only its lightness is used.
        model: see :func:`load`.
        temperature: T of the annealed mean in (0, 1]: lower is more vivid, 1 most cautious. None is the model's.
        strength: factor of the predicted chroma in [0, 2]: 0 is gray, 1 as predicted.
        variant: 0 is the usual coloring, 1 to 8 are other plausible ones: :mod:`tfssl.color.variants`.
        hints: colors that are known, ``[{"x": 120, "y": 80, "color": "#a03020"}, ...]``: :mod:`tfssl.color.hints`.

    Returns:
        ``PIL.Image``, RGB, as large as the input.

    Raises:
        SourceError, ArgumentError: if the image cannot be read, or is none.
        ConfigError: for a temperature, strength, variant or hint that there cannot be.
        ModelError: if the model cannot be loaded, or predicts no distribution, which variants and hints need.
    """
    check_temperature(temperature)
    check_strength(strength)
    check_variant(variant)
    from tfssl.color.hints import read_hints

    given = read_hints(hints)
    source, state = model_state("model", model)
    from tfssl.color.colorize import colorize_image
    from tfssl.data.images import any_image

    found = any_image(image)
    method, predict, scores = _predictor(source, state)
    return colorize_image(
        predict,
        found,
        image_size=method.image_size,
        stride=method.output_stride,
        temperature=method.temperature if temperature is None else temperature,
        strength=strength,
        variant=variant,
        hints=given,
        scores=scores() if variant or given else None,
    )
