"""What single units of a layer respond to: their top pictures, masked to what drives them, and their fields."""

from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.visualization.activations import MASK_THRESHOLD, class_agreement, top_pictures, unit_masks
from tfssl.visualization.gallery import file_stem, write_gallery
from tfssl.visualization.maps import map_function, pick_tap
from tfssl.visualization.occlusion import FIELD_THRESHOLD, FieldProbe
from tfssl.visualization.pictures import read_pictures
from tfssl.visualization.receptive_field import receptive_field
from tfssl.visualization.sheet import picture_sheet

AGREEMENTS = (0.6, 0.75)
"""Shares of a unit's top pictures that must be of one class for it to count as selective."""

_CELL = 120  # pixels of a picture on the sheet, and of the masks (cnnvisualizer)
_OUTSIDE = 0.25  # brightness of what the unit does not respond to

_TEXT = (
    "Each row is a unit (channel) of a tap, and the {top} pictures of {count} in which its largest activation is "
    "highest. Bright is where the unit's map, enlarged, exceeds {threshold:g} of its largest value among them. "
    "{choice}\n\nThe first picture of some rows is the unit's receptive field as measured: the mean change of its "
    "activation when a {occluder}x{occluder} square of random pixels covers a place, about the place where the unit is "
    "strongest; bright is much. The window has the size of the pictures. Its size in the table is the side of a square "
    "as large as the area with at least {field_threshold:g} of the largest change, the mean over these units.{classes}"
)
_CLASSES = (
    "\n\nSelective: units of whose top pictures at least 60% (75%) are of one class; shuffled: the same count with the "
    "classes dealt out by chance."
)
_CHOICE = {
    True: "Shown are the units whose top pictures agree most in their class, which flatters every network alike.",
    False: "Shown are units spread evenly over the live ones.",
}


def units(
    networks,
    data,
    *,
    out,
    tap=None,
    side=64,
    limit=1000,
    top=10,
    shown=8,
    fields=3,
    occluder=5,
    stride=2,
    seed=0,
    skipped=None,
    progress=None,
):
    """Show the top pictures of units of each network, and measure receptive fields.

    Args:
        networks: ``{name: keras.Model}``, encoders.
        data: see :func:`tfssl.data.images.image_source`; class folders give selectivity.
        out: folder for ``units-NAME.png``, ``index.html``, ``numbers.json``.
        tap: see :func:`~tfssl.visualization.maps.pick_tap`.
        side: of the pictures in pixels, as the networks see them.
        limit: pictures to take.
        top: K, pictures of each unit.
        shown: units on a sheet.
        fields: units whose receptive field is measured, the first ones shown; the expensive part.
        occluder, stride: see :func:`~tfssl.visualization.occlusion.FieldProbe`.
        seed: of the occluder's pixels and the shuffled classes.
        skipped: as :func:`~tfssl.visualization.pictures.read_pictures`.
        progress: called with (networks done, in all).

    Returns:
        ``{name: {"units", "dead_units", "field_theory", "field_measured"}}``, fields in pixels of ``side``; with
        classes also ``selective_60``, ``selective_75``, ``shuffled_60``, ``shuffled_75``, counts of units.

    Raises:
        SourceError: if there are fewer pictures than K.
        ConfigError: for a tap that a network lacks, or a value out of range.
        ModelError: if a tap holds NaN or infinity.
    """
    if shown < 1:
        raise ConfigError(f"`shown` must be at least 1. Received: shown={shown}")
    taps = {name: pick_tap(network, tap, name) for name, network in networks.items()}
    pictures = read_pictures(data, side=side, limit=limit, least=top, skipped=skipped)
    files, numbers, copies = {}, {}, 0
    for name, network in networks.items():
        compute = map_function(network, taps[name])
        best = top_pictures(compute, pictures.images, top)
        chosen = _choose(best, pictures.labels, shown)
        probe = FieldProbe(network, taps[name], side, occluder=occluder, stride=stride, seed=seed)
        measured = [
            probe.measure(unit, pictures.images[best.index[unit]], best.place[unit]) for unit in chosen[:fields]
        ]
        copies += sum(field.copies for field in measured)
        path = Path(out) / f"{file_stem('units', name)}.png"
        if chosen:
            _write_sheet(compute, pictures, best, chosen, measured, path)
            files[f"{name}, {taps[name]}"] = path
        theory = receptive_field(network, taps[name], side)
        numbers[name] = {
            "units": len(best.live),
            "dead_units": int((~best.live).sum()),
            **_selectivity(best, pictures.labels, seed),
            "field_theory": float("nan") if theory is None else theory.size,
            "field_measured": float(np.mean([field.size for field in measured])) if measured else float("nan"),
        }
        if progress is not None:
            progress(len(numbers), len(networks))
    protocol = {
        "pictures": len(pictures),
        "side": side,
        **{f"tap_of_{name}": layer for name, layer in taps.items()},
        "top": top,
        "mask_threshold": MASK_THRESHOLD,
        "occluder": occluder,
        "stride": stride,
        "occluded_copies": copies,
        "field_threshold": FIELD_THRESHOLD,
        "seed": seed,
    }
    text = _TEXT.format(
        top=top,
        count=len(pictures),
        threshold=MASK_THRESHOLD,
        choice=_CHOICE[pictures.labels is not None],
        occluder=occluder,
        field_threshold=FIELD_THRESHOLD,
        classes="" if pictures.labels is None else _CLASSES,
    )
    return write_gallery(
        out, "What units respond to", text=text, pictures={"Units": files}, numbers=numbers, protocol=protocol
    )


