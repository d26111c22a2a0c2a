"""Images with several classes: loss and classifiers against their definitions, what chooses what, the whole task."""

import csv
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.presence import (
    STRENGTHS,
    RandomWindow,
    fit_classes,
    held_out,
    mean_average_precision,
    precisions,
    presence_head,
    presence_images,
    presence_loss,
    probe_classes,
)
from tfssl.evaluation.record import read_record
from tfssl.evaluation.tasks.voc_classification import evaluate


def test_loss_of_ignorance_is_ln_2_for_each_class():
    """Card: 20 classes, one image, logits 0."""
    targets = np.zeros((1, 20), np.int32)
    targets[0, :3] = 1
    assert float(presence_loss(targets, np.zeros((1, 20), np.float32))) == pytest.approx(13.862944, abs=1e-5)
    twice = presence_loss(np.repeat(targets, 2, axis=0), np.zeros((2, 20), np.float32))
    assert float(twice) == pytest.approx(20 * math.log(2), abs=1e-5), "summed over classes, mean over the batch"
    assert float(presence_loss(np.array([[1, 0]]), np.array([[2.0, -1.0]]))) == pytest.approx(
        math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))
    )


def test_ignored_labels_change_neither_loss_nor_precision_nor_gradient():
    random = np.random.default_rng(0)
    targets, logits = random.integers(0, 2, (30, 4)), random.normal(size=(30, 4)).astype(np.float32)
    ignored = targets.copy()
    ignored[3, 1] = ignored[7, 2] = 255
    without = presence_loss(targets, logits) - sum(
        np.log1p(np.exp(-(2 * targets[i, k] - 1) * logits[i, k])) / 30 for i, k in ((3, 1), (7, 2))
    )
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = presence_loss(ignored, variable)
    assert float(loss) == pytest.approx(float(without), rel=1e-5)
    gradient = tape.gradient(loss, variable).numpy()
    assert gradient[3, 1] == gradient[7, 2] == 0 and (gradient != 0).sum() == 118
    changed = logits.copy()
    changed[3, 1], changed[7, 2] = 100, -100
    for rule, values in precisions([logits], ignored).items():
        np.testing.assert_array_equal(values, precisions([changed], ignored)[rule])


@pytest.mark.parametrize("classifier", ["svm", "logistic"])
def test_classifiers_are_scikit_learn_s_without_the_ignored(classifier):
    random = np.random.default_rng(0)
    rows, presence = random.normal(size=(120, 6)), random.integers(0, 2, (120, 3))
    presence[:, 2] = 0
    presence[::7, 0] = 255
    weights, bias = fit_classes(rows, presence, 2.0, classifier)
    keep = presence[:, 0] != 255
    model = LinearSVC(C=2.0, dual=False) if classifier == "svm" else LogisticRegression(C=2.0)
    model.fit(rows[keep], presence[keep, 0])
    np.testing.assert_allclose((rows @ weights + bias)[:, 0], model.decision_function(rows), atol=2e-3)
    assert not weights[:, 2].any() and bias[2] == 0, "a class that no image shows"


def planted(count, seed, classes=3, numbers=40, strength=1.5):
    random = np.random.default_rng(seed)
    presence = (random.random((count, classes)) < 0.3).astype(np.int32)
    rows = random.normal(size=(count, numbers)).astype(np.float32)
    rows[:, :classes] += strength * presence
    return rows, presence


def test_strength_is_chosen_on_held_out_images_and_the_test_is_on_all():
    (rows, presence), (tested, wanted) = planted(150, 0), planted(600, 1)
    scaler = StandardScaler().fit(rows)
    vectors = [scaler.transform(x) / 40**0.5 for x in (rows, tested)]
    for seed, strength, right, (scores,) in probe_classes(rows, [tested], presence, [0, 1], "logistic"):
        held, found = held_out(150, seed), {}
        assert held.sum() == 30
        for c in STRENGTHS:
            models = [LogisticRegression(C=c, max_iter=5000).fit(vectors[0][~held], y[~held]) for y in presence.T]
            answers = np.stack([m.decision_function(vectors[0][held]) for m in models], axis=-1)
            found[c] = mean_average_precision(answers, presence[held])
        assert right == pytest.approx(found[strength], abs=0.01) and found[strength] >= max(found.values()) - 0.01
        models = [LogisticRegression(C=strength, max_iter=5000).fit(vectors[0], y) for y in presence.T]
        answers = np.stack([m.decision_function(vectors[1]) for m in models], axis=-1)
        assert mean_average_precision(scores, wanted) == pytest.approx(
            mean_average_precision(answers, wanted), abs=5e-3
        )


