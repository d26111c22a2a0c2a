"""A few colors that are known: they stay where they are given and spread to what belongs together.

The change that hints ask for is a Gaussian process over the network's grid: it takes the asked value where a hint is
(kriging), and elsewhere as much of it as a place resembles the hint's. Alike are places that the network expects the
same colors of, near each other, about as light. Colors far from all hints stay as predicted.
"""

import dataclasses
import json
import numbers
from pathlib import Path

import numpy as np
from PIL import ImageColor

from tfssl.color.join import cell_positions
from tfssl.color.variants import probabilities
from tfssl.data.decode import decode_image
from tfssl.data.listing import EXTENSIONS
from tfssl.errors import ConfigError, SourceError
from tfssl.files import sha256
from tfssl.ops.bytes_lab import ab

# Scales at which likeness has fallen to exp(-1/2), chosen on 80 photographs: of positions in shorter sides of the
# image, of L, of the root of the predicted distribution (Hellinger, at most sqrt 2).
_REACH, _LIGHTNESS, _DISTRIBUTION = 0.6, 20.0, 0.4
_NOISE = 0.03  # of the asked change, the variance left to hints that contradict each other

_PAINTED = 12.0  # ab units from the original: more than JPEG changes a copy by
_MOST_PAINTED = 0.25  # of a copy; more is another image
_DOT = 9  # pixels of the smallest dot: JPEG makes smaller ones around it
_STROKES = 16  # squares along the shorter side: a longer stroke is a hint in each of them


@dataclasses.dataclass(frozen=True)
class Hint:
    """A known color: ``x``, ``y`` in pixels of the upright image, from its upper left; ``color``: (a, b)."""

    x: float
    y: float
    color: tuple[float, float]


def read_hints(entries, name="hints"):
    """Hints from a list of ``{"x": 120, "y": 80, "color": "#a03020"}``; of a color only hue and chroma count.

    Colors are what CSS writes: ``"#a03020"``, ``"rgb(160, 48, 32)"``, ``"teal"``. ConfigError for anything else.
    """
    if not isinstance(entries, (list, tuple)):
        raise ConfigError(f"`{name}` must be a list of {{x, y, color}}. Received: {entries!r:.80}")
    return [_read_hint(entry, name) for entry in entries]


def _read_hint(entry, name):
    if not isinstance(entry, dict) or set(entry) != {"x", "y", "color"}:
        raise ConfigError(f"`{name}`: a hint is {{x, y, color}} and nothing else. Received: {entry!r:.80}")
    for key in ("x", "y"):
        number = entry[key]
        if isinstance(number, bool) or not isinstance(number, numbers.Real) or not 0 <= number < np.inf:
            raise ConfigError(f"`{name}`: {key} must be a pixel, 0 or more. Received: {key}={number!r}")
    try:
        rgb = ImageColor.getrgb(entry["color"])[:3]
    except (ValueError, AttributeError, TypeError):
        raise ConfigError(
            f"`{name}`: color must be one that CSS knows, '#a03020' or 'teal'. Received: color={entry['color']!r}"
        ) from None
    return Hint(entry["x"], entry["y"], tuple(ab(np.uint8([[rgb]]))[0, 0].tolist()))


class HintFile:
    """``{"photo.jpg": [{"x": 120, "y": 80, "color": "#a03020"}, ...], ...}``: hints for images by name.

    A name is a file's, or ends its path (``"deep/photo.jpg"``); of several that fit the longest counts.

    Args:
        path: the .json file. SourceError if it cannot be read, ConfigError if it holds something else.
    """

    def __init__(self, path):
        self._path = str(path)
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SourceError(f"`hints` {self._path!r} is no readable JSON file: {error}") from None
        if not isinstance(found, dict) or not found:
            raise ConfigError(f"`hints` {self._path!r} must hold {{image: [hints]}}. Received: {found!r:.80}")
        self._hints = {Path(name).parts: read_hints(entries, f"hints of {name}") for name, entries in found.items()}
        self._unused = set(self._hints)

    def settings(self, source):
        """Text that tells the hints of the image at a path from others; empty without any."""
        found = self.of(source, None)
        return f"{found}" if found else ""

    def of(self, source, image):
        """The hints of the image at a path."""
        parts = Path(source).parts
        fitting = [name for name in self._hints if parts[-len(name) :] == name]
        self._unused -= set(fitting)
        return self._hints[max(fitting, key=len)] if fitting else []

    def check_used(self):
        """ConfigError for names that none of the images asked for had."""
        if self._unused:
            name = "/".join(min(self._unused))
            raise ConfigError(f"`hints` {self._path!r}: no image is called {name!r}; its names are those of images")


class PaintedCopies:
    """A folder of copies of images with a few dots painted on them, named as the images (``photo.jpg``: ``photo.png``).

    Args:
        folder: its path; SourceError if there is no image in it.
    """

    def __init__(self, folder):
        self._folder = str(folder)
        files = sorted(file for file in Path(folder).iterdir() if file.suffix.lower() in EXTENSIONS)
        if not files:
            raise SourceError(f"`hints` {self._folder!r} holds no images; paint dots on copies of yours")
        self._files = {file.stem: file for file in files}
        self._unused = set(self._files)

    def settings(self, source):
        """As :meth:`HintFile.settings`."""
        self._unused.discard(source.stem)
        return sha256(self._files[source.stem]) if source.stem in self._files else ""

    def of(self, source, image):
        """As :meth:`HintFile.of`; ``image`` is the decoded original, ``PIL.Image``."""
        if source.stem not in self._files:
            return []
        return painted_hints(image, decode_image(self._files[source.stem], srgb=True))

    def check_used(self):
        """As :meth:`HintFile.check_used`."""
        if self._unused:
            file = self._files[min(self._unused)]
            raise ConfigError(f"`hints`: {str(file)!r} has no image of its name to color; name it as its image")


