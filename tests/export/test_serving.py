"""The colorizer's endpoints: formats, sizes, the lightness they keep, and agreement with the other ways to colorize."""

import io
import resource
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfssl.color.colorize import colorize_image
from tfssl.color.predict import compiled_predictor
from tfssl.color.serving import network_size
from tfssl.data.decode_graph import decode_rgb
from tfssl.endpoint import encode
from tfssl.ops.color import rgb_to_lab, rgb_to_lightness


def colorize(endpoints, files):
    return [
        Image.open(io.BytesIO(data)) for data in endpoints["colorize_bytes"](tf.constant(files))["png_bytes"].numpy()
    ]


@pytest.fixture(scope="module")
def endpoints(method, model):
    return method.serving(model)


def saved(picture, format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(data):
    pixels, status = decode_rgb(tf.constant(data), max_megapixels=1)
    assert status == b"ok"
    return pixels.numpy()


def test_the_default_is_the_one_that_takes_files(endpoints):
    assert list(endpoints) == ["colorize_bytes", "predict_ab"]


def test_five_formats_of_five_sizes_in_one_batch(endpoints, pictures):
    formats = ["JPEG", "PNG", "BMP", "GIF", "WEBP"]
    results = colorize(endpoints, [encode(p, f) for p, f in zip(pictures, formats, strict=True)])
    assert [r.size for r in results] == [p.size for p in pictures]
    assert all(r.mode == "RGB" and r.format == "PNG" for r in results)
    assert all(np.ptp(np.asarray(r, int), axis=-1).max() > 5 for r in results), "no color was added"


def test_an_empty_batch_gives_an_empty_answer(endpoints):
    assert endpoints["colorize_bytes"](tf.constant([], tf.string))["png_bytes"].shape == (0,)


def test_lightness_is_kept_where_no_color_was_clipped(endpoints, pictures):
    for picture, result in zip(pictures, colorize(endpoints, [encode(p) for p in pictures]), strict=True):
        before = rgb_to_lightness(np.asarray(picture, np.float32) / 255).numpy()[..., 0]
        after = np.asarray(result)
        inside = ((after > 0) & (after < 255)).all(axis=-1)
        lab = rgb_to_lab(after.astype(np.float32) / 255).numpy()
        assert inside.mean() > 0.9
        # A level of 255 in each channel moves L by at most 0.5 at these grays.
        assert np.abs(lab[..., 0] - before)[inside].max() < 0.5


def test_served_pictures_equal_those_of_the_command_line(method, model, endpoints):
    """The server scales, predicts and joins in TensorFlow, the command line in Pillow and NumPy."""
    from tfssl.data.builtin import builtin_photographs

    picture = Image.open(builtin_photographs()[0]).convert("RGB").resize((150, 111))
    (served,) = colorize(endpoints, [encode(picture)])
    predict = compiled_predictor(method, model)
    joined = colorize_image(predict, picture, image_size=method.image_size, stride=method.output_stride)
    difference = np.abs(np.asarray(served, int) - np.asarray(joined, int))
    assert difference.mean() < 0.5 and np.quantile(difference, 0.999) <= 4


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "I;16"])
def test_png_of_every_kind_is_read_as_pillow_reads_it(mode):
    random = np.random.default_rng(3)
    values = random.integers(0, 256, (9, 7, 4), dtype=np.uint8)
    if mode == "I;16":
        picture = Image.fromarray((values[..., 0].astype(np.uint16) << 8) + values[..., 1])
        expected = np.repeat(values[..., :1], 3, axis=-1)  # the high byte
    else:
        picture = Image.fromarray(values).convert(mode)
        white = Image.new("RGBA", picture.size, "white")
        expected = np.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))
    assert np.abs(decoded(encode(picture)).astype(int) - expected).max() <= 1


def test_bmp_with_a_palette_is_not_read_as_its_indices():
    picture = Image.fromarray(np.random.default_rng(4).integers(0, 256, (8, 10, 3), dtype=np.uint8)).quantize(40)
    np.testing.assert_array_equal(decoded(encode(picture, "BMP")), np.asarray(picture.convert("RGB")))


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (6, 5), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert (decoded(buffer.getvalue()) == (255, 0, 0)).all()


