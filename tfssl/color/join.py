"""Full-resolution lightness joined with colors on the network's grid: Lab -> sRGB, strip by strip.

The arithmetic is that of :func:`tfssl.ops.color.lab_to_rgb`, arranged for the processor's caches: buffers that are used
again, tables in place of powers, and few steps over long strips, since threads meet at the interpreter lock between.
Large images have far fewer colors than pixels: there each color is worked out once, for all levels of gray.
"""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from tfssl.ops.bytes_lab import KNEE_CUBED, RGB_FROM_XYZ, SLOPE, WHITE_D65, channel_shares, lab_f

# CIE 1976 f(): a cube root above 0.008856, a line below. Both meet at f = 24/116, so that for f below the knee
# f^-1(f) = knee^3 + (f - knee) / slope, which needs no branch.
_KNEE = np.float32(24 / 116)

_LEVELS = 1 << 14  # steps of linear light: an error of at most 0.1 of 255 where the sRGB curve is steepest
_STRIP_PIXELS = 64_000  # 6 MB of buffers, of which each step uses a part that fits the second-level cache
_PIXEL = np.dtype("<u4")  # red is the lowest byte, as in Pillow's memory

# a / 500 and -b / 200 are what is added to f(Y) to give f(X) and f(Z).
_ADDED = np.array([1 / 500, -1 / 200], np.float32)

_STEP = 0.5  # ab units between the colors of a palette: less than what one level of red, green or blue makes
_LEVELS_OF_GRAY = 256
_LARGE = 4_000_000  # pixels from which on a palette is worth the rounding
_SAMPLED = 8  # every so many pixels: rarely is a color met that lies between, and that one is worked out later


class Join:
    """An image with the colors of the network in place of its own, made row by row where it is asked for.

    L of each pixel is its own; colors between cells are interpolated bilinearly in ab at the exact positions. From 4
    megapixels on, without alpha, a and b are rounded to steps of 0.5, and L of colored pixels to that of one of 256
    grays, see :class:`_Palette`. Several threads may ask at once.

    Args:
        image: ``PIL.Image``, L, RGB or RGBA.
        cells: float (h, w, 2), ab units, see :func:`tfssl.color.predict.predict_cells`.
        network_size: (width, height) of the network's input in pixels.
        stride: network pixels per cell.
    """

    def __init__(self, image, cells, network_size, stride):
        if image.mode not in ("L", "RGB", "RGBA"):
            raise ValueError(f"`image` must be L, RGB or RGBA. Received: mode={image.mode}")
        self.size = image.size
        self._image = image
        self._mode = "RGBA" if image.mode == "RGBA" else "RGBX"
        across = cell_positions(image.width, network_size[0], stride, cells.shape[1])
        self._down = cell_positions(image.height, network_size[1], stride, cells.shape[0])
        self._palette = _Palette.of(cells, image)
        scaled = self._palette.steps(cells) if self._palette else np.asarray(cells, np.float32) * _ADDED
        self._offsets = _interpolate(scaled, across)
        if self._palette:
            self._palette.prepare(_interpolate(self._offsets[..., ::_SAMPLED].T, self._down[::_SAMPLED]))
        self._threads = threading.local()

    def rows(self, top, bottom):
        """Rows ``top`` to ``bottom`` as a ``PIL.Image``: RGBX (the fourth byte is unused), or RGBA.

        It is good until the same thread asks again: fresh memory each time would take half as long as the join.
        """
        known, count = vars(self._threads), bottom - top
        if "output" not in known or len(known["output"]) < count:
            known["output"] = np.empty((count, self.size[0]), _PIXEL)
        output = known["output"][:count]
        self._fill(top, output)
        return Image.frombuffer(self._mode, (self.size[0], bottom - top), output, "raw", self._mode, 0, 1)

    def whole(self, threads=None):
        """The whole image, made by ``threads`` threads; default the number of cores, at most 4."""
        width, height = self.size
        threads = threads or min(4, os.cpu_count() or 1)
        output = np.empty((height, width), _PIXEL)
        size = -(-height // (2 * threads))  # two parts for each thread: the second evens out the time of the first
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda top: self._fill(top, output[top : top + size]), range(0, height, size)))
        return Image.frombuffer(self._mode, self.size, output, "raw", self._mode, 0, 1)

    def _fill(self, top, output):
        """Write the rows from ``top`` on into ``output``, uint32 (rows, width)."""
        step = max(1, _STRIP_PIXELS // self.size[0])
        for first in range(0, len(output), step):
            strip = output[first : first + step]
            buffers = self._buffers(len(strip))
            # Pasting into the same strip, where crop() would ask the system for fresh memory each time.
            buffers.image.paste(self._image, (0, -top - first))
            rows = slice(top + first, top + first + len(strip))
            weights, cells = _vertical(self._down[rows], self._offsets.shape[1])
            np.matmul(weights, self._offsets[:, cells], out=buffers.offsets)
            if self._palette:
                self._palette.look_up(buffers, strip)
            else:
                buffers.convert(self._pixels(buffers.image), strip, self._mode == "RGBA")

    def _pixels(self, image):
        if image.mode == "L":
            image = image.convert("RGB")
        return np.frombuffer(image.tobytes("raw", self._mode), _PIXEL).reshape(image.height, image.width)

    def _buffers(self, rows):
        known = vars(self._threads)
        if rows not in known:
            kind = _PaletteBuffers if self._palette else _Buffers
            known[rows] = kind(rows, self.size[0], self._image.mode)
        return known[rows]


def cell_positions(size, network_size, stride, cells):
    """Cell coordinate of each pixel's center, float32 (size,), held at the outermost cells beyond them."""
    network_pixel = (np.arange(size) + 0.5) * (network_size / size) - 0.5
    return np.clip(network_pixel / stride, 0, cells - 1).astype(np.float32)


def _vertical(positions, cells):
    """Weights (rows, n) of the n cells, also given as a slice, that rows at ``positions`` lie between."""
    low, high = int(positions[0]), min(int(positions[-1]) + 2, cells)
    weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(low, high, dtype=np.float32)))
    return weights, slice(low, high)


