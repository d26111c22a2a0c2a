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
    ExifTags,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from tfssl.data import mending, tiff
from tfssl.data.profiles import to_srgb
from tfssl.errors import TfsslError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats that are read. Others stay closed: some of Pillow's start an outside program (EPS) or only pretend."""

MAX_PIXELS = 100_000_000
"""Largest image that is decoded (100 megapixels); a guard against decompression bombs."""

_KEPT_INFO = ("exif", "icc_profile", "dpi")


def decode_image(data, *, min_size=None, keep_alpha=False, srgb=False):
    """Decode an image to upright 8-bit RGB, its ``info`` reduced to ``exif``, ``icc_profile`` and ``dpi``.

    Honours EXIF orientation; expands gray, palette and CMYK; scales 16-bit to 8-bit; composes alpha over white;
    takes the first frame of an animation and the first page of a TIFF.

    Args:
        data: ``bytes``, a path, an open binary file, or a ``PIL.Image`` of any mode, which stays as it is.
        min_size: for JPEG, allows decoding at a reduced scale (1/2, 1/4, 1/8) as long as the shorter side
            keeps at least this many pixels. None decodes at full size.
        keep_alpha: return RGBA where the file has transparency, instead of composing it over white.
        srgb: convert from the file's own color profile, where it has one, to sRGB.

    Raises:
        ValueError: naming the reason, if the data is empty, truncated, not an image, or too large.
    """
    with open_image(data, min_size=min_size) as image:
        return pixels_of(image, keep_alpha=keep_alpha, srgb=srgb)


def pixels_of(image, *, keep_alpha=False, keep_gray=False, srgb=False):
    """The pixels of an open image, see :func:`decode_image`: a ``PIL.Image``, perhaps the given one itself.

    With ``keep_gray`` it may have mode L, where the file has one channel of 8 bits.
    """
    image = _upright(_loaded(image))
    profile = image.info.get("icc_profile") if srgb else None
    image = _with_info(_to_8_bits(image), image)
    if not profile:
        plain = keep_gray and image.mode == "L" and not image.has_transparency_data
        return image if plain else _to_rgb(image, keep_alpha)
    stored = image if image.mode == "CMYK" else _to_rgb(image, keep_alpha)
    converted = to_srgb(stored, profile, gray=is_gray(image))
    if converted is stored:
        return _to_rgb(stored, keep_alpha)
    _with_info(converted, stored).info.pop("icc_profile", None)
    return converted


def is_gray(image):
    """Whether a ``PIL.Image`` has one channel of lightness, besides transparency."""
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith(("I", "F"))


def check_header(data):
    """Raise ValueError if the header shows that :func:`decode_image` would refuse it; decodes no pixels."""
    with open_image(data):
        pass


@contextlib.contextmanager
def open_image(data, *, min_size=None):
    """Open an image file, the one place where that is done: of the formats that are read and no larger than allowed.

    Args:
        data, min_size: as :func:`decode_image`.

    Yields:
        The ``PIL.Image``, its pixels not decoded yet.

    Raises:
        ValueError: with the reason in one line, also for whatever Pillow raises inside the ``with``.
    """
    try:
        with contextlib.nullcontext(data) if isinstance(data, Image.Image) else _opened(data) as image:
            _check_size(image)
            if min_size is not None and image.format in ("JPEG", "MPO"):
                image.draft(None, (min_size, min_size))  # both sides stay at least as large as asked
            yield image
    except TfsslError:
        raise
    except Exception as error:  # on damaged files Pillow's readers raise almost anything
        raise ValueError(_reason(error, data)) from error


def _opened(data):
    if isinstance(data, (str, os.PathLike)):
        check_file(data)
    try:
        return _pillow(data)
    except Image.DecompressionBombError:
        raise
    except Exception:
        start = _content(data, 8)
        if start == mending.PNG:
            return _pillow(mending.bare_png(_content(data)))
        if start[:4] in tiff.SIGNATURES:
            return tiff.open_patched(_content(data), _pillow)
        raise


def _pillow(data):
    return Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS)


