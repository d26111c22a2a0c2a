"""Reading and writing of photographs as files: metadata, color profile, JPEG encoded by several threads."""

import dataclasses
import io
import os
import struct
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import ExifTags, PngImagePlugin

from tfssl.data.decode import is_gray, open_image, pixels_of
from tfssl.data.profiles import reversible
from tfssl.files import writing

_LAYOUT = ExifTags.Base
# TIFF files keep how their pixels are stored among the EXIF tags: it is not true of the file that is written.
_STORAGE_TAGS = {
    *(_LAYOUT.NewSubfileType, _LAYOUT.SubfileType, _LAYOUT.ImageWidth, _LAYOUT.ImageLength, _LAYOUT.BitsPerSample),
    *(_LAYOUT.Compression, _LAYOUT.PhotometricInterpretation, _LAYOUT.FillOrder, _LAYOUT.StripOffsets),
    *(_LAYOUT.SamplesPerPixel, _LAYOUT.RowsPerStrip, _LAYOUT.StripByteCounts, _LAYOUT.PlanarConfiguration),
    *(_LAYOUT.Predictor, _LAYOUT.ColorMap, _LAYOUT.TileWidth, _LAYOUT.TileLength, _LAYOUT.TileOffsets),
    *(_LAYOUT.TileByteCounts, _LAYOUT.SubIFDs, _LAYOUT.ExtraSamples, _LAYOUT.SampleFormat, _LAYOUT.JPEGTables),
    *(_LAYOUT.JpegIFOffset, _LAYOUT.JpegIFByteCount, _LAYOUT.YCbCrCoefficients, _LAYOUT.YCbCrSubSampling),
    *(_LAYOUT.YCbCrPositioning, _LAYOUT.ReferenceBlackWhite, _LAYOUT.XMLPacket, _LAYOUT.ImageResources),
    *(_LAYOUT.InterColorProfile, _LAYOUT.IPTCNAA),
}
_MAX_EXIF = 65_533  # bytes of one JPEG segment
_SRGB = 1
_MAX_RESOLUTION = 65_535  # dots per inch, that a JPEG can hold

QUALITY = 95
"""Above it files grow fast and nothing visible is gained."""

MAX_SIDE = 65_535
"""Most pixels that a side of a JPEG can have."""

_BLOCK = 8  # pixels a side: one unit of a JPEG with full chroma resolution
_BAND_PIXELS = 1 << 19  # enough work for a thread; its pixels, 2 MB, stay near the processor
_FRAME, _SCAN, _RESTART_INTERVAL, _RESTART, _END = 0xC0, 0xDA, 0xDD, 0xD0, b"\xff\xd9"


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says before its pixels are decoded: Pillow's name of its format (None if it is no image), and
    (width, height) in pixels as stored, before EXIF orientation.
    """

    format: str | None = None
    size: tuple[int, int] = (0, 0)

    @property
    def megapixels(self):
        return self.size[0] * self.size[1] / 1e6


def read_header(path):
    """Format and size of an image file without decoding it; an empty :class:`Header` where that fails."""
    try:
        with open_image(path) as image:
            return Header(image.format, image.size)
    except ValueError:  # decoding will say what is wrong with it
        return Header()


def decode_photo(path, *, min_size=None, keep_alpha=False, keep_gray=False, keep_profile=False):
    """Decode a file to upright 8-bit sRGB, converting from its own color profile where it has one.

    Arguments and errors as :func:`tfssl.data.decode.decode_image`.

    Args:
        keep_gray: leave an image of one channel as it is: a third of the memory.
        keep_profile: leave the pixels as they are if their profile can be written back, and keep it in the metadata.

    Returns:
        ``(image, metadata)``: a ``PIL.Image`` of mode RGB or RGBA (or L), and the keywords for :func:`save_photo`: its
        EXIF with Orientation 1 and without thumbnail, its resolution, perhaps its profile.
    """
    with open_image(path, min_size=min_size) as source:
        profile = source.info.get("icc_profile") if keep_profile else None
        kept = bool(profile) and reversible(profile, gray=is_gray(source))
        image = pixels_of(source, keep_alpha=keep_alpha, keep_gray=keep_gray, srgb=not kept)
        exif = _exif_of(source, image.size)
    metadata = {"exif": exif, "dpi": _resolution(source.info.get("dpi")), "icc_profile": profile if kept else None}
    return image, {k: v for k, v in metadata.items() if v}


def _resolution(dpi):
    """(x, y) in dots per inch as files can hold it; None for nonsense, which says nothing about the pixels."""
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return (x, y) if all(1 <= value <= _MAX_RESOLUTION for value in (x, y)) else None


def save_photo(rows, size, path, *, threads=1, comment=None, replace=True, **metadata):
    """Write a JPEG (see :func:`encode_jpeg`) or PNG, whole or not at all.

    Args:
        rows: function ``(top, bottom) -> PIL.Image`` of these rows, RGB, RGBX or RGBA (PNG only); may be called from
            several threads.
        size: (width, height) in pixels.
        path: the file; its name decides the format. Missing folders are made.
        threads: that make and encode a JPEG.
        comment: ASCII text that is kept in the file.
        replace: False raises FileExistsError where the file is there already.
        **metadata: from :func:`decode_photo`.

    Raises:
        ValueError: if the image is too large for the format.
        OSError: if it cannot be written; an older file of that name is then untouched.
    """
    path = Path(path)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        if comment is not None:
            metadata["comment"] = comment.encode("ascii")
        encoded = encode_jpeg(rows, size, threads, **metadata)
    else:
        image, file = rows(0, size[1]), io.BytesIO()
        image = image.convert("RGB") if image.mode == "RGBX" else image
        if comment is not None:
            metadata["pnginfo"] = PngImagePlugin.PngInfo()
            metadata["pnginfo"].add_text("Comment", comment)
        # Level 1 takes a fifth of the time of the default 6 for a few per cent of size.
        image.save(file, "PNG", compress_level=1, **metadata)
        encoded = file.getbuffer()
    with writing(path, replace=replace) as file:
        file.write(encoded)


def _exif_of(source, size):
    """EXIF of an open file as bytes, made true of upright sRGB pixels of ``size``; None if it has none."""
    try:
        exif = source.getexif()
        for tag in _STORAGE_TAGS:
            exif.pop(tag, None)
        if not exif:
            return None
        if _LAYOUT.Orientation in exif:
            exif[_LAYOUT.Orientation] = 1
        details = exif.get_ifd(ExifTags.IFD.Exif)
        for tag, value in (
            (_LAYOUT.ExifImageWidth, size[0]),
            (_LAYOUT.ExifImageHeight, size[1]),
            (_LAYOUT.ColorSpace, _SRGB),
        ):
            if tag in details:
                details[tag] = value
        data = exif.tobytes()  # writes no thumbnail
    except Exception:  # EXIF is often damaged; an image is worth more than its metadata
        return None
    return data if len(data) <= _MAX_EXIF else None


def encode_jpeg(rows, size, threads=1, **metadata):
    """Encode an image that is made while it is encoded, in bands that become restart intervals of one ordinary file.

    Quality 95 with full chroma resolution: with halved chroma, color would run over edges that lightness keeps
    sharp. Bands start with a restart marker (ITU-T T.81, B.2.1), which every decoder knows; the decoded pixels are
    those of an ordinary encoding. Arguments as :func:`save_photo`; ValueError if a side is longer than 65535 pixels.
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
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("jpeg"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _stitch(bands, height, interval):
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
