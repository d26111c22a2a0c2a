"""Pairs of clips: the same names in two folders, the same number of frames."""

import shutil
from pathlib import Path

import numpy as np
import pytest

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
