"""Maps of numbers, one a pixel: disparities and depths, as files have them."""

import os
import re

import numpy as np
from PIL import Image

from tfssl.data.decode import FORMATS, MAX_PIXELS, check_header
from tfssl.data.orientation import upright
from tfssl.files import check_zip

EXTENSIONS = (".png", ".pgm", ".pfm", ".npy", ".npz", ".tif", ".tiff")

_NETPBM = re.compile(rb"(P5|Pf)\s+(?:#[^\n]*\s+)*(\d+)\s+(\d+)\s+(-?[\d.]+)\s")


def read_map(path, *, swapped=False):
    """Read a map (H, W) as it is stored, of the type it has in the file; ValueError with the reason if it is damaged.

    Args:
        path: of a gray PNG or TIFF (8 or 16 bits), PGM, PFM, ``.npy``, or ``.npz`` (its first array).
        swapped: the two bytes of each value of a PGM are the wrong way round.
    """
    ending = os.path.splitext(path)[1].lower()
    if os.path.getsize(path) == 0:
        raise ValueError("the map's file is empty")
    try:
        if ending in (".npy", ".npz"):
            if ending == ".npz":
                check_zip(path)
            values = np.load(path, allow_pickle=False)
            values = values[values.files[0]] if ending == ".npz" else values
        elif ending in (".pgm", ".pfm"):
            values = _read_netpbm(path, swapped)
        else:
            check_header(path)
            with Image.open(path, formats=FORMATS) as image:
                values = np.asarray(upright(image))
    except ValueError:
        raise
    except Exception as error:  # of damaged files zipfile, NumPy and Pillow raise almost anything
        raise ValueError(f"the map {os.path.basename(path)!r} is damaged ({error})") from error
    if values.ndim != 2 or values.size > MAX_PIXELS or values.dtype.kind not in "uif":
        raise ValueError(f"a map must be one channel of numbers. Received: shape={values.shape}, dtype={values.dtype}")
    return values


def _read_netpbm(path, swapped):
    # Not by Pillow: it stretches PGM of 10 to 15 bits to 16.
    with open(path, "rb") as file:
        data = file.read()
    header = _NETPBM.match(data)
    if header is None:
        raise ValueError("the map is no binary PGM or PFM of one channel")
    kind, width, height, number = header[1], int(header[2]), int(header[3]), float(header[4])
    if kind == b"Pf":
        dtype = np.dtype("<f4" if number < 0 else ">f4")
    else:
        dtype = np.dtype(np.uint8 if number < 256 else "<u2" if swapped else ">u2")
    if width * height > MAX_PIXELS or len(data) - header.end() < width * height * dtype.itemsize:
        raise ValueError(f"the map breaks off: {width}x{height} is announced")
    values = np.frombuffer(data, dtype, width * height, header.end()).reshape(height, width)
    values = values[::-1] if kind == b"Pf" else values  # PFM begins with the lowest row
    return values.astype(dtype.newbyteorder("="))


def scaled_map(values, scale):
    """Numbers of a map divided by ``scale``, float32; NaN where the file says unknown: 0 or less, infinite or NaN."""
    values = np.asarray(values, np.float64) / scale
    return np.where(np.isfinite(values) & (values > 0), values, np.nan).astype(np.float32)


def same_size(**parts):
    """Raise ValueError if images (``PIL.Image``) and maps (H, W) of one example differ in size."""
    sizes = {name: part.size if isinstance(part, Image.Image) else part.shape[::-1] for name, part in parts.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} is {width}x{height}" for name, (width, height) in sizes.items())
        raise ValueError(f"sizes differ: {shown}")
