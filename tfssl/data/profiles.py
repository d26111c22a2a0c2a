"""Color profiles of photographs: to sRGB and back."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

_STEPS = 17  # of each channel, of the colors that a profile is judged by
_TOLERANCE = 1  # levels of 255
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(image, profile, *, gray=False):
    """Convert pixels of a color profile to sRGB.

    A profile counts by what it does, whatever it is called: one that leaves all colors within one level does nothing.

    Args:
        image: ``PIL.Image`` of mode RGB, RGBA or CMYK.
        profile: its bytes.
        gray: whether the channels are equal, so that a profile of gray fits them.

    Returns:
        ``PIL.Image``, RGB or RGBA; ``image`` itself if the profile does nothing, is not of its channels, or is
        unreadable.
    """
    mode = _mode_of(profile, gray)
    transform = _transform(profile, mode, False)
    if transform is None or (image.mode == "CMYK") != (mode == "CMYK"):
        return image
    pixels = image.getchannel(0) if mode == "L" else image if mode == "CMYK" else image.convert("RGB")
    converted = ImageCms.applyTransform(pixels, transform)
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


def reversible(profile, *, gray=False):
    """Whether a profile does something, and :func:`from_srgb` can undo it."""
    mode = _mode_of(profile, gray)
    return mode in ("RGB", "L") and _transform(profile, mode, True) is not None


def from_srgb(image, profile, *, gray=False):
    """Convert an sRGB image, mode RGB, to a :func:`reversible` profile: ``PIL.Image`` of mode RGB, or L for gray."""
    return ImageCms.applyTransform(image, _transform(profile, _mode_of(profile, gray), True))


def _mode_of(profile, gray):
    """Mode of the pixels that a profile is for; None for one of other channels, or without gray if that is its own."""
    opened = _opened(profile)
    mode = None if opened is None else _MODES.get(opened.profile.xcolor_space.strip())
    return None if mode == "L" and not gray else mode


@functools.lru_cache(maxsize=16)
def _opened(profile):
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@functools.lru_cache(maxsize=16)
def _transform(profile, mode, back):
    """The transform from a profile to sRGB, or ``back``; None if it does nothing or there is none."""
    if mode is None:
        return None
    opened, srgb = _opened(profile), ImageCms.createProfile("sRGB")
    try:
        there = ImageCms.buildTransform(opened, srgb, mode, "RGB")
        if mode != "CMYK":
            colors = _colors(mode)
            change = np.asarray(ImageCms.applyTransform(colors, there), np.int16) - np.asarray(colors.convert("RGB"))
            if np.abs(change).max() <= _TOLERANCE:
                return None
        return ImageCms.buildTransform(srgb, opened, "RGB", mode) if back else there
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _colors(mode):
    """All grays, and for RGB a lattice of colors, as an image of one row."""
    grays = np.arange(256, dtype=np.uint8)[None]
    if mode == "L":
        return Image.fromarray(grays)
    steps = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    return Image.fromarray(np.concatenate([lattice, np.repeat(grays[..., None], 3, axis=-1)], axis=1))
