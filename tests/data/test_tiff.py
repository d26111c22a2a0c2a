"""TIFF of every layout: read as its plain 8-bit twin is, or refused with the layout named."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tests.data import tiff_writer
from tests.data.tiff_writer import BLACK_IS_ZERO, CMYK, LAB, PALETTE, RGB, WHITE_IS_ZERO, YCBCR, stored, write_tiff
from tfssl.data.decode import decode_image

COLORS = {RGB: 3, CMYK: 4, YCBCR: 3, LAB: 3}
TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")
COLOR_MAP = np.random.default_rng(5).integers(0, 256, (256, 3))

# What is read; all else must be refused. Of signed and 32-bit values the darkest is black, the brightest white.
READ = {(kind, dtype) for kind in (WHITE_IS_ZERO, BLACK_IS_ZERO) for dtype in ("u1", "u2", "i1", "i2", "i4", "f4")}
READ |= {(kind, "u1") for kind in (RGB, PALETTE, CMYK, YCBCR, LAB)} | {(RGB, "u2"), (CMYK, "u2")}
EITHER = {(BLACK_IS_ZERO, "u4"), (WHITE_IS_ZERO, "u4")}  # big-endian ones are refused
APART_REFUSED = {(YCBCR, "u1"), (CMYK, "u2")}  # uncompressed with the channels apart


def plain_values(photometric):
    plain = np.random.default_rng(3).integers(0, 256, (8, 9, COLORS.get(photometric, 1)), dtype=np.uint8)
    plain[0, 0], plain[0, 1] = 0, 255
    return plain


def meaning(photometric, plain):
    """What 8-bit values of a kind stand for, RGB."""
    if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        return np.repeat(255 - plain if photometric == WHITE_IS_ZERO else plain, 3, axis=-1)
    if photometric == PALETTE:
        return COLOR_MAP[plain[..., 0]]
    mode = {RGB: "RGB", CMYK: "CMYK", YCBCR: "YCbCr", LAB: "LAB"}[photometric]
    return np.asarray(Image.frombytes(mode, plain.shape[1::-1], plain.tobytes()).convert("RGB"))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("compression", tiff_writer.COMPRESSIONS)
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB])
def test_every_layout(photometric, compression):
    """Photometric interpretation, sample format, planes, byte order and compression, all with all."""
    plain = plain_values(photometric)
    expected = meaning(photometric, plain).astype(int)
    tags = [(320, "H", (COLOR_MAP.T * 257).ravel().tolist())] if photometric == PALETTE else []
    for dtype, planar, order in itertools.product(TYPES, (False, True), "<>"):
        layout = (photometric, dtype)
        if compression == "jpeg" and (dtype != "u1" or photometric == PALETTE or len(plain.T) == 4 or not planar):
            continue  # not for those; the channels together see below
        values = plain.astype(dtype) if photometric == PALETTE else stored(plain, dtype)
        data = write_tiff(values, photometric, compression=compression, planar=planar, order=order, tags=tags)
        try:
            found = np.asarray(decode_image(data)).astype(int)
        except ValueError as error:
            apart = compression == "none" and planar and layout in APART_REFUSED
            assert layout not in READ or apart, (dtype, planar, order, str(error))
            assert str(error).startswith("a TIFF of ") and "save it" in str(error) and "\n" not in str(error)
        else:
            assert layout in READ | EITHER, (dtype, planar, order)
            assert np.abs(found - expected).max() <= (12 if compression == "jpeg" else 1), (dtype, planar, order)


def test_jpeg_inside():
    gradient = np.stack(np.mgrid[0:160:10, 0:240:10][[0, 1, 0]], axis=-1).astype(np.uint8)
    data = write_tiff(gradient, RGB, compression="jpeg")
    assert np.abs(np.asarray(decode_image(data)).astype(int) - gradient).max() <= 3


@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_twelve_bits_have_a_white_of_4095(compression):
    values = np.arange(0, 4096, 17, dtype=np.uint16)[:240].reshape(12, 20)
    pairs = values.reshape(-1, 2).astype(int)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=-1)
    data = write_tiff(
        packed.astype(np.uint8).reshape(12, 30),
        BLACK_IS_ZERO,
        compression=compression,
        tags=[(256, "L", [20]), (258, "H", [12])],
    )
    assert np.abs(np.asarray(decode_image(data))[..., 0] - values / 4095 * 255).max() <= 1


def test_palettes_of_8_bits():
    """Some programs write colors of 8 bits where the format has 16: all of it would be black."""
    plain = plain_values(PALETTE)
    data = write_tiff(plain, PALETTE, tags=[(320, "H", COLOR_MAP.T.ravel().tolist())])
    np.testing.assert_array_equal(np.asarray(decode_image(data)), COLOR_MAP[plain[..., 0]])


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, RGB])
def test_alpha(photometric, kind):
    """Premultiplied (1) or not (2), over white."""
    color, alpha = plain_values(photometric) // 2, np.full((8, 9, 1), 128, np.uint8)
    data = write_tiff(np.concatenate([color, alpha], axis=-1), photometric, extra=[kind])
    opacity = alpha / 255.0
    expected = color * (1 if kind == 1 else opacity) + 255 * (1 - opacity)
    assert np.abs(np.asarray(decode_image(data)) - expected).max() <= 2


def test_subsampled_color_is_refused_where_it_would_be_misread():
    data = write_tiff(plain_values(YCBCR), YCBCR, tags=[(530, "H", [2, 2])])
    with pytest.raises(ValueError, match=r"a TIFF of YCbCr.*reduced color"):
        decode_image(data)


@pytest.mark.parametrize("unit", [1, 2, 3])
@pytest.mark.parametrize(
    "field", [("Q", [(0, 0)]), ("Q", [(1, 0)]), ("s", b"many\0"), ("H", [0]), ("L", [2**32 - 1])], ids=str
)
def test_resolution_says_nothing_about_the_pixels(field, unit):
    plain = plain_values(RGB)
    data = write_tiff(plain, RGB, tags=[(282, *field), (283, *field), (296, "H", [unit])])
    np.testing.assert_array_equal(np.asarray(decode_image(data)), plain)


def test_an_opened_file_is_read_alike():
    data = write_tiff(stored(plain_values(WHITE_IS_ZERO), "u2"), WHITE_IS_ZERO)
    opened = decode_image(Image.open(io.BytesIO(data)))
    assert opened.tobytes() == decode_image(data).tobytes()