def test_random_labels_rank_like_chance():
    rows, presence = planted(200, 0, strength=0.0)
    tested, wanted = planted(3000, 1, strength=0.0)
    ((_, _, _, (scores,)),) = probe_classes(rows, [tested], presence, [0], "svm")
    assert mean_average_precision(scores, wanted) == pytest.approx(wanted.mean(), abs=0.03)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Gray noise with a red, a green, both or no square; one blue object that is difficult."""
    folder, random = tmp_path_factory.mktemp("voc"), np.random.default_rng(0)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for split, count in (("train", 24), ("val", 16)):
        names = []
        for i in range(count):
            pixels, objects = np.repeat(random.integers(60, 190, (40, 48, 1)), 3, axis=2), []
            for channel, (label, shown) in enumerate((("red", i % 2), ("green", i % 3 == 0))):
                if shown:
                    pixels[8:36, 4 + 20 * channel : 22 + 20 * channel, channel] += 60
                    objects.append((label, 0, 5 + 20 * channel, 22 + 20 * channel))
            if i == 0:
                objects.append(("red", 1, 1, 4))
            names.append(f"{split}{i}")
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "JPEGImages" / f"{names[-1]}.jpg", quality=95)
            parts = "".join(
                f"<object><name>{label}</name><difficult>{hard}</difficult><bndbox><xmin>{x}</xmin><ymin>9</ymin>"
                f"<xmax>{x2}</xmax><ymax>36</ymax></bndbox></object>"
                for label, hard, x, x2 in objects
            )
            (folder / "Annotations" / f"{names[-1]}.xml").write_text(f"<annotation>{parts}</annotation>")
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))
    return folder


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(6, 3, activation="relu", padding="same")(rgb)
    two = keras.layers.Conv2D(8, 3, strides=2, activation="relu", padding="same")(one)
    return keras.Model(rgb, {"conv1": one, "conv2": two}, name="encoder")


def test_presence_of_the_splits(root):
    train, test = presence_images(root, "train", "val")
    assert train.classes == ("green", "red") and (len(train), len(test)) == (24, 16)
    np.testing.assert_array_equal(train.labels[:4], [[1, 255], [0, 1], [0, 0], [1, 1]])
    with pytest.raises(ConfigError, match="must not be the training set"):
        presence_images(root, "val", "val")
    with pytest.raises(SourceError, match="class 'blue' is in none"):
        presence_images(root, "train", "val", classes=["green", "red", "blue"])


def test_windows_have_the_scales_of_the_protocol():
    """An image whose columns tell where they are: windows are 0.5 to 2 times as wide as what they show."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    window, row = RandomWindow(40), np.array([0, 1], np.int32)
    example = {"image": Image.fromarray(ramp), "label": row}
    widths, mirrored = [], 0
    for seed in range(200):
        pixels, presence = window(example, np.random.default_rng(seed), True)
        assert pixels.shape == (40, 40, 3) and presence is row
        columns = pixels[0, :, 0].astype(float)
        widths.append(abs(columns[-2] - columns[1]) * 40 / 37)
        mirrored += columns[-2] < columns[1]
    scales = 40 / np.array(widths)
    assert 0.48 < scales.min() < 0.6 and 1.8 < scales.max() < 2.1 and 70 < mirrored < 130
    assert np.mean(scales) == pytest.approx(1.25, abs=0.12)
    center, _ = window(example, np.random.default_rng(0), False)
    assert abs(center[0, 0, 0] - 30) < 4 and abs(int(center[0, -1, 0]) - 225) < 4


def test_the_head_starts_as_the_protocol_says():
    tap = keras.Input((5, 5, 64))
    model = keras.Model(tap, presence_head(20, hidden=(300,))({"conv5": tap}))
    kernel, bias = model.get_layer("scores").get_weights()
    assert kernel.shape == (300, 20) and np.std(kernel) == pytest.approx(0.01, rel=0.05) and (bias == 0.1).all()
    assert model.get_layer("fc6").get_weights()[0].shape == (12 * 12 * 64, 300), "about 9000 numbers"


