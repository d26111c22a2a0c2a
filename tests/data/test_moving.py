"""What moves by itself: the card's tests of the miner, on textures and rendered scenes."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tfssl.data.moving import Miner, NoTrack, as_gray, best_box, check_fraction, cut_box, follow_box, moving_points
from tfssl.data.rendered import FrameClip
from tfssl.data.scenes import scene_clips
from tfssl.errors import ConfigError
from tfssl.ops.boxes import iou


def texture(height, width, seed=0):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 1.5)
    return np.clip(127.5 + 51 * noise / noise.std(), 0, 255).astype(np.uint8)


BEHIND, THING = texture(340, 460), texture(60, 60, seed=1)


def frame(time, camera=(3, 1), own=(4, 2), corner=(60, 60)):
    """A frame of 320x240, the camera and a square of 60 pixels moving, and where the square is."""
    y, x = 20 + camera[1] * time, 20 + camera[0] * time
    image = BEHIND[y : y + 240, x : x + 320].copy()
    left, top = (int(c + (o - a) * time) for c, o, a in zip(corner, own, camera, strict=True))
    image[top : top + 60, left : left + 60] = THING
    return image, np.array([left, top, left + 60, top + 60], float)


def in_color(frames):
    return np.repeat(np.stack(frames)[..., None], 3, axis=-1)


class TestMovingPoints:
    def test_a_square_before_a_moving_camera(self):
        """Card, test 10."""
        (first, box), (second, _) = frame(0), frame(1)
        points, moves = moving_points(first, second)
        inside = ((points >= box[:2]) & (points < box[2:])).all(axis=1)
        assert moves[inside].mean() > 0.9
        assert moves[~inside].mean() < 0.05

    @pytest.mark.parametrize("degrees", [0.0, 2.0])
    def test_the_camera_alone(self, degrees):
        """Card, test 10."""
        from PIL import Image

        image = Image.fromarray(BEHIND)
        turned = image.rotate(degrees, Image.Resampling.BICUBIC, translate=(4, -2))
        first, second = (np.asarray(i)[50:290, 60:400] for i in (image, turned))
        assert moving_points(first, second)[1].mean() < 0.05

    def test_what_cannot_be_told(self):
        plain = np.full((80, 80), 127, np.uint8)
        with pytest.raises(NoTrack, match="few points"):
            moving_points(plain, plain)
        with pytest.raises(NoTrack, match="a cut"):
            moving_points(texture(120, 120), texture(120, 120, seed=5))


@pytest.mark.parametrize("fraction, reason", [(0.24, "few move"), (0.25, None), (0.75, None), (0.76, "most move")])
def test_a_quarter_to_three_quarters_may_move(fraction, reason):
    """Card, test 8: both ends are allowed."""
    if reason is None:
        check_fraction(fraction)
    else:
        with pytest.raises(NoTrack, match=reason):
            check_fraction(fraction)


class TestBestBox:
    def test_holds_as_many_points_as_any_window(self):
        """Card, test 9."""
        rng = np.random.default_rng(0)
        for _ in range(5):
            points, size, shape = rng.uniform(0, [39, 29], (30, 2)), 12, (30, 40)
            left, top, right, bottom = best_box(points, size, shape)
            assert (right - left, bottom - top) == (12, 12)
            assert left >= 0 and top >= 0 and right <= 40 and bottom <= 30
            inside = [
                ((points >= [x, y]) & (points < [x + size, y + size])).all(axis=1).sum()
                for x in range(29)
                for y in range(19)
            ]
            own = ((points >= [left, top]) & (points < [right, bottom])).all(axis=1).sum()
            assert own == max(inside)

    def test_a_small_thing_lies_in_its_middle(self):
        """Card, test 9: all points inside one window."""
        points = np.array([[20, 10], [24, 10], [20, 14], [24, 14]])
        assert best_box(points, 15, (40, 60)).tolist() == [15, 5, 30, 20]
        assert best_box(points - [20, 10], 15, (40, 60)).tolist() == [0, 0, 15, 15], "inside of the frame"


class TestFollowing:
    def test_a_square_for_thirty_frames(self):
        """Card, test 11."""
        frames, boxes = zip(*(frame(t, camera=(2, 1)) for t in range(31)), strict=True)
        last = follow_box(in_color(frames), boxes[0])
        assert iou(last[None], boxes[-1][None])[0, 0] > 0.7

    def test_what_goes_away(self):
        first, box = frame(0)
        with pytest.raises(NoTrack, match="lost"):
            follow_box(in_color([first, texture(240, 320, seed=7)]), box)
        frames = [frame(t, camera=(0, 0), own=(-8, 0), corner=(20, 60))[0] for t in (0, 1, 2)]
        frames += [np.roll(frames[-1], -8 * t, axis=1) for t in range(1, 8)]
        with pytest.raises(NoTrack, match=r"left|lost"):
            follow_box(in_color(frames), np.array([20, 60, 80, 120.0]))

    def test_cut(self):
        image = np.arange(20 * 30).reshape(20, 30, 1)
        np.testing.assert_array_equal(cut_box(image, [3, 2, 9, 8]), image[2:8, 3:9])
        np.testing.assert_array_equal(cut_box(image, [-4, 17, 2, 23]), image[14:20, 0:6])


class TestMiner:
    def test_finds_the_things_of_rendered_scenes(self):
        scenes, found, reasons = scene_clips("builtin", count=12, frames=11, seed=3), [], []
        miner = Miner(length=10)
        for number in range(len(scenes)):
            clip = scenes.example(number)["clip"]
            try:
                track = miner.track(clip, 0)
            except NoTrack as reason:
                reasons.append(str(reason))
                continue
            ends = zip((track.first, track.last), clip.boxes[[0, 10]], strict=True)
            found += [iou(box[None], true[None])[0, 0] for box, true in ends]
            assert track.crops.shape == (2, 73, 73, 3) and track.crops.dtype == np.uint8
        assert len(found) >= 6 and np.mean(np.array(found) > 0.5) > 0.8, (found, reasons)

    def test_a_still_clip_and_a_short_one(self):
        still = FrameClip(np.repeat(np.stack([BEHIND[:120, :160]] * 3, -1)[None], 12, axis=0))
        with pytest.raises(NoTrack, match="few move"):
            Miner(length=10).track(still, 0)
        with pytest.raises(NoTrack, match="too short"):
            Miner(length=10).track(still, 2)
        with pytest.raises(ValueError, match="160x120 pixels are smaller than a box of 200"):
            Miner(length=10, box=200).track(still, 0)

    @pytest.mark.parametrize(
        "fields", [{"length": 0}, {"box": 4}, {"threshold": 0}, {"fractions": (0.8, 0.2)}, {"points": 3}]
    )
    def test_wrong_values_are_named(self, fields):
        with pytest.raises(ConfigError, match=f"`{next(iter(fields))}`"):
            Miner(**fields)


def test_gray():
    np.testing.assert_array_equal(as_gray(np.full((2, 2, 3), (255, 0, 0), np.uint8)), 76)  # 0.299 of it
