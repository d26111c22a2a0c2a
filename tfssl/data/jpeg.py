"""JPEG files encoded in bands by several threads: the bands become restart intervals of one ordinary file."""

import os
import struct
import tempfile
from concurrent.futures import ThreadPoolExecutor

QUALITY = 95
"""Above it files grow fast and nothing visible is gained."""

MAX_SIDE = 65_535
"""Most pixels that a side of a JPEG can have."""

_BLOCK = 8  # pixels a side: one unit of a JPEG with full chroma resolution
_BAND_PIXELS = 1 << 19  # enough work for a thread; its pixels, 2 MB, stay near the processor
_FRAME, _SCAN, _RESTART_INTERVAL, _RESTART, _END = 0xC0, 0xDA, 0xDD, 0xD0, b"\xff\xd9"


def encode_jpeg(rows, size, threads=1, **metadata):
    """Encode an image that is made while it is encoded, band by band.

    Quality 95 with full chroma resolution: with halved chroma, color would run over edges that lightness keeps
    sharp. Bands start with a restart marker (ITU-T T.81, B.2.1), which every decoder knows; the decoded pixels are
    those of an ordinary encoding.

    Args:
        rows: function ``(top, bottom) -> PIL.Image`` of these rows, RGB or RGBX; called from several threads.
        size: (width, height) in pixels.
        threads: bands in work at once.
        **metadata: ``exif`` and ``dpi``, as ``PIL.Image.save`` takes them.

    Returns:
        The file as ``bytearray``.

    Raises:
        ValueError: if a side is longer than 65535 pixels.
    """
    width, height = size
    if max(size) > MAX_SIDE:
        raise ValueError(f"{width}x{height} is more than a JPEG can hold, {MAX_SIDE} pixels a side; write png instead")
    step = max(1, _BAND_PIXELS // (width * _BLOCK)) * _BLOCK

    def encode(top):
        keywords = metadata if top == 0 else {}
        # Pillow lets go of the interpreter lock only where it encodes to a file of the system.
        with _scratch_file() as encoded:
            rows(top, min(top + step, height)).save(encoded, "JPEG", quality=QUALITY, subsampling=0, **keywords)
            encoded.seek(0)
            return encoded.read()

    tops = range(0, height, step)
    if threads == 1:
        bands = map(encode, tops)
    else:
        with ThreadPoolExecutor(threads) as pool:
            bands = list(pool.map(encode, tops))
    return _stitch(bands, height, -(-width // _BLOCK) * (step // _BLOCK))


def _scratch_file():
    """A file that is gone when it is closed, in memory where the system offers that."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("jpeg"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _stitch(bands, height, interval):
    """One file of bands that were encoded alike; each but the last holds ``interval`` blocks."""
    stitched = bytearray()
    for number, band in enumerate(bands):
        frame, scan, data = _segments(band)
        if number == 0:
            stitched += band[:scan] + struct.pack(">BBHH", 0xFF, _RESTART_INTERVAL, 4, interval) + band[scan:data]
            stitched[frame + 5 : frame + 7] = struct.pack(">H", height)  # after marker, length and precision
        else:
            stitched += bytes((0xFF, _RESTART + (number - 1) % 8))
        stitched += memoryview(band)[data : -len(_END)]
    stitched += _END
    return stitched


def _segments(band):
    """Offsets of the frame header, the scan header and the compressed data of a baseline JPEG."""
    frame, offset = None, 2
    while band[offset + 1] != _SCAN:
        if band[offset + 1] == _FRAME:
            frame = offset
        offset += 2 + int.from_bytes(band[offset + 2 : offset + 4], "big")
    return frame, offset, offset + 2 + int.from_bytes(band[offset + 2 : offset + 4], "big")
