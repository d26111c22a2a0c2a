"""Where the shipped configurations and models are: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def configs():
    """Folder of the shipped configurations."""
    return _folder("configs")


def savedmodels():
    """Folder of the shipped models."""
    return _folder("savedmodels")


def _folder(name):
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
