"""TIFF files of every layout, written by hand: the fields as they are given, and nothing else."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COMPRESSIONS = {"none": 1, "lzw": 5, "jpeg": 7, "deflate": 8, "packbits": 32773}

_TYPES = {"B": 1, "s": 2, "H": 3, "L": 4, "Q": 5}
_KINDS = {"u": 1, "i": 2, "f": 3}


def write_tiff(values, photometric, *, compression="none", planar=False, order="<", extra=(), tags=()):
    """The bytes of a TIFF with one strip, or one a channel where they are ``planar``.

    Args:
        values: array (H, W) or (H, W, C) of uint8 to float64; its type decides bits and sample format.
        photometric: how the values are to be understood.
        compression: a key of :data:`COMPRESSIONS`.
        planar: whether the channels come one after the other.
        order: "<" or ">".
        extra: kinds of the channels beyond the colors: 0 unknown, 1 premultiplied alpha, 2 alpha.
        tags: further fields, (number, struct code of one value, values); they replace those of the same number.
    """
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    planes = [values[..., c] for c in range(channels)] if planar else [values]
    strips = [_packed(plane.astype(plane.dtype.newbyteorder(order)), compression) for plane in planes]
    bits = values.dtype.itemsize * 8
    fields = {
        256: ("L", [width]),
        257: ("L", [height]),
        258: ("H", [bits] * channels),
        259: ("H", [COMPRESSIONS[compression]]),
        262: ("H", [photometric]),
        273: ("L", [0] * len(strips)),
        277: ("H", [channels]),
        278: ("L", [height]),
        279: ("L", [len(strip) for strip in strips]),
        284: ("H", [2 if planar else 1]),
        339: ("H", [_KINDS[values.dtype.kind]] * channels),
    }
    fields |= {338: ("H", list(extra))} if extra else {}
    fields |= {530: ("H", [1, 1])} if photometric == YCBCR else {}
    fields |= {number: (code, list(numbers)) for number, code, numbers in tags}
    return _assembled(fields, strips, order)


def _packed(plane, compression):
    data = plane.tobytes()
    if compression == "deflate":
        return zlib.compress(data)
    if compression == "packbits":
        rows = [plane[row].tobytes() for row in range(len(plane))]
        return b"".join(_packbits(row) for row in rows)
    if compression == "lzw":
        return _lzw(data)
    if compression == "jpeg":
        buffer = io.BytesIO()
        Image.fromarray(plane.squeeze()).save(buffer, "JPEG", quality=100, subsampling=0, keep_rgb=True)
        return buffer.getvalue()
    return data


def _packbits(row):
    return b"".join(bytes([len(part) - 1]) + part for part in (row[i : i + 128] for i in range(0, len(row), 128)))


def _lzw(data):
    """Codes of 9 bits, the table cleared before they would have to grow: single bytes, which is valid LZW."""
    codes = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _assembled(fields, strips, order):
    start = 8 + 2 + 12 * len(fields) + 4
    far = {number: data for number, field in fields.items() if len(data := _field(*field, order)) > 4}
    first_strip = start + sum(map(len, far.values()))
    offsets = [first_strip + sum(map(len, strips[:n])) for n in range(len(strips))]
    fields = fields | {273: ("L", offsets)}
    entries, data = [], b""
    for number, (code, numbers) in sorted(fields.items()):
        packed = _field(code, numbers, order)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place = struct.pack(f"{order}L", start + len(data))
            data += packed
        entries.append(struct.pack(f"{order}HHL", number, _TYPES[code], len(numbers)) + place)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, len(entries))
    return head + b"".join(entries) + bytes(4) + data + b"".join(strips)


def _field(code, numbers, order):
    if code == "Q":  # a rational: (above, below) the line
        return b"".join(struct.pack(f"{order}LL", *pair) for pair in numbers)
    if code == "s":
        return bytes(numbers)
    return struct.pack(f"{order}{len(numbers)}{code}", *numbers)


def stored(plain, dtype):
    """8-bit values in the range of another type: floats in [0, 1], integers over all of their range."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (plain / 255.0).astype(dtype)
    info = np.iinfo(dtype)
    spread = (int(info.max) - int(info.min)) // 255
    return (plain.astype(object) * spread + int(info.min)).astype(dtype)
