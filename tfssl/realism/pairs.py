"""Pairs of a photograph and the same with other colors, as the human test shows them."""

import dataclasses
import hashlib
import os

import numpy as np
from PIL import Image

from tfssl.color.metrics import join_lab
from tfssl.color.photographs import Photograph, map_ahead
from tfssl.data.crop import Crop
from tfssl.data.images import image_source
from tfssl.errors import SourceError
from tfssl.ops.ab_bins import GRAY_THRESHOLD
from tfssl.visualization.sheet import save_png

SIZE = 256
"""Pixels of a side of the images shown (Zhang et al. 2016, section 3.1)."""

RANDOM = "random"
"""Name of the colors of another photograph: the attention checks, and a baseline beside the models."""

_CROP = Crop(SIZE, resize=SIZE)


@dataclasses.dataclass(frozen=True)
class Pool:
    """Photographs that serve: ``names`` and ``crops``, uint8 (256, 256, 3); ``skipped`` ones, ``{name: reason}``."""

    names: list[str]
    crops: list[np.ndarray]
    skipped: dict[str, str]


def choose(data, needed, limit, rng):
    """Draw at most ``limit`` photographs from images, at random and without looking at how they fare.

    Left out are those that cannot be read, are smaller than 256 pixels, or are gray in truth (neither
    a nor b anywhere beyond 5): nobody could tell such a pair apart.

    Args:
        data: see :func:`tfssl.data.images.image_source`.
        needed: fewer than this are refused.
        rng: ``numpy.random.Generator``.

    Raises:
        SourceError: if too few photographs serve.
    """
    source = image_source(data, min_size=SIZE)
    order = rng.permutation(len(source)).tolist()
    names, crops, skipped = [], [], {}
    for index, found in map_ahead(lambda index: (index, _read(source, index)), order):
        if isinstance(found, str):
            skipped[source.name(index)] = found
            continue
        names.append(source.name(index))
        crops.append(found)
        if len(crops) == limit:
            break
    if len(crops) < needed:
        first = "".join(f", such as {name}: {reason}" for name, reason in list(skipped.items())[:1])
        raise SourceError(
            f"a session takes {needed} photographs in color of at least {SIZE} pixels a side; {len(crops)} of "
            f"{len(source)} serve ({len(skipped)} left out{first}). Give more, or fewer `pairs` and `practice`"
        )
    return Pool(_short(names), crops, skipped)


def _read(source, index):
    """The crop of a photograph, or why it does not serve."""
    from skimage.color import rgb2lab

    try:
        image = source.example(index)["image"]
    except (ValueError, OSError) as error:
        return str(error)
    if min(image.size) < SIZE:
        return f"smaller than {SIZE} pixels: {image.width} x {image.height}"
    crop = _CROP.apply(image)
    return crop if np.abs(rgb2lab(crop)[..., 1:]).max() > GRAY_THRESHOLD else "gray, without colors of its own"


def _short(names):
    """Names below the folder that all have in common: the page tells nobody where they lie."""
    folders = {os.path.dirname(name) for name in names}
    above = os.path.commonpath(folders) if "" not in folders else ""
    return [os.path.relpath(name, above) if above else name for name in names]


def write_images(folder, pool, recolor, kinds, rng, progress=None):
    """Write the images of all pairs as PNG; their names say nothing.

    The truth goes the same way as the others, from its own L and ab through the same conversion and encoder, so that
    nothing but colors can tell them apart.

    Args:
        folder: where the images go, a ``pathlib.Path``.
        pool: of :func:`choose`.
        recolor: ``{model: function of a Photograph}`` that gives ab, (256, 256, 2); None in place of a function
            stands for the colors of another photograph of the pool.
        kinds: for each photograph ``"practice"``, ``"check"`` (shown with random colors) or ``"test"``.
        rng: draws the names.
        progress: called with (photographs done, all).

    Returns:
        A dict for each photograph: ``name``, ``kind``, ``real`` and ``fakes``, ``{model: name of its image}``.
    """
    from skimage.color import rgb2lab

    pairs = []
    for index, (name, rgb, kind) in enumerate(zip(pool.names, pool.crops, kinds, strict=True)):
        photograph = Photograph(index, name, rgb, rgb2lab(rgb))
        lightness, true = photograph.lab[..., 0], photograph.lab[..., 1:]
        other = rgb2lab(pool.crops[index - 1])[..., 1:]  # the pool is in random order
        colors = {"": true} | {
            model: other if function is None else function(photograph)
            for model, function in ({RANDOM: None} if kind == "check" else recolor).items()
        }
        joined = {model: join_lab(lightness, ab) for model, ab in colors.items()}
        files = {model: hashlib.sha256(rng.bytes(16) + rgb.tobytes()).hexdigest()[:16] for model, rgb in joined.items()}
        for model in sorted(joined, key=files.__getitem__):  # nor does the order in which they are written tell
            save_png(Image.fromarray(joined[model]), folder / f"{files[model]}.png")
        pairs.append({"name": name, "kind": kind, "real": files.pop(""), "fakes": files})
        if progress is not None:
            progress(index + 1, len(pool.names))
    return pairs
