"""The whole task on drawn images: a detector is learned, and the files tell how."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.tasks import detection
from tfssl.transfer.training import Pretext

SMALL = {"steps": 400, "short_size": 64, "long_size": 96, "units": 32, "learning_rate": 0.01, "regions": 32, "seeds": 1}
SMALL |= {"proposals": "sliding_windows", "tap": "conv2"}


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    """Red squares and blue discs on gray noise, one or two in an image; the last test image is no image."""
    root, random = tmp_path_factory.mktemp("voc"), np.random.default_rng(0)
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for split, count in (("train", 24), ("val", 9)):
        names = [f"{split}{i}" for i in range(count)]
        for i, name in enumerate(names):
            image = Image.fromarray(random.integers(100, 140, (64, 80, 3)).astype(np.uint8))
            draw, objects = ImageDraw.Draw(image), []
            for kind in ("disc", "square")[: 1 + i % 2] if i % 3 else ("square",):
                side = int(random.integers(16, 32))
                x, y = (int(random.integers(1, n - side)) for n in (80, 64))
                shape = draw.ellipse if kind == "disc" else draw.rectangle
                shape((x, y, x + side - 1, y + side - 1), fill=(30, 30, 230) if kind == "disc" else (230, 30, 30))
                box = f"<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + side}</xmax><ymax>{y + side}</ymax>"
                objects.append(f"<object><name>{kind}</name><bndbox>{box}</bndbox></object>")
            image.save(root / f"JPEGImages/{name}.png")
            (root / f"Annotations/{name}.xml").write_text(f"<annotation>{''.join(objects)}</annotation>")
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
    (root / "JPEGImages/val8.png").write_bytes(b"no image")
    return root


def encoder():
    """A "pretrained" trunk that knows colors, and whose untrained twin gets random ones."""
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="one")(rgb)
    two = keras.layers.MaxPooling2D(2)(one)
    model = keras.Model(rgb, {"conv1": one, "conv2": two}, name="colors")
    kernel = np.zeros((3, 3, 3, 6), np.float32)
    kernel[1, 1] = np.concatenate([1.5 * np.eye(3) - 0.5, 0.5 - 1.5 * np.eye(3)], axis=1)
    model.get_layer("one").set_weights([kernel, np.zeros(6, np.float32)])
    return model


def test_the_task_on_images(voc, tmp_path):
    network, calls = encoder(), []
    before = [w.copy() for w in network.get_weights()]
    options = {"out": tmp_path, "progress": lambda *values: calls.append(values)}
    found = detection.evaluate(network, voc, **SMALL, **options)
    numbers = found.flat()
    assert next(iter(found)) == "map" and set(found["map"].baselines) == {"untrained"}
    assert numbers["map"] > 0.8 and numbers["coco_ap50"] > 0.7
    assert numbers["coco_ap75"] < numbers["coco_ap50"] and numbers["coco_ap"] < numbers["coco_ap50"]
    assert numbers["map"] == pytest.approx((numbers["ap_disc"] + numbers["ap_square"]) / 2)
    assert numbers["proposal_recall"] > 0.9 and numbers["images_test"] == 8
    assert [path.rsplit("/", 1)[-1] for path in found.skipped] == ["val8.png"]
    for weights, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, kept)
    done, total, _ = zip(*calls, strict=True)
    assert list(done) == sorted(done) and set(total) == {calls[-1][1]} and done[-1] <= total[-1]

    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["task"] == "detection" and record["metrics"]["map"]["value"] == numbers["map"]
    assert record["protocol"]["nms"] == 0.3 and record["protocol"]["sampling"]["foreground"] == 0.25
    with open(tmp_path / "classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["encoder"], row["class"]) for row in rows[:2]] == [("encoder", "disc"), ("encoder", "square")]
    assert float(rows[0]["ap_11point"]) == pytest.approx(numbers["ap_disc"], abs=1e-6)
    assert sum(int(row["objects"]) for row in rows[:2]) == numbers["objects_test"]
    sheet = np.asarray(Image.open(tmp_path / "detections.png").convert("RGB"))
    assert sheet.shape[1] > 3 * 256, "objects, encoder, untrained"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(voc):
    options = SMALL | {"steps": 12}
    first, second = (detection.evaluate(encoder(), voc, **options, trained=False) for _ in range(2))
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fine_tune", "augment"])
def test_other_strategies_train_the_trunk(voc, strategy):
    network = encoder()
    before = [w.copy() for w in network.get_weights()]
    numbers = detection.evaluate(network, voc, **SMALL | {"steps": 40, "strategy": strategy}).flat()
    assert 0.2 < numbers["map"] <= 1
    for weights, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, kept)


@pytest.mark.slow
def test_joint_training_gives_the_encoder_its_weights_back(voc):
    network = encoder()
    rgb = keras.Input((None, None, 3))
    task = keras.Model(rgb, keras.layers.Dense(1, name="answer")(network(rgb)["conv2"]))
    task.compile("sgd", "mse")
    before = [w.copy() for w in task.get_weights()]
    examples = np.random.default_rng(0).random((4, 16, 16, 3), np.float32), np.zeros((4, 4, 4, 1), np.float32)
    pretext = Pretext(task, tf.data.Dataset.from_tensors(examples).repeat())
    options = SMALL | {"steps": 10, "strategy": "joint", "pretext": pretext}
    joint = detection.evaluate(network, voc, **options, pretext_weight=10.0).flat()
    for weights, kept in zip(task.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, kept)
    alone = detection.evaluate(network, voc, **options, pretext_weight=0.0).flat()
    assert joint["training_loss"] != alone["training_loss"]
    assert joint["untrained_training_loss"] == alone["untrained_training_loss"], "it has no pretext task"


def test_random_networks_are_their_own_baseline(voc):
    numbers = detection.evaluate(encoder(), voc, **SMALL | {"steps": 5, "seeds": 2}, trained=False).flat()
    assert "untrained_map" not in numbers and "map_std" in numbers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tap": "conv9"}, "`tap`: there is no 'conv9'"),
        ({"strategy": "frozen"}, "`strategy` must be one of"),
        ({"strategy": "joint"}, "strategy='joint' needs"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0"),
        ({"dropout": 1.0}, "`dropout` must be"),
        ({"short_size": 99, "long_size": 64}, "`short_size` must be"),
        ({"steps": 0}, "`steps` must be a positive integer"),
        ({"proposals": "boxes"}, "`proposals` must be one of"),
        ({"test_split": "train"}, "`test_split` must not be the training split"),
    ],
)
def test_wrong_options_are_named(voc, options, message):
    with pytest.raises(ConfigError, match=message):
        detection.evaluate(encoder(), voc, **SMALL | options)


def test_wrong_data_is_named(voc, tmp_path):
    with pytest.raises(SourceError, match="must be a VOC directory"):
        detection.evaluate(encoder(), tmp_path, **SMALL)
    with pytest.raises(SourceError, match="has no split 'test'; it has train, val"):
        detection.evaluate(encoder(), voc, **SMALL, test_split="test")