def test_a_damaged_file_fails_alone_and_says_why(endpoints):
    good = encode(Image.new("RGB", (30, 20), "gray"))
    files = [good, b"", b"no picture", encode(Image.new("RGB", (64, 64)), "JPEG")[:200], good[: len(good) // 2], good]
    answer = endpoints["colorize_bytes"](tf.constant(files))
    none = b"not a JPEG, PNG, BMP, GIF or WebP file"
    assert answer["status"].numpy().tolist() == [b"ok", none, none, b"a damaged JPEG", b"a damaged PNG", b"ok"]
    assert [bool(png) for png in answer["png_bytes"].numpy()] == [True, False, False, False, False, True]


def test_an_animated_webp_is_refused_for_the_decoder_would_write_outside_of_its_memory(endpoints):
    frames = [Image.new("RGB", (6, 5), color) for color in ("red", "blue")]
    files = [saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]), saved(frames[0], "WEBP")]
    answer = endpoints["colorize_bytes"](tf.constant(files))
    assert answer["status"].numpy().tolist() == [b"an animated WebP", b"ok"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_a_file_cut_off_anywhere_is_damaged_and_never_an_error(format):
    data = encode(Image.fromarray(np.random.default_rng(6).integers(0, 256, (5, 6, 3), dtype=np.uint8)), format)
    for end in {*range(64), *range(64, len(data) - 1, 37)} & set(range(len(data) - 1)):
        pixels, status = decode_rgb(tf.constant(data[:end]), max_megapixels=1)
        assert (status == b"ok") == (pixels.shape[0] > 0)


def declaring(data, at, size):
    return data[:at] + size + data[at + len(size) :]


HUGE = {
    "PNG": (16, b"\x00\x00\xea\x60" * 2),
    "BMP": (18, b"\x60\xea\x00\x00" * 2),
    "GIF": (6, b"\xe8\xfd" * 2),
}


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_what_is_too_large_is_refused_by_its_header_before_anything_is_decoded(monkeypatch, format):
    data = encode(Image.new("RGB", (1100, 1000)), format)
    if format in HUGE:
        data = declaring(data, *HUGE[format])
    monkeypatch.setattr(tf.io, "decode_image", lambda *_, **__: pytest.fail("decoded"))
    read = tf.autograph.experimental.do_not_convert(lambda: decode_rgb(tf.constant(data), max_megapixels=1))
    pixels, status = read()
    assert pixels.shape == (0, 0, 3) and status.numpy().endswith(b" pixels is more than the limit of 1 megapixels")


def test_a_few_kilobytes_that_claim_half_a_billion_pixels_take_no_memory():
    rows = zlib.compressobj(9)
    width = height = 23100
    content = b"".join(rows.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + rows.flush()
    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)  # one bit a pixel
    chunks = [(b"IHDR", header), (b"IDAT", content), (b"IEND", b"")]
    parts = (struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    assert len(data) < 70_000
    decode_rgb(tf.constant(b""), max_megapixels=25)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, status = decode_rgb(tf.constant(data), max_megapixels=25)
    assert status.numpy().startswith(b"23100x23100 pixels is more than the limit")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # kilobytes; decoded it is 1.6 GB


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_images_stand_upright_as_pillow_turns_them(format, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    picture = Image.fromarray(np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8)))
    data = saved(picture, format, exif=exif.tobytes(), **({"lossless": True} if format == "WEBP" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"), int)
    found = decoded(data).astype(int)
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 2


def test_cmyk_is_no_negative_and_a_declared_color_is_transparent():
    picture = Image.fromarray(np.random.default_rng(5).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    data = encode(Image.new("CMYK", (16, 16), (10, 200, 30, 0)), "JPEG")
    unmarked = data.replace(data[data.index(b"\xff\xee") :][:16], b"")
    for cmyk in (data, unmarked):
        expected = np.asarray(Image.open(io.BytesIO(cmyk)).convert("RGB"), int)
        assert np.abs(decoded(cmyk) - expected).max() <= 3
    found = decoded(saved(picture, "PNG", transparency=picture.getpixel((0, 0))))
    assert (found[0, 0] == 255).all() and (found[1:] == np.asarray(picture)[1:]).all()


def test_a_gif_has_the_size_of_its_canvas_and_its_own_background():
    buffer = io.BytesIO()
    Image.new("P", (4, 3), 1).save(buffer, "GIF")
    data = declaring(buffer.getvalue(), 6, b"\x0a\x00\x08\x00")
    assert decoded(data).shape == (8, 10, 3)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((300, 400), (64, 85)), ((30, 30), (64, 64)), ((10, 20000), (1, 256)), ((100, 300), (64, 192))],
)
def test_network_size_bounds_the_cost(method, size, expected):
    assert tuple(network_size(method, tf.constant(size)).numpy()) == expected


def test_strips_and_single_pixels_are_colorized(endpoints):
    sizes = [(1, 1), (700, 3), (2, 500)]
    results = colorize(endpoints, [encode(Image.new("RGB", size, "gray")) for size in sizes])
    assert [r.size for r in results] == sizes


def test_predict_ab_takes_any_size_and_batch(endpoints):
    lightness = np.random.default_rng(0).uniform(0, 100, (2, 21, 35, 1)).astype(np.float32)
    ab = endpoints["predict_ab"](tf.constant(lightness))["ab"].numpy()
    assert ab.shape == (2, 21, 35, 2) and ab.dtype == np.float32
    assert ab.std(axis=(1, 2)).min() > 0.5, "the network of these tests must not answer the same everywhere"
