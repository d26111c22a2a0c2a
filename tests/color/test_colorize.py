"""Colorizing one image at its own size: the join against float64 Lab, network and join together."""

import warnings

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

from tfssl.color.colorize import colorize_image, network_lightness
from tfssl.color.join import Join
from tfssl.color.predict import compiled_predictor, predict_ab
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ModelError
from tfssl.methods import Colorization
from tfssl.ops.bytes_lab import lightness

IMAGE_SIZE, STRIDE = 32, 4


def constant(a, b):
    """A predictor of one color."""

    def predict(L, temperature=None):
        shape = (len(L), -(-L.shape[1] // STRIDE), -(-L.shape[2] // STRIDE), 2)
        return np.broadcast_to(np.float32([a, b]), shape)

    return predict


def patterned(L, temperature=None):
    """A predictor whose colors depend on the lightness it is given."""
    sampled = L[:, ::STRIDE, ::STRIDE, 0]
    return np.stack([sampled - 50, 30 - sampled / 2], axis=-1)


def random_image(width, height, mode="RGB", seed=0):
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def join(image, cells, network_size, stride, threads=2):
    return Join(image, cells, network_size, stride).whole(threads)


def straightforward(image, cells, network_size):
    """The join as the definition reads, in float64: levels of 255, not rounded."""

    def weights(size, network, count):
        position = np.clip(((np.arange(size) + 0.5) * network / size - 0.5) / STRIDE, 0, count - 1)
        return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(count)))

    lab = rgb2lab(np.asarray(image.convert("RGB")))
    down = weights(image.height, network_size[1], cells.shape[0])
    across = weights(image.width, network_size[0], cells.shape[1])
    lab[..., 1:] = np.einsum("yi,ijc,xj->yxc", down, cells.astype(np.float64), across)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colors outside the gamut, which are meant
        return lab2rgb(lab) * 255


def photograph():
    return Image.open(builtin_photographs()[0]).convert("RGB")


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("reach", [0, 15, 60, 128])
def test_join_is_exact(gray, reach):
    """Random pixels, black and white among them, with colors from none to far outside the gamut."""
    image = random_image(157, 211, "L" if gray else "RGB").convert("RGB")
    pixels = np.array(image)
    pixels[:8], pixels[8:16] = 0, 255
    image = Image.fromarray(pixels)
    cells = np.random.default_rng(1).uniform(-reach, reach, (13, 10, 2)).astype(np.float32)
    joined = np.asarray(join(image, cells, (39, 52), STRIDE, threads=2).convert("RGB"), np.float64)
    assert np.abs(joined - straightforward(image, cells, (39, 52))).max() < 0.65  # 0.5 is rounding


def test_join_is_exact_on_a_photograph():
    image = photograph()
    cells = np.random.default_rng(2).normal(0, 25, (16, 16, 2)).astype(np.float32)
    joined = np.asarray(join(image, cells, (64, 64), STRIDE).convert("RGB"), np.float64)
    assert np.abs(joined - straightforward(image, cells, (64, 64))).max() < 0.65