def _interpolate(cells, positions):
    """Cells (h, w, 2) at every column of the image: float32 (2, h, width)."""
    low = np.minimum(positions.astype(np.intp), cells.shape[1] - 1)
    high = np.minimum(low + 1, cells.shape[1] - 1)
    weight = positions - low.astype(np.float32)  # with integers it would be float64, and slow for every strip
    cells = np.ascontiguousarray(np.moveaxis(cells, -1, 0))
    return cells[..., low] * (1 - weight) + cells[..., high] * weight


class _Buffers:
    """Working memory for one strip of ``rows`` rows, and the conversion that fills it."""

    def __init__(self, rows, width, mode):
        self.tables = _tables()
        self.image = Image.new(mode, (width, rows))
        self.code = np.empty((rows, width), _PIXEL)
        self.integer = np.empty((3, rows, width), np.int32)
        self.index = np.empty((3, rows, width), np.intp)  # np.take would make its own copy of any other integer
        self.fy = np.empty((rows, width), np.float32)
        self.cut = np.empty((2, rows, width), np.float32)
        self.basis = np.empty((5, rows, width), np.float32)  # see _Tables.rgb_from_basis
        self.offsets = self.basis[3:]  # what is added to f(Y) to give f(X) and f(Z), see _ADDED
        self.rgb = np.empty((3, rows, width), np.float32)
        # np.maximum of two arrays takes a third of the time of np.maximum with a number.
        self.zero, self.knee, self.knee_cubed = (
            np.full((rows, width), number, np.float32) for number in (0, _KNEE, KNEE_CUBED)
        )

    def convert(self, pixels, output, alpha=False):
        """Convert one strip with its ``offsets``, which it overwrites: pixels and output uint32 (rows, width)."""
        self._lightness(pixels)
        cubes, f = self.basis[:2], self.offsets
        np.add(f, self.fy, out=f)
        np.maximum(f[1], self.zero, out=f[1])  # as scikit-image: a negative z is no light at all
        np.maximum(f, self.knee, out=self.cut)  # the inverse of f(), see _KNEE
        np.subtract(f, self.cut, out=f)
        np.multiply(self.cut, self.cut, out=cubes)
        np.multiply(cubes, self.cut, out=cubes)
        # Row by row, as products too small for BLAS to start threads of its own.
        np.matmul(self.tables.rgb_from_basis, self.basis.swapaxes(0, 1), out=self.rgb.swapaxes(0, 1))
        np.copyto(self.integer, self.rgb, casting="unsafe")
        np.copyto(self.index, self.integer)
        for channel, codes in enumerate(self.tables.codes):
            # Clips to the gamut as well.
            codes.take(self.index[channel], out=self.code if channel else output, mode="clip")
            if channel:
                np.bitwise_or(output, self.code, out=output)
        if alpha:
            np.bitwise_and(pixels, 0xFF000000, out=self.code)
            np.bitwise_or(output, self.code, out=output)

    def _lightness(self, pixels):
        """Y into ``basis[2]`` and f(Y) into ``fy``; two tables where the strip is gray."""
        y, index = self.basis[2], self.index[0]
        channels = pixels.view(np.uint8).reshape(*pixels.shape, 4)
        if _is_gray(pixels[:1], self.code[:1]) and _is_gray(pixels, self.code):
            np.copyto(index, channels[..., 0])
            self.tables.gray_y.take(index, out=y, mode="wrap")
            self.tables.gray_f.take(index, out=self.fy, mode="wrap")
            return
        np.copyto(index, pixels.view("<u2")[:, ::2])  # red and green in one look-up
        self.tables.red_green_y.take(index, out=y, mode="wrap")
        np.copyto(index, channels[..., 2])
        self.tables.blue_y.take(index, out=self.fy, mode="wrap")
        np.add(y, self.fy, out=y)
        above, below = self.cut
        np.maximum(y, self.knee_cubed, out=above)
        np.subtract(y, above, out=below)
        np.multiply(below, SLOPE, out=below)
        np.cbrt(above, out=self.fy)
        np.add(self.fy, below, out=self.fy)


