"""The same pixels whether a file is given by its path, by its bytes or opened by Pillow, and where it goes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

import tfssl
from tests.data.profiles import gray_profile, rgb_profile
from tfssl.data.decode import decode_image
from tfssl.data.photo import decode_photo

RNG = np.random.default_rng(0)
SIZE = (12, 9)
COLORS = Image.fromarray(RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8))
ALPHA = Image.fromarray(RNG.integers(0, 256, (9, 12), dtype=np.uint8))
WIDE = RNG.integers(0, 65536, (9, 12), dtype=np.uint16)

FORMATS = ("PNG", "TIFF", "JPEG", "WEBP", "BMP", "GIF")


def of_mode(mode):
    if mode == "P, one transparent":
        image = COLORS.quantize(20)
        image.info["transparency"] = 7
        return image
    if mode == "RGB, one transparent":
        image = COLORS.copy()
        image.info["transparency"] = COLORS.getpixel((3, 3))
        return image
    if mode == "P":
        return COLORS.quantize(20)
    if mode == "PA":
        image = COLORS.quantize(20).convert("PA")
        image.putalpha(ALPHA)
        return image
    if mode in ("LA", "RGBA"):
        image = COLORS.convert(mode[:-1])
        image.putalpha(ALPHA)
        return image
    if mode in ("La", "RGBa"):
        return of_mode(mode.upper()).convert(mode)
    if mode == "LAB":
        return Image.frombytes("LAB", SIZE, COLORS.tobytes())
    if mode.startswith("I;16"):
        order = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2"}[mode]
        return Image.frombytes(mode, SIZE, WIDE.astype(order).tobytes())
    if mode == "I":
        return Image.fromarray(WIDE.astype(np.int32) - 1000)
    if mode == "F":
        return Image.fromarray((WIDE / 65535).astype(np.float32))
    return COLORS.convert(mode)


MODES = (
    *("1", "L", "LA", "La", "P", "P, one transparent", "PA", "RGB", "RGB, one transparent", "RGBA", "RGBa", "CMYK"),
    *("YCbCr", "LAB", "HSV", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"),
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", MODES)
def test_an_opened_file_gives_the_pixels_of_the_file(tmp_path, mode):
    """Every mode in every format that holds it, with an orientation and a profile of its channels or without."""
    tried = 0
    for kind in FORMATS:
        for orientation, with_profile in ((1, False), (6, False), (1, True), (4, True)):
            exif = Image.Exif()
            exif[0x0112] = orientation
            image = of_mode(mode)
            options = {"exif": exif} if kind not in ("BMP", "GIF") else {}
            if with_profile:
                options["icc_profile"] = gray_profile(1.0) if image.mode in ("1", "L", "LA") else rgb_profile(1.0)
            path = tmp_path / f"{kind}-{orientation}-{with_profile}"
            try:
                image.save(path, kind, **options)
            except (OSError, ValueError, KeyError):
                continue  # no such mode in this format
            tried += 1
            expected = decode_image(path, srgb=True)
            with Image.open(path) as opened:
                before = opened.mode, dict(opened.info)
                assert decode_image(opened, srgb=True).tobytes() == expected.tobytes(), (kind, orientation)
                assert opened.mode == before[0] and before[1].items() <= opened.info.items()
            with Image.open(path) as opened:
                if (kind, orientation) != ("TIFF", 6):  # Pillow's load() reads some of these wrong from a path
                    opened.load()
                assert decode_image(opened, srgb=True).tobytes() == expected.tobytes(), (kind, orientation)
            assert decode_image(path.read_bytes(), srgb=True).tobytes() == expected.tobytes()
            assert decode_photo(path)[0].tobytes() == expected.tobytes()
            upright = (SIZE[1], SIZE[0]) if orientation == 6 and kind not in ("BMP", "GIF") else SIZE
            assert expected.size == upright and expected.mode == "RGB"
    assert tried or mode in ("La", "RGBa", "I;16L", "I;16N", "HSV", "PA")
    assert decode_image(of_mode(mode)).mode == "RGB"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_images_in_memory_of_every_mode():
    """What needs no file: the values of each mode mean what they say."""
    expected = np.asarray(COLORS).astype(int)
    for mode in ("RGB", "YCbCr", "HSV", "CMYK"):
        assert np.abs(np.asarray(decode_image(of_mode(mode))) - expected).mean() < 3, mode
    wide = np.rint(WIDE / 257.0)
    for mode in ("I;16", "I;16L", "I;16B", "I;16N", "F"):
        np.testing.assert_array_equal(np.asarray(decode_image(of_mode(mode)))[..., 1], wide)
    opacity = np.asarray(ALPHA)[..., None] / 255.0
    over_white = expected * opacity + 255 * (1 - opacity)
    for mode in ("RGBA", "RGBa"):
        assert np.abs(np.asarray(decode_image(of_mode(mode))) - over_white).max() <= 2
    gray = np.asarray(COLORS.convert("L"))[..., None] * opacity + 255 * (1 - opacity)
    for mode in ("LA", "La"):
        assert np.abs(np.asarray(decode_image(of_mode(mode))) - gray).max() <= 2


def test_colorize_of_an_opened_file(tmp_path, monkeypatch):
    """The call itself, with a network that gives back what it saw."""
    seen = []

    class Shape:
        image_size, output_stride, temperature = 32, 4, 0.5

    monkeypatch.setattr("tfssl.api._predictor", lambda *_: (Shape, None, None))
    monkeypatch.setattr("tfssl.color.colorize.colorize_image", lambda _, image, **__: seen.append(image) or image)
    exif = Image.Exif()
    exif[0x0112] = 6
    COLORS.save(tmp_path / "a.png", exif=exif, icc_profile=rgb_profile(1.0))
    Image.fromarray(WIDE).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        tfssl.colorize(tmp_path / name)
        tfssl.colorize((tmp_path / name).read_bytes())
        with Image.open(tmp_path / name) as opened:
            tfssl.colorize(opened)
        assert len({image.tobytes() for image in seen}) == 1 and seen.pop().mode == "RGB"
        seen.clear()


def test_a_closed_or_overlarge_image_is_refused_in_one_line(monkeypatch):
    buffer = io.BytesIO()
    COLORS.save(buffer, "PNG")
    with Image.open(buffer) as opened:
        pass
    with pytest.raises(tfssl.errors.SourceError, match="`image` cannot be read"):
        tfssl.colorize(opened)
    with pytest.raises(tfssl.errors.SourceError, match="110 megapixels, more than the limit"):
        tfssl.colorize(Image.new("1", (11_000, 10_000)))


# --- color profiles --------------------------------------------------------------------------------------------


def test_a_profile_counts_by_what_it_does():
    """Linear light under the name of sRGB is converted, sRGB under another name is left alone."""
    linear = to_array(rgb_profile(1.0, name="sRGB linear"))
    light = np.asarray(COLORS) / 255.0
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(linear - expected).max() <= 2
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    renamed = srgb.replace("sRGB".encode("utf-16be"), "xRGB".encode("utf-16be"))
    assert renamed != srgb
    for profile in (srgb, renamed):
        np.testing.assert_array_equal(to_array(profile), np.asarray(COLORS))


def test_a_converted_image_does_not_carry_its_old_profile():
    """Converted again, or saved by Pillow with it, its colors would be wrong."""
    buffer = io.BytesIO()
    COLORS.save(buffer, "PNG", icc_profile=rgb_profile(1.0))
    once = decode_image(buffer.getvalue(), srgb=True)
    assert decode_image(once, srgb=True).tobytes() == once.tobytes()
    once.save(buffer := io.BytesIO(), "PNG")
    assert decode_image(buffer.getvalue(), srgb=True).tobytes() == once.tobytes()


def to_array(profile, image=COLORS):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=profile)
    return np.asarray(decode_image(buffer.getvalue(), srgb=True))


@pytest.mark.parametrize("profile", [b"nothing", b"", gray_profile(1.0)])
def test_profiles_that_do_not_fit_are_ignored(profile):
    np.testing.assert_array_equal(to_array(profile), np.asarray(COLORS))


def test_gray_profiles():
    gray = COLORS.convert("L")
    light = np.asarray(gray) / 255.0
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    for image in (gray, gray.convert("LA")):
        assert np.abs(to_array(gray_profile(1.0), image)[..., 1] - expected).max() <= 2


def test_training_sees_pixels_as_they_are_stored():
    buffer = io.BytesIO()
    COLORS.save(buffer, "PNG", icc_profile=rgb_profile(1.0))
    np.testing.assert_array_equal(np.asarray(decode_image(buffer.getvalue())), np.asarray(COLORS))
