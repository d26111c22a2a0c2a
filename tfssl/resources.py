"""Where configurations and models are: those that ship lie beside the package in a checkout, inside it in a wheel."""

import json
import os
from pathlib import Path

from tfssl.errors import ModelError

_PACKAGE = Path(__file__).resolve().parent

REPORT = "export.json"
"""The file that makes a folder an export."""


def configs() -> Path:
    """Folder of the shipped configurations."""
    return _folder("configs")


def savedmodels() -> Path:
    """Folder of the shipped models."""
    return _folder("savedmodels")


def find_model(source: str | os.PathLike) -> Path:
    """Where a trained model lies: one that ships (by name), a run directory, or the folder of an export.

    Raises:
        ModelError: if there is no such model; names the ones that ship.
    """
    path = Path(source).expanduser()
    if not path.exists() and str(source) and (savedmodels() / path).is_dir():
        path = savedmodels() / path
    if not path.exists():
        shipped = sorted(p.name for p in savedmodels().glob("*") if (p / REPORT).is_file())
        raise ModelError(
            f"no model {str(source)!r}: give a run directory, the folder of an export, or one of the shipped models "
            f"({', '.join(shipped) or 'none'})"
        )
    return path


def method_of(source: str | os.PathLike) -> str | None:
    """Name of the method that a trained model belongs to, found without loading it; None where no file says it."""
    path = find_model(source)
    for file in (path / "config.yaml", path / REPORT, path.parent / REPORT):
        try:
            text = file.read_text(encoding="utf-8")
            if file.suffix == ".json":
                return json.loads(text)["method"]
            return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("method:"))
        except (OSError, ValueError, LookupError, TypeError, StopIteration):
            continue
    return None


def _folder(name):
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
