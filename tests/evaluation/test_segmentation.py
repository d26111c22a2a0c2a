"""Segmentation as a whole: what is trained, what is left alone, what is written."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.metrics import confusion_matrix

from tfssl.data.examples import Skipped
from tfssl.data.voc import masked_images
from tfssl.errors import ConfigError
from tfssl.evaluation.dense.task import measure, readable
from tfssl.evaluation.tasks.segmentation import (
    Confusion,
    class_pixels,
    evaluate,
    legend,
    painted,
    palette,
    pixel_cross_entropy,
    segmentation_task,
)
from tfssl.transfer.training import Pretext

SHORT = {"steps": 40, "crop_size": 24, "batch_size": 4, "learning_rate": 0.1, "seeds": 1}


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
    record = evaluate(encoder, root, **options, out=tmp_path, progress=lambda *state: seen.append(state))
    numbers = record.flat()
    for before, after in zip(kept, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert numbers["mean_iou"] > 0.8 > 0.6 > numbers["majority_mean_iou"]
    assert record["mean_iou"].n == 2 and set(record["mean_iou"].baselines) == {"untrained", "majority"}
    assert (numbers["tap"], numbers["majority_class"], next(iter(record))) == ("conv2", "ground", "mean_iou")
    assert (numbers["images_train"], numbers["images_test"], record.skipped) == (8, 4, {})
    assert numbers["mean_iou"] == pytest.approx((numbers["iou_ground"] + numbers["iou_bright"]) / 2)
    assert "iou_never" not in numbers and seen[-1][:2] == (320, 320)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["task"] == "segmentation" and written["metrics"]["mean_iou"]["value"] == numbers["mean_iou"]
    wanted = {**options, "head": "32s", "strategy": "freeze", "test_split": "val"}
    assert {key: written["protocol"][key] for key in wanted} == wanted
    with open(tmp_path / "classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 3 and rows[2]["class"] == "never" and rows[2]["iou"] == ""
    with open(tmp_path / "runs.csv", newline="") as file:
        runs = [float(row["mean_iou"]) for row in csv.DictReader(file) if row["encoder"] == "encoder"]
    assert np.mean(runs) == pytest.approx(numbers["mean_iou"])
    assert np.std(runs, ddof=1) == pytest.approx(numbers["mean_iou_std"])
    with Image.open(tmp_path / "pictures.png") as sheet:
        assert sheet.width > 4 * 192


def test_whole_images_are_answered_at_their_own_size(root, encoder):
    """A head that copies one tap: the answer is that tap, resized and cut, whatever the image's size."""
    sets = [masked_images(root, split) for split in ("train", "val")]
    task, skipped = segmentation_task(*sets), Skipped()
    rgb = keras.Input((None, None, 3))
    scores = keras.layers.AveragePooling2D(4)(keras.layers.Concatenate()([1 - rgb, rgb])[..., 2:5])
    tally, answers = measure(task, keras.Model(rgb, scores), 4, skipped)
    assert sorted(answers) == [0, 1, 2, 3] and not skipped.reasons
    for index, example in readable(task.test, skipped):
        image, target = np.asarray(example["image"]), example["mask"]
        height, width = target.shape
        padded = np.pad(image / 255.0, [(0, -height % 4), (0, -width % 4), (0, 0)], mode="edge")
        cells = padded.reshape(padded.shape[0] // 4, 4, padded.shape[1] // 4, 4, 3).mean((1, 3)).astype(np.float32)
        both = np.stack([1 - cells[..., 2], cells[..., 0], cells[..., 1]], axis=-1)
        wanted = tf.image.resize(both, padded.shape[:2]).numpy().argmax(-1)[:height, :width]
        assert np.mean(answers[index] != wanted) < 0.001
        known = target != 255
        tally.counts -= np.bincount(3 * target[known] + answers[index][known], minlength=9).reshape(3, 3)
    assert not tally.counts.any()


@pytest.mark.slow
def test_skips_and_fine_tuning(root, encoder):
    kept = encoder.get_weights()
    numbers = evaluate(
        encoder, root, **SHORT | {"learning_rate": 0.03}, head="16s", strategy="fine_tune", compare={"twin": encoder}
    ).flat()
    assert numbers["tap"] == "conv2,conv1" and numbers["mean_iou"] > numbers["majority_mean_iou"]
    assert numbers["twin_mean_iou"] == numbers["mean_iou"]
    assert all((a == b).all() for a, b in zip(kept, encoder.get_weights(), strict=True)), "a copy is trained"


@pytest.mark.slow
def test_joint_training_gives_the_encoder_back_as_it_was(root, encoder):
    rgb = keras.Input((None, None, 3))
    model = keras.Model(rgb, keras.layers.Conv2D(3, 1)(encoder(rgb)["conv1"]))
    model.compile("sgd", "mse")
    batch = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype(np.float32)
    pretext = Pretext(model, tf.data.Dataset.from_tensors((batch, batch)).repeat())
    kept = model.get_weights()
    options = SHORT | {"strategy": "joint", "steps": 10, "compare": {"twin": encoder}}
    numbers = evaluate(encoder, root, **options, pretext=pretext).flat()
    assert all((a == b).all() for a, b in zip(kept, model.get_weights(), strict=True))
    assert numbers["training_loss"] != numbers["twin_training_loss"], "the twin is trained without the pretext task"
    alone = evaluate(encoder, root, **options, pretext=pretext, pretext_weight=0.0).flat()
    assert alone["training_loss"] == alone["twin_training_loss"] == numbers["twin_training_loss"]
    for wrong in ({"strategy": "joint"}, {"pretext": pretext}, {"strategy": "joint", "trained": False}):
        with pytest.raises(ConfigError, match="strategy='joint' needs"):
            evaluate(encoder, root, **SHORT | wrong)


def test_random_weights_are_their_own_baseline_and_pixels_have_none(root, encoder):
    record = evaluate(encoder, root, **SHORT | {"steps": 2}, trained=False)
    assert set(record["mean_iou"].baselines) == {"majority"} and record["mean_iou"].gain is None
    rgb = keras.Input((None, None, 3))
    pixels = keras.Model(rgb, {"pixels": keras.layers.Identity()(rgb)})
    assert evaluate(pixels, root, **SHORT).details["tap"] == "pixels"


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
    task = segmentation_task(masked_images(root, "train"), masked_images(root, "val"))
    counts = class_pixels(task, Skipped())
    pixels = sum(Image.open(path).size[0] * Image.open(path).size[1] for path in task.train.images.paths)
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
        ({"learning_rate": 0}, "`learning_rate` must be above 0"),
        ({"taps": ["conv9"]}, "no 'conv9'"),
        ({"train_from": "conv2"}, "`train_from` belongs to strategy='fine_tune'"),
    ],
)
def test_wrong_settings_are_one_line(root, encoder, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        evaluate(encoder, root, **{**SHORT, **options})
    assert "\n" not in str(caught.value)


def filled(counts):
    confusion = Confusion("abc"[: len(counts)])
    confusion.counts += np.array(counts)
    return confusion


def test_worked_example_of_two_classes():
    numbers = filled([[3, 1], [1, 5]]).metrics()
    assert (numbers["iou_a"], numbers["iou_b"]) == (pytest.approx(0.6), pytest.approx(5 / 7))
    assert numbers["pixel_accuracy"] == pytest.approx(0.8)
    assert numbers["mean_accuracy"] == pytest.approx(0.7916667, abs=1e-7)
    assert numbers["mean_iou"] == pytest.approx(0.6571429, abs=1e-7)
    assert numbers["frequency_weighted_iou"] == pytest.approx(0.6685714, abs=1e-7)
    np.testing.assert_allclose(filled([[3, 1], [1, 5]]).intersection_over_union(), [0.6, 0.7142857], atol=1e-7)


def loop(truths, answers, classes):
    """IoU of each class, pixel by pixel."""
    both, either = np.zeros(classes), np.zeros(classes)
    for truth, answer in zip(truths, answers, strict=True):
        for t, a in zip(truth.ravel(), answer.ravel(), strict=True):
            if t == 255:
                continue
            for k in range(classes):
                both[k] += t == k and a == k
                either[k] += k in (t, a)
    return both / either


def test_streamed_counts_equal_scikit_learn_and_iou_a_plain_loop():
    random, confusion = np.random.default_rng(0), Confusion("abcd")
    truths = [
        random.choice([0, 1, 2, 3, 255], size, p=[0.4, 0.3, 0.15, 0.05, 0.1]) for size in ((9, 7), (5, 8), (6, 6))
    ]
    answers = [np.where(random.random(t.shape) < 0.6, t % 255, random.integers(0, 4, t.shape)) for t in truths]
    for truth, answer in zip(truths, answers, strict=True):
        confusion.add(truth, answer)
    truth, answer = (np.concatenate([x.ravel() for x in arrays]) for arrays in (truths, answers))
    known = truth != 255
    np.testing.assert_array_equal(confusion.counts, confusion_matrix(truth[known], answer[known], labels=range(4)))
    wanted = loop(truths, answers, 4)
    np.testing.assert_allclose(confusion.intersection_over_union(), wanted, rtol=1e-12)
    numbers = confusion.metrics()
    assert numbers["mean_iou"] == pytest.approx(wanted.mean())
    fractions = np.bincount(truth[known], minlength=4) / known.sum()
    assert numbers["frequency_weighted_iou"] == pytest.approx(float(fractions @ wanted))
    assert numbers["pixel_accuracy"] == pytest.approx(np.mean(truth[known] == answer[known]))


def test_what_is_ignored_changes_nothing():
    truth, answer = np.array([[0, 1], [1, 255]]), np.array([[0, 1], [0, 1]])
    some, all_of_it = Confusion("ab"), Confusion("ab")
    some.add(truth[truth != 255], answer[truth != 255])
    all_of_it.add(truth, answer)
    np.testing.assert_array_equal(some.counts, all_of_it.counts)


def test_a_class_that_does_not_occur_has_no_part_in_the_means_but_its_answers_are_mistakes():
    confusion = filled([[4, 0, 0], [0, 3, 1], [0, 0, 0]])
    assert np.isnan(confusion.intersection_over_union()[2]) and np.isnan(confusion.accuracies()[2])
    numbers = confusion.metrics()
    assert "iou_b" in numbers and "iou_c" not in numbers
    assert numbers["mean_iou"] == pytest.approx((1.0 + 0.75) / 2)
    assert numbers["mean_accuracy"] == pytest.approx((1.0 + 0.75) / 2)


def test_nothing_counted_is_nan():
    assert all(np.isnan(value) for value in Confusion("abc").metrics().values())
