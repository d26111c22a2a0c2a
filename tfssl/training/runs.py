"""Run directories and shipped models: finding and loading them."""

from pathlib import Path

import keras

from tfssl.config import load_config
from tfssl.errors import ModelError


def model_file(source):
    """The .keras file of a run directory, or ``source`` itself if it is one.

    Raises:
        ModelError: if there is none.
    """
    path = Path(source).expanduser()
    file = path / "model.keras" if path.is_dir() else path
    if file.is_file() and file.suffix == ".keras":
        return file
    if (path / "config.yaml").is_file():
        raise ModelError(f"run {str(source)!r} is not finished (no model.keras); run `tfssl train` on it again")
    raise ModelError(f"{str(source)!r} is no run directory and no .keras file")


def load_run(source):
    """Load a finished run.

    Args:
        source: run directory.

    Returns:
        ``(method, model)``.

    Raises:
        ModelError: if the run is missing, unfinished or damaged.
    """
    file = model_file(source)
    if not (file.parent / "config.yaml").is_file():
        raise ModelError(f"{str(source)!r} has no config.yaml beside its model; give a run directory")
    method = load_config(file.parent / "config.yaml").method
    try:
        return method, keras.saving.load_model(file, compile=False)
    except Exception as error:
        raise ModelError(f"{file} cannot be loaded: {' '.join(str(error).split())[:200]}") from None
