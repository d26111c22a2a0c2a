"""The two calls most people need: load a trained model, colorize a picture."""

import functools
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.errors import ModelError


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
    from tfssl.export.savedmodel import load_savedmodel
    from tfssl.resources import savedmodels
    from tfssl.training.runs import load_run

    path = Path(source).expanduser()
    if not path.exists() and (savedmodels() / path).is_dir() and str(source):
        path = savedmodels() / path
    if (path / "export.json").is_file():
        return load_savedmodel(path)
    if path.exists():
        return load_run(path)
    shipped = sorted(p.name for p in savedmodels().glob("*") if (p / "export.json").is_file())
    raise ModelError(
        f"no model {str(source)!r}: give a run directory, the folder of an export, or one of the shipped models "
        f"({', '.join(shipped) or 'none'})"
    )


@functools.lru_cache(maxsize=2)
def _predictor(source):
    from tfssl.methods.colorization.predict import compiled_predictor

    method, model = load(source)
    if method.name() != "colorization":
        raise ModelError(f"model {str(source)!r} is a {method.name()} model; colorizing needs a colorization model")
    return method, compiled_predictor(method, model)


def colorize(image, *, model="colorizer", temperature=None):
    """Colorize one picture at its own size.

    Args:
        image: a path, encoded bytes, a ``PIL.Image``, or an array (H, W), (H, W, 1) or (H, W, 3), uint8 or float
            in [0, 1]. The colours of a colour picture are ignored, only its lightness is used.
        model: see :func:`load`.
        temperature: T of the annealed mean in (0, 1]: lower is more vivid, 1 most cautious. None is the model's.

    Returns:
        ``PIL.Image``, RGB, as large as the input.

    Raises:
        ValueError: if the picture cannot be read.
        ModelError: if the model cannot be loaded.
    """
    from tfssl.data.images import array_to_image, decode_image
    from tfssl.methods.colorization.colorize import colorize_image

    if isinstance(image, (str, bytes, os.PathLike)):
        image = decode_image(image)
    elif isinstance(image, np.ndarray):
        image = array_to_image(image)
    elif not isinstance(image, Image.Image):
        raise TypeError(f"`image` must be a path, bytes, PIL.Image or array. Received: {type(image).__name__}")
    method, predict = _predictor(str(model))
    image = image.convert("RGB")
    return colorize_image(
        predict, image, temperature=temperature, side=method.network_side, stride=method.output_stride
    )