def test_strips_and_threads_leave_no_trace():
    image, cells = random_image(301, 997), np.random.default_rng(3).normal(0, 30, (25, 8, 2))
    one = join(image, cells, (32, 100), STRIDE, threads=1)
    for threads in (2, 3, 4):
        assert join(image, cells, (32, 100), STRIDE, threads=threads).tobytes() == one.tobytes()
    rows = Join(image, cells, (32, 100), STRIDE).rows
    assert rows(5, 6).tobytes() == one.crop((0, 5, 301, 6)).tobytes()
    assert rows(100, 997).tobytes() == one.crop((0, 100, 301, 997)).tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_large_images_differ_by_two_levels_at_most(mode):
    """Rounded to steps of a and b, and to the levels of gray: the mean error of rounding alone is 0.25."""
    image = photograph().resize((2048, 2048)).convert(mode)
    cells = np.random.default_rng(2).normal(0, 8, (16, 16, 2)).astype(np.float32)
    asked = Join(image, cells, (64, 64), STRIDE)
    assert asked._palette is not None
    rows = np.asarray(asked.rows(777, 1023).convert("RGB"), np.float64)  # 246 of them: the reference is slow
    position = np.clip(((np.arange(2048) + 0.5) / 32 - 0.5) / STRIDE, 0, 15)
    weights = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(16)))
    lab = rgb2lab(np.asarray(image.convert("RGB"))[777:1023])
    lab[..., 1:] = np.einsum("yi,ijc,xj->yxc", weights[777:1023], cells.astype(np.float64), weights, optimize=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = np.abs(rows - lab2rgb(lab) * 255)
    assert error.max() < 2.5 and error.mean() < 0.4  # 0.5 is rounding


def test_colors_that_the_sample_missed_are_worked_out():
    image, cells = Image.new("L", (2048, 2048), 120), np.zeros((16, 16, 2), np.float32)
    cells[:, 8:] = 20
    asked = Join(image, cells, (64, 64), STRIDE)
    whole = asked.whole().tobytes()
    asked = Join(image, cells, (64, 64), STRIDE)
    asked._palette._known[:] = False
    assert asked.whole().tobytes() == whole


def test_large_images_with_too_many_colors_are_joined_exactly():
    cells = np.random.default_rng(2).uniform(-100, 100, (16, 16, 2))
    assert Join(Image.new("L", (2048, 2048)), cells, (64, 64), STRIDE)._palette is None


def test_own_colors_come_back():
    """Cells that sample a smooth image's own ab at its own size give that image again where cells lie."""
    y, x = np.mgrid[0:64, 0:96]
    pixels = np.stack([60 + x, 200 - x - y / 4, 90 + y], axis=-1).astype(np.uint8)
    cells = rgb2lab(pixels)[::STRIDE, ::STRIDE, 1:]
    joined = np.asarray(join(Image.fromarray(pixels), cells, (96, 64), STRIDE).convert("RGB"))
    difference = np.abs(joined[::STRIDE, ::STRIDE].astype(int) - pixels[::STRIDE, ::STRIDE])
    assert difference.max() <= 1


def test_lightness_is_kept():
    image = photograph()
    joined = join(image, np.full((16, 16, 2), (6.0, 9.0)), (64, 64), STRIDE).convert("RGB")
    pixels, before = np.asarray(joined), rgb2lab(np.asarray(image))[..., 0]
    inside = ((pixels > 0) & (pixels < 255)).all(axis=-1)
    assert inside.mean() > 0.5  # the rest is clipped: black sky
    assert np.abs(rgb2lab(pixels)[..., 0] - before)[inside].max() < 0.5


def test_lightness_matches_scikit_image():
    pixels = np.asarray(random_image(64, 64))
    np.testing.assert_allclose(lightness(pixels), rgb2lab(pixels)[..., 0], atol=1e-3)


def test_no_color_gives_the_gray_image():
    image = photograph().convert("L")
    result = colorize_image(constant(0, 0), image.convert("RGB"), image_size=IMAGE_SIZE, stride=STRIDE)
    assert np.abs(np.asarray(result).astype(int) - np.asarray(image)[..., None]).max() <= 1


def test_one_color_at_full_size_is_plain_lab():
    image = photograph()
    result = np.asarray(colorize_image(constant(12, -20), image, image_size=IMAGE_SIZE, stride=STRIDE), np.float64)
    assert np.abs(result - straightforward(image, np.full((1, 1, 2), (12, -20)), (1, 1))).max() < 0.65


@pytest.fixture(scope="module")
def small():
    method = Colorization(backbone="small", resize=None, crop_size=96)
    return method, method.model()


def test_one_to_one_equals_predict_ab(small):
    """At the network's own size, every pixel gets the ab that predict_ab gives it: nothing is shifted."""
    method, model = small
    image = photograph().resize((132, method.image_size))
    L = rgb2lab(np.asarray(image))[None, ..., :1].astype(np.float32)
    # An untrained network is flat; larger scores give the colors some structure to be shifted.
    scores = model.layers[-1]
    scores.set_weights([w * 40 for w in scores.get_weights()])
    expected = rgb2lab(np.asarray(image))
    expected[..., 1:] = np.asarray(predict_ab(method, model, L)[0])
    assert np.abs(np.diff(expected[..., 1:], axis=1)).max() > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = lab2rgb(expected) * 255
    options = {"image_size": method.image_size, "stride": method.output_stride}
    result = colorize_image(compiled_predictor(method, model), image, **options)
    assert np.abs(np.asarray(result, np.float64) - expected).max() < 0.75  # float32 of the network on top


def test_edges_stay_where_they_are():
    """Color that follows an edge of the image changes at that edge: neither left nor right of it on average."""
    offsets = []
    for edge in (480, 490, 500, 510):  # 10 pixels are one of the network's, 40 a cell: all places within a cell
        pixels = np.zeros((640, 960, 3), np.uint8)
        pixels[:, edge:] = 200
        scaled = network_lightness(Image.fromarray(pixels), 64)
        cells = patterned(scaled[None, ..., None])[0] * (0, 1)
        # Joined with a mid-gray image, where no color is clipped.
        joined = Join(Image.new("RGB", (960, 640), "#777"), cells, scaled.shape[::-1], STRIDE).rows(320, 321)
        row = rgb2lab(np.asarray(joined)[..., :3])[0, :, 2]
        middle = np.interp((row[400] + row[580]) / -2, -row[400:580], np.arange(400, 580))
        offsets.append(middle + 0.5 - edge)
    assert max(np.abs(offsets)) <= 20  # half a cell
    assert abs(np.mean(offsets)) < 2  # the half-pixel convention would give 15


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3000, 2), (7, 13), (129, 255), (33, 32)])
def test_any_size(size):
    image = random_image(*size)
    result = colorize_image(patterned, image, image_size=IMAGE_SIZE, stride=STRIDE)
    assert result.size == size and result.mode == "RGB"
    scaled = network_lightness(image, IMAGE_SIZE)
    cells = patterned(scaled[None, ..., None])[0]
    expected = straightforward(image, cells, scaled.shape[::-1])
    assert np.abs(np.asarray(result, np.float64) - expected).max() < 0.65


