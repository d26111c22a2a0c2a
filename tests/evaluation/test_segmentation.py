"""Segmentation as a whole: what is trained, what is left alone, what is written."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.examples import Skipped
from tfssl.data.voc import masked_set
from tfssl.errors import ConfigError
from tfssl.evaluation.dense.class_colors import legend, painted, palette
from tfssl.evaluation.dense.task import measure
from tfssl.evaluation.tasks.segmentation import class_pixels, evaluate, pixel_cross_entropy, segmentation_task
from tfssl.transfer.training import Pretext

SHORT = {"steps": 40, "crop": 24, "batch_size": 4, "rate": 0.1, "seeds": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Noise with a bright rectangle; the rectangle is class 1, its outermost pixels are unlabeled."""
    folder, random = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    (folder / "classes.txt").write_text("ground\nbright\nnever\nUnlabeled\n")
    for part, count in (("train", 8), ("val", 4)):
        (folder / part).mkdir()
        (folder / f"{part}annot").mkdir()
        for i in range(count):
            height, width = random.integers(30, 50, 2)
            rgb, mask = random.integers(0, 120, (height, width, 3)), np.zeros((height, width), np.uint8)
            top, left = random.integers(2, 10, 2)
            inside = slice(top, top + 16), slice(left, left + 14)
            mask[top - 1 : top + 17, left - 1 : left + 15] = 3
            rgb[inside] += 120
            mask[inside] = 1
            Image.fromarray(rgb.astype(np.uint8)).save(folder / part / f"{i}.png")
            Image.fromarray(mask).save(folder / f"{part}annot" / f"{i}.png")
    return folder


@pytest.fixture
def encoder():
    """Two taps of strides 1 and 2, the second with batch normalization."""
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(6, 3, activation="relu", padding="same")(rgb)
    two = keras.layers.Conv2D(8, 3, strides=2, padding="same")(one)
    two = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(two))
    return keras.Model(rgb, {"conv1": one, "conv2": two}, name="encoder")


