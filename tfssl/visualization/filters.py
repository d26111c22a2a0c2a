"""Filters as tiled sheets; the first filters of networks, drawn and measured."""

from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter
from skimage.util import montage

from tfssl.errors import ModelError
from tfssl.ops.color import lab_to_rgb
from tfssl.visualization.page import file_stem, write_gallery
from tfssl.visualization.receptive_field import Graph, Value, is_convolution
from tfssl.visualization.sheet import save_png

DEAD = 0.01  # A filter is dead if its standard deviation is below this fraction of the median filter's
_TILE = 48  # pixels of a filter on the sheet, about
_GAP, _WIDE_GAP, _SMALL = 1, 5, 7  # between tiles; wide for kernels smaller than 7, whose pixels look like tiles
_SPECTRUM = 32  # frequencies along each axis
_AB, _LIGHTNESS = 50.0, 50.0  # of the largest color of a filter over a and b, in Lab units

_TEXT = (
    "The kernels of the first convolution, in the network's order, one tile each. Each tile is stretched from its own "
    "smallest to its largest value, over all its channels together, so tiles say nothing about strength. Filters of "
    "L are gray; filters of a and b are drawn as the colors (50, a, b), the largest of which is brought to 50.\n\n"
    "Roughness: mean |kernel - 3x3 mean of it| / standard deviation. High frequency: fraction of the spectrum's energy "
    "above half the Nyquist frequency. Colorfulness: 1 - correlation between channels (RGB only). All are means over "
    "the filters that are not dead; dead is a standard deviation below 1% of the median. The untrained network shows "
    "what noise gives."
)


