"""Where configurations and models are: those that ship lie beside the package in a checkout, inside it in a wheel."""

import hashlib
import json
import os
from pathlib import Path

from tfssl.errors import ModelError, suggest
from tfssl.files import sha256
from tfssl.options import as_path

_PACKAGE = Path(__file__).resolve().parent

REPORT = "export.json"
"""The file that makes a folder an export."""


_STATE = (
    *("model.keras", "config.yaml", "statistics.npz", REPORT, f"../{REPORT}", "files/*", "../files/*"),
    *("saved_model.pb", "variables/*", "*/saved_model.pb", "*/variables/*"),
)
"""The files that say what a model is, below the folder of a run, an export or one of its versions."""


def configs() -> Path:
    """Folder of the shipped configurations."""
    return _folder("configs")


def savedmodels() -> Path:
    """Folder of the shipped models."""
    return _folder("savedmodels")


def find_model(source: str | os.PathLike, name: str = "source") -> Path:
    """Where a trained model lies: one that ships (by name), a run directory, or the folder of an export.

    ``name`` is what messages call the argument.

    Raises:
        ArgumentError: if ``source`` is no path.
        ModelError: if there is no such model; names the ones that ship.
    """
    path = as_path(name, source)
    if not path.exists() and (savedmodels() / path).is_dir():
        path = savedmodels() / path
    if not path.exists():
        shipped = sorted(p.name for p in savedmodels().glob("*") if (p / REPORT).is_file())
        raise ModelError(
            f"no model {str(source)!r}: give a run directory, the folder of an export, or a shipped model; "
            f"{suggest(str(source), shipped, 'shipped')}"
        )
    return path


def model_state(name: str, source: str | os.PathLike) -> tuple[str, tuple]:
    """``(absolute path of a model, state of its files)``: the state is another one when it was written anew.

    Arguments and errors as :func:`find_model`.
    """
    path = find_model(source, name).resolve()
    stats = ((str(file), file.stat()) for file in _files_of(path))
    return str(path), tuple((file, stat.st_mtime_ns, stat.st_size, stat.st_ino) for file, stat in stats)


def model_digest(source: str | os.PathLike) -> str:
    """Fingerprint of a model's files: the same for a copy elsewhere, another one when it was trained on."""
    return hashlib.sha256(" ".join(map(sha256, _files_of(find_model(source)))).encode()).hexdigest()


def _files_of(path):
    """The files that say what the model at ``path`` is, in a fixed order."""
    folder = path if path.is_dir() else path.parent
    found = {path, *(file for pattern in _STATE for file in folder.glob(pattern))}
    return [file for file in sorted(found) if file.is_file()]


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
