"""Image sources: where bytes come from, decoded to upright 8-bit RGB.

A source is random access: ``len(source)``, ``source.open(i) -> PIL.Image``, ``source.name(i)``. Random access is
what makes training resume exactly: the picture of any step follows from (seed, step) alone, so no pipeline
state has to be saved.
"""

import dataclasses
import glob
import logging
import os
import re
from collections.abc import Sequence

import numpy as np

from tfssl.data.decode import MAX_PIXELS, array_to_image, check_header, decode_image
from tfssl.errors import SourceError

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "ArraySource",
    "FileSource",
    "ImageSource",
    "array_to_image",
    "check_source",
    "decode_image",
    "image_source",
]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""File names that count as images in folders, lower case."""

log = logging.getLogger("tfssl")

_SHARD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE)
_SHOWN_REASONS = 3


class ImageSource(Sequence):
    """A random-access list of images. ``source[i]`` is a ``PIL.Image`` in RGB."""

    def __len__(self):
        raise NotImplementedError

    def open(self, index, min_side=None):
        """Decode image ``index``; ``min_side`` as in :func:`decode_image`. Raises ValueError if unreadable."""
        raise NotImplementedError

    def name(self, index):
        """What to call image ``index`` in messages and tables."""
        return f"image {index}"

    def read(self, index):
        """Encoded bytes of image ``index``, or None where the source holds pixels."""
        return None

    def check(self, index):
        """Raise ValueError with the reason if image ``index`` is plainly unreadable; cheaper than :meth:`open`."""
        self.open(index)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.open(index)


@dataclasses.dataclass(frozen=True)
class FileSource(ImageSource):
    """Image files, in the given order."""

    paths: tuple[str, ...]

    def __len__(self):
        return len(self.paths)

    def open(self, index, min_side=None):
        return decode_image(self.paths[index], min_side=min_side)

    def name(self, index):
        # File names need not be text: what cannot be written to a table is shown as an escape.
        return self.paths[index].encode("utf-8", "backslashreplace").decode("utf-8")

    def read(self, index):
        with open(self.paths[index], "rb") as file:
            return file.read()

    def check(self, index):
        check_header(self.paths[index])


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySource(ImageSource):
    """Images in memory: uint8 [0, 255] or float [0, 1], (N, H, W), (N, H, W, 1) or (N, H, W, 3), or a list."""

    images: Sequence

    def __len__(self):
        return len(self.images)

    def open(self, index, min_side=None):
        return array_to_image(self.images[index])


def image_source(source):
    """Make an :class:`ImageSource` of anything that can be one.

    Args:
        source: one of

            - ``"builtin"``: the color photographs inside scikit-image and scikit-learn, no download;
            - a directory (searched recursively; hidden files and folders are left out), a file, or a glob pattern;
            - ``"*.tfrecord"`` shards (path or glob) whose examples hold ``image/encoded``;
            - ``"tfds:NAME:SPLIT"`` (needs the extra ``tfssl[tfds]``);
            - a list of paths; a NumPy array or list of arrays (see :class:`ArraySource`);
            - an :class:`ImageSource`.

    Returns:
        An :class:`ImageSource` with at least one image.

    Raises:
        SourceError: one line that names the source and the mend.
    """
    if isinstance(source, ImageSource):
        found = source
    elif isinstance(source, (str, os.PathLike)):
        found = _from_text(os.fspath(source))
    elif isinstance(source, np.ndarray):
        found = _from_array(source)
    elif isinstance(source, (list, tuple)):
        if all(isinstance(item, (str, os.PathLike)) for item in source):
            found = _from_paths(tuple(os.fspath(item) for item in source), source)
        else:
            found = ArraySource(source)
    else:
        raise SourceError(
            f"`source` must be 'builtin', a folder, a glob, *.tfrecord, tfds:NAME:SPLIT, a list of paths or an "
            f"array. Received: source of type {type(source).__name__}"
        )
    if len(found) == 0:
        raise SourceError(f"`source` holds no images. Received: source={_short(source)}")
    return found


def check_source(source, sample=256):
    """Refuse a source of which most images cannot be opened, before a long job starts on it.

    Opens the headers of a random sample (always the same one); pixels are decoded only where there are no headers.

    Args:
        source: anything :func:`image_source` takes.
        sample: number of images to look at; all of them where there are fewer.

    Raises:
        SourceError: if the source is empty, or more than half of the sample cannot be opened; names a few with reasons.
    """
    source = image_source(source)
    size = min(sample, len(source))
    failed = {}
    for index in np.random.default_rng(0).choice(len(source), size, replace=False, shuffle=False).tolist():
        try:
            source.check(index)
        except (ValueError, OSError) as error:
            failed[source.name(index)] = str(error)
    if len(failed) > size / 2:
        few = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:_SHOWN_REASONS])
        raise SourceError(
            f"`source` is mostly unreadable: {len(failed)} of {size} images tried cannot be opened ({few}); "
            f"give a folder of {' '.join(EXTENSIONS)} pictures"
        )


def _short(source):
    text = repr(source)
    return text if len(text) < 100 else text[:97] + "..."


def _from_array(array):
    if array.dtype.kind in "UO":  # paths, or pictures of several sizes
        return image_source(array.tolist())
    # A single (H, W, 3) picture would pass for H pictures of (W, 3).
    if array.ndim not in (3, 4) or (array.ndim == 3 and array.shape[-1] in (1, 3)):
        raise SourceError(
            f"`source` must be an array (N, H, W), (N, H, W, 1) or (N, H, W, 3); put [None] after a single picture. "
            f"Received: shape={array.shape}"
        )
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise SourceError(f"`source` must be uint8, or float in [0, 1]. Received: array of dtype={array.dtype}")
    return ArraySource(array)


def _from_text(text):
    if text == "builtin":
        from tfssl.data.builtin import builtin_photographs

        return FileSource(tuple(str(p) for p in builtin_photographs()))
    if text.startswith("tfds:"):
        from tfssl.data.tfds import tfds_source

        return tfds_source(text)
    found = _expand(text)
    paths = tuple(p for p in found if p.lower().endswith(EXTENSIONS) or _SHARD.search(p))
    if found and not paths:
        raise SourceError(
            f"`source` holds {len(found)} files but no {' '.join(EXTENSIONS)} or .tfrecord. Received: source={text!r}"
        )
    return _from_paths(paths, text)


def _from_paths(paths, source):
    shards = [p for p in paths if _SHARD.search(p)]
    if not shards:
        return FileSource(paths)
    if len(shards) < len(paths):
        raise SourceError(
            f"`source` mixes {len(shards)} .tfrecord shards with {len(paths) - len(shards)} other files; choose with "
            f"a glob such as 'FOLDER/*.tfrecord'. Received: source={_short(source)}"
        )
    from tfssl.data.tfrecord import TFRecordSource

    return TFRecordSource.from_paths(shards)


def _expand(text):
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        return sorted(_walk(path, ()))
    if os.path.isfile(path):
        return [path]
    matches = sorted(glob.glob(path, recursive=True))
    files = [p for p in matches if os.path.isfile(p)]
    if matches and not files:
        raise SourceError(f"`source` matches folders only; end the glob with /*.jpg or /**. Received: source={text!r}")
    if not matches:
        raise SourceError(f"`source` is no folder, file or matching glob. Received: source={text!r}")
    return files


def _walk(folder, above):
    """Files below a folder. Follows symbolic links, a common way to make a subset, but not in circles."""
    try:
        status = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError as error:
        if not above:
            raise SourceError(f"`source` cannot be listed ({error.strerror}). Received: source={folder!r}") from None
        log.warning("left out folder %s: %s", folder, error.strerror)
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        link = entry.is_symlink()
        if entry.is_dir(follow_symlinks=False) or (link and os.path.isdir(entry.path)):
            yield from _walk(entry.path, (*above, here))
        elif link or entry.is_file(follow_symlinks=False):  # a broken link is named among the unreadable files
            yield entry.path