def _content(data, size=-1):
    """The bytes of a file, or the first ``size`` of them."""
    if isinstance(data, bytes):
        return data if size < 0 else data[:size]
    if isinstance(data, (str, os.PathLike)):
        with open(data, "rb") as file:
            return file.read(size)
    data.seek(0)
    return data.read(size)


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
        if not isinstance(data, Image.Image) and not _content(data, 1):
            return "the file is empty"
        return f"not a {', '.join(FORMATS)} file, or damaged from its first bytes on"
    if isinstance(error, Image.DecompressionBombError):  # Pillow's own limit, 179 megapixels, comes first
        return f"more than the limit of {MAX_PIXELS / 1e6:.0f} megapixels; shrink it first"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split()) or type(error).__name__
    return f"the image data is damaged ({text})" if text.startswith("decoder error") else text


def _loaded(image):
    """The image with its pixels decoded; another one where the file had to be mended for that."""
    if image.format == "TIFF" and hasattr(image, "tag_v2"):
        tiff.prepare(image)
        image.load()
        return tiff.finish(image)
    file = getattr(image, "fp", None)
    try:
        image.load()
    except OSError:
        whole = _continued(image, file) if image.format == "JPEG" and file else None
        if whole is None:
            raise
        return whole
    except ValueError:
        if image.format != "PNG" or image.tile:
            raise  # else only what follows the pixels is damaged or too long
    return image


def _continued(image, file):
    """A JPEG without a proper end, if what there is of it determines all of its pixels; else None.

    ``file`` is what it was opened from; Pillow may have closed it.
    """
    versions = []
    for data in mending.continued_jpegs(_content(image.filename if file.closed else file)) or ():
        versions.append(_pillow(data))
        if image.decoderconfig:  # decoded at a reduced scale
            versions[-1].draft(None, [side // image.decoderconfig[0] for side in versions[-1].size])
        versions[-1].load()
        if versions[0].tobytes() != versions[-1].tobytes():
            return None
    return versions[0] if versions else None


def _upright(image):
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block says nothing about the pixels; it must not be written out again either
        image = image.copy()
        image.info.pop("exif", None)
        return image


def _to_rgb(image, keep_alpha):
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("LA") if image.mode == "La" else image
    image = image.convert("RGBA")
    if keep_alpha:
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return _with_info(white, image)


def _with_info(image, original):
    if image is not original:
        image.info = {key: original.info[key] for key in _KEPT_INFO if key in original.info}
    return image


def _to_8_bits(image):
    """16-bit, 32-bit and float images in gray: Pillow's own convert() would clip them to white.

    Unsigned values of up to 16 bits are divided by their white (65535) and floats in [0, 1] multiplied by 255. Others
    have no agreed white: where they do not fit 8 bits, the darkest becomes 0 and the brightest 255.
    """
    found = tiff.gray_values(image) if hasattr(image, "tag_v2") else None
    if found is None:
        if not image.mode.startswith(("I", "F")):
            return image
        whole = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
        found = np.asarray(image).astype(np.float32), 65535.0 if whole else None, False
    values, white, inverted = found
    if not np.isfinite(values).all():
        raise ValueError("the pixels hold NaN or infinity")
    low, high = float(values.min()), float(values.max())
    if white is not None:
        values *= 255.0 / white
    elif image.mode == "F" and low >= 0.0 and high <= 1.0:
        values *= 255.0
    elif (low < 0.0 or high > 255.0) and low < high:
        values = (values - low) * (255.0 / (high - low))
    levels = np.rint(values.clip(0.0, 255.0)).astype(np.uint8)
    return Image.fromarray(255 - levels if inverted else levels)


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


def read_mask(file, size):
    """Read a mask, bool ``size`` = (height, width), True where it is light; ValueError if it does not serve."""
    if not os.path.isfile(file):
        raise ValueError(f"no mask {str(file)!r} for it")
    try:
        mask = decode_image(file)
    except ValueError as error:
        raise ValueError(f"the mask {str(file)!r} cannot be read: {error}") from None
    if (mask.height, mask.width) != tuple(size):
        raise ValueError(
            f"the mask {str(file)!r} has {mask.width}x{mask.height} pixels, the image {size[1]}x{size[0]}; they must "
            f"be equal"
        )
    hole = np.asarray(mask.convert("L")) >= 128
    if not hole.any():
        raise ValueError(f"the mask {str(file)!r} is nowhere white; paint the hole white on black")
    return hole
