"""Test images that are training images too."""

import hashlib
import os

from tfssl.data.listing import log
from tfssl.files import printable

_PART = 4096  # bytes from the middle of a file, compared before all of it is


def warn_of_copies(train, test):
    """Tell, in one line, of the files of a test set that are byte for byte in the training set, of whatever class.

    Args:
        train, test: sources with ``paths`` of files, or whose ``images`` are such; others are not compared.

    Returns:
        How many there are.
    """
    old, new = (getattr(getattr(source, "images", source), "paths", ()) for source in (train, test))
    found = _copies(old, new)
    if found:
        first, of = next(iter(found.items()))
        log.warning(
            "%d of %d test images are training images too, byte for byte (%s is %s): scores on them say nothing; "
            "remove them from one of the two",
            len(found), len(new), printable(first), printable(of),
        )  # fmt: skip
    return len(found)


def _copies(old, new):
    """``{path of new: a path of old with the same content}``; ever more is read of ever fewer files."""
    for key in (_size, _middle, _digest):
        keys = {path: key(path) for path in {*old, *new}}
        shared = ({keys[path] for path in old} & {keys[path] for path in new}) - {None}
        old, new = ([path for path in paths if keys[path] in shared] for paths in (old, new))
    first = {}
    for path in old:
        first.setdefault(keys[path], path)
    return {path: first[keys[path]] for path in new}


def _reading(function):
    """None, which equals nothing, for files that cannot be read: they are named elsewhere."""

    def key(path):
        try:
            return function(path)
        except OSError:
            return None

    return key


@_reading
def _size(path):
    return os.stat(path).st_size or None  # empty files are no images


@_reading
def _middle(path):
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - _PART) // 2)
        return size, file.read(_PART)


@_reading
def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