def _is_gray(pixels, spare):
    """Whether red, green and blue are equal everywhere."""
    np.right_shift(pixels, 8, out=spare)
    np.bitwise_xor(spare, pixels, out=spare)
    np.bitwise_and(spare, 0xFFFF, out=spare)
    return spare.max() == 0


class _Palette:
    """sRGB of every level of gray in each of an image's colors, a and b in whole steps; a color is worked out when it
    is first met.

    Args:
        lowest: the smallest a and b, in steps.
        counts: number of steps of a and of b.
    """

    def __init__(self, lowest, counts):
        self._lowest, self._counts = lowest, counts
        colors = int(np.prod(counts))
        self._known = np.zeros(colors, bool)
        self._codes = np.empty((colors, _LEVELS_OF_GRAY), _PIXEL)  # memory is taken only where it is written
        self._lock = threading.Lock()

    @classmethod
    def of(cls, cells, image):
        """The palette for an image; None where it could be more work than the pixels, for small ones and for alpha."""
        span = np.asarray(cells, np.float64).reshape(-1, 2) / _STEP
        lowest, highest = np.rint(span.min(axis=0)), np.rint(span.max(axis=0))
        counts = highest - lowest + 1
        pixels = image.width * image.height
        if image.mode == "RGBA" or pixels < _LARGE or _LEVELS_OF_GRAY * np.prod(counts) > pixels:
            return None
        return cls(lowest, counts.astype(int))

    def steps(self, cells):
        """ab units as steps above the lowest, with 0.5 more: to be cut off, where they would be rounded."""
        return (np.asarray(cells, np.float64) / _STEP - self._lowest + 0.5).astype(np.float32)

    def prepare(self, steps):
        """Work out the colors of a sample of the image, see :meth:`steps`: float32 (2, rows, columns)."""
        a, b = steps.astype(np.intp)
        met = np.zeros_like(self._known)
        met[a * self._counts[1] + b] = True
        self._work_out(np.flatnonzero(met))

    def look_up(self, buffers, output):
        """Write a strip: uint32 (rows, width), from the image and the ``offsets`` of its :class:`_PaletteBuffers`."""
        a, b = buffers.steps
        np.copyto(buffers.steps, buffers.offsets, casting="unsafe")
        np.multiply(a, np.int32(self._counts[1]), out=a)
        np.add(a, b, out=a)
        color = buffers.index
        np.copyto(color, a)
        self._known.take(color, out=buffers.known, mode="clip")
        if not buffers.known.all():
            self._work_out(np.unique(color[~buffers.known]))
        np.multiply(a, _LEVELS_OF_GRAY, out=a)
        np.add(a, buffers.grays(), out=a)
        np.copyto(color, a)
        self._codes.reshape(-1).take(color, out=output, mode="clip")

    def _work_out(self, colors):
        with self._lock:
            count = min(len(colors), 64)  # buffers that fit the second-level cache
            buffers = _Buffers(count, _LEVELS_OF_GRAY, "L")
            grays = np.tile(np.arange(_LEVELS_OF_GRAY, dtype=_PIXEL) * 0x010101, (count, 1))
            codes = np.empty_like(grays)
            for start in range(0, len(colors), count):
                part = colors[start : start + count]
                ab = (np.stack(np.divmod(part, self._counts[1])) + self._lowest[:, None]) * _STEP
                buffers.offsets[:, : len(part)] = (ab * _ADDED[:, None])[..., None]
                buffers.offsets[:, len(part) :] = 0
                buffers.convert(grays, codes)
                self._codes[part] = codes[: len(part)]
                self._known[part] = True  # last: other threads look without the lock


