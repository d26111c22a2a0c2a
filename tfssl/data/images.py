"""Image sources: where bytes come from, decoded to upright 8-bit RGB.

A source is random access: ``len(source)``, ``source.open(i) -> PIL.Image``, ``source.name(i)``. Random access is
what makes training resume exactly: the picture of any step follows from (seed, step) alone, so no pipeline
state has to be saved.
"""

import dataclasses
import glob
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tfssl.errors import SourceError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""File names that count as images in folders, lower case."""

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded (100 megapixels); a guard against decompression bombs."""

# Pillow's own bomb guard raises only above twice its limit; ours is exact and says what to do.
Image.MAX_IMAGE_PIXELS = None


def decode_image(data, *, min_side=None, keep_alpha=False):
    """Decode an encoded image to upright 8-bit RGB.

    Honours EXIF orientation; expands grey, palette and CMYK; scales 16-bit to 8-bit; composes alpha over white;
    takes the first frame of an animation.

    Args:
        data: ``bytes``, a path or an open binary file.
        min_side: for JPEG, allows decoding at a reduced scale (1/2, 1/4, 1/8) as long as the shorter side
            keeps at least this many pixels. None decodes at full size.
        keep_alpha: return RGBA where the file has transparency, instead of composing it over white.

    Returns:
        A ``PIL.Image`` of mode RGB (or RGBA), upright.

    Raises:
        ValueError: naming the reason, if the data is empty, truncated, not an image, or too large.
    """
    if isinstance(data, bytes):
        data = io.BytesIO(data)
    try:
        with Image.open(data) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(
                    f"{width}x{height} is {width * height / 1e6:.0f} megapixels, more than the limit of "
                    f"{MAX_PIXELS / 1e6:.0f}; shrink it first"
                )
            if min_side is not None and image.format == "JPEG":
                # draft() keeps both sides at least as large as asked.
                scale = min_side / min(width, height)
                if scale < 1:
                    image.draft(None, (int(width * scale), int(height * scale)))
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image), keep_alpha)
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(_reason(error)) from error


def _reason(error):
    text = str(error).strip()
    if "cannot identify image file" in text:
        return "not an image file, or damaged from its first bytes on"
    return " ".join(text.split()) or type(error).__name__


def _to_rgb(image, keep_alpha):
    if image.mode.startswith(("I", "F")):
        return _scale_to_8_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        if keep_alpha:
            return image
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _scale_to_8_bits(image):
    """16-bit, 32-bit and float pictures: Pillow's own convert() would clip them to white."""
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the pixels hold NaN or infinity")
    low, high = values.min(), values.max()
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and high <= 65535):
        values = values / 257.0
    elif image.mode == "F" and low >= 0.0 and high <= 1.0:
        values = values * 255.0
    elif high > 255 or low < 0:
        values = (values - low) * (255.0 / (high - low))
    return Image.fromarray(np.round(values).astype(np.uint8)).convert("RGB")


class ImageSource(Sequence):
    """A random-access list of images. ``source[i]`` is a ``PIL.Image`` in RGB."""

    def __len__(self):
        raise NotImplementedError

    def open(self, index, min_side=None):
        """Decode image ``index``; ``min_side`` as in :func:`decode_image`. Raises ValueError if unreadable."""
        raise NotImplementedError

    def name(self, index):
        """What to call image ``index`` in messages and tables."""
        return f"image {index}"

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.open(index)


@dataclasses.dataclass(frozen=True)
class FileSource(ImageSource):
    """Image files, in the given order."""

    paths: tuple[str, ...]

    def __len__(self):
        return len(self.paths)

    def open(self, index, min_side=None):
        return decode_image(self.paths[index], min_side=min_side)

    def name(self, index):
        return self.paths[index]


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySource(ImageSource):
    """Images in memory: uint8 [0, 255] or float [0, 1], (N, H, W), (N, H, W, 1) or (N, H, W, 3), or a list."""

    images: Sequence

    def __len__(self):
        return len(self.images)

    def open(self, index, min_side=None):
        return array_to_image(self.images[index])


def array_to_image(array):
    """Turn one array into a ``PIL.Image``.

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
        array = np.round(array * 255.0).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ValueError(f"an image array must be uint8 or float in [0, 1]. Received: dtype={array.dtype}")
    return Image.fromarray(array).convert("RGB")


def image_source(source):
    """Make an :class:`ImageSource` of anything that can be one.

    Args:
        source: one of

            - ``"builtin"``: the colour photographs inside scikit-image and scikit-learn, no download;
            - a directory (searched recursively), a file, or a glob pattern;
            - ``"*.tfrecord"`` shards (path or glob) whose examples hold ``image/encoded``;
            - ``"tfds:NAME:SPLIT"`` (needs the extra ``tfssl[tfds]``);
            - a list of paths; a NumPy array or list of arrays (see :class:`ArraySource`);
            - an :class:`ImageSource`.

    Returns:
        An :class:`ImageSource` with at least one image.

    Raises:
        SourceError: one line that names the source and the mend.
    """
    if isinstance(source, ImageSource):
        found = source
    elif isinstance(source, (str, os.PathLike)):
        found = _from_text(os.fspath(source))
    elif isinstance(source, np.ndarray):
        found = ArraySource(source)
    elif isinstance(source, (list, tuple)):
        if all(isinstance(item, (str, os.PathLike)) for item in source):
            found = FileSource(tuple(os.fspath(item) for item in source))
        else:
            found = ArraySource(source)
    else:
        raise SourceError(
            f"`source` must be 'builtin', a folder, a glob, *.tfrecord, tfds:NAME:SPLIT, a list of paths or an "
            f"array. Received: source of type {type(source).__name__}"
        )
    if len(found) == 0:
        raise SourceError(f"`source` holds no images. Received: source={_short(source)}")
    return found


def _short(source):
    text = repr(source)
    return text if len(text) < 100 else text[:97] + "..."


def _from_text(text):
    if text == "builtin":
        from tfssl.data.builtin import builtin_photographs

        return FileSource(tuple(str(p) for p in builtin_photographs()))
    if text.startswith("tfds:"):
        from tfssl.data.tfds import tfds_source

        return tfds_source(text)
    paths = _expand(text)
    if any(p.endswith((".tfrecord", ".tfrecords")) or ".tfrecord-" in os.path.basename(p) for p in paths):
        from tfssl.data.tfrecord import TFRecordSource

        return TFRecordSource.from_paths(paths)
    images = tuple(p for p in paths if p.lower().endswith(EXTENSIONS))
    if paths and not images:
        raise SourceError(
            f"`source` holds {len(paths)} files but no {' '.join(EXTENSIONS)}. Received: source={text!r}"
        )
    return FileSource(images)


def _expand(text):
    path = Path(text).expanduser()
    if path.is_dir():
        # followlinks: folders of symbolic links are a common way to make a subset.
        return sorted(
            os.path.join(root, name)
            for root, folders, names in os.walk(path, followlinks=True)
            for name in names
            if not name.startswith(".") and not os.path.basename(root).startswith(".")
        )
    if path.is_file():
        return [str(path)]
    matches = sorted(p for p in glob.glob(str(path), recursive=True) if os.path.isfile(p))
    if not matches:
        raise SourceError(f"`source` is no folder, file or matching glob. Received: source={text!r}")
    return matches
