"""The four steps of a bag of visual words, drawn on a photograph: points, patches, descriptors, histogram."""

import colorsys
import math
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.builtin import builtin_photographs
from tfssl.data.crop import Crop
from tfssl.errors import ModelError
from tfssl.local.dense import DenseDescriptors
from tfssl.local.descriptors import grid_points
from tfssl.local.points import interest_points, matches
from tfssl.options import at_least_one
from tfssl.visualization.maps import read_images
from tfssl.visualization.neighbors import read_photo
from tfssl.visualization.page import file_stem, write_gallery
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet

_PANEL = 420  # pixels of a step on the sheet
_CLOSE = 2.0  # pixels that a matched point may lie beside its place
_MOST = 60  # points that are drawn

_TITLES = ("1. points: found, on a grid", "2. patches", "3. descriptors", "4. histogram of words")
_TEXT = (
    "How images were described before 2012. Points: where SIFT finds them (circles, a radius shows the direction), "
    "and the grid that stands for them where whole images are classified (dots). Patches around the grid's points, "
    "framed in the color of their visual word. Descriptors: in 4x4 cells of a patch how strong the gradients of 8 "
    "directions are. Histogram: how many patches have each word; it is the vector of the image, and knows no places "
    "any more.\n\n"
    "Matches: points of the photograph and of the same one turned by 90 degrees whose descriptors agree (ratio 0.8); "
    "right ones, within 2 pixels of where the turn puts them, are green."
)


def steps(networks, *, out, photo=None, data="builtin", image_size=96, limit=500, seed=0, skipped=None, progress=None):
    """Draw the steps of encoders of visual words, such as ``local:sift-bow``, on a photograph.

    Writes ``steps-NAME.png``, ``matches.png``, ``index.html`` and ``numbers.json`` into ``out``.

    Args:
        networks: ``{name: keras.Model}``, encoders with the taps ``words`` and ``bag``.
        photo: a path, encoded bytes or ``PIL.Image``; None for a photograph that comes along.
        data, limit, skipped: images that vocabularies are learned from where they are not yet, see
            :func:`~tfssl.visualization.maps.read_images`.
        image_size: of the squares that are described, in pixels; the photograph's center.
        seed: of the vocabulary.
        progress: called with (networks done, in all).

    Returns:
        ``{name: {"points", "patches", "words_used", "matches", "matches_right"}}``, the last a fraction.
    """
    at_least_one(image_size=image_size, limit=limit)
    layers = {name: _descriptors_of(network, name) for name, network in networks.items()}
    image = read_photo(builtin_photographs()[0] if photo is None else photo, photo)
    square = Crop(image_size, resize=image_size, flip=False).apply(image)
    large = Crop(_PANEL, resize=_PANEL, flip=False).apply(image)
    points, found = interest_points(np.asarray(Image.fromarray(large).convert("L")))
    pictures, numbers, matched = {}, {}, _draw_matches(large, points, found, Path(out) / "matches.png")
    for done, (name, network) in enumerate(networks.items(), 1):
        network = _with_words(network, data, image_size, limit, seed, skipped)
        answers = {tap: values.numpy()[0] for tap, values in network(square[None]).items()}
        words = answers["words"].argmax(axis=-1)
        drawn = [
            _draw_points(large, points, layers[name], image_size),
            _draw_patches(square, words, layers[name]),
            _draw_descriptors(answers["descriptors"]),
            _draw_histogram(np.bincount(words.ravel(), minlength=answers["words"].shape[-1])),
        ]
        path = Path(out) / f"{file_stem('steps', name)}.png"
        picture_sheet([drawn], path, titles=_TITLES, cell=_PANEL)
        pictures.setdefault("From the photograph to its vector", {})[name] = path
        counts = {"points": len(points), "patches": words.size, "words_used": len(np.unique(words))}
        numbers[name] = {key: float(value) for key, value in counts.items()} | matched
        if progress is not None:
            progress(done, len(networks))
    pictures["Matches under rotation"] = {"": Path(out) / "matches.png"}
    protocol = {"image_size": image_size, "vocabulary": f"learned from at most {limit} images of data", "seed": seed}
    return write_gallery(out, "Local features", text=_TEXT, images=pictures, numbers=numbers, protocol=protocol)


def _descriptors_of(network, name):
    """The layer of its SIFT descriptors; a ModelError for an encoder that has no words of them."""
    layer = next((one for one in network.layers if isinstance(one, DenseDescriptors) and one.kind == "sift"), None)
    if layer is None or not {"words", "bag"} <= set(network.output):
        raise ModelError(f"{name} has no visual words to show; the steps are those of local:sift-bow")
    return layer


def _with_words(network, data, image_size, limit, seed, skipped):
    """The network, or a copy of it that has learned its vocabulary."""
    if network.adapted:
        return network
    copy = keras.models.clone_model(network)
    copy.adapt(read_images(data, image_size=image_size, limit=limit, least=1, skipped=skipped).images, seed)
    return copy


