"""Areas, shapes and repeatability of the masks of inpainting."""

import numpy as np
import pytest

from tfssl.ops.masks import (
    MAX_AREA,
    MEAN_AREA,
    center_mask,
    pattern_mask,
    pattern_noise,
    random_blocks,
    random_region,
)

DISC = np.hypot(*np.mgrid[-20:21, -20:21]) <= 20
DRAW = {
    "blocks": random_blocks,
    "regions": random_region,
    "shapes": lambda side, rng: random_region(side, rng, [DISC, np.ones((10, 50), bool)]),
    "pattern": lambda side, rng: pattern_mask(side, rng, pattern_noise()),
}


def draw(kind, seed, side=64):
    return DRAW[kind](side, np.random.default_rng(seed))


@pytest.mark.parametrize("side", [32, 64, 128])
def test_center_is_a_quarter(side):
    mask = center_mask(side)
    assert mask.sum() * 4 == side**2
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])
    assert mask[side // 4, side // 4] and not mask[side // 4 - 1].any()


@pytest.mark.parametrize("overlap, hole, band", [(7, 2500, 1596), (4, 3136, 960), (0, 4096, 0)])
def test_center_with_overlap(overlap, hole, band):
    """Card: 50 x 50 with the paper's overlap, 56 x 56 with that of the released commands."""
    mask = center_mask(128, overlap)
    assert mask.sum() == hole
    assert (~mask[32:96, 32:96]).sum() == band and not (mask & ~center_mask(128)).any()


def test_overlap_must_leave_a_hole():
    assert center_mask(32, 7).sum() == 4
    with pytest.raises(ValueError, match="`overlap` must be 0 to 7"):
        center_mask(32, 8)


@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("side", [32, 64, 227])
def test_areas(kind, side):
    masks = [draw(kind, seed, side) for seed in range(60)]
    areas = np.array([mask.mean() for mask in masks])
    assert all(mask.shape == (side, side) and mask.dtype == bool for mask in masks)
    if kind == "pattern":
        assert areas.min() > 0.20 and areas.max() < 0.30
    else:
        assert areas.min() > 0 and areas.max() <= MAX_AREA
    assert np.ptp(areas) > 0.02


@pytest.mark.parametrize("kind", ["blocks", "regions", "pattern"])
def test_mean_area(kind):
    assert np.mean([draw(kind, seed).mean() for seed in range(400)]) == pytest.approx(MEAN_AREA[kind], abs=0.015)


@pytest.mark.parametrize("kind", DRAW)
def test_follow_from_the_generator(kind):
    np.testing.assert_array_equal(draw(kind, 5), draw(kind, 5))
    assert len({draw(kind, seed).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("kind", DRAW)
def test_every_place_is_dropped_sometimes(kind):
    """No relation to the picture: no place that is always seen, none that is always dropped."""
    often = np.mean([draw(kind, seed, 32) for seed in range(800)], axis=0)
    assert often.min() > 0 and often.max() < 0.5


def test_blocks_are_rectangles_with_straight_borders():
    """All corners of a union of rectangles are right angles: no run of border is a single pixel of a slope."""
    mask = draw("blocks", 1)
    changes = np.diff(np.pad(mask, 1).astype(int), axis=1) != 0
    steps = np.diff(changes.astype(int), axis=0) != 0
    assert steps.sum() < 80, "columns of the border change only at corners"
    assert (np.diff(np.pad(draw("regions", 1), 1).astype(int), axis=1) != 0).sum() > 0


def test_shapes_keep_their_form():
    """A disc becomes an ellipse whose axes differ by 1.4 at most; where two overlap they make something longer."""
    from skimage.measure import label, regionprops

    found = []
    for seed in range(60):
        mask = random_region(128, np.random.default_rng(seed), [DISC])
        found += [r for r in regionprops(label(mask)) if min(r.bbox[:2]) > 0 and max(r.bbox[2:]) < 128]
    alone = [r for r in found if r.solidity > 0.95]
    assert len(alone) > 10
    assert np.median([r.axis_major_length / r.axis_minor_length for r in alone]) < 1.4


def test_pattern_is_one_picture():
    """Two windows of the same pattern agree where they overlap."""
    noise, step = pattern_noise(), 0.06
    from PIL import Image

    def window(left, top, side=100):
        box = (left * step, top * step, (left + side) * step, (top + side) * step)
        return np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC, box=box)) < 0.25

    np.testing.assert_array_equal(window(500, 700)[:, 40:], window(540, 700)[:, :60])
    assert window(500, 700).any()