class _PaletteBuffers:
    """Working memory for looking up one strip of ``rows`` rows."""

    def __init__(self, rows, width, mode):
        self.tables = _tables()
        self.image = Image.new(mode, (width, rows))
        self.offsets = np.empty((2, rows, width), np.float32)
        self.steps = np.empty((2, rows, width), np.int32)
        self.index = np.empty((rows, width), np.intp)
        self.known = np.empty((rows, width), bool)
        self.y, self.blue = np.empty((2, rows, width), np.int32)
        self.gray = np.empty((rows, width), np.uint8)

    def grays(self):
        """uint8 (rows, width): the level of the gray that has the L of each pixel of ``image``."""
        shape, index = self.index.shape, self.index
        if self.image.mode == "L":
            return np.frombuffer(self.image.tobytes(), np.uint8).reshape(shape)
        pixels = np.frombuffer(self.image.tobytes("raw", "RGBX"), _PIXEL).reshape(shape)
        np.copyto(index, pixels.view("<u2")[:, ::2])  # red and green in one look-up
        self.tables.red_green_steps.take(index, out=self.y, mode="wrap")
        np.copyto(index, pixels.view(np.uint8).reshape(*shape, 4)[..., 2])
        self.tables.blue_steps.take(index, out=self.blue, mode="wrap")
        np.add(self.y, self.blue, out=index)
        return self.tables.gray_of_y.take(index, out=self.gray, mode="clip")


class _Tables:
    """What the strips look up.

    red_green_y, blue_y: float32 (65536,) and (256,), what 8-bit red + 256 * green, and blue, add to Y.
    gray_y, gray_f: float32 (256,), Y and f(Y) of each gray.
    rgb_from_basis: float32 (3, 5), to linear light in steps of 1 / _LEVELS from cube(f(X)), cube(f(Z)), Y and what
        f(X) and f(Z) lack to the knee, see _KNEE; X, Y, Z are relative to white.
    codes: uint32 (3, _LEVELS), 8-bit sRGB of such a step, shifted to its channel.
    red_green_steps, blue_steps: int32, the first two in such steps.
    gray_of_y: uint8 (_LEVELS,), the gray of each Y in steps.
    """

    def __init__(self):
        parts = channel_shares()[1]
        red, green, self.blue_y = parts
        self.red_green_y = (green[:, None] + red).ravel()
        self.red_green_steps, self.blue_steps = (
            np.rint(y * _LEVELS).astype(np.int32) for y in (self.red_green_y, self.blue_y)
        )
        self.gray_y = parts.sum(axis=0)
        self.gray_f = lab_f(self.gray_y)
        from_xyz = RGB_FROM_XYZ * np.array(WHITE_D65) * _LEVELS
        x, y, z = from_xyz.T
        self.rgb_from_basis = np.stack([x, z, y, x / SLOPE, z / SLOPE], axis=1).astype(np.float32)
        step = (np.arange(_LEVELS) + 0.5) / _LEVELS
        srgb = np.where(step > 0.0031308, 1.055 * step ** (1 / 2.4) - 0.055, 12.92 * step)
        codes = np.round(255 * srgb).astype(_PIXEL)
        self.gray_of_y = codes.astype(np.uint8)
        self.codes = np.stack([codes, codes << 8, codes << 16])


@functools.cache
def _tables():
    return _Tables()
