"""Labeled images: one folder for each class, or a data set of TensorFlow Datasets."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from tfssl.data.copies import warn_of_copies
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
            one that is not among ``classes``, most files are unreadable, or it is a benchmark's directory.
    """
    if os.fspath(root).startswith("tfds:"):
        return _from_tfds(os.fspath(root), classes, argument)
    root, names, known = class_folders(root, classes, argument)
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


def class_folders(root, classes=None, argument="data", noun="images"):
    """The folder of a set of one folder for each class: ``(path, its class folders, all classes)``, names sorted.

    ``classes``, ``argument`` and the errors are those of :func:`labeled_images`; ``noun`` is what the folders hold.
    """
    root = Path(root).expanduser()
    received = f"Received: {argument}={str(root)!r}"
    if not root.is_dir():
        raise SourceError(f"`{argument}` must be a folder with one folder of {noun} for each class. {received}")
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    _refuse_other_layouts(root, names, argument)
    if set(names) == {"train", "test"}:
        raise SourceError(f"`{argument}` holds train/ and test/; give one of the two. {received}")
    known = tuple(names if classes is None else classes)
    strange = sorted(set(names) - set(known))
    if strange:
        raise SourceError(f"`{argument}` has a class {strange[0]!r} that the training set lacks. {received}")
    if len(known) < 2 or not names:
        raise SourceError(f"`{argument}` must hold at least two class folders, it holds {len(names)}. {received}")
    return root, names, known


def train_and_test(data, test=None, *, listed=labeled_images):
    """The two halves of a benchmark: two :class:`LabeledImages` with the same classes.

    Args:
        data: folder of the training classes; or one that holds ``train/`` and ``test/``, with ``test`` left out. Or
            ``tfds:NAME:SPLIT``; or ``tfds:NAME`` with ``test`` left out, for its splits ``train`` and ``test``.
        test: folder of the test classes, or ``tfds:NAME:SPLIT``.
        listed: function of a folder, ``classes`` and ``argument`` that gives a set, as :func:`labeled_images`.

    Raises:
        SourceError: if there is no test set, it is the training set, or as :func:`labeled_images`.
    """
    if os.fspath(data).startswith("tfds:"):
        if test is None:
            data, test = f"{data}:train", f"{data}:test"
        train = labeled_images(data)
        if test is None or os.fspath(test) == os.fspath(data):
            raise SourceError(f"`test` must be another split than the training set. Received: test={test!r}")
        return train, labeled_images(test, classes=train.classes, argument="test")
    data = Path(data).expanduser()
    if test is None and (data / "train").is_dir() and (data / "test").is_dir():
        data, test = data / "train", data / "test"
    train = listed(data)
    if test is None:
        raise SourceError(f"`test` is missing: give the folder of the test set. Received: data={str(data)!r}")
    if Path(test).expanduser().resolve() == data.resolve():
        raise SourceError(f"`test` must not be the training set. Received: test={str(test)!r}")
    found = train, listed(test, classes=train.classes, argument="test")
    warn_of_copies(*found)
    return found


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


def _from_tfds(text, classes, argument):
    source = tfds_source(text)
    labels, names = tfds_labels(text)
    known = tuple(names if classes is None else classes)
    if len(known) < 2 or not labels:
        raise SourceError(f"`{argument}` must hold images of at least two classes. Received: {argument}={text!r}")
    strange = sorted({names[label] for label in labels} - set(known))
    if strange:
        raise SourceError(
            f"`{argument}` has a class {strange[0]!r} that the training set lacks. Received: {argument}={text!r}"
        )
    return LabeledImages(text, source, tuple(known.index(names[label]) for label in labels), known)


def _refuse_other_layouts(root, names, argument):
    """Tell of a benchmark's directory in place of class folders which task reads it."""
    received = f"Received: {argument}={str(root)!r}"
    tasks = {"Annotations": "voc_classification or detection", "SegmentationClass": "segmentation"}
    found = [tasks[name] for name in tasks if name in names and "ImageSets" in names]
    if found:
        raise SourceError(
            f"`{argument}` is a VOC directory, not a folder for each class; the task that reads it is "
            f"{' or '.join(found)}. {received}"
        )
    for ending, task in (("annot", "segmentation"), ("normals", "surface_normals")):
        pair = next((name for name in names if f"{name}{ending}" in names), None)
        if pair is not None:
            raise SourceError(
                f"`{argument}` holds {pair}/ and {pair}{ending}/, not a folder for each class; the task that reads it "
                f"is {task}. {received}"
            )
    inner = next((name for name in names if (root / name / "ImageSets").is_dir()), None)
    if inner is not None:
        raise SourceError(
            f"`{argument}` holds the VOC directory {inner}/; give that one, to the task voc_classification, detection "
            f"or segmentation. {received}"
        )
