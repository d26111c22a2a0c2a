"""Full-resolution lightness joined with colours on the network's grid: Lab -> sRGB, strip by strip.

The arithmetic is that of :func:`tfssl.ops.color.lab_to_rgb`, arranged for the processor's caches: strips of some ten
thousand pixels, every intermediate result in a buffer that is used again, tables in place of powers. NumPy lets go
of the interpreter lock inside each step, so strips run on several cores.
"""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from tfssl.ops.bytes_lab import KNEE_CUBED, SLOPE, channel_shares, lab_f
from tfssl.ops.color import RGB_FROM_XYZ, WHITE_D65

# CIE 1976 f(): a cube root above 0.008856, a line below. Both meet at f = 24/116, so that for f below the knee
# f^-1(f) = knee^3 + (f - knee) / slope, which needs no branch.
_KNEE = np.float32(24 / 116)

_LEVELS = 1 << 14  # steps of linear light: an error of at most 0.1 of 255 where the sRGB curve is steepest
_STRIP_PIXELS = 56_000  # 3 MB of buffers, of which each step uses a part that fits the second-level cache
_PIXEL = np.dtype("<u4")  # red is the lowest byte, as in Pillow's memory


class Join:
    """A picture with the colours of the network in place of its own, made row by row where it is asked for.

    L of each pixel is its own. Cell (i, j) is the colour of pixel (stride i, stride j) of the network's input, a
    scaled copy of the picture; colours between are interpolated bilinearly in ab at the exact positions. Several
    threads may ask at once.

    Args:
        image: ``PIL.Image``, RGB or RGBA.
        cells: float (h, w, 2), ab units, see :func:`tfssl.methods.colorization.predict.predict_cells`.
        network_size: (width, height) of the network's input in pixels.
        stride: network pixels per cell.
    """

    def __init__(self, image, cells, network_size, stride):
        if image.mode not in ("RGB", "RGBA"):
            raise ValueError(f"`image` must be RGB or RGBA. Received: mode={image.mode}")
        self.size = image.size
        self._image = image
        self._mode = "RGBX" if image.mode == "RGB" else "RGBA"
        across = _positions(image.width, network_size[0], stride, cells.shape[1])
        self._down = _positions(image.height, network_size[1], stride, cells.shape[0])
        # a / 500 and -b / 200 are what is added to f(Y) to give f(X) and f(Z).
        self._offsets = _interpolate(np.asarray(cells, np.float32) * np.float32([1 / 500, -1 / 200]), across)
        self._threads = threading.local()

    def rows(self, top, bottom):
        """Rows ``top`` to ``bottom`` as a ``PIL.Image``: RGBX (the fourth byte is unused), or RGBA."""
        output = np.empty((bottom - top, self.size[0]), _PIXEL)
        self._fill(top, output)
        return Image.frombuffer(self._mode, (self.size[0], bottom - top), output, "raw", self._mode, 0, 1)

    def whole(self, threads=None):
        """The whole picture, made by ``threads`` threads; default the number of cores, at most 4."""
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
            pixels = np.frombuffer(buffers.image.tobytes("raw", self._mode), _PIXEL).reshape(strip.shape)
            positions = self._down[top + first : top + first + step][: len(strip)]
            buffers.convert(pixels, positions, self._offsets, strip, self._mode == "RGBA")

    def _buffers(self, rows):
        """This thread's buffers for a strip of ``rows`` rows."""
        known = vars(self._threads)
        if rows not in known:
            known[rows] = _Buffers(rows, self.size[0], self._image.mode)
        return known[rows]


def _positions(size, network_size, stride, cells):
    """Cell coordinate of each pixel's centre, float32 (size,), held at the outermost cells beyond them."""
    network_pixel = (np.arange(size) + 0.5) * (network_size / size) - 0.5
    return np.clip(network_pixel / stride, 0, cells - 1).astype(np.float32)


def _interpolate(cells, positions):
    """Cells (h, w, 2) at every column of the picture: float32 (2, h, width)."""
    low = np.minimum(positions.astype(np.intp), cells.shape[1] - 1)
    high = np.minimum(low + 1, cells.shape[1] - 1)
    share = positions - low
    cells = np.ascontiguousarray(np.moveaxis(cells, -1, 0))
    return cells[..., low] * (1 - share) + cells[..., high] * share


