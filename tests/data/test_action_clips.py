"""Clips with tables of actions: the layouts that are known, and how they lie."""

import numpy as np
import pytest
from PIL import Image

from tfssl.data.action_clips import action_clip_source, read_table, write_clip
from tfssl.data.pushed import pushed_source
from tfssl.errors import SourceError
from tfssl.methods.video_prediction import VideoPrediction


@pytest.fixture
def pushes(tmp_path):
    """Two folders of frames with their tables."""
    source = pushed_source(count=2, frames=12)
    for number in (0, 1):
        write_clip(source.example(number), str(tmp_path / f"push{number}"))
    return tmp_path


def test_what_was_written_is_read(pushes):
    source, original = action_clip_source(str(pushes)), pushed_source(count=2, frames=12)
    assert len(source) == 2 and source.name(1).endswith("push1")
    for number in (0, 1):
        example, truth = source.example(number), original.example(number)
        np.testing.assert_array_equal(example["clip"].frames(range(12)), truth["clip"].pixels)
        for name in ("actions", "states"):
            np.testing.assert_allclose(example[name], truth[name], rtol=1e-6)
        source.check(number)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    for number in (1, 2, 10):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"f{number}.png")
    clip = action_clip_source(tmp_path).example(0)["clip"]
    assert clip.frames([0, 1, 2])[:, 0, 0, 0].tolist() == [1, 2, 10]


def test_videos_with_tables_beside_them(tiny_data, tmp_path):
    import shutil

    folder = tmp_path / "clips"
    shutil.copytree(tiny_data("clips"), folder)
    first = sorted(folder.glob("*.mp4"))[0]
    np.save(first.with_suffix(".actions.npy"), np.arange(12, dtype=np.float64))
    source = action_clip_source(folder)
    assert len(source) == 6
    example = source.example(0)
    assert example["actions"].shape == (12, 1) and example["actions"][3, 0] == 3
    assert "actions" not in source.example(1)


def test_the_last_action_may_be_missing(pushes):
    table = pushes / "push0" / "actions.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    actions = action_clip_source(pushes).example(0)["actions"]
    assert actions.shape == (12, 2) and not actions[-1].any()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,2\n" * 5, "actions.csv has 5 rows for 12 frames"),
        ("x,y\n1,2\n3,oops\n", "line 3 of actions.csv must hold numbers"),
        ("1,2\n1\n", "line 2 of actions.csv has 1 numbers, those before it 2"),
        ("1,nan\n" * 12, "infinite or NaN"),
        ("x,y\n", "holds no numbers"),
    ],
)
def test_tables_that_lie_cost_their_clip(pushes, text, reason):
    (pushes / "push0" / "actions.csv").write_text(text)
    source = action_clip_source(pushes)
    with pytest.raises(ValueError, match=reason):
        source.example(0)
    source.example(1)


def test_headers_and_byte_order_marks(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_bytes("﻿dx, dy\n1, 2.5\n\n-3,4e-1\n".encode())
    np.testing.assert_allclose(read_table(path), [[1, 2.5], [-3, 0.4]])


def test_damaged_arrays(tmp_path):
    path = tmp_path / "actions.npy"
    path.write_bytes(b"\x93NUMPY no")
    with pytest.raises(ValueError, match=r"actions.npy is damaged"):
        read_table(path)
    np.save(path, np.zeros((3, 2, 2)))
    with pytest.raises(ValueError, match="a row a frame"):
        read_table(path)


def test_two_tables_of_one_clip(pushes):
    np.save(pushes / "push0" / "actions.npy", np.zeros((12, 2)))
    with pytest.raises(SourceError, match="actions twice"):
        action_clip_source(pushes)


def test_no_clips(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(SourceError, match="holds no clips"):
        action_clip_source(tmp_path)
    with pytest.raises(SourceError, match="folder of clips"):
        action_clip_source(3)


def test_clips_that_cannot_serve_are_skipped_by_name(pushes):
    """A short one, one without actions: named with their reasons, the rest is measured."""
    for number, extra in ((2, 3), (3, 12)):
        folder = pushes / f"push{number}"
        folder.mkdir()
        for frame in range(extra):
            Image.new("RGB", (32, 32), (frame, 0, 0)).save(folder / f"{frame}.png")
    (pushes / "push2" / "actions.csv").write_text("0,0\n" * 3)
    method = VideoPrediction(crop_size=16, frames=5, masks=2, actions=2, states=0, widths=(2,) * 7, lstm_size=1)
    record = method.evaluate(method.model(), str(pushes))
    assert float(record["images"]) == 2 and float(record["images_skipped"]) == 2
    reasons = {name.rsplit("/", 1)[-1]: reason for name, reason in record.skipped.items()}
    assert "too few for a window of 5" in reasons["push2"] and "has no actions" in reasons["push3"]
