"""Geometry of crops: always inside the image, of the right fraction, size and content."""

import numpy as np
import pytest
from PIL import Image

from tfssl.data.crop import Crop

SIZES = [(1, 1), (1, 900), (3000, 1), (7, 5), (64, 64), (65, 64), (640, 481), (333, 1000)]
CROPS = [
    Crop(64),
    Crop(64, resize=64),
    Crop(64, resize=81),
    Crop(64, area=(0.35, 1.0)),
    Crop(64, area=(1.0, 1.0)),
    Crop(64, area=(0.01, 0.02)),
]


def gradient(width, height):
    """Red is the column, green the row, both as a fraction of the image."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return Image.fromarray(np.round(np.stack([x, y, 0 * x], axis=-1) * 255).astype(np.uint8))


@pytest.mark.parametrize("crop", CROPS, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_box_lies_inside(crop, size):
    for rng in [None, *(np.random.default_rng(i) for i in range(200))]:
        left, top, right, bottom = crop.box(*size, rng)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


@pytest.mark.parametrize("crop", CROPS, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_result_has_the_crops_size(crop, size):
    image = Image.new("RGB", size, (10, 200, 30))
    for rng in (None, np.random.default_rng(0)):
        pixels = crop.apply(image, rng)
        assert pixels.shape == (64, 64, 3)
        assert pixels.dtype == np.uint8
        assert (pixels == (10, 200, 30)).all()


def test_without_resize_pixels_are_cut_not_scaled():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 130, 3), dtype=np.uint8))
    array = np.asarray(image)
    np.testing.assert_array_equal(Crop(64).apply(image), array[18:82, 33:97])
    windows = np.lib.stride_tricks.sliding_window_view(array, (64, 64, 3))[..., 0, :, :, :]
    for seed in range(5):
        pixels = Crop(64, flip=False).apply(image, np.random.default_rng(seed))
        assert (windows == pixels).all(axis=(2, 3, 4)).sum() == 1


@pytest.mark.parametrize(("resize", "fraction"), [(64, 1.0), (128, 0.5), (96, 2 / 3)])
def test_resize_sets_the_fraction_of_the_shorter_side(resize, fraction):
    left, top, right, bottom = Crop(64, resize=resize).box(300, 200, None)
    assert (left + right, top + bottom) == (300, 200)
    np.testing.assert_allclose([right - left, bottom - top], 200 * fraction)
    # Up to the phase of the pixel grid this is scaling the whole image first.
    image = gradient(300, 200)
    whole = image.resize((round(resize * 1.5), resize), Image.Resampling.BICUBIC)
    x, y = (whole.width - 64) // 2, (whole.height - 64) // 2
    expected = np.asarray(whole.crop((x, y, x + 64, y + 64))).astype(int)
    assert np.abs(Crop(64, resize=resize).apply(image) - expected).max() <= 3


def test_small_images_are_scaled_up():
    assert Crop(64).box(32, 48, None) == (0, 8, 32, 40)
    pixels = Crop(64).apply(gradient(32, 32)).astype(int)
    assert pixels[0, 0, 0] < 8
    assert pixels[0, -1, 0] > 247
    assert (Crop(16).apply(Image.new("RGB", (1, 1), "blue")) == (0, 0, 255)).all()


def test_area_and_aspect_are_uniform_as_stated():
    boxes = np.array([Crop(64, area=(0.2, 0.6)).box(400, 400, np.random.default_rng(i)) for i in range(3000)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    fraction = width * height / 160_000
    aspect = np.log(width / height)
    assert fraction.min() >= 0.2 - 1e-9
    assert fraction.max() <= 0.6 + 1e-9
    assert abs(fraction.mean() - 0.4) < 0.01
    assert np.abs(aspect).max() <= np.log(4 / 3) + 1e-9
    assert abs(aspect.mean()) < 0.01
    position = boxes[:, 0] / (400 - width)
    assert abs(position.mean() - 0.5) < 0.02
    assert position.min() < 0.01
    assert position.max() > 0.99


def test_half_of_the_training_crops_are_mirrored():
    image = gradient(64, 64)
    mirrored = 0
    for seed in range(1000):
        pixels = Crop(64).apply(image, np.random.default_rng(seed)).astype(int)
        mirrored += pixels[0, 0, 0] > pixels[0, -1, 0]
    assert 440 < mirrored < 560  # 3.8 standard deviations
    plain = Crop(64, flip=False).apply(image, np.random.default_rng(0))
    np.testing.assert_array_equal(plain, np.asarray(image))
    np.testing.assert_array_equal(Crop(64).apply(image), np.asarray(image))


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (Crop(64), None),
        (Crop(64, resize=100), 100),
        (Crop(64, resize=64), 64),
        (Crop(64, area=(0.25, 1.0)), 128),
    ],
)
def test_min_size(crop, expected):
    assert crop.min_size == expected
