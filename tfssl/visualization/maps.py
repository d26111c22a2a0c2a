"""The images that networks are shown, and what they answer: a tap's maps, and vectors of them."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.images import ImageSource, image_source
from tfssl.data.labeled import folder_labels
from tfssl.errors import ConfigError, ModelError, SourceError

BATCH = 64  # images that go through a network together


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Squares of one size.

    Args:
        images: uint8 (N, image_size, image_size, 3), sRGB: the center of each, its shorter side scaled.
        index: the number of each in ``source``, int (N,).
        labels: class number of each, int (N,), or None; ``classes`` are their names.
    """

    images: np.ndarray
    index: np.ndarray
    source: ImageSource
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def __len__(self):
        return len(self.images)

    def shown(self, number, size):
        """An image for the reader's eyes, from its file: uint8 (size, size, 3)."""
        source = self.source.sized(size)
        return Crop(size, resize=size, flip=False).apply(source.example(int(self.index[number]))["image"])


def read_images(data, *, image_size, limit=None, least=2, skipped=None):
    """Read images, spread evenly over a source, so that class folders are met alike.

    Args:
        data: see :func:`tfssl.data.images.image_source`; class folders give labels.
        limit: how many to take; None for all.
        least: how many are needed, or a SourceError.
        skipped: a :class:`tfssl.data.examples.Skipped` that collects the unreadable ones.
    """
    crop = Crop(image_size, resize=image_size, flip=False)
    source, skipped = image_source(data, crop.min_size), Skipped() if skipped is None else skipped
    images, index = [], []
    for number in np.linspace(0, len(source), min(limit or len(source), len(source)), endpoint=False).astype(int):
        try:
            images.append(crop.apply(source.example(int(number))["image"]))
            index.append(number)
        except (ValueError, OSError) as error:
            skipped.add(source.name(int(number)), str(error))
    if len(images) < least:
        raise SourceError(f"`data` has {len(images)} readable images, {least} are needed; give more of them")
    names = folder_labels(source)
    if names is None:
        return ImageSet(np.stack(images), np.array(index), source)
    classes, labels = np.unique([names[number] for number in index], return_inverse=True)
    return ImageSet(np.stack(images), np.array(index), source, labels, tuple(classes.tolist()))


def pick_tap(network, tap=None, name="network"):
    """The tap to look at: the asked one, or the last one that is a map; vectors (B, c) count as maps of one cell."""
    taps = {key: len(tensor.shape) for key, tensor in network.output.items()}
    if tap is None:
        return next((key for key in reversed(taps) if taps[key] == 4), list(taps)[-1])
    if tap not in taps:
        raise ConfigError(f"`tap`: {name} has no {tap!r}; it has {', '.join(taps)}")
    return tap


def pick_taps(networks, tap=None):
    """``{name: tap}`` of several networks, see :func:`pick_tap`."""
    return {name: pick_tap(network, tap, name) for name, network in networks.items()}


def tap_names(taps):
    """Their taps as entries of a protocol."""
    return {f"tap_of_{name}": tap for name, tap in taps.items()}


def answer(network, tap, images):
    """The map of a tap, float32 (B, h, w, c), of images in [0, 1], float32 (B, H, W, 3)."""
    found = tf.cast(network(images, training=False)[tap], tf.float32)
    return found if len(found.shape) == 4 else found[:, None, None]


def map_function(network, tap):
    """A compiled function of images, uint8 (B, H, W, 3), to the map of a tap, float32 (B, h, w, c)."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)], autograph=False)
    def compute(images):
        return answer(network, tap, tf.cast(images, tf.float32) / 255.0)

    return compute.get_concrete_function()


def batches(images):
    """Slices of :data:`BATCH` images."""
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))


def vectors(network, tap, images, *, cells=1):
    """Describe each image by the map of a tap, averaged over a grid.

    Args:
        images: uint8 (N, H, W, 3).
        cells: cells along each axis of the grid; the map's own size where that is smaller.

    Returns:
        float32 (N, cells * cells * c).

    Raises:
        ModelError: if the map holds NaN or infinity.
    """
    compute, rows = map_function(network, tap), []
    for batch in batches(images):
        maps = compute(batch)
        grid = [min(cells, length) for length in maps.shape[1:3]]
        rows.append(tf.reshape(tf.image.resize(maps, grid, method="area"), (len(batch), -1)).numpy())
        if not np.isfinite(rows[-1]).all():
            raise ModelError(f"tap {tap!r} holds NaN or infinity")
    return np.concatenate(rows)
