"""Training on clips: what cannot be used is named and replaced, and a run that was stopped ends with the same bits."""

import csv

import numpy as np
import pytest

from tests.data.conftest import write_clip
from tests.training.stopping import stopped_and_resumed, weights
from tfssl.config import parse_config
from tfssl.training.fit import fit

pytest.importorskip("av")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for name, codec in (("a.mp4", "libx264"), ("b.mkv", "libx264"), ("c.webm", "libvpx-vp9")):
        texture = rng.integers(0, 256, (32, 48, 3), np.uint8)
        write_clip(folder / name, codec=codec, images=[np.roll(texture, shift, axis=1) for shift in range(12)])
    write_clip(folder / "one_frame.mp4", count=1)
    (folder / "damaged.mkv").write_bytes(bytes(1000))
    frames = {"pairs": "frames", "analogies": False, "crop_size": 5, "patches": 4, "factors": 8, "mappings": 4}
    steps = {"batch_size": 4, "steps_per_epoch": 6, "epochs": 2, "checkpoint_steps": 2}
    return parse_config({"method": "gated_autoencoder", **frames, **steps, "data": str(folder)})


def test_a_stopped_run_on_clips_ends_with_the_same_bits(config, tmp_path):
    fit(config, tmp_path / "whole")
    stopped_and_resumed(config, tmp_path / "stopped", 7)
    for whole, resumed in zip(weights(tmp_path / "whole"), weights(tmp_path / "stopped"), strict=True):
        np.testing.assert_array_equal(whole, resumed)
    for run in ("whole", "stopped"):
        with open(tmp_path / run / "skipped.csv", newline="") as file:
            reasons = {row[0].rpartition("/")[2]: row[1] for row in csv.reader(file)}
        assert "a clip of 1 frames has no pair" in reasons["one_frame.mp4"]
        assert "not a video" in reasons["damaged.mkv"]
