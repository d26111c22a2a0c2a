"""Clips in class folders, of one camera and of two."""

import shutil
from pathlib import Path

import pytest

from tfssl.data.clip_classes import labeled_clips, train_and_test_clips
from tfssl.errors import SourceError


@pytest.fixture
def folder(tiny_data, tmp_path):
    clips = sorted(Path(tiny_data("clips")).iterdir())
    for number, clip in enumerate(clips[:4]):
        for side in ("left", "right"):
            (tmp_path / "ab"[number % 2] / side).mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, tmp_path / "ab"[number % 2] / side / f"{number}.mp4")
    return tmp_path


def test_pairs_and_single_clips(folder, tmp_path):
    source = labeled_clips(folder)
    example = source.example(2)
    assert len(source) == 4 and source.labels == (0, 0, 1, 1) and source.classes == ("a", "b") and example["label"] == 1
    assert len(example["left"]) == len(example["right"]) == 12
    for name in "ab":
        shutil.move(folder / name / "left" / f"{'ab'.index(name)}.mp4", folder / name / "x.mp4")
        shutil.rmtree(folder / name / "left")
        shutil.rmtree(folder / name / "right")
    single = labeled_clips(folder)
    assert len(single) == 2 and len(single.example(1)["clip"]) == 12 and single.name(1).endswith("x.mp4")


def test_other_folders_are_refused(folder):
    with pytest.raises(SourceError, match="`test` is missing"):
        train_and_test_clips(folder)
    shutil.rmtree(folder / "a" / "right")
    with pytest.raises(SourceError, match="`data` has left/ but no right/"):
        labeled_clips(folder)
    shutil.move(folder / "a" / "left", folder / "a" / "clips")
    with pytest.raises(SourceError, match="class 'b' has clips of two cameras, 'a' of one"):
        labeled_clips(folder)
    shutil.rmtree(folder / "b" / "left")
    shutil.rmtree(folder / "b" / "right")
    with pytest.raises(SourceError, match=r"class folder .*b' holds no clips"):
        labeled_clips(folder)
    with pytest.raises(SourceError, match="one folder of clips for each class"):
        labeled_clips(folder / "missing")
