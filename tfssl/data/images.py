"""Image sources: files, arrays, TFRecord shards and TensorFlow Datasets, decoded to upright 8-bit RGB."""

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from tfssl.data.decode import array_to_image, check_file, check_header, decode_image
from tfssl.data.listing import EXTENSIONS, PathSource, expand, short, taken
from tfssl.data.source import Source
from tfssl.errors import ArgumentError, SourceError, counted
from tfssl.options import as_path

# The split may hold colons itself, as in train[:10%].
_TFDS = re.compile(r"tfds:(?P<name>[^:]+(:\d+\.\d+\.\d+)?):(?P<split>[^:]+(\[.*\])?)")
_SHARD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE)


class ImageSource(Source):
    """Images, ``{"image": PIL.Image}`` in RGB. Subclasses are frozen dataclasses whose last field is ``min_size``."""

    noun = "images"

    def sized(self, min_size):
        return dataclasses.replace(self, min_size=min_size)

    def read(self, index):
        """Encoded bytes of image ``index``, or None where the source holds pixels."""
        return None


@dataclasses.dataclass(frozen=True)
class FileSource(PathSource, ImageSource):
    """Image files, in the given order; ``min_size`` as in :func:`tfssl.data.decode.decode_image`."""

    paths: tuple[str, ...]
    min_size: int | None = None

    def example(self, index):
        return {"image": decode_image(self.paths[index], min_size=self.min_size)}

    def read(self, index):
        check_file(self.paths[index])
        with open(self.paths[index], "rb") as file:
            return file.read()

    def check(self, index):
        check_header(self.paths[index])


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySource(ImageSource):
    """Images in memory: uint8 [0, 255] or float [0, 1], (N, H, W), (N, H, W, 1) or (N, H, W, 3), or a list."""

    images: Sequence
    min_size: int | None = None

    def __len__(self):
        return len(self.images)

    def example(self, index):
        return {"image": array_to_image(self.images[index])}


def any_image(image) -> Image.Image:
    """One upright 8-bit RGB image from whatever holds it.

    Args:
        image: a path, encoded bytes, a ``PIL.Image`` of any mode, or an array, see
            :func:`tfssl.data.decode.array_to_image`; files in sRGB, see :func:`tfssl.data.decode.decode_image`.

    Raises:
        SourceError: if it cannot be read.
        ArgumentError: if it is something else.
    """
    if not isinstance(image, (str, bytes, os.PathLike, Image.Image, np.ndarray)):
        raise ArgumentError(f"`image` must be a path, bytes, PIL.Image or array. Received: {type(image).__name__}")
    path = as_path("image", image) if isinstance(image, (str, os.PathLike)) else None
    try:
        if isinstance(image, np.ndarray):
            return array_to_image(image)
        return decode_image(image if path is None else path, srgb=True)
    except ValueError as error:
        raise SourceError(f"`image`{'' if path is None else f' {str(path)!r}'} cannot be read: {error}") from None


def image_source(data, min_size=None):
    """Make an :class:`ImageSource` of anything that can be one.

    Args:
        data: one of

            - ``"builtin"``: the color photographs inside scikit-image and scikit-learn, no download;
            - a directory (searched recursively; hidden files and folders are left out), a file, or a glob pattern;
            - ``"*.tfrecord"`` shards (path or glob) whose examples hold ``image/encoded``;
            - ``"tfds:NAME:SPLIT"`` (needs the extra ``tfssl[tfds]``);
            - a list of paths; a NumPy array or list of arrays (see :class:`ArraySource`);
            - a :class:`~tfssl.data.source.Source` whose examples hold an ``image``.
        min_size: JPEGs may be decoded at a reduced scale as long as the shorter side keeps so many pixels.

    Raises:
        SourceError: one line that names the data and the fix, also where there is no image.
    """
    if isinstance(data, Source):
        found = data
    elif isinstance(data, (str, os.PathLike)):
        found = _from_text(os.fspath(data))
    elif isinstance(data, np.ndarray):
        found = _from_array(data)
    elif isinstance(data, (list, tuple)):
        if all(isinstance(item, (str, os.PathLike)) for item in data):
            found = _from_paths(tuple(os.fspath(item) for item in data), data)
        else:
            found = ArraySource(data)
    else:
        raise SourceError(
            f"`data` must be 'builtin', a folder, a glob, *.tfrecord, tfds:NAME:SPLIT, a list of paths or an "
            f"array. Received: data of type {type(data).__name__}"
        )
    if len(found) == 0:
        raise SourceError(f"`data` holds no images. Received: data={short(data)}")
    return found if min_size is None else found.sized(min_size)