def filter_sheet(filters, path, *, columns=None, zoom=3, gap=1, stretched=True):
    """Draw filters side by side, each stretched from its own smallest to its largest value.

    Args:
        filters: float array (K, h, w), (K, h, w, 1) or (K, h, w, 3), drawn in this order, row by row.
        path: PNG to write; its folder is made.
        columns: tiles in a row; None: as many as make the sheet about square.
        zoom: pixels that a filter's pixel takes.
        gap: pixels between tiles, before enlarging.
        stretched: False draws values as they are, clipped to [0, 1].
    """
    filters = np.asarray(filters, np.float64)
    if filters.ndim == 4 and filters.shape[-1] == 1:
        filters = filters[..., 0]
    if filters.ndim not in (3, 4) or 0 in filters.shape or (filters.ndim == 4 and filters.shape[-1] != 3):
        raise ValueError(f"`filters` must be an array (K, h, w) or (K, h, w, 3). Received: shape={filters.shape}")
    count = len(filters)
    columns = min(count, columns or int(np.ceil(np.sqrt(count))))
    tiles = np.stack([stretch(tile) for tile in filters]) if stretched else np.clip(filters, 0.0, 1.0)
    grid, axis = (-(-count // columns), columns), -1 if filters.ndim == 4 else None
    white = [1.0] * filters.shape[-1] if axis else 1.0
    sheet = montage(tiles, white, grid_shape=grid, padding_width=gap, channel_axis=axis)
    image = Image.fromarray(np.rint(sheet * 255.0).astype(np.uint8))
    image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    save_png(image, path)
    return image


def stretch(values, like=None):
    """Bring values linearly to [0, 1], from their own range or that of ``like``; constants become 1/2."""
    low, high = (float(f(values if like is None else like)) for f in (np.min, np.max))
    if high <= low:
        return np.full(np.shape(values), 0.5)
    return np.clip((np.asarray(values, np.float64) - low) / (high - low), 0.0, 1.0)


class FirstConvolution(NamedTuple):
    """A convolution that no other one precedes: its layer's name and its kernel, float32 (h, w, C, K).

    ``channels`` says what the C channels are: ``"RGB"``, ``"Lab"``, ``"L"``, ``"gray"``, ``"ab"``, or their number.
    """

    name: str
    kernel: np.ndarray
    channels: str


def first_convolutions(network):
    """The convolutions that read the image itself, one for each branch that starts there, inner networks included.

    Args:
        network: functional ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.

    Raises:
        ModelError: if there is none.
    """
    graph, found = Graph(), {}
    for operation, read in graph.upstream([Value(tensor) for tensor in network.output.values()]):
        if is_convolution(operation):
            before = [above for above, _ in graph.upstream(read)]
            if not any(is_convolution(above) for above in before):
                kernel = np.asarray(operation.kernel)
                found[id(operation)] = operation.name, kernel, _channels(kernel.shape[2], before)
    if not found:
        raise ModelError(f"network {network.name!r} has no convolution that reads the image: it has no filters")
    names = [name for name, _, _ in found.values()]
    return [
        FirstConvolution(name if names.count(name) == 1 else f"{name}_{number}", kernel, channels)
        for number, (name, kernel, channels) in enumerate(found.values(), start=1)
    ]


def filter_statistics(kernel, channels="RGB"):
    """Figures about filters, as of :class:`FirstConvolution`; ``{name: float}``, also ``filters`` and ``kernel_size``.

    - ``roughness``: ``mean |k - box3(k)| / std(k)``, box3 the mean of 3x3 neighbors, borders repeated; 0 for a
      constant, about 0.75 for noise.
    - ``high_frequency``: fraction of the energy of the spectrum (of the filter in a field of zeros, all channels added)
      at frequencies above half of Nyquist, 1/4 cycle per pixel from the origin.
    - ``colorfulness``: 1 - mean correlation of the pairs of channels; 0 for gray filters; NaN but for RGB.
    - ``dead_filters``: standard deviation below :data:`DEAD` of the median's. The means above leave them out.
    """
    filters = np.moveaxis(np.asarray(kernel, np.float64), -1, 0)  # (K, h, w, C)
    spread = filters.std(axis=(1, 2, 3))
    dead = spread <= DEAD * np.median(spread)
    live, spread = filters[~dead], spread[~dead]
    smooth = uniform_filter(live, (1, 3, 3, 1), mode="nearest")

    def mean(values):
        return float(np.mean(values)) if len(live) else float("nan")

    return {
        "filters": float(len(filters)),
        "kernel_size": float(filters.shape[1]),
        "roughness": mean(np.abs(live - smooth).mean(axis=(1, 2, 3)) / spread),
        "high_frequency": mean(_high_frequency(live)),
        "colorfulness": mean(_colorfulness(live)) if channels == "RGB" else float("nan"),
        "dead_filters": float(dead.sum()),
    }


def filter_tiles(kernel, channels="RGB"):
    """Filters, as of :class:`FirstConvolution`, as ``{part: float array (K, h, w) or (K, h, w, 3) in [0, 1]}``.

    The part is ``""`` for RGB and for one channel, ``"L"`` and ``"ab"`` for Lab, one for each channel where they have
    no colors.
    """
    filters = np.moveaxis(np.asarray(kernel, np.float64), -1, 0)
    if channels == "ab":
        return {"ab": _ab_tiles(filters)}
    if channels == "Lab":
        return {"L": np.stack([stretch(tile) for tile in filters[..., 0]]), "ab": _ab_tiles(filters[..., 1:])}
    stretched = np.stack([stretch(tile) for tile in filters])
    if channels == "RGB" or filters.shape[-1] == 1:
        return {"": stretched if channels == "RGB" else stretched[..., 0]}
    return {f"channel {number}": stretched[..., number] for number in range(filters.shape[-1])}


def filters(networks, *, out):
    """Draw the first filters of each network, and measure them: ``{name: figures}``, see :func:`filter_statistics`.

    Where a network has several first convolutions, the figures have their names before. Writes
    ``filters-NAME.png``, ``index.html`` and ``numbers.json`` into ``out``.
    """
    images, numbers, about = {}, {}, {}
    for name, network in networks.items():
        found = first_convolutions(network)
        numbers[name] = {}
        for convolution in found:
            own = [convolution.name] if len(found) > 1 else []
            statistics = filter_statistics(convolution.kernel, convolution.channels)
            numbers[name] |= {"_".join([*own, key]): value for key, value in statistics.items()}
            about[f"{name}: {convolution.name} reads"] = convolution.channels
            for part, tiles in filter_tiles(convolution.kernel, convolution.channels).items():
                path = Path(out) / f"{file_stem('filters', name, *own, *filter(None, [part]))}.png"
                _write_sheet(tiles, path)
                images.setdefault(f"Filters{f' of {part}' if part else ''}", {})[name] = path
    protocol = {**about, "stretched": "each filter by itself", "dead_below": DEAD, "high_frequency_above": 0.25}
    return write_gallery(out, "First filters", text=_TEXT, images=images, numbers=numbers, protocol=protocol)


def _channels(count, before):
    names = " ".join(type(operation).__name__.lower() for operation in before)
    known = {1: "L" if "lightness" in names else "gray", 2: "ab", 3: "Lab" if "lab" in names else "RGB"}
    return known.get(count, str(count))


def _high_frequency(filters):
    power = np.abs(np.fft.fft2(filters, (_SPECTRUM, _SPECTRUM), axes=(1, 2))) ** 2
    axis = np.fft.fftfreq(_SPECTRUM)
    high = np.hypot(axis[:, None], axis) > 0.25
    return power[:, high].sum(axis=(1, 2)) / power.sum(axis=(1, 2, 3))


def _colorfulness(filters):
    planes = np.moveaxis(filters, -1, 1).reshape(len(filters), filters.shape[-1], -1)
    planes = planes - planes.mean(axis=2, keepdims=True)
    lengths = np.linalg.norm(planes, axis=2, keepdims=True)
    planes = planes / np.where(lengths > 0, lengths, 1.0)
    return 1.0 - np.mean([(planes[:, i] * planes[:, j]).sum(axis=1) for i, j in combinations(range(3), 2)], axis=0)


def _ab_tiles(ab):
    largest = np.abs(ab).max(axis=(1, 2, 3), keepdims=True)
    ab = ab * (_AB / np.where(largest > 0, largest, 1.0))
    lab = np.concatenate([np.full((*ab.shape[:3], 1), _LIGHTNESS), ab], axis=-1)
    return np.asarray(lab_to_rgb(lab.astype(np.float32)), np.float64)


def _write_sheet(tiles, path):
    size = max(tiles.shape[1:3])
    zoom = max(4, _TILE // size)
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    square = int(np.ceil(np.sqrt(len(tiles))))  # a full rectangle near it, as 12 columns for 96, where there is one
    columns = next((n for n in range(square, 2 * square + 1) if len(tiles) % n == 0), None)
    filter_sheet(tiles, path, columns=columns, zoom=1, gap=_WIDE_GAP if size < _SMALL else _GAP, stretched=False)