def _selectivity(best, labels, seed):
    if labels is None:
        return {}
    dealt = np.random.default_rng(seed).permutation(labels)
    counts = {}
    for kind, classes in (("selective", labels), ("shuffled", dealt)):
        share, _ = class_agreement(best.index[best.live], classes)
        # Shares are multiples of 1 / K: a hair below the limit is rounding.
        counts |= {f"{kind}_{round(100 * least)}": int((share >= least - 1e-9).sum()) for least in AGREEMENTS}
    return counts


def _choose(best, labels, shown):
    """Numbers of the units to show: the most selective ones, or some spread evenly over the live ones."""
    live = np.flatnonzero(best.live)
    if labels is None:
        return live[np.linspace(0, len(live), min(shown, len(live)), endpoint=False).astype(int)].tolist()
    share, _ = class_agreement(best.index[live], labels)
    return live[np.argsort(-share, kind="stable")[:shown]].tolist()


def _write_sheet(compute, pictures, best, chosen, measured, path):
    rows, labels = [], []
    for number, unit in enumerate(chosen):
        index = best.index[unit]
        masks = unit_masks(compute(pictures.images[index])[..., unit], side=_CELL)
        field = [_field_picture(measured[number]) if number < len(measured) else None] if measured else []
        rows.append([*field, *_masked(pictures, index, masks)])
        labels.append(_label(unit, best, pictures))
    titles = [*(["field"] if measured else []), *map(str, range(1, best.index.shape[1] + 1))]
    picture_sheet(rows, path, titles=titles, labels=labels, cell=_CELL, margin=4)


def _label(unit, best, pictures):
    if pictures.labels is None:
        return f"unit {unit}"
    share, label = class_agreement(best.index[[unit]], pictures.labels)
    return f"unit {unit}\n{pictures.classes[label[0]]}\n{share[0]:.0%}"


def _masked(pictures, index, masks):
    for number, mask in zip(index.tolist(), masks, strict=True):
        image = pictures.shown(number, _CELL)
        yield np.rint(image * np.where(mask, 1.0, _OUTSIDE)[..., None]).astype(np.uint8)


def _field_picture(field):
    """The measured field in a window of the pictures' size, brightest where the change is largest."""
    side = len(field.change) // 2
    change = field.change[side // 2 : side // 2 + side, side // 2 : side // 2 + side]
    largest = change.max() if change.max() > 0 else 1.0
    image = Image.fromarray(np.rint(255.0 * change / largest).astype(np.uint8))
    return image.resize((_CELL, _CELL), Image.Resampling.NEAREST)
