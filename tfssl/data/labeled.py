"""Labeled images: one folder for each class, or a data set of TensorFlow Datasets."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from tfssl.data.crop import Crop
from tfssl.data.images import FileSource, tfds_labels, tfds_source
from tfssl.data.listing import EXTENSIONS, expand, taken
from tfssl.data.source import Source, check_source
from tfssl.errors import SourceError

CACHE_BYTES = 2**27
"""Sets whose decoded crops take no more than this (128 MiB) stay in memory after the first pass."""


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledImages(Source):
    """Images with a class each: ``{"image": PIL.Image, "label": int32}``.

    ``root`` is the folder they come from, or ``tfds:NAME:SPLIT``; ``labels`` are class numbers of the examples, in
    [0, len(classes)); ``positions`` those of the examples in ``images``, None for all of them in order.
    """

    noun = "images"

    root: str
    images: Source
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    positions: tuple[int, ...] | None = None

    def __len__(self):
        return len(self.labels)

    def example(self, index):
        return {**self.images.example(self._position(index)), "label": np.int32(self.labels[index])}

    def name(self, index):
        return self.images.name(self._position(index))

    def check(self, index):
        self.images.check(self._position(index))

    def sized(self, min_size):
        return dataclasses.replace(self, images=self.images.sized(min_size))

    def take(self, indices):
        labels = tuple(self.labels[i] for i in indices)
        return dataclasses.replace(self, labels=labels, positions=tuple(self._position(i) for i in indices))

    def _position(self, index):
        return index if self.positions is None else self.positions[index]


def labeled_images(root, *, classes=None, argument="data"):
    """List the images of ``root/<class>/``, nested folders included, hidden ones left out, sorted within each class.

    Args:
        root: the folder; or ``tfds:NAME:SPLIT``, with the features ``image`` and ``label`` (extra ``tfds``).
        classes: names that are allowed, in the order of their numbers; those of the training set for a test set,
            which may lack some of them. None: the names of the folders, sorted.
        argument: what to call ``root`` in messages.

    Raises:
        SourceError: in one line, if there are no class folders, fewer than two classes, a class without images or
            one that is not among ``classes``, or most files are unreadable.
    """
    if os.fspath(root).startswith("tfds:"):
        return _from_tfds(os.fspath(root))
    root = Path(root).expanduser()
    received = f"Received: {argument}={str(root)!r}"
    if not root.is_dir():
        raise SourceError(f"`{argument}` must be a folder with one folder of images for each class. {received}")
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if set(names) == {"train", "test"}:
        raise SourceError(f"`{argument}` holds train/ and test/; give one of the two. {received}")
    known = tuple(names if classes is None else classes)
    strange = sorted(set(names) - set(known))
    if strange:
        raise SourceError(f"`{argument}` has a class {strange[0]!r} that the training set lacks. {received}")
    if len(known) < 2 or not names:
        raise SourceError(f"`{argument}` must hold at least two class folders, it holds {len(names)}. {received}")
    files = [(path, name) for name in names for path in expand(os.fspath(root / name))]
    images = set(taken([path for path, _ in files], lambda path: path.lower().endswith(EXTENSIONS), root))
    files = [(path, name) for path, name in files if path in images]
    empty = sorted(set(names) - {name for _, name in files})
    if empty:
        raise SourceError(f"`{argument}`: class folder {str(root / empty[0])!r} holds no images; fill or remove it")
    labels = tuple(known.index(name) for _, name in files)
    images = FileSource(tuple(path for path, _ in files))
    check_source(images)
    return LabeledImages(str(root), images, labels, known)


def train_and_test(data, test=None):
    """The two halves of a benchmark: two :class:`LabeledImages` with the same classes.

    Args:
        data: folder of the training classes; or one that holds ``train/`` and ``test/``, with ``test`` left out. Or
            ``tfds:NAME:SPLIT``; or ``tfds:NAME`` with ``test`` left out, for its splits ``train`` and ``test``.
        test: folder of the test classes, or ``tfds:NAME:SPLIT``.

    Raises:
        SourceError: if there is no test set, it is the training set, or as :func:`labeled_images`.
    """
    if os.fspath(data).startswith("tfds:"):
        if test is None:
            data, test = f"{data}:train", f"{data}:test"
        train = labeled_images(data)
        return train, labeled_images(test, classes=train.classes, argument="test")
    data = Path(data).expanduser()
    if test is None and (data / "train").is_dir() and (data / "test").is_dir():
        data, test = data / "train", data / "test"
    train = labeled_images(data)
    if test is None:
        raise SourceError(f"`test` is missing: give the folder of the test images. Received: data={str(data)!r}")
    if Path(test).expanduser().resolve() == data.resolve():
        raise SourceError(f"`test` must not be the training set. Received: test={str(test)!r}")
    return train, labeled_images(test, classes=train.classes, argument="test")


@dataclasses.dataclass(frozen=True)
class LabeledCrop:
    """The crop of an image beside its label, as ``sample`` of :func:`tfssl.data.pipeline.batches`."""

    crop: Crop

    def __call__(self, example, rng, training):
        return self.crop.apply(example["image"], rng if training else None), example["label"]


def labeled_batches(source, crop, *, batch_size=64, skipped=None):
    """Center crops and their labels in the order of the source; unreadable images are left out into ``skipped``.

    Args:
        source: :class:`LabeledImages`, or another source with the fields ``image`` and ``label``.
        crop: a :class:`~tfssl.data.crop.Crop`.

    Returns:
        ``tf.data.Dataset`` of uint8 (B, size, size, 3), sRGB, and labels (B, ...). A set up to :data:`CACHE_BYTES` is
        decoded once, a larger one each time that the dataset is iterated.
    """
    from tfssl.data.pipeline import batches  # TensorFlow

    source = source.sized(crop.min_size)
    dataset = batches(source, LabeledCrop(crop), batch_size, training=False, skipped=skipped)
    return dataset.cache() if len(source) * crop.size**2 * 3 <= CACHE_BYTES else dataset


def folder_labels(source):
    """The name of the folder of each image; None if the source has no files, or all lie in folders of one name."""
    if not isinstance(source, FileSource):
        return None
    names = [Path(path).parent.name for path in source.paths]
    return names if len(set(names)) > 1 else None


def _from_tfds(text):
    source = tfds_source(text)
    labels, classes = tfds_labels(text)
    if len(classes) < 2 or not labels:
        raise SourceError(f"`data` must hold images of at least two classes. Received: data={text!r}")
    return LabeledImages(text, source, labels, classes)