def _from_array(array):
    if array.dtype.kind in "UO":  # paths, or images of several sizes
        return image_source(array.tolist())
    # A single (H, W, 3) image would pass for H images of (W, 3).
    if array.ndim not in (3, 4) or (array.ndim == 3 and array.shape[-1] in (1, 3)):
        raise SourceError(
            f"`data` must be an array (N, H, W), (N, H, W, 1) or (N, H, W, 3); put [None] after a single image. "
            f"Received: shape={array.shape}"
        )
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise SourceError(f"`data` must be uint8, or float in [0, 1]. Received: array of dtype={array.dtype}")
    return ArraySource(array)


def _from_text(text):
    if text == "builtin":
        from tfssl.data.builtin import builtin_photographs

        return FileSource(tuple(str(p) for p in builtin_photographs()))
    if text.startswith("tfds:"):
        return tfds_source(text)
    found = expand(text)
    paths = taken(found, lambda path: path.lower().endswith(EXTENSIONS) or _SHARD.search(path), text)
    if found and not paths:
        raise SourceError(
            f"`data` holds {counted(len(found), 'files')} but no {' '.join(EXTENSIONS)} or .tfrecord. "
            f"Received: data={text!r}"
        )
    return _from_paths(paths, text)


def _from_paths(paths, source):
    shards = [p for p in paths if _SHARD.search(p)]
    if not shards:
        return FileSource(paths)
    if len(shards) < len(paths):
        raise SourceError(
            f"`data` mixes {len(shards)} .tfrecord shards with {len(paths) - len(shards)} other files; choose with "
            f"a glob such as 'FOLDER/*.tfrecord'. Received: data={short(source)}"
        )
    from tfssl.data.tfrecord import TFRecordSource

    return TFRecordSource.from_paths(shards)


@dataclasses.dataclass(frozen=True, eq=False)
class TFDSSource(ImageSource):
    """The feature ``image`` of a TensorFlow Datasets data source."""

    title: str
    records: Any
    min_size: int | None = None

    def __len__(self):
        return len(self.records)

    def example(self, index):
        return {"image": array_to_image(self.records[index]["image"])}

    def name(self, index):
        return f"{self.title}#{index}"


def tfds_source(text):
    """Open ``tfds:NAME:SPLIT``, downloading and preparing the dataset where that has not been done.

    ``text`` is for example ``"tfds:cifar10:train"`` or ``"tfds:cifar10:3.0.2:train[:10%]"``. SourceError if
    tensorflow_datasets is missing, the name or split is unknown, or there is no ``image``.
    """
    return TFDSSource(text, _open_tfds(text, "image"))


def tfds_labels(text):
    """``(class numbers, names of the classes)`` of ``tfds:NAME:SPLIT``, without decoding its images."""
    records = _open_tfds(text, "label", decode=False)
    classes = getattr(records.dataset_info.features["label"], "names", None)
    if not classes:
        raise SourceError(f"`data` {text!r}: the feature `label` is no class")
    return tuple(int(record["label"]) for record in records), tuple(classes)


def _open_tfds(text, needed, *, decode=True):
    match = _TFDS.fullmatch(text)
    if match is None:
        raise SourceError(f"`data` must be tfds:NAME:SPLIT, such as tfds:cifar10:train. Received: data={text!r}")
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise SourceError(f"`data` {text!r} needs TensorFlow Datasets ({error}); pip install 'tfssl[tfds]'") from None
    try:
        options = {} if decode else {"decoders": {"image": tfds.decode.SkipDecoding()}}
        records = tfds.data_source(match["name"], split=match["split"], **options)
        features = list(records[0]) if len(records) else []
    except Exception as error:  # an unknown name, split or license step has an exception class of its own each
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"`data` {text!r} cannot be opened: {reason}") from error
    if features and needed not in features:
        raise SourceError(f"`data` {text!r} has no feature `{needed}`, only {', '.join(map(str, features))}")
    return records
