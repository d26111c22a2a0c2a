"""Vectors of features of labeled sets: an encoder's maps, averaged over the cells of a grid."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.clip_classes import clip_batches, train_and_test_clips
from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.labeled import LabeledImages, labeled_batches, train_and_test
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.evaluation.runner import Progress, compared, finish, limited, run_all, values_by_tap
from tfssl.ops.geometry import cell_weights
from tfssl.transfer.strategies import check_taps
from tfssl.visualization.line_plot import line_plot

NUMBERS = 9000  # length that the vector of a map is brought near to by default (Zhang et al., 2016)


@dataclasses.dataclass(frozen=True)
class Features:
    """What an encoder makes of a labeled set: vectors, ``{tap: float32 (N, numbers)}``, and labels.

    ``rows`` are memory maps where they were written to a folder. ``labels`` are int32 (N,), or (N, classes) where
    several may occur; ``shapes``, ``{tap: (rows, columns, channels)}``, are those of the pooled maps.
    """

    rows: dict
    labels: np.ndarray
    shapes: dict

    def about(self, tap):
        return {"shape": "x".join(map(str, self.shapes[tap])), "numbers": int(np.prod(self.shapes[tap]))}


@dataclasses.dataclass(frozen=True)
class LabeledSets:
    """The training and the test images of a benchmark, as squares of one size: datasets of uint8 (B, size, size, 3) and
    labels; or clips likewise, (B, frames, size, size, 3). Unreadable files of both are collected in ``skipped`` as they
    are read."""

    sources: tuple[LabeledImages, LabeledImages]
    batches: tuple[tf.data.Dataset, tf.data.Dataset]
    skipped: Skipped
    image_size: int
    limit: int | None = None
    ten_crops: tuple[tf.data.Dataset, ...] = ()
    modality: str = "image"

    def readable_labels(self, part):
        """Labels of the training (0) or test (1) images but those that turned out unreadable, int (N, ...)."""
        source = self.sources[part]
        return np.array([source.labels[i] for i in range(len(source)) if source.name(i) not in self.skipped.reasons])

    @property
    def chance(self):
        """Accuracy on the test set of always naming the largest class of the training set."""
        train, test = map(self.readable_labels, (0, 1))
        return float(np.mean(test == np.bincount(train).argmax()))

    @property
    def counts(self):
        train, test = (len(self.readable_labels(part)) for part in (0, 1))
        images = {"images_train": train, "images_test": test, "images_skipped": len(self.skipped.reasons)}
        return {"classes": len(self.sources[0].classes), **images}

    @property
    def protocol(self):
        found = {"train": self.sources[0].root, "test": self.sources[1].root, "image_size": self.image_size}
        return found | ({} if self.limit is None else {"limit": self.limit})

    def images(self):
        """Batches of the training images alone, which a vocabulary is learned from."""
        return self.batches[0].map(lambda inputs, labels: inputs)

    def finish(self, task, runs, **options):
        return finish(task, runs, counts=self.counts, skipped=self.skipped.reasons, **options)

    @contextlib.contextmanager
    def features(self, encoder, *, taps=None, pool=None):
        """Pool an encoder's taps, see :func:`tap_features`, in files that last as long as the context.

        Yields ``(train, test, *ten crops of the test images)``, :class:`Features`.
        """
        with tempfile.TemporaryDirectory(prefix="tfssl-features-", ignore_cleanup_errors=True) as folder:
            parts, pooled = [], Pooled(encoder, self.batches[0].element_spec[0], taps, pool)
            for number, batches in enumerate((*self.batches, *self.ten_crops)):
                part = Path(folder) / str(number)
                part.mkdir()
                parts.append(pooled.features(batches, part))
            classes = self.sources[0].classes
            missing = sorted(set(range(len(classes))) - set(parts[0].labels.ravel().tolist()))
            if missing and parts[0].labels.ndim == 1:
                raise SourceError(f"`data`: no image of class {classes[missing[0]]!r} can be read")
            yield tuple(parts)

    def measure(self, fit, encoder, *, taps, pool, seeds, compare, trained, progress):
        """All runs of ``fit(name of the encoder, seeds, train, test, *ten crops)``, which yields one for each tap and
        seed; the other arguments are those of :mod:`tfssl.evaluation`."""
        encoders = compared(encoder, modality=self.modality, taps=taps, trained=trained, compare=compare)
        work = Progress(progress, sum(len(entry.taps) * seeds for entry in encoders))

        def measured(entry, network, own):
            with self.features(network, taps=entry.taps, pool=pool) as parts:
                for run in fit(entry.name, own, *parts):
                    work.add(f"{run.encoder} {run.tap}")
                    yield run

        return run_all(encoders, seeds, measured, self.images)


def labeled_sets(data, test=None, *, image_size=96, crops=1, limit=None, encoder=None):
    """The :class:`LabeledSets` of a benchmark: of folders, see :mod:`tfssl.evaluation`, or of two sources with labels.

    With ``crops=10`` the shorter side is scaled to 256 / 227 of ``image_size``, as for AlexNet's crops of 227 pixels.
    For an ``encoder`` of clips they are clips, see :func:`tfssl.data.clip_classes.clip_batches`, of as many frames as
    it takes, and of its own size where it has one.
    """
    clips = getattr(encoder, "modality", "image") == "clip"
    if clips:
        frames, image_size = encoder.input.shape[1], encoder.input.shape[2] or image_size
    check_image_size(image_size)
    if crops not in (1, 10):
        raise ConfigError(f"`crops` must be 1 or 10. Received: crops={crops!r}")
    if clips and (frames is None or crops != 1):
        raise ConfigError(
            "clips are measured by encoders of a known number of frames, and with crops=1. "
            f"Received: {encoder.name!r}, {encoder.takes}, crops={crops!r}"
        )
    if clips:
        sources = train_and_test_clips(data, test)
    else:
        sources = (data, test) if isinstance(data, LabeledImages) else train_and_test(data, test)
    sources = tuple(limited(source, limit) for source in sources)
    missing = sorted(set(range(len(sources[0].classes))) - set(np.ravel(sources[0].labels).tolist()))
    if missing and limit is not None and np.ndim(sources[0].labels) == 1:
        name = sources[0].classes[missing[0]]
        raise ConfigError(f"`limit` leaves no training image of class {name!r}; give a larger one. Received: {limit=}")
    skipped = Skipped()
    resize = image_size if crops == 1 else round(image_size * 256 / 227)

    def batches(source, size):
        if clips:
            return clip_batches(source, frames, size, skipped=skipped)
        return labeled_batches(source, Crop(size, resize=resize, flip=False), skipped=skipped)

    centers = tuple(batches(source, image_size) for source in sources)
    tens = () if crops == 1 else ten_crops(batches(sources[1], resize), resize, image_size)
    return LabeledSets(sources, centers, skipped, image_size, limit, tens, "clip" if clips else "image")


def check_image_size(image_size):
    """Raise ConfigError unless it is an integer from 8 to 2048."""
    if not isinstance(image_size, int) or not 8 <= image_size <= 2048:
        raise ConfigError(f"`image_size` must be an integer from 8 to 2048 pixels. Received: image_size={image_size!r}")


def ten_crops(batches, whole, size):
    """Datasets of four corners and the center of images, and their mirror images (Krizhevsky et al., 2012)."""
    far, middle = whole - size, (whole - size) // 2
    corners = ((0, 0), (0, far), (far, 0), (far, far), (middle, middle))

    def cut(top, left, step):
        return lambda images, labels: (images[:, top : top + size, left : left + size][:, :, ::step], labels)

    return tuple(batches.map(cut(top, left, step)) for top, left in corners for step in (1, -1))


def grid_size(channels, numbers=NUMBERS):
    """Rows g of the grid for which ``g * g * channels`` comes near ``numbers``; at least 1.

    AlexNet's conv1 ... conv5 (96, 256, 384, 384, 256 channels) get 10, 6, 5, 5, 6, as in the table of Zhang et al.
    """
    return max(1, round((numbers / channels) ** 0.5))


def pool_to_grid(maps, cells):
    """Average maps over the cells of a grid: (B, H, W, C) -> float32 (B, *cells, C), ``cells`` at most (H, W)."""
    maps = tf.cast(maps, tf.float32)
    height, width = maps.shape[1:3]
    if (height, width) == tuple(cells):
        return maps
    # Products of matrices as the maps lie in memory; the einsum of the same sums copies them into another order first.
    channels = maps.shape[-1]
    rows = tf.matmul(cell_weights(height, cells[0]), tf.reshape(maps, (-1, height, width * channels)))
    return tf.matmul(cell_weights(width, cells[1]), tf.reshape(rows, (-1, cells[0], width, channels)))


def tap_features(encoder, batches, *, taps=None, pool=None, numbers=NUMBERS, folder=None):
    """Run an encoder over labeled examples and pool every tap to a vector, see :class:`Features`.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: map (B, h, w, c) or vector (B, c)}``; other
            inputs than images likewise.
        batches: dataset of inputs of one size, uint8 ones are divided by 255, and labels (B, ...).
        taps: names to keep, in this order; None for all.
        pool: rows and columns of the grid that every map is averaged to, or the map's own size where that is smaller.
            None: :func:`grid_size`, for about so many ``numbers``.
        folder: where to write ``<tap>.npy`` batch after batch, for more examples than memory holds; or None.
    """
    return Pooled(encoder, batches.element_spec[0], taps, pool, numbers).features(batches, folder)


class Pooled:
    """:func:`tap_features` of one encoder, traced once for any number of datasets of inputs like ``spec``."""

    def __init__(self, encoder, spec, taps, pool, numbers=NUMBERS):
        self._sizes = sizes = _map_sizes(encoder, spec.shape[1:], taps)
        sides = {name: grid_size(size[-1], numbers) if pool is None else pool for name, size in sizes.items()}
        self._cells = cells = {name: (min(sides[name], s[0]), min(sides[name], s[1])) for name, s in sizes.items()}
        scale = 255.0 if spec.dtype == tf.uint8 else 1.0

        @tf.function(input_signature=[tf.TensorSpec((None, *spec.shape[1:]), spec.dtype)], autograph=False)
        def compute(inputs):
            maps = encoder(tf.cast(inputs, tf.float32) / scale, training=False)
            pooled = {name: pool_to_grid(tf.reshape(maps[name], (-1, *sizes[name])), cells[name]) for name in sizes}
            return {name: tf.reshape(x, (-1, np.prod(x.shape[1:]))) for name, x in pooled.items()}

        self._compute = compute.get_concrete_function()

    def features(self, batches, folder=None):
        paths = {name: None if folder is None else Path(folder) / f"{name}.npy" for name in self._sizes}
        columns, labels = {name: _Column(name, path) for name, path in paths.items()}, []
        for inputs, batch_labels in batches:
            for name, values in self._compute(inputs).items():
                columns[name].append(values.numpy())
            labels.append(batch_labels.numpy())
        if not labels:
            raise SourceError("`data` holds no readable example")
        shapes = {name: (*self._cells[name], size[-1]) for name, size in self._sizes.items()}
        return Features({name: c.finish() for name, c in columns.items()}, np.concatenate(labels), shapes)


def _map_sizes(encoder, shape, taps):
    """``{tap: (height, width, channels)}`` for inputs of a size; what layers leave open in a graph is known here."""
    maps = encoder(tf.zeros((1, *shape)), training=False)
    if not isinstance(maps, dict):
        raise ModelError(f"{encoder.name!r} is no encoder: it must answer with a dict of taps")
    check_taps(encoder, taps)
    strange = [name for name in maps if len(maps[name].shape) not in (2, 4)]
    if strange:
        name, found = strange[0], tuple(maps[strange[0]].shape)
        raise ModelError(f"tap {name!r} has shape {found}; an encoder's taps are (B, h, w, c) or (B, c)")
    return {name: (1, 1, *maps[name].shape[1:])[-3:] for name in taps or maps}


class _Column:
    """The vectors of one tap, batch after batch: in memory, or in a .npy file whose header is completed at the end."""

    def __init__(self, name, path):
        self._name, self._path = name, path
        self._parts, self._shape = [], None

    def append(self, values):
        if not np.isfinite(values).all():
            raise ModelError(f"tap {self._name!r} holds NaN or infinity")
        if self._path is None:
            self._parts.append(values)
            return
        # Plain writes: the pages of a memory map that is written to would count as memory of this process.
        with open(self._path, "wb" if self._shape is None else "ab") as file:
            if self._shape is None:
                self._shape = (0, values.shape[1])
                self._write_header(file)
            file.write(np.ascontiguousarray(values, np.float32))
        self._shape = (self._shape[0] + len(values), self._shape[1])

    def finish(self):
        if self._path is None:
            return np.concatenate(self._parts)
        with open(self._path, "r+b") as file:
            self._write_header(file)
        return np.load(self._path, mmap_mode="r")

    def _write_header(self, file):
        # NumPy pads headers so that the number of rows may grow in place.
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": self._shape})


def plot_taps(path, runs, metric, label, levels=None):
    """Draw the mean of a metric over the taps of each encoder; single taps, and ``levels``, as level lines."""
    found = values_by_tap(runs, metric)
    means = {name: {tap: float(np.mean(values)) for tap, values in own.items()} for name, own in found.items()}
    taps = list(means["encoder"])
    ends, curves = (0, max(len(taps) - 1, 1)), {}
    for name, own in means.items():
        shared = {place: own[tap] for place, tap in enumerate(taps) if tap in own} if len(taps) > 1 else {}
        curves[name] = (list(shared), list(shared.values())) if shared else (ends, [max(own.values())] * 2)
    curves |= {name: (ends, (value, value)) for name, value in (levels or {}).items()}
    ticks = dict(enumerate(taps))
    line_plot(curves, path, x_label="tap", y_label=label, x_range=ends, x_ticks=ticks, y_range=(0.0, top_of(curves)))


def top_of(curves):
    """Upper end of an axis of fractions: a tenth above the highest, where names have room."""
    return min(1.0, np.ceil(12.5 * max(max(y) for _, y in curves.values())) / 10)
