"""Moving digits: clips of handwritten digits that bounce inside of a square, as many as one wishes, from a seed."""

import dataclasses
import gzip
import os
import struct
import zipfile

import numpy as np
from PIL import Image

from tfssl.data.rendered import FrameClip
from tfssl.data.source import Source
from tfssl.errors import ConfigError, SourceError
from tfssl.ops.arguments import check_integers

BUILTIN = ("builtin", "builtin:test")
"""Names of scikit-learn's digits: the first 1,437, and the other 360, by other writers mostly."""

_TRAINING = 1437
_IDX = 0x00000803  # bytes, three axes: the magic number of MNIST's files of images


@dataclasses.dataclass(frozen=True, eq=False)
class MovingDigits(Source):
    """Clips ``{"clip": FrameClip}`` of gray frames, three equal channels; make it by :func:`moving_digits`."""

    digits: np.ndarray  # uint8 (N, size of a digit, the same)
    number: int
    frames: int
    size: int
    objects: int
    speed: float
    seed: int

    noun = "rendered clips"

    def __len__(self):
        return self.number

    def path(self, index):
        """``(numbers, positions)`` of a clip: which digits, int (objects,), and where, float64 (frames, objects, 2).

        Positions are those of the upper left corner, x and y, as fractions of the room in which it can be.
        """
        rng = np.random.default_rng([self.seed, index])
        numbers = rng.integers(len(self.digits), size=self.objects)
        place, angle = rng.random((self.objects, 2)), rng.uniform(0, 2 * np.pi, self.objects)
        velocity = self.speed * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        places = np.empty((self.frames, self.objects, 2))
        for frame in range(self.frames):
            place = place + velocity
            velocity = np.where((place <= 0) | (place >= 1), -velocity, velocity)
            place = places[frame] = np.clip(place, 0, 1)
        return numbers, places

    def example(self, index):
        numbers, places = self.path(index)
        side = self.digits.shape[1]
        corners = ((self.size - side) * places).astype(int)  # cut off, as in the released code
        pixels = np.zeros((self.frames, self.size, self.size), np.uint8)
        for digit, corner in zip(self.digits[numbers], corners.transpose(1, 0, 2), strict=True):
            for frame, (x, y) in zip(pixels, corner.tolist(), strict=True):
                part = frame[y : y + side, x : x + side]
                np.maximum(part, digit, out=part)
        return {"clip": FrameClip(np.repeat(pixels[..., None], 3, axis=-1))}

    def check(self, index):
        """Nothing to find out: everything is drawn."""


def moving_digits(digits="builtin", *, count=10_000, frames=20, size=64, digit_size=None, objects=2, speed=0.1, seed=0):
    """A :class:`MovingDigits`: a digit steps on in a random direction and turns around at the walls.

    Digits start anywhere; each step adds the velocity, and at a wall the position is clamped and that component of the
    velocity turned. Where digits overlap, the brighter one is seen. Defaults are those of the paper, as the released
    code has them; there the digits are MNIST's.

    Args:
        digits: ``"builtin"`` or ``"builtin:test"``, see :data:`BUILTIN`; a file of MNIST (``train-images-idx3-ubyte``,
            ``.gz`` or not; ``mnist.npz``, of which ``x_train`` counts; ``.npy``); or uint8 (N, h, w), white on black.
        count: number of clips, at least 1.
        frames: of a clip, at least 1 (20).
        size: of a frame in pixels, at least 8 (64).
        digit_size: pixels that a digit is scaled to, in [4, size]; None for 28 of 64 pixels of a frame.
        objects: digits in a clip, at least 1 (2).
        speed: of a digit, as a fraction of the room in which it moves, a frame; in [0, 1) (0.1: 3.6 pixels).
        seed: of everything.

    Raises:
        ConfigError: for a value outside its range.
        SourceError: for a file that holds no digits.

    Reference:
        N. Srivastava, E. Mansimov, R. Salakhutdinov: Unsupervised Learning of Video Representations using LSTMs. ICML
        2015.
    """
    check_integers(1, count=count, frames=frames, objects=objects)
    check_integers(8, size=size)
    digit_size = max(4, round(size * 28 / 64)) if digit_size is None else digit_size
    check_integers(4, size, digit_size=digit_size)
    if not 0 <= speed < 1:
        raise ConfigError(f"`speed` must be in [0, 1). Received: speed={speed!r}")
    return MovingDigits(_scaled(read_digits(digits), digit_size), count, frames, size, objects, float(speed), seed)


def read_digits(digits):
    """Images of digits, uint8 (N, h, w), white on black, of what :func:`moving_digits` takes; raises its errors."""
    if isinstance(digits, np.ndarray):
        return _checked(digits, "array")
    name = os.fspath(digits)
    if name in BUILTIN:
        from sklearn.datasets import load_digits

        found = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
        return found[:_TRAINING] if name == "builtin" else found[_TRAINING:]
    try:
        if name.endswith((".npz", ".npy")):
            found = np.load(name, allow_pickle=False)
            if name.endswith(".npz"):
                with found as archive:
                    found = archive["x_train" if "x_train" in archive else archive.files[0]]
        else:
            found = _read_idx(name)
    except (OSError, ValueError, EOFError, IndexError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"`digits`: {name!r} cannot be read as digits ({reason}); give a file of MNIST") from None
    return _checked(found, repr(name))


def is_digits(data):
    """Whether the name of a file, or a word, is one of :func:`moving_digits`' own kinds of digits."""
    return os.fspath(data) in BUILTIN or os.fspath(data).lower().endswith((".npz", ".npy", "-ubyte", "-ubyte.gz"))


def _read_idx(name):
    with (gzip.open if name.endswith(".gz") else open)(name, "rb") as file:
        header = file.read(16)
        if len(header) < 16 or struct.unpack(">I", header[:4])[0] != _IDX:
            raise ValueError("it does not begin as MNIST's images do")
        count, height, width = struct.unpack(">III", header[4:])
        pixels = file.read(count * height * width)
    if len(pixels) < count * height * width:
        raise ValueError(f"it announces {count} images of {height}x{width} and ends before")
    return np.frombuffer(pixels, np.uint8).reshape(count, height, width)


def _checked(digits, name):
    if digits.dtype != np.uint8 or digits.ndim != 3 or not digits.size:
        raise SourceError(
            f"`digits` must be uint8 (N, h, w). Received: {name} of dtype {digits.dtype}, shape {digits.shape}"
        )
    return digits


def _scaled(digits, size):
    if digits.shape[1:] == (size, size):
        return digits
    images = (Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC) for digit in digits)
    return np.stack([np.asarray(image) for image in images])
