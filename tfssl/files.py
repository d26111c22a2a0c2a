"""Files that appear whole or not at all, and their fingerprints."""

import contextlib
import hashlib
import json
import math
import os
from pathlib import Path


@contextlib.contextmanager
def writing(path, mode="wb", *, shared=False, **options):
    """Open a file that takes the place of ``path`` when the block ends, and is gone if it fails.

    Missing folders are made. ``mode`` is ``"wb"`` or ``"w"`` (text is UTF-8); ``shared`` if other processes may write
    the same file meanwhile; further options are those of ``open``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f".{path.stem}.{os.getpid() if shared else 'unfinished'}{path.suffix}"  # Keras goes by the ending
    unfinished = path.with_name(name)
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    try:
        with open(unfinished, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_text(path, text):
    """Write a text file, whole or not at all."""
    with writing(path, "w") as file:
        file.write(text)


def write_json(path, value):
    """Write JSON, whole or not at all; NaN and infinity, which it does not have, become null."""
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def read_json(path):
    """The content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha256(path):
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