def test_25_megapixels():
    tile = photograph()
    image = Image.new("RGB", (6144, 4096))
    for left in range(0, 6144, 512):
        for top in range(0, 4096, 512):
            image.paste(tile, (left, top))
    result = colorize_image(constant(10, 10), image, image_size=IMAGE_SIZE, stride=STRIDE)
    corner = colorize_image(constant(10, 10), tile, image_size=IMAGE_SIZE, stride=STRIDE)
    for box in ((0, 0, 512, 512), (5632, 3584, 6144, 4096), (3072, 2048, 3584, 2560)):
        difference = np.asarray(result.crop(box)).astype(int) - np.asarray(corner)
        assert np.abs(difference).max() <= 2


def test_alpha_is_kept():
    image = random_image(60, 50, "RGBA")
    result = colorize_image(patterned, image, image_size=IMAGE_SIZE, stride=STRIDE)
    assert result.mode == "RGBA"
    assert result.getchannel("A").tobytes() == image.getchannel("A").tobytes()


def test_temperature_reaches_the_network():
    seen = []

    def predict(L, temperature=None):
        seen.append(temperature)
        return patterned(L)

    colorize_image(predict, photograph(), image_size=IMAGE_SIZE, stride=STRIDE, temperature=0.7)
    assert seen == [0.7]


def test_nan_is_an_error():
    with pytest.raises(ModelError, match="NaN"):
        colorize_image(constant(np.nan, 0), photograph(), image_size=IMAGE_SIZE, stride=STRIDE)
