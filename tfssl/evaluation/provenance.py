"""What was measured: the name of a model and the fingerprint of the file that holds its weights."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from tfssl.errors import ModelError
from tfssl.resources import savedmodels


def model_of(source):
    """Name what was evaluated.

    Args:
        source: as :func:`tfssl.load_encoder` takes it: a run directory, the folder of an export, a .keras file, the
            name of a model that ships, ``"random:BACKBONE"`` or ``"pixels"``.

    Returns:
        ``{"model": the source as text, "weights_sha256": fingerprint or None}``; None where no file holds weights.
    """
    file = weights_file(source)
    return {"model": os.fspath(source), "weights_sha256": None if file is None else sha256(file)}


def weights_file(source):
    """The file that holds a source's weights; None if there is none, as of random ones.

    Args:
        source: see :func:`model_of`.
    """
    path = Path(source).expanduser()
    if not path.exists() and str(source) and (savedmodels() / path).is_dir():
        path = savedmodels() / path
    if path.is_file():
        return path
    found = [path / "model.keras", *sorted(path.glob("**/variables/variables.data-*"))]
    return next((file for file in found if file.is_file()), None)


def sha256(path):
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_model(out, source):
    """Write into ``out/metrics.json`` what was evaluated and when, whole or not at all.

    Args:
        out: folder of an evaluation.
        source: see :func:`model_of`.

    Returns:
        The record, with ``model``, ``weights_sha256`` and ``date`` (UTC, ISO 8601, to the second).

    Raises:
        ModelError: if there is no metrics.json.
    """
    file = Path(out) / "metrics.json"
    if not file.is_file():
        raise ModelError(f"{str(out)!r} holds no metrics.json; evaluate first")
    record = json.loads(file.read_text(encoding="utf-8")) | model_of(source) | {"date": now()}
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(unfinished, file)
    return record


def now():
    """This moment: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
