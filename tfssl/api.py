"""The calls most people need: load a trained model or its encoder, measure it, colorize a picture."""

import difflib
import functools
import inspect
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation import get_task
from tfssl.evaluation.table import append_result

_NO_OPTIONS = ("out", "progress", "trained", "references", "pretext")
"""Arguments of tasks that are not the user's to give."""


def load(source="colorizer"):
    """Load a trained model.

    Args:
        source: the name of a model that ships (``"colorizer"``), a run directory, or the folder of a SavedModel
            written by ``tfssl export``.

    Returns:
        ``(method, model)``: the checked configuration and the ``keras.Model``, in float32.

    Raises:
        ModelError: if there is no such model, or it is incomplete; names the models that ship.
    """
    from tfssl.backbones import Encoder
    from tfssl.export.run import load_source

    method, model = load_source(source)
    if isinstance(model, Encoder):
        raise ModelError(
            f"{str(source)!r} holds only the encoder of a {method.name()} model: give the run directory, or take "
            f"tfssl.load_encoder"
        )
    return method, model


def load_encoder(source):
    """Load an encoder: what evaluations and transfer take.

    Args:
        source: as :func:`load`; or the folder of an exported encoder, a .keras file of one,
            ``"random:BACKBONE"`` (a name of :data:`tfssl.backbones.BACKBONES`, untrained; RGB is shifted and scaled
            by (x - 0.5) / 0.25) or ``"pixels"``.

    Returns:
        :class:`~tfssl.backbones.encoder.Encoder`: of images, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        All its weights were loaded, unless random ones were asked for.

    Raises:
        ModelError: if there is no such model, it is incomplete or no encoder, or a weight is missing.
        ConfigError: for an unknown backbone.
    """
    from tfssl import layers
    from tfssl.backbones import Encoder
    from tfssl.backbones.encoder import as_encoder
    from tfssl.evaluation.runner import pixel_encoder
    from tfssl.export.run import load_source
    from tfssl.training.runs import read_network

    source = os.fspath(source)
    if source == "pixels":
        return as_encoder(pixel_encoder())
    if is_random(source):
        return _random_encoder(source.removeprefix("random:"))
    if source.endswith(".keras"):
        file = Path(source).expanduser()
        if not file.is_file():
            raise ModelError(f"no such file: {source!r}")
        layers.register()
        return as_encoder(read_network(file), f"{source!r}")
    method, model = load_source(source)
    return model if isinstance(model, Encoder) else as_encoder(method.encoder(model))


def is_random(source):
    """Whether a source of :func:`load_encoder` names random weights."""
    return os.fspath(source).startswith("random:")


def _random_encoder(backbone):
    import keras

    from tfssl.backbones import Encoder, build

    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3), name="rgb")
    taps = build(backbone, input_shape=(None, None, 3), fc=False)(keras.layers.Rescaling(4.0, offset=-2.0)(rgb))
    return Encoder(rgb, {name: tap for name, tap in taps.items() if name.startswith("conv")}, name=backbone)


def evaluate(source, data, *, task=None, out=None, table=None, progress=None, compare=None, **options):
    """Measure a trained model by its method's own metrics, or its encoder by a transfer task.

    Args:
        source: as :func:`load`; with a task, as :func:`load_encoder`.
        data: images, see :func:`tfssl.data.images.image_source`; with a task, folders of labeled ones.
        task: a name of :func:`tfssl.evaluation.task_names`; None for the method's own metrics.
        out: folder for ``metrics.json``, tables and pictures; None writes nothing.
        table: .csv or .json file that the evaluation is appended to as a row, see
            :func:`tfssl.evaluation.table.append_result`.
        progress: called with (done, in all).
        compare: further sources to measure beside.
        **options: of the method's or the task's ``evaluate``. With ``strategy="joint"`` also ``pretext_data``, pictures
            for the task that the run was trained on, which goes on beside.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``{name: Metric}``.

    Raises:
        ConfigError: for an unknown task or option.
        ModelError: if a model cannot be loaded, or has no weights.
        SourceError: if the data are not what is needed.
    """
    if compare:
        options["compare"] = compare
    if task is None:
        method, model = load(source)
        run = method.evaluate
        _check_options(run, options, f"the metrics of {method.name()}")
        options |= {"compare": [load(other) for other in compare]} if compare else {}
    else:
        run = get_task(task)
        pretext_data = options.pop("pretext_data", None)
        _check_options(run, options, f"the task {task}")
        if options.get("strategy") == "joint":
            model, options["pretext"] = _with_pretext(source, pretext_data)
        else:
            model = load_encoder(source)
        options |= {"compare": _named_encoders(compare)} if compare else {}
        options["trained"] = not is_random(source)
    if "progress" in _options(run):
        options["progress"] = progress
    record = run(model, data, out=out, **options).of(source)
    if out is not None:
        record.write(out)
    if table is not None:
        append_result(table, record)
    return record


