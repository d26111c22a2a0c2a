"""Pixels that are moved: the card's hand-worked kernels and maps, and the rule of the border."""

import numpy as np
import pytest
from keras import ops

from tfssl.layers.moving import AffineMotion, Blend, ConvolutionalMotion, PixelMotion, normalized_kernels


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(0.1, 1, (2, 6, 8, 3)).astype(np.float32)


def delta(row, column, size=5):
    """Logits of a kernel that is 1 so far below and to the right of its middle."""
    kernel = np.full((size, size), -1, np.float32)
    kernel[size // 2 + row, size // 2 + column] = 1
    return kernel.ravel()


def test_kernels_are_positive_and_sum_to_one():
    kernels = np.asarray(normalized_kernels(np.random.default_rng(0).normal(size=(4, 3, 25)).astype(np.float32)))
    assert kernels.min() > 0
    np.testing.assert_allclose(kernels.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(normalized_kernels(np.full((1, 25), -3, np.float32)), 0.04, rtol=1e-6)


def test_a_kernel_for_the_whole_frame(image):
    """1 in the middle keeps the frame; 1 to the right of it takes what is there: the content goes to the left."""
    logits = np.stack([[delta(0, 0), delta(0, 1), delta(-2, 0)]] * 2)
    kept, left, down = np.moveaxis(np.asarray(ConvolutionalMotion()([image, logits])), 1, 0)
    np.testing.assert_allclose(kept, image, atol=1e-6)
    np.testing.assert_allclose(left[:, :, :-1], image[:, :, 1:], atol=1e-6)
    np.testing.assert_allclose(left[:, :, -1], 0, atol=1e-6), "black beyond the border"
    np.testing.assert_allclose(down[:, 2:], image[:, :-2], atol=1e-6)
    np.testing.assert_allclose(down[:, :2], 0, atol=1e-6)


def test_each_example_has_its_own_kernels(image):
    logits = np.stack([[delta(0, 0)], [delta(1, 0)]])
    found = np.asarray(ConvolutionalMotion()([image, logits]))[:, 0]
    np.testing.assert_allclose(found[0], image[0], atol=1e-6)
    np.testing.assert_allclose(found[1, :-1], image[1, 1:], atol=1e-6)


def test_a_kernel_for_each_pixel(image):
    logits = np.tile(delta(0, 0), (2, 6, 8, 1))
    logits[:, 2, 3] = delta(-1, 2)
    found = np.asarray(PixelMotion()([image, logits]))[:, 0]
    expected = image.copy()
    expected[:, 2, 3] = image[:, 1, 5]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_equal_kernels_of_all_pixels_are_one_of_the_frame(image):
    logits = np.random.default_rng(1).normal(size=(2, 1, 9)).astype(np.float32)
    everywhere = np.broadcast_to(logits[:, :, None], (2, 6, 8, 9))
    ours, theirs = PixelMotion(3)([image, everywhere]), ConvolutionalMotion(3)([image, logits])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_affine_maps(image):
    """c = 2 n / (W - 1) takes pixels from n further right, f = 2 n / (H - 1) from n below; the border repeats."""
    maps = np.float32([[[1, 0, 0, 0, 1, 0], [1, 0, 2 * 2 / 7, 0, 1, 0], [1, 0, 0, 0, 1, 2 / 5], [-1, 0, 0, 0, 1, 0]]])
    found = np.asarray(AffineMotion()([image, np.repeat(maps, 2, axis=0)]))
    np.testing.assert_allclose(found[:, 0], image, atol=1e-6)
    np.testing.assert_allclose(found[:, 1, :, :-2], image[:, :, 2:], atol=1e-5)
    np.testing.assert_allclose(found[:, 1, :, -2:], np.repeat(image[:, :, -1:], 2, axis=2), atol=1e-5)
    np.testing.assert_allclose(found[:, 2, :-1], image[:, 1:], atol=1e-5)
    np.testing.assert_allclose(found[:, 3], image[:, :, ::-1], atol=1e-5)


def test_half_a_pixel_is_the_mean_of_two(image):
    maps = np.tile(np.float32([1, 0, 1 / 7, 0, 1, 0]), (2, 1, 1))
    found = np.asarray(AffineMotion()([image, maps]))[:, 0]
    np.testing.assert_allclose(found[:, :, :-1], (image[:, :, 1:] + image[:, :, :-1]) / 2, atol=1e-5)


def test_a_blend_is_a_mixture(image):
    images = np.stack([image, 1 - image], axis=1)
    masks = np.broadcast_to(np.float32([0.75, 0.25]), (2, 6, 8, 2))
    np.testing.assert_allclose(Blend()([images, masks]), 0.75 * image + 0.25 * (1 - image), rtol=1e-6)


def test_unmoved_and_nothing_new_is_the_last_frame(image):
    """The card's: all kernels delta, the mask of new pixels 0."""
    moved = ConvolutionalMotion()([image, np.tile(delta(0, 0), (2, 2, 1))])
    images = ops.concatenate([np.zeros_like(image)[:, None], image[:, None], moved], axis=1)
    masks = np.broadcast_to(np.float32([0, 0.5, 0.25, 0.25]), (2, 6, 8, 4))
    np.testing.assert_allclose(Blend()([images, masks]), image, atol=1e-6)


def test_inside_the_border_nothing_leaves_the_range_of_the_frame(image):
    logits = np.random.default_rng(0).normal(size=(2, 4, 25)).astype(np.float32)
    inside = np.asarray(ConvolutionalMotion()([image, logits]))[:, :, 2:-2, 2:-2]
    assert inside.min() >= image.min() - 1e-6 and inside.max() <= image.max() + 1e-6
