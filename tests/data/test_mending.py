"""What lies around the pixels does not cost them: bad ends, overlong texts, nonsense resolutions. Missing pixels do."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfssl.data.builtin import builtin_photographs
from tfssl.data.decode import check_header, decode_image
from tfssl.data.photo import decode_photo, encode_jpeg, save_photo

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture(scope="module")
def photo():
    with Image.open(builtin_photographs()[-2]) as image:
        return image.convert("RGB").resize((160, 107))


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def in_bands(image):
    """A JPEG with restart markers, as this package writes them."""
    return bytes(encode_jpeg(lambda top, bottom: image.crop((0, top, image.width, bottom)), image.size))


def restarting(image):
    return encode(image, "JPEG", restart_marker_blocks=7)


JPEGS = {
    "baseline": lambda image: encode(image, "JPEG", quality=90),
    "optimized": lambda image: encode(image, "JPEG", optimize=True, subsampling=0),
    "gray": lambda image: encode(image.convert("L"), "JPEG"),
    "cmyk": lambda image: encode(image.convert("CMYK"), "JPEG"),
    "progressive": lambda image: encode(image, "JPEG", progressive=True),
    "restarts": restarting,
    "bands": in_bands,
}

ENDS = {
    "none": b"",
    "half": b"\xff",
    "another marker": b"\xff\x02",
    "a start": b"\xff\xd8",
    "zeros": bytes(300),
    "text after it": b"\xff\xd9 and some words",
    "text instead": b"and some words",
    "a file after it": b"\xff\xd9\xff\xd8\xff\xe0\0\x10JFIF",
    "a broken segment": b"\xff\xe1\xff\xff",
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_bad_end_does_not_cost_the_image(photo, kind, tmp_path):
    whole = JPEGS[kind](photo)
    assert whole.endswith(b"\xff\xd9")
    expected, small = decode_image(whole), decode_image(whole, min_size=30)
    for name, end in ENDS.items():
        data = whole[:-2] + end
        assert decode_image(data).tobytes() == expected.tobytes(), name
        assert decode_image(data, min_size=30).tobytes() == small.tobytes(), name
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[:-2])
    assert decode_photo(path)[0].tobytes() == expected.tobytes()
    with Image.open(path) as opened:
        assert decode_image(opened).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", JPEGS)
def test_missing_pixels_are_never_made_up(photo, kind):
    """Cut anywhere, also between scans and restart intervals."""
    whole = JPEGS[kind](photo)
    start = whole.index(b"\xff\xda")
    places = set(range(start, len(whole) - 40, (len(whole) - start) // 25)) | {
        place for place in range(start + 2, len(whole) - 40) if whole[place] == 0xFF and whole[place + 1] in MARKS
    }
    for place in sorted(places)[:80]:
        for end in (b"", b"\xff", b"\xff\x02"):
            with pytest.raises(ValueError, match=r".+"):
                decode_image(whole[:place] + end)


MARKS = (0xC4, 0xDA, *range(0xD0, 0xD8))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(png, name, data, *, after_pixels):
    place = png.index(b"IEND") - 4 if after_pixels else 33
    return png[:place] + chunk(name, data) + png[place:]


BOMB = zlib.compress(bytes(70_000_000))
CHUNKS = {
    "comment": (b"zTXt", b"Comment\0\0" + BOMB),
    "international": (b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
    "profile": (b"iCCP", b"profile\0\0" + BOMB),
    "short resolution": (b"pHYs", b"\0\0"),
    "no resolution": (b"pHYs", bytes(8) + b"\1"),
    "huge resolution": (b"pHYs", b"\xff" * 8 + b"\1"),
    "short gamma": (b"gAMA", b""),
    "exif": (b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "time": (b"tIME", b""),
}


@pytest.mark.parametrize("after_pixels", [False, True])
@pytest.mark.parametrize("name", CHUNKS)
def test_fields_around_the_pixels_of_a_png(photo, name, after_pixels, tmp_path):
    data = with_chunk(encode(photo, "PNG"), *CHUNKS[name], after_pixels=after_pixels)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (data, path, io.BytesIO(data)):
        check_header(source)
        np.testing.assert_array_equal(np.asarray(decode_image(source)), np.asarray(photo))
    image, metadata = decode_photo(path)
    for target in ("b.png", "b.jpg"):
        save_photo(lambda top, bottom: image.crop((0, top, 160, bottom)), image.size, tmp_path / target, **metadata)
        assert decode_image(tmp_path / target).size == image.size


def test_orientation_and_transparency_outlive_an_overlong_text(photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = photo.quantize(30)
    png = encode(palette, "PNG", exif=exif, transparency=int(np.asarray(palette)[3, 3]))
    mended = with_chunk(png, *CHUNKS["comment"], after_pixels=False)
    assert decode_image(mended).tobytes() == decode_image(png).tobytes()


def jfif(unit, x, y):
    def change(data):
        place = data.index(b"JFIF\0") + 7
        return data[:place] + struct.pack(">BHH", unit, x, y) + data[place + 5 :]

    return change


@pytest.mark.parametrize("density", [(0, 0, 0), (1, 0, 0), (1, 65535, 1), (2, 65535, 65535), (9, 1, 1)])
@pytest.mark.parametrize("target", ["b.png", "b.jpg"])
def test_resolutions_of_jpeg(photo, density, target, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jfif(*density)(encode(photo, "JPEG")))
    image, metadata = decode_photo(tmp_path / "a.jpg")
    save_photo(lambda top, bottom: image.crop((0, top, 160, bottom)), image.size, tmp_path / target, **metadata)
    assert decode_image(tmp_path / target).size == photo.size


@pytest.mark.parametrize(
    "dpi", [(0, 0), (float("nan"), 72), (float("inf"), float("inf")), (-1, -1), (1e30, 1), ("many", 2), (72,), 72, None]
)
@pytest.mark.parametrize("target", ["b.png", "b.jpg"])
def test_whatever_pillow_calls_a_resolution(photo, dpi, target, tmp_path, monkeypatch):
    photo.save(tmp_path / "a.webp")
    opened = Image.open

    def with_dpi(*arguments, **keywords):
        image = opened(*arguments, **keywords)
        image.info["dpi"] = dpi
        return image

    monkeypatch.setattr(Image, "open", with_dpi)
    image, metadata = decode_photo(tmp_path / "a.webp")
    assert "dpi" not in metadata
    save_photo(lambda top, bottom: image.crop((0, top, 160, bottom)), image.size, tmp_path / target, **metadata)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_gif_has_the_size_of_its_canvas(photo, transparent):
    """The first frame covers the upper left quarter; what it leaves is white or the background."""
    frame = photo.resize((40, 30)).quantize(64)
    options = {"transparency": 5} if transparent else {}
    data = bytearray(encode(frame, "GIF", **options))
    data[6:10] = struct.pack("<HH", 80, 60)
    image = decode_image(bytes(data))
    assert image.size == (80, 60)
    alone = decode_image(encode(frame, "GIF", **options))
    assert image.crop((0, 0, 40, 30)).tobytes() == alone.tobytes()
    rest = np.asarray(image)[30:]
    assert (rest == rest[0, 0]).all()
    assert not transparent or (rest == 255).all()