def open_hints(path):
    """:class:`HintFile` of a .json file, :class:`PaintedCopies` of a folder; SourceError for what is neither."""
    path = Path(path)
    if path.is_dir():
        return PaintedCopies(path)
    if path.suffix.lower() == ".json":
        return HintFile(path)
    raise SourceError(f"`hints` must be a .json file or a folder of painted copies. Received: {str(path)!r}")


def painted_hints(image, copy):
    """Hints from dots painted on a copy of an image: a hint for each dot, several along a longer stroke.

    Painted is what differs in color from the image and from its gray version, whichever of them was painted on.

    Args:
        image, copy: ``PIL.Image`` of the same size, upright sRGB; ValueError if their sizes differ, nothing is painted,
            or more than a quarter of the copy.
    """
    from skimage.measure import label, regionprops

    if copy.size != image.size:
        raise ValueError(
            f"its painted copy has {copy.width}x{copy.height} pixels, the image {image.width}x{image.height}; they "
            f"must be equal"
        )
    colors = ab(np.asarray(copy.convert("RGB")))
    change = np.linalg.norm(colors - ab(np.asarray(image.convert("RGB"))), axis=-1)
    change = np.minimum(change, np.linalg.norm(colors, axis=-1))
    painted = change > _PAINTED
    if not 0 < painted.mean() <= _MOST_PAINTED:
        raise ValueError(
            f"its painted copy differs from it in {painted.mean():.1%} of its pixels; paint a few dots on a copy"
        )
    step = max(1, min(image.size) // _STROKES)
    hints = []
    for dot in regionprops(label(painted, connectivity=2), intensity_image=np.dstack([change, colors])):
        if dot.num_pixels < _DOT:
            continue
        inside = dot.image_intensity[dot.image]
        strong = inside[:, 0] >= 0.7 * np.quantile(inside[:, 0], 0.9)  # without what is pale along a brush's edge
        inside, coordinates = inside[strong, 1:], dot.coords[strong]
        squares = np.unique(coordinates // step, axis=0, return_inverse=True)[1].ravel()
        for square in range(squares.max() + 1):
            (y, x), color = coordinates[squares == square].mean(axis=0), np.median(inside[squares == square], axis=0)
            hints.append(Hint(float(x), float(y), tuple(color.tolist())))
    return hints


def apply_hints(cells, scores, lightness, hints, size, stride):
    """Change predicted colors so that hints hold, and what belongs to them follows.

    Args:
        cells: float (h, w, 2), ab as predicted, see :func:`tfssl.color.predict.predict_cells`.
        scores: float (h, w, 313), see :func:`tfssl.color.predict.compiled_scores`.
        lightness: float (H, W), L as the network saw it.
        hints: list of :class:`Hint`.
        size: (width, height) of the image that the hints are given for.
        stride: network pixels per cell.

    Returns:
        float32 (h, w, 2). Interpolated at a hint it is the hint's color, up to a fraction 0.03 of the asked change, or
        more where hints contradict each other.

    Raises:
        ConfigError: for a hint outside of the image.

    Reference:
        C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning. MIT Press 2006, section 2.2.
    """
    for hint in hints:
        if not (hint.x < size[0] and hint.y < size[1]):
            raise ConfigError(
                f"`hints`: x={hint.x:g}, y={hint.y:g} lies outside of the image, {size[0]}x{size[1]} pixels"
            )
    height, width = cells.shape[:2]
    features = _features(scores, lightness, stride)
    # What is observed is the color of a pixel: the four cells around it, as they are interpolated.
    corners, weights = _around(hints, size, lightness.shape[::-1], stride, (width, height))
    observed = cells.reshape(-1, 2)
    alike = _likeness(features, features[corners.ravel()]).reshape(-1, *corners.shape)
    alike = (alike * weights).sum(axis=-1)  # of each cell and each hint
    covariance = (alike[corners] * weights[..., None]).sum(axis=1)
    asked = np.array([hint.color for hint in hints]) - (observed[corners] * weights[..., None]).sum(axis=1)
    change = alike @ np.linalg.solve(covariance + _NOISE * np.eye(len(hints)), asked)
    return (observed + change).reshape(cells.shape).astype(np.float32)


def _features(scores, lightness, stride):
    """What makes places alike, in units in which squared distance d means a likeness of exp(-d): (h * w, 316)."""
    height, width = scores.shape[:2]
    rows, columns = np.mgrid[:height, :width] * (stride / min(lightness.shape) / _REACH)
    light = lightness[::stride, ::stride] / _LIGHTNESS
    expected = np.sqrt(probabilities(scores)) / _DISTRIBUTION
    return np.dstack([rows, columns, light, expected]).reshape(height * width, -1) * np.sqrt(0.5)


def _likeness(these, others):
    squares = (these**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * these @ others.T
    return np.exp(-np.maximum(squares, 0))


def _around(hints, size, network_size, stride, grid):
    """The cells that each hint's pixel is interpolated from, int (n, 4), and their weights, float (n, 4)."""
    places = []
    for name, pixels, network, cells in zip("xy", size, network_size, grid, strict=True):
        pixel = [min(round(getattr(hint, name)), pixels - 1) for hint in hints]
        position = cell_positions(pixels, network, stride, cells)[pixel]
        low = position.astype(np.intp)
        places.append((low, np.minimum(low + 1, cells - 1), position - low))
    (left, right, across), (top, bottom, down) = places
    corners = [top * grid[0] + left, top * grid[0] + right, bottom * grid[0] + left, bottom * grid[0] + right]
    weights = [(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across]
    return np.stack(corners, axis=1), np.stack(weights, axis=1)
