"""TIFF files whose layout Pillow reads otherwise than it is meant, or not at all."""

import io

import numpy as np
from PIL import Image, TiffImagePlugin

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _ORIENTATION, _SAMPLES = 258, 259, 262, 266, 274, 277
_RESOLUTION, _PLANAR, _COLORS, _FORMAT, _SUBSAMPLING = (282, 283), 284, 320, 339, 530
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_UNSIGNED, _SIGNED = 1, 2
_KINDS = {1: "unsigned", 2: "signed", 3: "float"}
_COLOR = {0: "gray, white is 0", 1: "gray", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
_SHORT = 3


def prepare(image):
    """Correct, before an open TIFF is decoded, how Pillow will take its bytes; ValueError where that cannot be."""
    tags = image.tag_v2
    big = tags.prefix == b"MM"
    bits, apart = _first(tags, _BITS, 1), tags.get(_PLANAR, 1) == 2
    if tags.get(_ORIENTATION) in (5, 6, 7, 8) and image.tile:
        image.load_seek = image.fp.seek  # else Pillow maps the file into memory with width and height exchanged
    raw = bool(image.tile) and image.tile[0].codec_name == "raw"
    if raw and image.mode == "YCbCr" and (apart or tuple(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1)):
        raise ValueError(f"{describe(tags)}, of reduced color or with its channels apart, is not read; save it as RGB")
    if raw and image.mode == "CMYK" and apart and bits == 16:
        raise ValueError(f"{describe(tags)}, is not read; save it with 8 bits")
    for number, tile in enumerate(image.tile):
        decoder, (mode, *rest) = tile.codec_name, tile.args
        if decoder == "libtiff" and mode in ("I;16BS", "I;32BS", "F;32BF"):
            mode = mode.replace("B", "N")  # libtiff has put the bytes into the processor's order
        elif decoder == "raw" and apart:  # Pillow takes letter k of the raw mode for layer k
            if tags.get(_SAMPLES, 1) == 1:
                mode = _raw_mode(tags)
            elif bits == 16 and len(mode) == 1:
                mode += ";16B" if big else ";16L"
        image.tile[number] = tile._replace(args=(mode, *rest))


def _raw_mode(tags):
    kind, order, bits = _first(tags, _FORMAT, _UNSIGNED), tags.get(_FILL_ORDER, 1), _first(tags, _BITS, 1)
    for photometric in (tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO), _BLACK_IS_ZERO):
        key = (tags.prefix, photometric, (kind,), order, (bits,), ())
        if key in TiffImagePlugin.OPEN_INFO:
            return TiffImagePlugin.OPEN_INFO[key][1]
    raise ValueError(f"{describe(tags)}, is not read; save it with 8 or 16 bits a channel, unsigned")


def finish(image):
    """The decoded image, with Lab and palettes as they are meant."""
    tags = image.tag_v2
    if image.mode == "LAB" and tags.get(_PLANAR, 1) == 2:  # a and b have a sign, which Pillow minds in pixels only
        light, *colors = image.split()
        return Image.merge("LAB", [light, *(color.point([k ^ 128 for k in range(256)]) for color in colors)])
    if image.mode == "P" and 0 < max(tags.get(_COLORS, (0,))) < 256:  # colors of 8 bits instead of 16, a common slip
        count = len(tags[_COLORS]) // 3
        colors = np.reshape(tags[_COLORS], (3, count)).T.astype(np.uint8)
        image = image.copy()
        image.putpalette(colors.tobytes())
    return image


def gray_values(image):
    """``(float32 array, white, inverted)`` of a gray TIFF: its numbers, which of them is white (None if nothing says
    so), and whether they grow towards black. None if Pillow's own conversion to 8 bits is right.
    """
    tags = image.tag_v2
    bits, kind = _first(tags, _BITS, 1), _first(tags, _FORMAT, _UNSIGNED)
    inverted = tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO) == _WHITE_IS_ZERO
    values = np.asarray(image)
    if image.mode == "L" and kind == _SIGNED:
        values = values.view(np.int8)
    elif image.mode == "I" and kind == _UNSIGNED and bits == 32:
        values = values.view(np.uint32)
    elif image.mode in ("L", "1") or not image.mode.startswith(("I", "F")):
        return None
    white = 2.0**bits - 1 if kind == _UNSIGNED and bits <= 16 else None
    return values.astype(np.float32), white, inverted


def describe(tags):
    """A TIFF's layout in words, from its tags."""
    color = _COLOR.get(tags.get(_PHOTOMETRIC, 0), f"photometric interpretation {tags.get(_PHOTOMETRIC)}")
    kind = _KINDS.get(_first(tags, _FORMAT, 1), "other")
    apart = ", channels apart" if tags.get(_PLANAR, 1) == 2 and tags.get(_SAMPLES, 1) > 1 else ""
    packing = TiffImagePlugin.COMPRESSION_INFO.get(tags.get(_COMPRESSION, 1), tags.get(_COMPRESSION))
    channels = tags.get(_SAMPLES, 1)
    return f"a TIFF of {color}, {channels} x {_first(tags, _BITS, 1)} bits {kind}{apart}, compression {packing}"


def open_patched(data, open_one):
    """Open a TIFF that Pillow refuses for fields that do not matter, or for gray that grows towards black.

    ``open_one``: opens bytes as an image. ValueError with the layout if it cannot be read.
    """
    tags, patches = _tags(data), dict.fromkeys(_RESOLUTION, 0)
    white_is_zero = tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO) == _WHITE_IS_ZERO
    for patch in (patches, patches | {_PHOTOMETRIC: _BLACK_IS_ZERO})[: 1 + white_is_zero]:
        try:
            image = open_one(_patched(data, patch))
        except Image.DecompressionBombError:
            raise
        except Exception:  # as on opening any file; the reason follows
            continue
        if _PHOTOMETRIC in patch:
            image.tag_v2[_PHOTOMETRIC] = _WHITE_IS_ZERO
        return image
    raise ValueError(f"{describe(tags)}, is not read; save it with 8 or 16 bits a channel, unsigned")


def _tags(data):
    file = io.BytesIO(data)
    big = data[2:4] in (b"\x2b\0", b"\0\x2b")
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if big else 8))
    file.seek(tags.next)
    tags.load(file)
    return tags


def _patched(data, values):
    """The bytes with tags of the first directory replaced by one short number each."""
    order, big = ("little" if data[:2] == b"II" else "big"), data[2:4] in (b"\x2b\0", b"\0\x2b")
    word, head, size, places = (8, 8, 20, slice(8, 16)) if big else (4, 2, 12, slice(4, 8))
    patched = bytearray(data)
    start = int.from_bytes(data[places], order)
    for entry in range(int.from_bytes(data[start : start + head], order)):
        place = start + head + entry * size
        tag = int.from_bytes(data[place : place + 2], order)
        if tag in values:
            value = values[tag].to_bytes(2, order).ljust(word, b"\0")
            patched[place + 2 : place + size] = _SHORT.to_bytes(2, order) + (1).to_bytes(word, order) + value
    return bytes(patched)


def _first(tags, tag, default):
    value = tags.get(tag, default)
    return value[0] if isinstance(value, tuple) else value