def _with_pretext(source, data):
    """The encoder of a run, and its pretext task on pictures: they share their variables."""
    from tfssl.config import load_config
    from tfssl.transfer.training import Pretext

    if data is None:
        raise ConfigError("strategy=joint trains on the pretext task too: name its pictures, pretext_data=FOLDER")
    config = Path(source).expanduser() / "config.yaml"
    if not config.is_file():
        raise ModelError(f"strategy=joint needs a run directory. Received: {str(source)!r}")
    method, model = load(source)
    settings = load_config(config).settings
    batches = method.dataset(data, batch_size=settings.batch_size, seed=settings.seed).repeat()
    return method.encoder(model), Pretext(model, batches)


def _named_encoders(sources):
    names = [Path(source).name or os.fspath(source) for source in sources]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ConfigError(f"`compare`: two of them are called {repeated[0]!r}; rename a folder")
    return {name: load_encoder(source) for name, source in zip(names, sources, strict=True)}


def _options(function):
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.kind == p.KEYWORD_ONLY]


def _check_options(function, given, what):
    known = [name for name in _options(function) if name not in _NO_OPTIONS]
    for name, value in given.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            fix = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known) or 'none'}"
            raise ConfigError(f"{what}: there is no option `{name}`; {fix}")
        kind = _kind(inspect.signature(function).parameters[name].default)
        if kind is not None and _kind(value) != kind:
            raise ConfigError(f"{what}: `{name}` must be {kind}. Received: {name}={value!r}")


def _kind(value):
    """What an option is by its default; None where that says nothing."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    return kinds.get(type(value))


@functools.lru_cache(maxsize=2)
def _predictor(source):
    from tfssl.color.predict import compiled_predictor

    method, model = load(source)
    if method.name() != "colorization":
        raise ModelError(f"model {str(source)!r} is a {method.name()} model; colorizing needs a colorization model")
    return method, compiled_predictor(method, model)


def colorize(image, *, model="colorizer", temperature=None):
    """Colorize one picture at its own size.

    Args:
        image: a path, encoded bytes, a ``PIL.Image``, or an array (H, W), (H, W, 1) or (H, W, 3), uint8 or float
            in [0, 1]. The colors of a color picture are ignored, only its lightness is used.
        model: see :func:`load`.
        temperature: T of the annealed mean in (0, 1]: lower is more vivid, 1 most cautious. None is the model's.

    Returns:
        ``PIL.Image``, RGB, as large as the input.

    Raises:
        ValueError: if the picture cannot be read.
        ModelError: if the model cannot be loaded.
    """
    from tfssl.color.colorize import colorize_image
    from tfssl.data.images import array_to_image, decode_image

    if isinstance(image, (str, bytes, os.PathLike)):
        image = decode_image(image)
    elif isinstance(image, np.ndarray):
        image = array_to_image(image)
    elif not isinstance(image, Image.Image):
        raise TypeError(f"`image` must be a path, bytes, PIL.Image or array. Received: {type(image).__name__}")
    method, predict = _predictor(str(model))
    image = image.convert("RGB")
    return colorize_image(predict, image, temperature=temperature, side=method.image_size, stride=method.output_stride)
