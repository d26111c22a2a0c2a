"""Labeled pictures: one folder for each class, decoded to batches of equal size."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped
from tfssl.data.images import FileSource, ImageSource, check_source, decode_image, image_source
from tfssl.errors import SourceError

CACHE_BYTES = 2**27
"""Sets whose decoded pictures take no more than this (128 MiB) stay in memory after the first pass."""


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledFolder:
    """Pictures with their classes: files, or records of a data set.

    Args:
        root: the folder they come from, or ``tfds:NAME:SPLIT``.
        paths: the files; of records what they are called.
        labels: class number of each picture, in [0, len(classes)).
        classes: names of the classes.
        records: an :class:`tfssl.data.images.ImageSource` whose pictures these are; None for files.
        positions: their places in ``records``.
    """

    root: str
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    records: ImageSource | None = None
    positions: tuple[int, ...] = ()

    def __len__(self):
        return len(self.paths)

    def open(self, index, min_side=None):
        """Decode picture ``index``, as :meth:`tfssl.data.images.ImageSource.open`."""
        if self.records is None:
            return decode_image(self.paths[index], min_side=min_side)
        return self.records.open(self.positions[index], min_side=min_side)

    def name(self, index):
        """What to call picture ``index`` in messages and tables."""
        # File names need not be text: what cannot be written to a table is shown as an escape.
        return self.paths[index].encode("utf-8", "backslashreplace").decode("utf-8")

    def take(self, indices):
        """The pictures at these places, in this order."""

        def chosen(values):
            return tuple(values[i] for i in indices) if values else ()

        changed = {name: chosen(getattr(self, name)) for name in ("paths", "labels", "positions")}
        return dataclasses.replace(self, **changed)


def labeled_folder(root, *, classes=None, argument="data"):
    """List the pictures of ``root/<class>/``, nested folders included, hidden ones left out.

    Args:
        root: the folder; or ``tfds:NAME:SPLIT``, with the features ``image`` and ``label`` (extra ``tfds``).
        classes: names that are allowed, in the order of their numbers; those of the training set for a test set,
            which may lack some of them. None: the names of the folders, sorted.
        argument: what to call ``root`` in messages.

    Returns:
        A :class:`LabeledFolder`, classes in sorted order, files sorted within each.

    Raises:
        SourceError: in one line, if there are no class folders, fewer than two classes, a class without pictures or
            one that is not among ``classes``, or most files are unreadable.
    """
    if os.fspath(root).startswith("tfds:"):
        return _records(os.fspath(root))
    root = Path(root).expanduser()
    received = f"Received: {argument}={str(root)!r}"
    if not root.is_dir():
        raise SourceError(f"`{argument}` must be a folder with one folder of pictures for each class. {received}")
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if set(names) == {"train", "test"}:
        raise SourceError(f"`{argument}` holds train/ and test/; give one of the two. {received}")
    known = tuple(names if classes is None else classes)
    strange = sorted(set(names) - set(known))
    if strange:
        raise SourceError(f"`{argument}` has a class {strange[0]!r} that the training set lacks. {received}")
    if len(known) < 2 or not names:
        raise SourceError(f"`{argument}` must hold at least two class folders, it holds {len(names)}. {received}")
    paths, labels = [], []
    for name in names:
        found = _pictures(root / name, argument)
        paths += found
        labels += [known.index(name)] * len(found)
    check_source(FileSource(tuple(paths)))
    return LabeledFolder(str(root), tuple(paths), tuple(labels), known)


def train_and_test(data, test=None):
    """The two halves of a benchmark.

    Args:
        data: folder of the training classes; or one that holds ``train/`` and ``test/``, with ``test`` left out. Or
            ``tfds:NAME:SPLIT``; or ``tfds:NAME`` with ``test`` left out, for its splits ``train`` and ``test``.
        test: folder of the test classes, or ``tfds:NAME:SPLIT``.

    Returns:
        Two :class:`LabeledFolder` with the same classes.

    Raises:
        SourceError: if there is no test set, it is the training set, or as :func:`labeled_folder`.
    """
    if os.fspath(data).startswith("tfds:"):
        if test is None:
            data, test = f"{data}:train", f"{data}:test"
        train = labeled_folder(data)
        return train, labeled_folder(test, classes=train.classes, argument="test")
    data = Path(data).expanduser()
    if test is None and (data / "train").is_dir() and (data / "test").is_dir():
        data, test = data / "train", data / "test"
    train = labeled_folder(data)
    if test is None:
        raise SourceError(f"`test` is missing: give the folder of the test pictures. Received: data={str(data)!r}")
    if Path(test).expanduser().resolve() == data.resolve():
        raise SourceError(f"`test` must not be the training set. Received: test={str(test)!r}")
    return train, labeled_folder(test, classes=train.classes, argument="test")


def labeled_dataset(folder, crop, *, batch_size=64, skipped=None):
    """Batches of pictures and class numbers, in the order of the folder; unreadable files are left out.

    Args:
        folder: a :class:`LabeledFolder`.
        crop: a :class:`tfssl.data.pipeline.Crop`; its center crop is taken.
        batch_size: pictures in a batch; the last one may be smaller.
        skipped: a :class:`tfssl.data.pipeline.Skipped` that collects the unreadable files with their reasons.

    Returns:
        ``tf.data.Dataset`` of uint8 (B, size, size, 3), sRGB, and int32 (B,). It can be iterated again; a set up to
        :data:`CACHE_BYTES` is then not decoded again, a larger one is streamed from its files each time.
    """
    labels = np.asarray(folder.labels, np.int32)
    skipped = Skipped() if skipped is None else skipped

    def load(index):
        try:
            return np.True_, crop.apply(folder.open(index, min_side=crop.min_side)), labels[index]
        except (ValueError, OSError) as error:
            skipped.add(folder.name(index), str(error))
            return np.False_, np.zeros(crop.spec.shape, np.uint8), labels[index]

    def example(index):
        readable, image, label = tf.numpy_function(load, [index], [tf.bool, tf.uint8, tf.int32], stateful=False)
        readable.set_shape(())
        return readable, tf.ensure_shape(image, crop.spec.shape), tf.ensure_shape(label, ())

    dataset = tf.data.Dataset.range(len(folder)).map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.filter(lambda readable, *_: readable).map(lambda _, image, label: (image, label))
    dataset = dataset.batch(batch_size)
    small = len(folder) * crop.spec.shape.num_elements() <= CACHE_BYTES
    return dataset.cache() if small else dataset.prefetch(tf.data.AUTOTUNE)


def _records(text):
    from tfssl.data.tfds import tfds_labels, tfds_source

    source = tfds_source(text)
    labels, classes = tfds_labels(text)
    if len(classes) < 2 or not labels:
        raise SourceError(f"`data` must hold pictures of at least two classes. Received: data={text!r}")
    places = tuple(range(len(labels)))
    return LabeledFolder(text, tuple(map(source.name, places)), labels, classes, source, places)


def _pictures(folder, argument):
    try:
        found = image_source(folder)
    except SourceError:
        found = None
    if not isinstance(found, FileSource):
        raise SourceError(f"`{argument}`: class folder {str(folder)!r} holds no pictures; fill or remove it")
    return found.paths
