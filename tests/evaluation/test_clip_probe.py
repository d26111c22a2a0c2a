"""Probes of encoders of clips: linear_probe and knn, beside the pixels of the frames."""

from pathlib import Path
from shutil import copy

import numpy as np
import pytest
from keras import layers, ops

from tfssl.backbones.encoder import Encoder
from tfssl.data import FrameClip, LabeledClips, Source
from tfssl.errors import ConfigError
from tfssl.evaluation import get_task
from tfssl.evaluation.baselines import pixel_encoder
from tfssl.evaluation.features import labeled_sets


class Bars(Source):
    """Clips of a bar that moves to the left (0) or to the right (1) over a 12 x 8 frame; item 3 is too short."""

    noun = "clips"

    def __len__(self):
        return 24

    def example(self, index):
        frames = np.zeros((2 if index == 3 else 7, 8, 12, 3), np.uint8)
        for time, frame in enumerate(frames):
            frame[:, (index // 2 + (1 if index % 2 else -1) * time) % 12] = 200
        return {"clip": FrameClip(frames)}

    def check(self, index):
        pass


def bars():
    return LabeledClips("bars", Bars(), tuple(i % 2 for i in range(24)), ("left", "right"))


def encoder(frames=3, size=8, name="motion"):
    """Products of neighboring columns, one frame later: to the left, to the right, and their difference."""
    clip = layers.Input((frames, size, size, 3), name="clip")
    gray = ops.mean(clip, axis=-1)
    now, later = gray[:, :-1], gray[:, 1:]
    moved = [
        ops.sum(a * b, axis=(1, 2, 3)) for a, b in ((now[..., 1:], later[..., :-1]), (now[..., :-1], later[..., 1:]))
    ]
    products = ops.stack(moved, axis=-1)
    return Encoder(clip, {"products": products, "dense": layers.Dense(2)(products)}, modality="clip", name=name)


@pytest.mark.parametrize("task", ["linear_probe", "knn"])
def test_clips_are_probed(task, tmp_path):
    record = get_task(task)(encoder(), bars(), test=bars(), seeds=1, out=tmp_path)
    assert record["accuracy"].value > 0.8
    assert set(record["accuracy"].baselines) == {"untrained", "pixels", "chance"}
    assert list(record.skipped.values()) == ["has 2 frames, fewer than the 3 that the encoder takes"]
    assert record["images_train"].value == 23
    assert (tmp_path / "taps.png").stat().st_size > 1000


def test_folders_of_videos(tmp_path, tiny_data):
    clips = sorted(Path(tiny_data("clips")).iterdir())
    for number, path in enumerate(clips[:6]):  # two of each class to learn from, one to test
        folder = tmp_path / ("train" if number < 4 else "test") / ("left", "right")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        copy(path, folder)
    record = get_task("knn")(encoder(frames=12, size=16), tmp_path, seeds=1)
    assert record["images_train"].value == 4 and record["images_test"].value == 2
    assert record.protocol["image_size"] == 16


def test_frames_are_those_of_the_middle():
    sets = labeled_sets(bars(), bars(), encoder=encoder())
    clips, labels = next(iter(sets.batches[0]))
    assert clips.shape == (23, 3, 8, 8, 3) and labels.numpy()[:2].tolist() == [0, 1]
    expected = Bars().example(1)["clip"].frames([2, 3, 4])[:, :, 2:10]
    np.testing.assert_array_equal(clips[1], expected)


def test_pixels_of_clips():
    clip = np.random.default_rng(0).random((2, 3, 4, 4, 3)).astype(np.float32)
    found = pixel_encoder(3)(clip)["pixels"]
    assert found.shape == (2, 4, 4, 9)
    np.testing.assert_array_equal(found[..., 3:6], clip[:, 1])


def test_what_cannot_be_measured_is_named():
    linear_probe = get_task("linear_probe")
    with pytest.raises(ConfigError, match=r"with crops=1. Received: 'motion'.*crops=10"):
        linear_probe(encoder(), bars(), test=bars(), crops=10)
    with pytest.raises(ConfigError, match=r"`compare`: clips must be of one shape; 'other' takes \(4, 8, 8, 3\)"):
        linear_probe(encoder(), bars(), test=bars(), compare={"other": encoder(4)})
