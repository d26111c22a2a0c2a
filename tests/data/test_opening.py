"""Every image is opened in one place: formats, size and what is no file at all are looked at before anything else."""

import ast
import os
import resource
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfssl
from tests.data.tiff_writer import write_tiff
from tfssl.data.decode import check_header, decode_image, open_image, read_mask
from tfssl.data.images import FileSource
from tfssl.data.maps import read_map
from tfssl.data.normals import read_normals
from tfssl.data.photo import decode_photo, read_header
from tfssl.data.voc import read_indices
from tfssl.errors import ConfigError
from tfssl.methods.context_encoder.data import load_shapes

PACKAGE = Path(tfssl.__file__).parent
OPENERS = ("open", "open_mask", "imread", "load_img", "imdecode")

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"

READERS = [
    decode_image,
    check_header,
    decode_photo,
    lambda path: FileSource((str(path),)).read(0),
    lambda path: FileSource((str(path),)).example(0),
    lambda path: read_map(str(path)),
    read_normals,
    read_indices,
    lambda path: read_mask(Path(path), (9, 9)),
    tfssl.colorize,
]


def test_images_are_opened_in_one_place():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in OPENERS:
                owner = ast.unparse(node.func.value)
                if owner == "Image" or node.func.attr != "open":
                    found.append((path.relative_to(PACKAGE).as_posix(), ast.unparse(node.func)))
    assert found == [("data/decode.py", "Image.open")]


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_at_once(tmp_path, kind, reader, monkeypatch):
    """A pipe named .jpg would be waited for until somebody writes into it."""
    monkeypatch.chdir(tmp_path)
    if kind == "pipe":
        os.mkfifo("a.png")
    elif kind == "device":
        os.symlink("/dev/zero", "a.png")
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind("a.png")
        server.close()
    with pytest.raises(ValueError, match=r"a pipe, a socket or a device|no mask") as caught:
        reader("a.png")
    assert "\n" not in str(caught.value)
    assert read_header("a.png").format is None


@pytest.mark.parametrize("reader", [reader for number, reader in enumerate(READERS) if number != 3])
def test_formats_that_are_not_read_stay_closed(tmp_path, reader, monkeypatch):
    """Pillow would start Ghostscript for the first."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *a, **k: pytest.fail("Ghostscript was started"))
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png", "PPM")
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    for name in ("a.png", "b.png"):
        with pytest.raises(ValueError, match="not a JPEG, PNG"):
            reader(tmp_path / name)


def test_shapes_are_read_from_allowed_formats(tmp_path):
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    with pytest.raises(ConfigError, match="not a JPEG, PNG"):
        load_shapes(str(tmp_path))


def test_the_reason_is_that_of_the_reader(tmp_path):
    """What a caller raises while an image is open keeps its kind where it is for users."""
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="mine"), open_image(tmp_path / "a.png"):
        raise ConfigError("mine")


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + END


END = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
BOMBS = {
    "png": png_header(11_000, 10_000),
    "larger png": png_header(60_000, 60_000),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 65_000, 65_000, 0x80, 0, 0) + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    "gif frame": b"GIF89a"
    + struct.pack("<HHBBB", 9, 9, 0x80, 0, 0)
    + bytes(6)
    + b",\0\0\0\0\xe8\xfd\xe8\xfd\0\2\2D\1\0;",
    "bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 154, 0, 54, 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99),
    "tiff": write_tiff(np.zeros((2, 2, 3), np.uint8), 2, tags=[(256, "L", [50_000]), (257, "L", [50_000])]),
    "tiff, white is 0": write_tiff(np.zeros((2, 2), np.int16), 0, tags=[(256, "L", [50_000]), (257, "L", [50_000])]),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("bomb", BOMBS)
def test_sizes_are_checked_before_anything_is_decoded(tmp_path, bomb, monkeypatch):
    """By every reader: the Python call, the command line, masks, labels, maps."""
    monkeypatch.setattr(Image, "_getdecoder", lambda *_: pytest.fail("decoding began"))
    path = tmp_path / "a.png"
    path.write_bytes(BOMBS[bomb])
    for number, reader in enumerate(READERS):
        if number != 3:
            with pytest.raises(ValueError, match="more than the limit of 100"):
                reader(path)
    with pytest.raises(ValueError, match="more than the limit of 100"):
        tfssl.colorize(BOMBS[bomb])
    assert read_header(path).format is None


def test_tiles_of_a_tiff_are_no_larger_than_the_image_allows(tmp_path):
    tags = [(322, "L", [50_000]), (323, "L", [50_000]), (324, "L", [8]), (325, "L", [9])]
    data = write_tiff(np.zeros((2, 2, 3), np.uint8), 2, compression="deflate", tags=tags)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r".+"):
        decode_image(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB; all of it would be 7 GB