def test_the_whole_evaluation(root, encoder, tmp_path):
    seen = []
    options = {"image_size": 32, "pool": 3, "seeds": 2, "crops": 10}
    record = evaluate(encoder, root, out=tmp_path, progress=lambda *state: seen.append(state), **options)
    beside = record["map_area"].baselines
    assert beside["pixels"] > 0.95, "the colors tell these classes apart"
    assert beside["chance"] == pytest.approx((8 / 15 + 6 / 16) / 2), "one image is ignored"
    assert [record[name].value for name in ("images_train", "images_test", "classes")] == [24, 16, 2]
    assert read_record(tmp_path).metrics == record.metrics
    assert record.protocol["strengths"] == STRENGTHS and record.protocol["classifier"] == "svm"
    with open(tmp_path / "runs.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * 5 and [done for done, *_ in seen] == [*range(11)] and seen[-1][:2] == (10, 10)
    rules = {"ap_red", "ap_11point_red", "ap_area_10crop_red", "ap_11point_10crop_red"}
    assert set(table[0]) >= {"map_area", "map_11point_10crop"} | rules
    own = [r for r in table if (r["encoder"], r["tap"]) == ("encoder", "conv2")]
    assert record["tap_conv2"].value == pytest.approx(np.mean([float(r["map_area"]) for r in own]))
    for row in own:
        mean = (float(row["ap_red"]) + float(row["ap_green"])) / 2
        assert float(row["map_area"]) == pytest.approx(mean)
    with Image.open(tmp_path / "taps.png") as picture:
        assert picture.size == (960, 630)
    logistic = evaluate(
        encoder, root, **options | {"crops": 1, "taps": ["conv2"], "classifier": "logistic", "seeds": 1}
    )
    assert logistic["map_area"].baselines["pixels"] > 0.95 and "map_area_10crop" not in logistic


@pytest.mark.slow
def test_a_trained_network(root, encoder, tmp_path):
    """The head alone tells the colors apart; the encoder stays as it is; ten windows are scored too."""
    before, seen = encoder.get_weights(), []
    options = {
        "image_size": 24,
        "pool": 3,
        "seeds": 1,
        "classifier": "network",
        "steps": 160,
        "learning_rate": 0.01,
        "crops": 10,
    }
    record = evaluate(encoder, root, out=tmp_path, progress=lambda *state: seen.append(state), **options)
    assert record.details["tap"] == "conv2"
    area = record["map_area"]
    assert min(area.value, float(record["map_area_10crop"])) > area.baselines["chance"] + 0.3, "far above chance"
    assert seen[-1][:2] == (320, 320) and set(area.baselines) == {"untrained", "chance"}
    assert all((a == b).all() for a, b in zip(before, encoder.get_weights(), strict=True))
    protocol = record.protocol
    assert protocol["strategy"] == "freeze" and protocol["steps"] == 160 and protocol["batch_size"] == 16
    assert not (tmp_path / "taps.png").exists()
    few = options | {"steps": 4, "crops": 1, "trained": False}
    tuned = evaluate(encoder, root, strategy="fine_tune", train_from="conv2", hidden=[8], **few)
    assert 0 < tuned["map_area"].value <= 1 and "untrained" not in tuned["map_area"].baselines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classifier": "forest"}, "`classifier` must be one of svm, logistic, network"),
        ({"crops": 5}, "`crops` must be 1 or 10"),
        ({"image_size": 4}, "`image_size` must be an integer from 8"),
        ({"strategy": "fine_tune"}, "belong to classifier='network'"),
        ({"classifier": "network", "strategy": "joint"}, "needs a trained encoder and its `pretext`"),
        ({"classifier": "network", "strategy": "thaw"}, "`strategy` must be one of fine_tune"),
        ({"classifier": "network", "learning_rate": 0}, "`learning_rate` must be above 0"),
        ({"classifier": "network", "hidden": 0}, "`hidden` must be a positive integer"),
        ({"seeds": 0}, "`seeds` must be a positive integer"),
        ({"taps": ["conv9"]}, "no 'conv9'"),
    ],
)
def test_wrong_settings_are_one_line(root, encoder, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        evaluate(encoder, root, **{"image_size": 24, "pool": 1, "seeds": 1, **options})
    assert "\n" not in str(caught.value)