def test_it_learns_what_can_be_seen_and_writes_it_down(root, encoder, tmp_path):
    kept, seen = encoder.get_weights(), []
    options = SHORT | {"steps": 80, "seeds": 2}
    numbers = evaluate(encoder, root, **options, out=tmp_path, progress=lambda *state: seen.append(state))
    for before, after in zip(kept, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert numbers["mean_iou"] > 0.8 > 0.6 > numbers["majority_mean_iou"]
    assert numbers["gain"] == pytest.approx(numbers["mean_iou"] - numbers["untrained_mean_iou"])
    assert (numbers["taps"], numbers["majority_class"]) == ("conv2", "ground")
    assert (numbers["images_train"], numbers["images_test"], numbers["images_skipped"]) == (8, 4, 0)
    assert numbers["mean_iou"] == pytest.approx((numbers["iou_ground"] + numbers["iou_bright"]) / 2)
    assert "iou_never" not in numbers and seen[-1][:2] == (320, 320)
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert {key: record[key] for key in numbers} == numbers and record["task"] == "segmentation"
    wanted = {**options, "head": "32s", "strategy": "freeze", "test_split": "val"}
    assert {key: record["protocol"][key] for key in wanted} == wanted
    with open(tmp_path / "classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 3 and rows[2]["class"] == "never" and rows[2]["iou"] == ""
    with open(tmp_path / "runs.csv", newline="") as file:
        runs = [float(row["mean_iou"]) for row in csv.DictReader(file) if row["encoder"] == "encoder"]
    assert np.mean(runs) == pytest.approx(numbers["mean_iou"])
    assert np.std(runs, ddof=1) == pytest.approx(numbers["mean_iou_std"])
    with Image.open(tmp_path / "pictures.png") as sheet:
        assert sheet.width > 4 * 192


def test_whole_pictures_are_answered_at_their_own_size(root, encoder):
    """A head that copies one tap: the answer is that tap, resized and cut, whatever the picture's size."""
    sets = [masked_set(root, split) for split in ("train", "val")]
    task, skipped = segmentation_task(*sets), Skipped()
    rgb = keras.Input((None, None, 3))
    scores = keras.layers.AveragePooling2D(4)(keras.layers.Concatenate()([1 - rgb, rgb])[..., 2:5])
    tally, answers = measure(task, keras.Model(rgb, scores), 4, skipped)
    assert sorted(answers) == [0, 1, 2, 3] and not skipped.reasons
    for index, picture, target in task.test.pairs(skipped):
        height, width = target.shape
        padded = np.pad(picture / 255.0, [(0, -height % 4), (0, -width % 4), (0, 0)], mode="edge")
        cells = padded.reshape(padded.shape[0] // 4, 4, padded.shape[1] // 4, 4, 3).mean((1, 3)).astype(np.float32)
        both = np.stack([1 - cells[..., 2], cells[..., 0], cells[..., 1]], axis=-1)
        wanted = tf.image.resize(both, padded.shape[:2]).numpy().argmax(-1)[:height, :width]
        assert np.mean(answers[index] != wanted) < 0.001
        known = target != 255
        tally.counts -= np.bincount(3 * target[known] + answers[index][known], minlength=9).reshape(3, 3)
    assert not tally.counts.any()


def test_skips_and_fine_tuning(root, encoder):
    kept = encoder.get_weights()
    numbers = evaluate(
        encoder, root, **SHORT | {"rate": 0.03}, head="16s", strategy="fine_tune", compare={"twin": encoder}
    )
    assert numbers["taps"] == "conv2,conv1" and numbers["mean_iou"] > numbers["majority_mean_iou"]
    assert numbers["twin_mean_iou"] == numbers["mean_iou"]
    assert all((a == b).all() for a, b in zip(kept, encoder.get_weights(), strict=True)), "a copy is trained"


def test_joint_training_gives_the_encoder_back_as_it_was(root, encoder):
    rgb = keras.Input((None, None, 3))
    model = keras.Model(rgb, keras.layers.Conv2D(3, 1)(encoder(rgb)["conv1"]))
    model.compile("sgd", "mse")
    batch = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype(np.float32)
    pretext = Pretext(model, tf.data.Dataset.from_tensors((batch, batch)).repeat())
    kept = model.get_weights()
    options = SHORT | {"strategy": "joint", "steps": 10, "compare": {"twin": encoder}}
    numbers = evaluate(encoder, root, **options, pretext=pretext)
    assert all((a == b).all() for a, b in zip(kept, model.get_weights(), strict=True))
    assert numbers["training_loss"] != numbers["twin_training_loss"], "the twin is trained without the pretext task"
    alone = evaluate(encoder, root, **options, pretext=pretext, pretext_weight=0.0)
    assert alone["training_loss"] == alone["twin_training_loss"] == numbers["twin_training_loss"]
    for wrong in ({"strategy": "joint"}, {"pretext": pretext}, {"strategy": "joint", "trained": False}):
        with pytest.raises(ConfigError, match="strategy='joint' needs"):
            evaluate(encoder, root, **SHORT | wrong)


def test_random_weights_are_their_own_baseline_and_pixels_have_none(root, encoder):
    numbers = evaluate(encoder, root, **SHORT | {"steps": 2}, trained=False)
    assert "untrained_mean_iou" not in numbers and "gain" not in numbers
    rgb = keras.Input((None, None, 3))
    pixels = keras.Model(rgb, {"pixels": keras.layers.Identity()(rgb)})
    assert evaluate(pixels, root, **SHORT)["taps"] == "pixels"


def test_the_loss_is_the_mean_over_pixels_that_count():
    random = np.random.default_rng(0)
    targets, scores = random.integers(0, 5, (2, 3, 4)).astype(np.int32), random.normal(size=(2, 3, 4, 5))
    targets[0, 0], targets[1, 2, 1] = 255, 255
    losses = []
    for index in np.ndindex(2, 3, 4):
        if targets[index] != 255:
            row = scores[index]
            losses.append(np.log(np.exp(row).sum()) - row[targets[index]])
    assert float(pixel_cross_entropy(targets, scores)) == pytest.approx(np.mean(losses))
    even = pixel_cross_entropy(targets, np.zeros((2, 3, 4, 21), np.float32))
    assert float(even) == pytest.approx(np.log(21), abs=1e-6)
    assert float(pixel_cross_entropy(np.full((1, 2, 2), 255), scores[:1, :2, :2])) == 0.0


def test_pixels_of_the_training_set_are_counted(root):
    task = segmentation_task(masked_set(root, "train"), masked_set(root, "val"))
    counts = class_pixels(task, Skipped())
    pixels = sum(Image.open(path).size[0] * Image.open(path).size[1] for path in task.train.paths)
    assert counts.tolist() == [pixels - 8 * 16 * 18, 8 * 16 * 14, 0]


def test_colors_are_those_of_voc():
    wanted = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert [tuple(row) for row in palette()[:5].tolist()] == wanted
    assert palette()[[8, 15, 20]].tolist() == [[64, 0, 0], [192, 128, 128], [0, 64, 128]]
    assert painted(np.array([[1, 255]])).tolist() == [[[128, 0, 0], [255, 255, 255]]]
    key = legend(("sky", "road"))
    assert key.getpixel((3, 3)) == (0, 0, 0) and key.getpixel((3, key.height // 2 + 3)) == (128, 0, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head": "2s"}, "`head` must be one of"),
        ({"strategy": "thaw"}, "`strategy` must be one of fine_tune"),
        ({"steps": 0}, "`steps` must be a positive integer"),
        ({"rate": 0}, "`rate` must be above 0"),
        ({"taps": ["conv9"]}, "no 'conv9'"),
        ({"train_from": "conv2"}, "`train_from` belongs to strategy='fine_tune'"),
    ],
)
def test_wrong_settings_are_one_line(root, encoder, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        evaluate(encoder, root, **{**SHORT, **options})
    assert "\n" not in str(caught.value)