class _Buffers:
    """Working memory for one strip of ``rows`` rows, and the conversion that fills it."""

    def __init__(self, rows, width, mode):
        self.tables = _tables()
        self.image = Image.new(mode, (width, rows))
        self.code = np.empty((rows, width), _PIXEL)
        self.integer = np.empty((rows, width), np.int32)
        self.index = np.empty((rows, width), np.intp)  # np.take would make its own copy of any other integer
        self.f = np.empty((2, rows, width), np.float32)
        self.fy = np.empty((rows, width), np.float32)
        self.spare = np.empty((2, rows, width), np.float32)
        self.xyz = np.empty((3, rows, width), np.float32)
        self.rgb = np.empty((3, rows, width), np.float32)
        # np.maximum of two arrays takes a third of the time of np.maximum with a number.
        self.zero, self.knee, self.knee_cubed = (
            np.full((rows, width), number, np.float32) for number in (0, _KNEE, KNEE_CUBED)
        )

    def convert(self, pixels, positions, offsets, output, alpha):
        """Convert one strip: pixels and output uint32 (rows, width), positions (rows,), offsets (2, h, width)."""
        self._lightness(pixels)
        low, high = int(positions[0]), min(int(positions[-1]) + 2, offsets.shape[1])
        weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(low, high, dtype=np.float32)))
        np.matmul(weights, offsets[:, low:high], out=self.f)
        np.add(self.f, self.fy, out=self.f)
        np.maximum(self.f[1], self.zero, out=self.f[1])  # as scikit-image: a negative z is no light at all
        self._cube()
        np.matmul(self.tables.rgb_from_xyz, self.xyz.reshape(3, -1), out=self.rgb.reshape(3, -1))
        for channel in range(3):
            np.copyto(self.integer, self.rgb[channel], casting="unsafe")
            np.copyto(self.index, self.integer)
            codes = output if channel == 0 else self.code
            np.take(self.tables.codes[channel], self.index, out=codes, mode="clip")  # clips to the gamut as well
            if channel:
                np.bitwise_or(output, self.code, out=output)
        if alpha:
            np.bitwise_and(pixels, 0xFF000000, out=self.code)
            np.bitwise_or(output, self.code, out=output)

    def _lightness(self, pixels):
        """Y into ``xyz[1]`` and f(Y) into ``fy``; two tables where the strip is grey."""
        np.bitwise_and(pixels, 0xFF, out=self.code)
        np.copyto(self.index, self.code)
        np.multiply(self.code, 0x010101, out=self.code)
        np.bitwise_xor(self.code, pixels, out=self.code)
        np.bitwise_and(self.code, 0xFFFFFF, out=self.code)
        y = self.xyz[1]
        if self.code.max() == 0:
            np.take(self.tables.grey_y, self.index, out=y, mode="wrap")
            np.take(self.tables.grey_f, self.index, out=self.fy, mode="wrap")
            return
        np.take(self.tables.luminance[0], self.index, out=y, mode="wrap")
        for channel in (1, 2):
            np.right_shift(pixels, 8 * channel, out=self.code)
            np.bitwise_and(self.code, 0xFF, out=self.code)
            np.copyto(self.index, self.code)
            np.take(self.tables.luminance[channel], self.index, out=self.fy, mode="wrap")
            np.add(y, self.fy, out=y)
        above, below = self.spare
        np.maximum(y, self.knee_cubed, out=above)
        np.subtract(y, above, out=below)
        np.multiply(below, SLOPE, out=below)
        np.cbrt(above, out=self.fy)
        np.add(self.fy, below, out=self.fy)

    def _cube(self):
        """X and Z of ``f`` into ``xyz[0]`` and ``xyz[2]``: the inverse of f(), see _KNEE."""
        cubes = self.xyz[::2]
        np.maximum(self.f, self.knee, out=self.spare)
        np.subtract(self.f, self.spare, out=self.f)
        np.multiply(self.f, 1 / SLOPE, out=self.f)
        np.multiply(self.spare, self.spare, out=cubes)
        np.multiply(cubes, self.spare, out=cubes)
        np.add(cubes, self.f, out=cubes)


class _Tables:
    """What the strips look up.

    luminance: float32 (3, 256), share of each 8-bit channel value in Y.
    grey_y, grey_f: float32 (256,), Y and f(Y) of each grey.
    rgb_from_xyz: float32 (3, 3), XYZ relative to white -> linear light in steps of 1 / _LEVELS.
    codes: uint32 (3, _LEVELS), 8-bit sRGB of such a step, shifted to the place of its channel.
    """

    def __init__(self):
        self.luminance = channel_shares()[1]
        self.grey_y = self.luminance.sum(axis=0)
        self.grey_f = lab_f(self.grey_y)
        self.rgb_from_xyz = (RGB_FROM_XYZ * np.array(WHITE_D65) * _LEVELS).astype(np.float32)
        step = (np.arange(_LEVELS) + 0.5) / _LEVELS
        srgb = np.where(step > 0.0031308, 1.055 * step ** (1 / 2.4) - 0.055, 12.92 * step)
        codes = np.round(255 * srgb).astype(_PIXEL)
        self.codes = np.stack([codes, codes << 8, codes << 16])


@functools.cache
def _tables():
    return _Tables()
