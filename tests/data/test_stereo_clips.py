"""Pairs of clips: the same names in two folders, the same number of frames."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfssl.data import stereo_clip_source
from tfssl.errors import SourceError
from tfssl.methods import Synchrony


@pytest.fixture
def folder(tiny_data, tmp_path):
    clips = sorted(Path(tiny_data("clips")).iterdir())
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for number, clip in enumerate(clips[:2]):
            shutil.copy(clip, tmp_path / side / f"{number}.mp4")
    return tmp_path


def test_pairs_of_clips_are_cut_at_one_moment_and_place(folder):
    source = stereo_clip_source(folder)
    method = Synchrony(form="both", frames=3, units=4, components=9, patches=5)
    (views,) = method.sample(source.example(1), np.random.default_rng(0), True)
    assert len(source) == 2 and views.shape == (5, 6, 11, 11)
    np.testing.assert_array_equal(views[:, :3], views[:, 3:])
    assert stereo_clip_source(source) is source


def test_what_does_not_belong_together_is_named(folder, tmp_path):
    (folder / "right" / "1.mp4").unlink()
    with pytest.raises(ValueError, match=r"the right of '1\.mp4'"):
        stereo_clip_source(folder).example(1)
    shutil.rmtree(folder / "right")
    with pytest.raises(SourceError, match="`data` has left/ but no right/"):
        stereo_clip_source(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="`data` must hold two folders of clips"):
        stereo_clip_source(tmp_path / "empty")


def write_sequence(folder, names=("image_0", "image_1"), count=5):
    """Image number n is filled with 10 n, those of the right camera with 1 more."""
    for side, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((20, 30), 10 * number + side, np.uint8)).save(folder / name / f"{number}.png")


def test_images_of_a_sequence_are_clips_from_each_moment_on(tmp_path):
    write_sequence(tmp_path / "sequences" / "00", count=12)
    write_sequence(tmp_path / "sequences" / "01", ("image_l", "image_r"), 4)
    write_sequence(tmp_path / "sequences" / "02", count=2)  # too short
    source = stereo_clip_source(tmp_path, frames=3)
    assert len(source) == 10 + 2
    for index, numbers in ((9, [9, 10, 11]), (10, [0, 1, 2]), (11, [1, 2, 3])):
        example = source.example(index)
        source.check(index)
        for side, role in enumerate(("left", "right")):
            assert len(example[role]) == 3
            assert example[role].frames([0, 1, 2])[:, 0, 0, 0].tolist() == [10 * n + side for n in numbers]
    assert source.name(9).endswith("9.png")
    method = Synchrony(form="both", frames=3, units=4, components=9, patches=5)
    (views,) = method.sample(method.open(tmp_path / "sequences" / "01").example(1), np.random.default_rng(0), True)
    assert views[:, :, 0, 0].tolist() == [[10, 20, 30, 11, 21, 31]] * 5


def test_sequences_that_cannot_be_used_are_named(tmp_path):
    write_sequence(tmp_path)
    with pytest.raises(SourceError, match="no sequence of 7 images, at most of 5"):
        stereo_clip_source(tmp_path, frames=7)
    (tmp_path / "image_1" / "3.png").unlink()
    source = stereo_clip_source(tmp_path, frames=2)
    source.example(0)
    for use in (source.example, source.check):
        with pytest.raises(ValueError, match=r"the right of '3\.png'"):
            use(2)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "image_0" / "1.png")
    with pytest.raises(ValueError, match="sizes differ"):
        source.example(0)["left"].frames([0, 1])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "image_1" / "1.png")
    with pytest.raises(SourceError, match="has image_0/ but no image_1/"):
        shutil.rmtree(tmp_path / "image_1")
        stereo_clip_source(tmp_path)
