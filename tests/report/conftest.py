"""Run directories and evaluations as training and `tfssl evaluate` leave them, without training anything."""

import csv
import json
import zipfile

import pytest
from PIL import Image

from tfssl.config import parse_config

HISTORY = [
    {"epoch": 1, "step": 10, "loss": 3.5, "baseline": 4.0, "accuracy": 0.25, "learning_rate": 0.001, "seconds": 30.0},
    {"epoch": 2, "step": 20, "loss": 2.0, "baseline": 4.0, "accuracy": 0.5, "learning_rate": 0.0, "seconds": 60.0},
]


@pytest.fixture
def make_run(tmp_path):
    """Function that makes a run directory."""

    def make(
        name="puzzles", method="jigsaw", finished=True, sample=True, history=HISTORY, weights=b"weights", **settings
    ):
        folder = tmp_path / "runs" / name
        (folder / "samples").mkdir(parents=True)
        parse_config({"method": method, **settings}).save(folder / "config.yaml")
        if history:
            with open(folder / "history.csv", "w", newline="") as file:
                names = dict.fromkeys(key for row in history for key in row)
                writer = csv.DictWriter(file, list(names), restval="")
                writer.writeheader()
                writer.writerows(history)
        if finished:
            (folder / "metrics.json").write_text(json.dumps({"steps": 20, "loss": 2.0, "baseline": 4.0}))
            with zipfile.ZipFile(folder / "model.keras", "w") as archive:
                archive.writestr(
                    "metadata.json", json.dumps({"keras_version": "3.9.9", "date_saved": "2026-01-02@03:04"})
                )
                archive.writestr("model.weights.h5", weights)
        if sample:
            for epoch, color in ((1, "red"), (2, "lime")):
                Image.new("RGB", (40, 20), color).save(folder / "samples" / f"epoch_{epoch:04d}.png")
        return folder

    return make


def metric(value, std=None, n=1, higher=True, **baselines):
    """A metric as records hold it."""
    return {
        "value": value, "std": std, "n": n, "unit": "fraction", "higher_is_better": higher, "baselines": baselines,
    }  # fmt: skip


@pytest.fixture
def make_evaluation(tmp_path):
    """Function that makes the folder of an evaluation."""

    def make(place, accuracy=0.5, **changes):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        record = {
            "task": "knn",
            "metrics": {
                "accuracy": metric(accuracy, 0.02, 3, untrained=0.3, pixels=0.25, chance=0.125),
                "tap_conv1": metric(0.4, 0.01, 3, untrained=0.31),
                "tap_conv2": metric(0.45, 0.01, 3, untrained=0.21),
                "images_test": {"value": 800, "higher_is_better": None},
            },
            "details": {"tap": "conv2", "encoders": {"untrained": {"tap": "conv1", "accuracy_std": 0.0123}}},
            "protocol": {"train": "classes/train", "image_size": 96, "seeds": 3},
            "versions": {"tfssl": "0.1.0"},
        }
        (folder / "metrics.json").write_text(json.dumps(record | changes))
        Image.new("RGB", (30, 30), "blue").save(folder / "taps.png")
        return folder

    return make