def _draw_points(large, points, layer, image_size):
    drawn = Image.fromarray(large)
    pen, scale = ImageDraw.Draw(drawn), _PANEL / image_size
    for y in scale * grid_points(image_size, layer.step):
        for x in scale * grid_points(image_size, layer.step):
            pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill="white", outline="black")
    for x, y, diameter, angle in points[np.argsort(-points[:, 2])][:_MOST].tolist():
        radius, turn = diameter, math.radians(angle)  # twice the scale, or what is small would not be seen
        for color, width in (("black", 4), ("#f0e442", 2)):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=width)
            pen.line((x, y, x + radius * math.cos(turn), y + radius * math.sin(turn)), fill=color, width=width)
    return drawn


def _draw_patches(square, words, layer):
    """The patches of the grid side by side, each in the frame of its word's color."""
    padded = np.pad(square, ((layer.size,) * 2, (layer.size,) * 2, (0, 0)), mode="edge")
    rows, columns = words.shape
    tile = max(8, _PANEL // max(rows, columns))
    drawn = Image.new("RGB", (columns * tile, rows * tile), "white")
    for row, y in enumerate(grid_points(square.shape[0], layer.step)):
        for column, x in enumerate(grid_points(square.shape[1], layer.step)):
            top, left = (round(center + layer.size / 2) for center in (y, x))
            patch = Image.fromarray(padded[top : top + layer.size, left : left + layer.size]).resize((tile - 2,) * 2)
            framed = Image.new("RGB", (tile - 1, tile - 1), _color(words[row, column]))
            framed.paste(patch.crop((2, 2, tile - 4, tile - 4)), (2, 2))
            drawn.paste(framed, (column * tile, row * tile))
    return drawn


def _draw_descriptors(descriptors):
    """Each descriptor as 4x4 stars of 8 rays: how strong gradients of that direction are."""
    rows, columns, _ = descriptors.shape
    tile, scale = max(8, _PANEL // max(rows, columns)), 3  # drawn larger, for smooth lines
    drawn = Image.new("RGB", (columns * tile * scale, rows * tile * scale), "white")
    pen, cell = ImageDraw.Draw(drawn), (tile - 2) * scale / 4
    strengths = np.square(descriptors).reshape(rows, columns, 4, 4, 8)
    strengths = np.minimum(strengths / max(np.quantile(strengths, 0.99), 1e-12), 1)
    for row, column, i, j, direction in np.argwhere(strengths > 0.05).tolist():
        x, y = (tile * scale * n + scale + cell * (k + 0.5) for n, k in ((column, j), (row, i)))
        length, turn = cell * strengths[row, column, i, j, direction], math.pi / 4 * direction
        # The y axis of OpenCV's directions points up.
        pen.line((x, y, x + length * math.cos(turn), y - length * math.sin(turn)), fill="black", width=scale)
    for n in range(max(rows, columns) + 1):
        pen.line((0, n * tile * scale, drawn.width, n * tile * scale), fill="#c8c8c8")
        pen.line((n * tile * scale, 0, n * tile * scale, drawn.height), fill="#c8c8c8")
    return drawn.resize((columns * tile, rows * tile), Image.Resampling.BOX)


def _draw_histogram(counts):
    drawn = Image.new("RGB", (_PANEL, _PANEL), "white")
    pen, base = ImageDraw.Draw(drawn), _PANEL - 10
    width = (_PANEL - 20) / len(counts)
    for number, count in enumerate(counts.tolist()):
        left = 10 + number * width
        top = base - round((base - 20) * count / max(counts.max(), 1))
        if count:
            pen.rectangle((left, top, max(left + width - 1, left + 1), base), fill=_color(number))
    pen.line((8, base + 1, _PANEL - 8, base + 1), fill="black", width=2)
    return drawn


def _draw_matches(large, points, descriptors, path):
    """Match a photograph with the same one turned, and draw it: ``{"matches", "matches_right"}``."""
    turned = np.ascontiguousarray(np.rot90(large))
    others, found = interest_points(np.asarray(Image.fromarray(turned).convert("L")))
    pairs = matches(descriptors, found)
    starts, ends = points[pairs[:, 0], :2], others[pairs[:, 1], :2]
    places = np.stack([starts[:, 1], large.shape[1] - 1 - starts[:, 0]], axis=1)
    right = np.linalg.norm(ends - places, axis=1) < _CLOSE
    gap = 20
    drawn = Image.new("RGB", (large.shape[1] + gap + turned.shape[1], large.shape[0]), "white")
    drawn.paste(Image.fromarray(large), (0, 0))
    drawn.paste(Image.fromarray(turned), (large.shape[1] + gap, 0))
    pen = ImageDraw.Draw(drawn)
    for number in np.linspace(0, len(pairs), min(len(pairs), _MOST), endpoint=False).astype(int).tolist():
        (x, y), (u, v) = starts[number].tolist(), ends[number].tolist()
        pen.line((x, y, u + large.shape[1] + gap, v), fill=GOOD if right[number] else BAD)
    picture_sheet([[drawn]], path, cell=max(drawn.size), margin=0)
    return {"matches": float(len(pairs)), "matches_right": float(right.mean()) if len(pairs) else float("nan")}


def _color(word):
    """A color of its own for each word: hues in steps of the golden ratio."""
    hue, value = (word * 0.618034) % 1, (0.95, 0.6, 0.78)[word % 3]
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, value))
