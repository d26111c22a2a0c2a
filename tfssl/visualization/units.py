"""What single units of a layer respond to: the images that drive them most, masked to what does, and their fields."""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from scipy.stats import mode

from tfssl.errors import ConfigError, ModelError
from tfssl.options import at_least_one
from tfssl.visualization.maps import batches, map_function, pick_taps, read_images, tap_names
from tfssl.visualization.naming import count_named, read_names, write_naming_table
from tfssl.visualization.page import file_stem, write_gallery
from tfssl.visualization.receptive_field import FIELD_THRESHOLD, FieldProbe, receptive_field
from tfssl.visualization.sheet import picture_sheet

MASK_THRESHOLD = 0.2
"""Fraction of the strongest activation among a unit's top images from which a cell counts (cnnvisualizer)."""

AGREEMENTS = (0.6, 0.75)  # fractions of a unit's top images that must be of one class for it to count as selective

_ROWS = 32  # units on one sheet
_CELL = 120  # pixels of an image on the sheet, and of the masks (cnnvisualizer)
_OUTSIDE = 0.25  # brightness of what the unit does not respond to

_TEXT = (
    "Each row is a unit (channel) of a tap, and the {top} images of {images} in which its largest activation is "
    "highest. Bright is where the unit's map, enlarged, exceeds {mask_threshold:g} of its largest value among them. "
    "{choice}\n\nThe first image of some rows is the unit's receptive field as measured: the mean change of its "
    "activation when a {occluder}x{occluder} square of random pixels covers a spot, about the one where the unit is "
    "strongest; bright is much. The window has the size of the images. Its size in the table is the side of a square "
    "as large as the area with at least {field_threshold:g} of the largest change, the mean over these units.{classes}"
)
_CLASSES = (
    "\n\nSelective: units of whose top images at least 60% (75%) are of one class; shuffled: the same count with the "
    "classes dealt out by chance."
)
_CHOICE = {
    True: "Shown are the units whose top images agree most in their class, which flatters every network alike.",
    False: "Shown are units spread evenly over the live ones.",
}


@dataclasses.dataclass(frozen=True)
class TopImages:
    """For each unit of a tap, the images that drive it most.

    Args:
        index: int (units, K), numbers of the images, the strongest first; of equals the one that comes first.
        activation: float32 (units, K), the largest activation of the unit in each.
        cell: int (units, K, 2), row and column of the map where it is; of equals the first one.
        live: bool (units,), False where the activation is the same everywhere in all images (mostly 0: a dead unit).
    """

    index: np.ndarray
    activation: np.ndarray
    cell: np.ndarray
    live: np.ndarray


def top_images(compute, images, top):
    """Rank images by the spatial maximum of each unit: the ``top`` of each, a :class:`TopImages`.

    Args:
        compute: function of images to the map of a tap, see :func:`~tfssl.visualization.maps.map_function`.
        images: uint8 (N, H, W, 3).

    Reference:
        B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba: Object Detectors Emerge in Deep Scene CNNs.
        ICLR 2015; metalbubble/cnnvisualizer.
    """
    if not 1 <= top <= len(images):
        raise ConfigError(f"`top` must be from 1 to the number of images, {len(images)}. Received: top={top}")
    found = []
    for batch in batches(images):
        maps = np.asarray(compute(batch))
        if not np.isfinite(maps).all():
            raise ModelError("the maps of the tap hold NaN or infinity")
        flat = maps.reshape(len(maps), -1, maps.shape[-1])
        found.append((flat.max(axis=1), flat.min(axis=1), flat.argmax(axis=1)))
    maxima, minima, cells = (np.concatenate(part).T for part in zip(*found, strict=True))  # (units, N)
    index = np.argsort(-maxima, axis=1, kind="stable")[:, :top]
    activation, cell = (np.take_along_axis(part, index, axis=1) for part in (maxima, cells))
    cell = np.stack(np.unravel_index(cell, maps.shape[1:3]), axis=-1)
    return TopImages(index, activation, cell, maxima.max(axis=1) > minima.min(axis=1))


def unit_masks(maps, *, size=120, threshold=MASK_THRESHOLD):
    """Where a unit is active in its top images, bool (K, size, size): the quick segmentation of Zhou et al.

    The maps, float (K, h, w), are enlarged and divided by the largest value among all of them; a cell counts from
    ``threshold`` on. All are False for a unit that is nowhere above 0.
    """
    maps = np.asarray(maps, np.float32)
    if not maps.max() > 0:
        return np.zeros((len(maps), size, size), bool)
    return tf.image.resize(maps[..., None] / maps.max(), (size, size))[..., 0].numpy() >= threshold


def class_agreement(index, labels):
    """How far the top images of each unit agree, their numbers in ``index``, int (units, K).

    Returns:
        ``(fraction, label)``: float (units,), the fraction of the most frequent class; int (units,), that class, of
        equally frequent ones the smallest number.
    """
    most = mode(labels[index], axis=1)
    return most.count / index.shape[1], most.mode


