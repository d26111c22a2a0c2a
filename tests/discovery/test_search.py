"""Object discovery: the patch grid, the search for constellations and the geometric check."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from tfssl.discovery import constellations as search
from tfssl.discovery.embedding import hog_descriptor, pixel_descriptor
from tfssl.discovery.patch_index import Grid, PatchIndex, build_index
from tfssl.errors import ConfigError, SourceError

CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)


def test_centers_on_a_square_of_one_patch_side_fit_exactly():
    center, side, error = search.fit_square(100 + 24 * CORNERS, np.full(4, 24))
    assert error == pytest.approx(0, abs=1e-12)
    assert side == pytest.approx(24)
    assert center == pytest.approx([112, 112])


def test_a_square_of_half_a_patch_is_clipped_to_two_thirds_and_verified():
    _, side, error = search.fit_square(7 + 12 * CORNERS, np.full(4, 24))
    assert side == pytest.approx(16)
    assert error == pytest.approx(0.125)
    assert error < search.MAX_ERROR


def test_four_equal_centers_are_rejected():
    _, side, error = search.fit_square(np.full((4, 2), 50.0), np.full(4, 24))
    assert side == pytest.approx(16)
    assert error == pytest.approx(2)
    assert error > search.MAX_ERROR


def test_a_wide_square_is_clipped_to_four_thirds():
    # Corners of a square of side 2 lie 1/3 from those of side 4/3, in x and in y: e = 4 * 2 * (1/3)^2 / (4/3)^2.
    _, side, error = search.fit_square(2 * CORNERS, np.ones(4))
    assert side == pytest.approx(4 / 3)
    assert error == pytest.approx(0.5)


def test_a_mirrored_square_is_rejected():
    _, _, error = search.fit_square(24 * CORNERS[[1, 0, 3, 2]], np.full(4, 24))
    assert error > search.MAX_ERROR


def test_fit_is_the_best_of_all_squares_allowed():
    rng = np.random.default_rng(3)
    for _ in range(20):
        points, sides = rng.uniform(0, 3, (4, 2)), rng.uniform(0.5, 1.5, 4)
        center, side, error = search.fit_square(points, sides)
        tried = np.linspace(2 / 3, 4 / 3, 401) * sides.mean()
        squares = points.mean(axis=0) + tried[:, None, None] * (CORNERS - 0.5)
        distances = np.sum(np.square(points - squares), axis=(1, 2))
        assert error * side**2 <= distances.min() + 1e-9
        assert side == pytest.approx(tried[distances.argmin()], abs=0.005)
        moved = center + rng.normal(0, 0.1, 2) + side * (CORNERS - 0.5)
        assert np.sum(np.square(points - moved)) >= error * side**2


@pytest.mark.parametrize(("side", "steps"), [(24, 2), (25, 2), (25, 3), (7, 7), (24, 1)])
def test_positions_reach_from_border_to_border_and_patches_touch(side, steps):
    for length in (side, 2 * side, 5 * side + 3):
        edges = Grid(side, steps).positions(length)
        assert np.all(np.diff(edges[::steps]) == side)
        assert edges[0] >= 0
        assert 0 <= length - side - edges[-1] - edges[0] <= 1  # centered
        assert length - (edges[-1] - edges[0]) - side < side / steps + 1
    assert Grid(side, steps).positions(side - 1).size == 0


def mean_color(patches):
    return normalize(patches.reshape(len(patches), -1, 3).mean(axis=1) + 1.0)


def test_index_cuts_the_patches_it_says_it_cuts():
    image = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    index = build_index([image, image[:16, :16]], pixel_descriptor, Grid(8, 2))
    assert index.images == (0, 1)
    assert np.diff(index.starts).tolist() == [4 * 6, 3 * 3]
    assert len(index.squares) == 2 * 4 + 1
    for row in (0, 5, 23):
        x, y = (index.centers[row] - 4).astype(int)
        expected = pixel_descriptor(image[None, y : y + 8, x : x + 8])[0]
        np.testing.assert_allclose(index.embeddings[row], expected, atol=1e-3)
    squares = index.centers[index.squares]
    np.testing.assert_array_equal(squares - squares[:, :1], np.broadcast_to(8 * CORNERS, squares.shape))


def test_scales_are_reported_in_pixels_of_the_image():
    image = np.zeros((64, 96, 3), np.uint8)
    index = build_index([image], mean_color, Grid(8, 1, scales=(1.0, 2.0)))
    assert sorted(set(index.sides.tolist())) == [8, 16]
    large = index.sides == 16
    assert large.sum() == 4 * 6
    assert index.centers[large].min(axis=0).tolist() == [8, 8]
    assert index.centers[large].max(axis=0).tolist() == [88, 56]


def test_area_brings_images_to_the_size_of_training():
    grid = Grid(8, 1, area=(64 * 64, 64 * 64))
    assert grid.sizes(128, 128) == grid.sizes(32, 32) == [(64, 64)]
    index = build_index([np.zeros((128, 128, 3), np.uint8)], mean_color, grid)
    assert set(index.sides.tolist()) == {16}


def test_images_that_do_not_serve_are_named():
    images = [np.zeros((40, 40, 3), np.uint8), np.zeros((15, 40, 3), np.uint8)]
    index = build_index(images, mean_color, Grid(8))
    assert index.images == (0,)
    assert list(index.skipped.values()) == ["40x15 pixels hold less than 2 x 2 patches of 8"]
    with pytest.raises(SourceError, match=r"no image that serves among 1 \(images? 0: 40x15 pixels"):
        build_index(images[1:], mean_color, Grid(8))


def test_embeddings_beyond_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr("tfssl.discovery.patch_index.MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match="fewer `steps` or `scales`, or a `limit`"):
        build_index(np.zeros((3, 256, 256, 3), np.uint8), mean_color, Grid(8))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 9}, {"scales": ()}, {"scales": (0.0,)}])
def test_grid_refuses(wrong):
    with pytest.raises(ConfigError, match=r"`steps`|`scales`"):
        Grid(8, **wrong)


def made_index(pictures, dimensions=8, seed=0):
    """An index whose image i holds the given unit vectors at the given centers, sides of 1."""
    embeddings = np.concatenate([vectors for vectors, _ in pictures])
    counts = [len(vectors) for vectors, _ in pictures]
    return PatchIndex(
        embeddings.astype(np.float16),
        np.concatenate([centers for _, centers in pictures]).astype(np.float32),
        np.ones(len(embeddings), np.float32),
        np.concatenate([[0], np.cumsum(counts)]),
        tuple(range(len(pictures))),
        np.array([[0, 1, 2, 3]], np.int32),
        {},
    )


def test_layout_counts_in_verification_but_not_in_matching():
    parts = np.eye(8)[:4]
    scrambled = CORNERS[[3, 2, 1, 0]]
    absent = np.concatenate([parts[:3], np.eye(8)[4:5]])
    index = made_index([(parts, CORNERS), (parts, scrambled), (absent, CORNERS), (parts, CORNERS + 5)])
    matches = search.find_matches(index, index.squares, top=4)
    assert matches.strengths[0].tolist() == [4, 4, 4, 3]
    assert matches.images[0].tolist() == [0, 1, 3, 2]  # the scrambled one matches as strongly as the others
    assert matches.verified[0].tolist()[:3] == [True, False, True]
    np.testing.assert_allclose(matches.boxes[0, 2], [4.5, 4.5, 6.5, 6.5])


def test_search_equals_the_plain_one(monkeypatch):
    rng = np.random.default_rng(1)
    pictures = [(normalize(rng.normal(size=(n, 16))), rng.uniform(0, 9, (n, 2))) for n in (4, 9, 30, 5, 12, 7)]
    index = made_index(pictures)
    drawn = rng.integers(0, len(index.centers), (40, 4))
    monkeypatch.setattr(search, "MATCH_BYTES", 10_000)  # several blocks
    matches = search.find_matches(index, drawn, top=3)
    for n, rows in enumerate(drawn):
        cosines = index.embeddings[rows].astype(float) @ index.embeddings.astype(float).T
        sums, best = [], []
        for first, last in zip(index.starts[:-1], index.starts[1:], strict=True):
            sums.append(cosines[:, first:last].max(axis=1).sum())
            best.append(first + cosines[:, first:last].argmax(axis=1))
        order = np.argsort(-np.array(sums))[:3]
        assert matches.images[n].tolist() == order.tolist()
        np.testing.assert_allclose(matches.strengths[n], np.array(sums)[order], rtol=1e-5)
        assert matches.patches[n].tolist() == np.array(best)[order].tolist()


def test_constellations_are_different_and_spread_over_images_not_over_area():
    images = [np.zeros((24, 24, 3), np.uint8)] * 4 + [np.zeros((200, 200, 3), np.uint8)]
    index = build_index(images, mean_color, Grid(8, 2))
    drawn = search.sample_constellations(index, 40, np.random.default_rng(0))
    assert len(np.unique(drawn, axis=0)) == 40
    counts = np.bincount(index.image_of(drawn[:, 0]), minlength=5)
    assert counts[4] < 30  # all but 36 of some 2,300 places lie in image 4
    everything = search.sample_constellations(index, 10**6, np.random.default_rng(0))
    assert len(everything) == len(index.squares)


def test_ranking_is_by_verified_images_then_strength():
    errors = np.array([[0, 0, 2], [0, 2, 2], [0, 0, 0.99], [0, 1.0, 0.5]])
    strengths = np.array([[4, 3, 3], [4, 4, 4], [4, 1, 1], [4, 4, 3.5]], np.float32)
    empty = np.zeros((4, 3, 4))
    order, scores = search.rank_constellations(search.Matches(empty, empty, strengths, errors, empty))
    assert scores.tolist() == [2, 1, 3, 2]
    assert order.tolist() == [2, 3, 0, 1]


def test_hog_tells_directions_apart():
    rows, columns = np.zeros((2, 1, 33, 33, 3), np.uint8)
    rows[:, ::4], columns[:, :, ::4] = 255, 255
    noisy = np.clip(rows + np.random.default_rng(0).integers(0, 40, rows.shape), 0, 255).astype(np.uint8)
    a, b, c = hog_descriptor(np.concatenate([rows, noisy, columns]))
    assert a.shape == (3 * 3 * 2 * 2 * 9,) and a @ b > 0.8 > 0.1 > a @ c
    assert hog_descriptor(rows[:, :12, :12]).shape == (1, 36)  # 2 x 2 cells of 6 pixels


def test_pixel_descriptor_is_normalized_correlation():
    patches = np.random.default_rng(0).integers(0, 128, (2, 12, 12, 3), dtype=np.uint8)
    a, b = pixel_descriptor(patches)
    assert a @ b == pytest.approx(np.corrcoef(patches[0].ravel(), patches[1].ravel())[0, 1], abs=1e-5)
    np.testing.assert_allclose(pixel_descriptor(patches * 2), pixel_descriptor(patches), atol=1e-5)
    assert pixel_descriptor(np.zeros((1, 96, 96, 3), np.uint8)).shape == (1, 24 * 24 * 3)
