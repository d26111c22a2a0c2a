"""Every kind of file that people have is decoded to the right pixels, or refused with its reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from tfssl.data.builtin import builtin_photographs
from tfssl.data.decode import check_header, decode_image

# What Pillow says about the damaged files below.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def photo():
    """A real photograph, 160 x 107."""
    with Image.open(builtin_photographs()[-2]) as image:
        return image.convert("RGB").resize((160, 107))


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data, **options):
    image = decode_image(data, **options)
    assert image.mode == "RGB"
    return np.asarray(image)


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


# --- refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"Dear Sir or Madam", "not a JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a JPEG, PNG"),  # would start Ghostscript
        (png_header(11_000, 10_000), "11000x10000 is 110 megapixels, more than the limit of 100"),
        (png_header(30_000, 30_000), "more than the limit of 100 megapixels"),
    ],
    ids=["empty", "text", "postscript", "110-megapixels", "900-megapixels"],
)
def test_refused_by_header(data, reason, tmp_path):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    for source in (data, path, str(path), io.BytesIO(data)):
        with pytest.raises(ValueError, match=reason):
            decode_image(source)
        with pytest.raises(ValueError, match=reason):
            check_header(source)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"optimize": True, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
@pytest.mark.parametrize("fraction", [0.5, 0.9])
def test_truncated_files_are_refused_not_grayed(photo, kind, options, fraction):
    data = encode(photo, kind, **options)
    part = data[: int(len(data) * fraction)]
    for min_size in (None, 20):
        decode_image(data, min_size=min_size)
        with pytest.raises(ValueError, match=r".+"):
            decode_image(part, min_size=min_size)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ValueError, match=r"^No such file or directory$"):
        decode_image(tmp_path / "gone.jpg")
    with pytest.raises(ValueError, match=r"^Is a directory$"):
        check_header(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_float_images_with_nan_are_refused(bad):
    values = np.full((4, 5), 0.5, np.float32)
    values[2, 3] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        decode_image(encode(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_damaged_bytes_give_an_image_or_a_reason(photo, kind):
    data = np.frombuffer(encode(photo.resize((40, 30)), kind), np.uint8)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        damaged = data.copy()
        where = rng.integers(0, len(data), size=6)
        where[:2] %= 64  # headers are where readers fail in odd ways
        damaged[where] = rng.integers(0, 256, size=6)
        try:
            assert decode_image(damaged.tobytes()).mode == "RGB"
        except ValueError as error:
            refused += 1
            assert "\n" not in str(error)
            assert str(error)
    assert refused > 0


# --- decoded ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_color(photo, kind, tmp_path):
    path = tmp_path / "mislabeled.jpg"
    path.write_bytes(encode(photo, kind, **({"lossless": True} if kind == "WEBP" else {})))
    np.testing.assert_array_equal(pixels(path), np.asarray(photo))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "GIF"])
def test_gray(photo, kind):
    gray = photo.convert("L")
    got = pixels(encode(gray, kind, **({"quality": 100} if kind == "JPEG" else {})))
    expected = np.repeat(np.asarray(gray)[..., None], 3, axis=-1)
    assert np.abs(got.astype(int) - expected).max() <= (2 if kind == "JPEG" else 0)


def test_one_bit(photo):
    bits = photo.convert("1")
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(pixels(encode(bits, kind))[..., 1], np.asarray(bits).astype(np.uint8) * 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composed_over_white(photo, mode):
    alpha = Image.fromarray(RNG.integers(0, 256, (107, 160), dtype=np.uint8))
    base = photo.convert(mode[:-1])
    image = base.copy()
    image.putalpha(alpha)
    fraction = np.asarray(alpha)[..., None] / 255.0
    expected = np.asarray(base.convert("RGB")) * fraction + 255.0 * (1 - fraction)
    data = encode(image, "PNG")
    np.testing.assert_allclose(pixels(data), expected, atol=1.0)
    kept = decode_image(data, keep_alpha=True)
    assert kept.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(kept)[..., 3], np.asarray(alpha))


def test_palette(photo):
    palette = photo.quantize(200)
    np.testing.assert_array_equal(pixels(encode(palette, "PNG")), np.asarray(palette.convert("RGB")))
    assert decode_image(encode(palette, "PNG"), keep_alpha=True).mode == "RGB"


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_one_transparent_entry(photo, kind):
    palette = photo.quantize(200)
    entry = int(np.asarray(palette)[50, 80])
    got = pixels(encode(palette, kind, transparency=entry))
    hole = np.asarray(palette) == entry
    assert hole.any()
    assert (got[hole] == 255).all()
    np.testing.assert_array_equal(got[~hole], np.asarray(palette.convert("RGB"))[~hole])


def test_palette_with_a_transparency_table(photo):
    palette = photo.quantize(16)
    table = bytes(range(0, 256, 16))
    fraction = np.frombuffer(table, np.uint8)[np.asarray(palette)][..., None] / 255.0
    expected = np.asarray(palette.convert("RGB")) * fraction + 255.0 * (1 - fraction)
    np.testing.assert_allclose(pixels(encode(palette, "PNG", transparency=table)), expected, atol=1.0)


def test_color_key_transparency(photo):
    image = photo.copy()
    image.paste((1, 2, 3), (10, 10, 40, 40))
    key = (np.asarray(image) == (1, 2, 3)).all(axis=-1)
    got = pixels(encode(image, "PNG", transparency=(1, 2, 3)))
    assert (got[key] == 255).all()
    np.testing.assert_array_equal(got[~key], np.asarray(photo)[~key])


def test_cmyk_jpeg_with_and_without_the_adobe_marker(photo):
    # Inks are stored inverted by convention; convert("CMYK") of Pillow is C = 255 - R.
    data = encode(photo.convert("CMYK"), "JPEG", quality=100, subsampling=0)
    marker = data.index(b"\xff\xee\x00\x0eAdobe")
    for version in (data, data[:marker] + data[marker + 16 :]):
        error = np.abs(pixels(version).astype(int) - np.asarray(photo))
        assert error.mean() < 1.0


def test_ycck_jpeg(photo):
    # Photoshop's CMYK: the (inverted) inks go through YCbCr, transform 2 in the Adobe marker. Pillow writes no
    # such file, so the channels are converted by hand and the marker's last byte is patched.
    inks = Image.merge("CMYK", [*photo.convert("YCbCr").split(), Image.new("L", photo.size, 0)])
    data = bytearray(encode(inks, "JPEG", quality=100, subsampling=0))
    transform = data.index(b"\xff\xee\x00\x0eAdobe") + 15
    assert data[transform] == 0
    data[transform] = 2
    assert np.abs(pixels(bytes(data)).astype(int) - np.asarray(photo)).mean() < 1.0


def test_16_bit_gray():
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    expected = np.round(ramp / 257.0)
    big = io.BytesIO()
    Image.frombytes("I;16B", (32, 32), ramp.astype(">u2").tobytes()).save(big, "TIFF")
    for data in (encode(Image.fromarray(ramp), "PNG"), encode(Image.fromarray(ramp), "TIFF"), big.getvalue()):
        got = pixels(data)
        np.testing.assert_array_equal(got[..., 0], expected)
        np.testing.assert_array_equal(got[..., 0], got[..., 2])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 1, 12, dtype=np.float32), np.round(np.linspace(0, 255, 12))),
        (np.linspace(0, 200, 12, dtype=np.float32), np.round(np.linspace(0, 200, 12))),
        (np.linspace(-3, 5, 12, dtype=np.float32), np.round(np.linspace(0, 255, 12))),
        (np.linspace(0, 70_000, 12).astype(np.int32), np.round(np.linspace(0, 70_000, 12).astype(int) / 70_000 * 255)),
        (np.arange(0, 240, 20, dtype=np.int32), np.arange(0, 240, 20)),
        (np.full(12, 1000.0, np.float32), np.full(12, 255)),
        (np.full(12, -1.0, np.float32), np.zeros(12)),
        (np.full(12, 0.5, np.float32), np.full(12, 128)),
    ],
    ids=["unit", "8-bit", "stretched", "int32", "int32-8-bit", "constant", "constant-negative", "constant-unit"],
)
def test_32_bit_tiff(values, expected):
    got = pixels(encode(Image.fromarray(values.reshape(3, 4)), "TIFF"))
    np.testing.assert_array_equal(got[..., 1].ravel(), expected)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_first_frame(photo, kind):
    frames = [photo, Image.new("RGB", photo.size, "red")]
    options = {"WEBP": {"lossless": True}, "MPO": {"quality": 100}}.get(kind, {})
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    error = np.abs(pixels(data).astype(int) - np.asarray(photo))
    assert error.mean() < {"GIF": 12, "MPO": 4}.get(kind, 1e-9)  # 256 colors; chroma subsampling
    if kind == "MPO":
        assert decode_image(data, min_size=50).size == (80, 54)


UPRIGHT = {  # the EXIF orientation stored, and what a camera held that way has done to the upright array
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(photo, kind, orientation):
    upright = np.asarray(photo)
    stored = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A camera"
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    data = encode(stored, kind, exif=exif, **options)
    image = decode_image(data)
    assert np.abs(np.asarray(image).astype(int) - upright).max() <= (8 if kind == "JPEG" else 0)
    assert image.getexif().get(0x0112, 1) == 1
    if kind == "JPEG":
        assert image.getexif()[0x010F] == "A camera"
        assert decode_image(data, min_size=50).size == (80, 54)


def test_a_damaged_exif_block_does_not_cost_the_image(photo):
    for block in (b"Exif\x00\x00rubbish", b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff"):
        image = decode_image(encode(photo, "JPEG", exif=block))
        assert image.size == photo.size
        assert not image.getexif()


def test_kept_information(photo):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    for image in (photo, photo.convert("RGBA"), Image.fromarray(np.zeros((4, 4), np.uint16))):
        decoded = decode_image(encode(image, "PNG", exif=exif, icc_profile=b"a profile"))
        assert decoded.info["icc_profile"] == b"a profile"
        assert decoded.getexif()[0x010F] == "A camera"


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_extreme_sizes(size, kind):
    data = encode(Image.new("RGB", size, (200, 100, 50)), kind)
    assert decode_image(data).size == size
    assert decode_image(data, min_size=64).size == size


def test_min_size_is_kept():
    for width in range(100, 140):
        data = encode(Image.new("RGB", (width, 3 * width)), "JPEG")
        for side in (13, 25, 50, 63, 64, 65, 100):
            decoded = min(decode_image(data, min_size=side).size)
            assert side <= decoded < max(2 * side + 1, 14 * 2)  # as small as an eighth, a quarter or a half allows


def test_the_users_pillow_is_left_alone():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert Image.MAX_IMAGE_PIXELS == 89_478_485  # Pillow's own