def units(
    networks, data, *, out, tap=None, image_size=64, limit=1000, top=10, shown=8, fields=3, occluder=5, stride=2,
    names=(), seed=0, skipped=None, progress=None,
):  # fmt: skip
    """Show the top images of units of each network, and measure receptive fields.

    Writes ``units-NAME.png`` (of more than 32 units several), ``index.html`` and ``numbers.json`` into ``out``, and
    ``names-NAME.csv``, a table for people to write down what a unit responds to.

    Args:
        networks: ``{name: keras.Model}``, encoders.
        data, limit, skipped: see :func:`~tfssl.visualization.maps.read_images`; class folders give selectivity.
        tap: see :func:`~tfssl.visualization.maps.pick_tap`.
        image_size: of the images in pixels, as the networks see them.
        top, shown: images of each unit, units on a sheet.
        fields: units whose receptive field is measured, the first ones shown; the expensive part.
        occluder, stride, seed: see :class:`~tfssl.visualization.receptive_field.FieldProbe`.
        names: tables of the first network that people have filled in; on the command line parted by commas.
        progress: called with (networks done, in all).

    Returns:
        ``{name: {"units", "dead_units", "field_theory", "field_measured"}}``, fields in pixels of ``image_size``; with
        classes also ``selective_60``, ``selective_75``, ``shuffled_60``, ``shuffled_75``, counts of units; with
        ``names`` of the first network ``named``, see :func:`tfssl.visualization.naming.count_named`.
    """
    at_least_one(shown=shown, top=top, image_size=image_size, limit=limit, occluder=occluder, stride=stride)
    if fields < 0:
        raise ConfigError(f"`fields` must be at least 0. Received: fields={fields}")
    told = [read_names(path) for path in (names.split(",") if isinstance(names, str) else names)]
    taps = pick_taps(networks, tap)
    images = read_images(data, image_size=image_size, limit=limit, least=top, skipped=skipped)
    files, numbers, copies = {}, {}, 0
    for name, network in networks.items():
        compute = map_function(network, taps[name])
        best = top_images(compute, images.images, top)
        chosen = _choose(best, images.labels, shown)
        probe = FieldProbe(network, taps[name], image_size, occluder=occluder, stride=stride, seed=seed)
        measured = [probe.measure(unit, images.images[best.index[unit]], best.cell[unit]) for unit in chosen[:fields]]
        copies += sum(field.copies for field in measured)
        for first in range(0, len(chosen), _ROWS):
            part = slice(first, first + _ROWS)
            page = f" ({first // _ROWS + 1})" if len(chosen) > _ROWS else ""
            path = Path(out) / f"{file_stem('units', name)}{f'-{first // _ROWS + 1}' if page else ''}.png"
            _write_sheet(compute, images, best, chosen[part], measured[part], path)
            files[f"{name}, {taps[name]}{page}"] = path
        if chosen:
            write_naming_table(Path(out) / f"{file_stem('names', name)}.csv", chosen, best.index, images)
        theory = receptive_field(network, taps[name], image_size)
        numbers[name] = {
            "units": len(best.live),
            "dead_units": int((~best.live).sum()),
            **_selectivity(best, images.labels, seed),
            **({"named": count_named(told)} if told and not numbers else {}),
            "field_theory": float("nan") if theory is None else theory.size,
            "field_measured": float(np.mean([field.size for field in measured])) if measured else float("nan"),
        }
        if progress is not None:
            progress(len(numbers), len(networks))
    protocol = {"images": len(images), "image_size": image_size} | tap_names(taps)
    protocol |= {"top": top, "mask_threshold": MASK_THRESHOLD, "occluder": occluder, "stride": stride}
    protocol |= {"occluded_copies": copies, "field_threshold": FIELD_THRESHOLD, "seed": seed}
    known = images.labels is not None
    text = _TEXT.format(**protocol, choice=_CHOICE[known], classes=_CLASSES if known else "")
    page = {"text": text, "images": {"Units": files}, "numbers": numbers, "protocol": protocol}
    return write_gallery(out, "What units respond to", **page)


def _selectivity(best, labels, seed):
    if labels is None:
        return {}
    dealt = np.random.default_rng(seed).permutation(labels)
    found = {"selective": class_agreement(best.index[best.live], labels)[0]}
    found["shuffled"] = class_agreement(best.index[best.live], dealt)[0]
    # Fractions are multiples of 1 / K: a hair below the limit is rounding.
    return {f"{kind}_{at:.0%}"[:-1]: int((x >= at - 1e-9).sum()) for kind, x in found.items() for at in AGREEMENTS}


def _choose(best, labels, shown):
    """The most selective units, or some spread evenly over the live ones."""
    live = np.flatnonzero(best.live)
    if labels is None:
        return live[np.linspace(0, len(live), min(shown, len(live)), endpoint=False).astype(int)].tolist()
    fraction, _ = class_agreement(best.index[live], labels)
    return live[np.argsort(-fraction, kind="stable")[:shown]].tolist()


def _write_sheet(compute, images, best, chosen, measured, path):
    rows, labels = [], [f"unit {unit}" for unit in chosen]
    if images.labels is not None:
        agreement = zip(labels, *class_agreement(best.index[chosen], images.labels), strict=True)
        labels = [f"{label}\n{images.classes[most]}\n{fraction:.0%}" for label, fraction, most in agreement]
    for number, unit in enumerate(chosen):
        index = best.index[unit]
        masks = unit_masks(compute(images.images[index])[..., unit], size=_CELL)
        light = np.where(masks, 1.0, _OUTSIDE)[..., None]
        shown = np.stack([images.shown(i, _CELL) for i in index])
        field = [_field_image(measured[number]) if number < len(measured) else None] if measured else []
        rows.append([*field, *np.rint(shown * light).astype(np.uint8)])
    titles = [*(["field"] if measured else []), *map(str, range(1, best.index.shape[1] + 1))]
    picture_sheet(rows, path, titles=titles, labels=labels, cell=_CELL, margin=4)


def _field_image(field):
    """The measured field in a window of the images' size, brightest where the change is largest."""
    size = len(field.change) // 2
    change = field.change[size // 2 :, size // 2 :][:size, :size]
    image = Image.fromarray(np.rint(255.0 * change / (change.max() or 1.0)).astype(np.uint8))
    return image.resize((_CELL, _CELL), Image.Resampling.NEAREST)
