"""Descriptors and their matches: golden values of OpenCV 5 and scikit-image 0.26."""

import numpy as np
import pytest
from skimage.filters import gaussian

from tfssl.errors import ConfigError
from tfssl.local.descriptors import dense_sift, gray_levels, hog_blocks, lbp_histograms, root_sift

cv2 = pytest.importorskip("cv2", reason="SIFT is computed by OpenCV")


@pytest.fixture(scope="module")
def texture():
    noise = gaussian(np.random.default_rng(0).random((96, 96)), 2)
    return np.uint8(np.rint(np.interp(noise, (noise.min(), noise.max()), (0, 255))))


def test_the_grid_gives_its_descriptors_row_by_row(texture):
    found = dense_sift(texture, step=8, size=16)
    assert found.shape == (12, 12, 128)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 512, atol=2)
    # The one in row 3, column 5 is the descriptor of the patch around (44, 28), wherever that lies in an image.
    np.testing.assert_allclose(dense_sift(texture[16:64, 16:80], 8, 16)[1, 3], found[3, 5], atol=2)
    assert np.abs(dense_sift(texture[8:], 8, 16)[2, 5] - found[3, 5]).max() <= 2


def test_a_patch_is_as_wide_as_it_is_said_to_be(texture):
    before = dense_sift(texture, step=8, size=16)[6, 6]
    far = texture.copy()
    far[:, 52 + 16 :] = 0  # twice the patch's half width away from its center (52, 52): beyond all interpolation
    np.testing.assert_array_equal(dense_sift(far, 8, 16)[6, 6], before)
    near = texture.copy()
    near[:, 52 + 4 :] = 0
    assert np.abs(dense_sift(near, 8, 16)[6, 6] - before).max() > 20


def test_black_images_give_zeros_and_no_nan():
    found = dense_sift(np.zeros((96, 96), np.uint8))
    assert found.shape == (12, 12, 128) and not found.any()
    assert not root_sift(found).any()


def test_root_sift_has_length_1_and_is_the_hellinger_kernel(texture):
    raw = dense_sift(texture).reshape(-1, 128)
    roots = root_sift(raw)
    np.testing.assert_allclose(np.linalg.norm(roots, axis=-1), 1, atol=1e-6)
    histograms = raw / raw.sum(axis=-1, keepdims=True)
    affinity = np.sqrt(histograms[0] * histograms[1]).sum()
    assert roots[0] @ roots[1] == pytest.approx(affinity, abs=1e-6) and 0 <= affinity <= 1


def test_brightness_hardly_moves_root_sift(texture):
    low = np.uint8(np.rint(0.8 * texture + 10))
    first, second = root_sift(dense_sift(texture)), root_sift(dense_sift(low))
    assert 0 < np.median(np.linalg.norm(first - second, axis=-1)) < 0.05


def test_a_step_larger_than_the_image_is_refused(texture):
    with pytest.raises(ConfigError, match="`step` leaves no patch in images of 96x96"):
        dense_sift(texture, step=97)


def test_hog_of_64_pixels_has_1764_numbers_and_of_a_constant_image_none():
    assert hog_blocks(np.full((64, 64), 90, np.uint8)).size == 1764
    assert not hog_blocks(np.full((64, 64), 90, np.uint8)).any()
    assert hog_blocks(np.zeros((128, 64), np.uint8)).size == 3780


def test_hog_of_a_vertical_edge_lies_in_the_horizontal_gradient():
    image = np.zeros((64, 64), np.uint8)
    image[:, 32:] = 200
    energy = np.square(hog_blocks(image)).reshape(-1, 9).sum(axis=0)
    assert energy[0] > 0 and not energy[1:].any()


def test_lbp_counts_every_pixel_of_a_cell(texture):
    found = lbp_histograms(texture, cell=16)
    assert found.shape == (6, 6, 59)
    counts = np.square(found) * 256
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)
    np.testing.assert_allclose(counts.sum(axis=-1), 256, rtol=1e-5)
    assert lbp_histograms(texture[:40, :70]).shape == (2, 4, 59)


def test_gray_levels_are_those_of_pillow():
    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    found = gray_levels(rgb[None].astype(np.float32) / 255)[0].astype(int)
    assert np.abs(found - np.asarray(Image.fromarray(rgb).convert("L"), int)).max() <= 1


def test_points_of_a_turned_image_are_found_again():
    from tfssl.local.points import interest_points, matches

    noise = gaussian(np.random.default_rng(0).random((160, 160)), 3)
    image = np.uint8(np.rint(np.interp(noise, (noise.min(), noise.max()), (0, 255))))
    points, descriptors = interest_points(image)
    turned, other = interest_points(np.ascontiguousarray(np.rot90(image)))
    pairs = matches(descriptors, other)
    x, y = points[pairs[:, 0], :2].T
    expected = np.stack([y, image.shape[1] - 1 - x], axis=1)  # counterclockwise by 90 degrees
    right = np.linalg.norm(turned[pairs[:, 1], :2] - expected, axis=1) < 2
    assert len(pairs) > 30 and right.mean() > 0.9
    far = np.linalg.norm(descriptors[pairs[:, 0]] - other[pairs[:, 1]], axis=1)
    random = np.linalg.norm(descriptors[:-1] - descriptors[1:], axis=1)
    assert np.median(far) < 0.2 * np.median(random)


def test_matches_of_nothing_are_none_and_a_ratio_is_a_ratio():
    from tfssl.local.points import interest_points, matches

    points, descriptors = interest_points(np.zeros((64, 64), np.uint8))
    assert points.shape == (0, 4) and descriptors.shape == (0, 128)
    assert matches(descriptors, descriptors).shape == (0, 2)
    with pytest.raises(ConfigError, match="`ratio` must be in"):
        matches(descriptors, descriptors, ratio=0)
