"""Encoded images and arrays, of every kind that people have, to upright 8-bit RGB."""

import contextlib
import errno
import io
import os
import stat

import numpy as np

# Importing a plugin registers its format; left to itself Pillow loads all of its forty at the first odd file.
from PIL import (  # noqa: F401
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from tfssl.errors import TfsslError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats that are read. Others stay closed: some of Pillow's start an outside program (EPS) or only pretend."""

MAX_PIXELS = 100_000_000
"""Largest image that is decoded (100 megapixels); a guard against decompression bombs."""

_KEPT_INFO = ("exif", "icc_profile", "dpi")


def decode_image(data, *, min_size=None, keep_alpha=False):
    """Decode an encoded image to upright 8-bit RGB, its ``info`` reduced to ``exif``, ``icc_profile`` and ``dpi``.

    Honours EXIF orientation; expands gray, palette and CMYK; scales 16-bit to 8-bit; composes alpha over white;
    takes the first frame of an animation and the first page of a TIFF.

    Args:
        data: ``bytes``, a path or an open binary file.
        min_size: for JPEG, allows decoding at a reduced scale (1/2, 1/4, 1/8) as long as the shorter side
            keeps at least this many pixels. None decodes at full size.
        keep_alpha: return RGBA where the file has transparency, instead of composing it over white.

    Raises:
        ValueError: naming the reason, if the data is empty, truncated, not an image, or too large.
    """
    with open_image(data) as image:
        if min_size is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (min_size, min_size))  # both sides stay at least as large as asked
        image.load()
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # a damaged EXIF block says nothing about the pixels; it must not be written out again either
        image.info.pop("exif", None)
    return _to_rgb(image, keep_alpha)


def check_header(data):
    """Raise ValueError if the header shows that :func:`decode_image` would refuse it; decodes no pixels."""
    with open_image(data):
        pass


@contextlib.contextmanager
def open_image(data):
    """Open an image file, the one place where that is done: of the formats that are read and no larger than allowed.

    Args:
        data: ``bytes``, a path or an open binary file.

    Yields:
        The ``PIL.Image``, its pixels not decoded yet.

    Raises:
        ValueError: with the reason in one line, also for whatever Pillow raises inside the ``with``.
    """
    try:
        if isinstance(data, (str, os.PathLike)):
            check_file(data)
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS) as image:
            _check_size(image)
            yield image
    except TfsslError:
        raise
    except Exception as error:  # on damaged files Pillow's readers raise almost anything
        raise ValueError(_reason(error, data)) from error


def check_file(path):
    """Raise ValueError unless there is an ordinary file: opening a pipe waits for ever, a device may do anything."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise ValueError(error.strerror) from None
    if stat.S_ISDIR(mode):
        raise ValueError(os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise ValueError("not a file but a pipe, a socket or a device; copy its content to a file first")


def _check_size(image):
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"{width}x{height} is {width * height / 1e6:.0f} megapixels, more than the limit of "
            f"{MAX_PIXELS / 1e6:.0f}; shrink it first"
        )


def _reason(error, data):
    if isinstance(error, UnidentifiedImageError):
        if _is_empty(data):
            return "the file is empty"
        return f"not a {', '.join(FORMATS)} file, or damaged from its first bytes on"
    if isinstance(error, Image.DecompressionBombError):  # Pillow's own limit, 179 megapixels, comes first
        return f"more than the limit of {MAX_PIXELS / 1e6:.0f} megapixels; shrink it first"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split()) or type(error).__name__
    return f"the image data is damaged ({text})" if text.startswith("decoder error") else text


def _is_empty(data):
    if isinstance(data, bytes):
        return not data
    if isinstance(data, (str, os.PathLike)):
        return os.path.getsize(data) == 0
    data.seek(0)
    return not data.read(1)


def _to_rgb(image, keep_alpha):
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _with_info(_scale_to_8_bits(image), image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    if keep_alpha:
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return _with_info(white, image)


def _with_info(image, original):
    image.info = {key: original.info[key] for key in _KEPT_INFO if key in original.info}
    return image


def _scale_to_8_bits(image):
    """16-bit, 32-bit and float images: Pillow's own convert() would clip them to white.

    16-bit values are divided by 257 and floats in [0, 1] multiplied by 255. 32-bit values have no agreed white:
    where they do not fit 8 bits, the darkest becomes 0 and the brightest 255.
    """
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("the pixels hold NaN or infinity")
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        values /= 257.0
    elif image.mode == "F" and low >= 0.0 and high <= 1.0:
        values *= 255.0
    elif (low < 0.0 or high > 255.0) and low < high:
        values = (values - low) * (255.0 / (high - low))
    return Image.fromarray(np.rint(values.clip(0.0, 255.0)).astype(np.uint8)).convert("RGB")


def array_to_image(array):
    """Turn an array into a ``PIL.Image`` of mode RGB.

    Args:
        array: (H, W), (H, W, 1) or (H, W, 3); uint8 in [0, 255] or float in [0, 1].

    Raises:
        ValueError: for another shape or dtype, floats outside [0, 1], or NaN.
    """
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)) or 0 in array.shape:
        raise ValueError(f"an image array must be (H, W), (H, W, 1) or (H, W, 3). Received: shape={array.shape}")
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError("a float image must lie in [0, 1] without NaN; divide by 255 first")
        array = np.rint(array.astype(np.float32) * 255.0).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ValueError(f"an image array must be uint8 or float in [0, 1]. Received: dtype={array.dtype}")
    return Image.fromarray(array).convert("RGB")
