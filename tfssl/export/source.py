"""Trained models by name or place: shipped ones, run directories, exports."""

from pathlib import Path

from tfssl.errors import ModelError
from tfssl.export.folder import REPORT
from tfssl.export.savedmodel import load_savedmodel
from tfssl.resources import savedmodels
from tfssl.training.runs import load_run


def load_source(source):
    """Load a trained model.

    Args:
        source: name of a model that ships, a run directory, or the folder of an export.

    Returns:
        ``(method, network)``; of an export, the network that it stores, which may be an encoder alone.

    Raises:
        ModelError: if there is no such model, or it is incomplete; names the models that ship.
    """
    path = Path(source).expanduser()
    if not path.exists() and str(source) and (savedmodels() / path).is_dir():
        path = savedmodels() / path
    if (path / REPORT).is_file() or (path / "saved_model.pb").is_file():
        return load_savedmodel(path)
    if path.exists():
        return load_run(path)
    shipped = sorted(p.name for p in savedmodels().glob("*") if (p / REPORT).is_file())
    raise ModelError(
        f"no model {str(source)!r}: give a run directory, the folder of an export, or one of the shipped models "
        f"({', '.join(shipped) or 'none'})"
    )
