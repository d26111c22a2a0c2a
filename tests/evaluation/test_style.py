"""Labels of images from normalized vectors, and their scores taken together."""

import dataclasses

import keras
import numpy as np
import pandas
import pytest
from PIL import Image

from tfssl.data.images import ArraySource
from tfssl.data.tagged import TaggedImages
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.average_precision import average_precision
from tfssl.evaluation.off_the_shelf import choose, fit, fuse, products, signed_root, standardized
from tfssl.evaluation.presence import fit_classes
from tfssl.evaluation.tagged import Parts, TaggedSets
from tfssl.evaluation.tasks.style import evaluate

SIZE = 16


def test_vectors_are_normalized_as_in_the_card():
    assert signed_root(np.array([[3.0, 4.0], [-3.0, 4.0], [0.0, 0.0]])) == pytest.approx(
        np.array([[0.6547, 0.7559], [-0.6547, 0.7559], [0, 0]]), abs=1e-4
    )


def test_products_are_all_pairs():
    style, content = np.array([[1.0, 2.0, 3.0]]), np.array([[10.0, 100.0]])
    assert products(style, content).tolist() == [[10, 100, 20, 200, 30, 300]]


def test_scores_are_standardized_by_the_known_ones():
    scores = np.array([[1.0, 5.0], [3.0, 5.0], [9.0, 5.0]])
    assert standardized(scores, np.array([0, 1])).tolist() == [[-1, 0], [1, 0], [7, 0]]


@pytest.mark.parametrize("classifier", ["svm", "logistic"])
def test_rows_are_fitted_in_their_span_without_a_difference(classifier):
    rng = np.random.default_rng(0)
    rows, labels = signed_root(rng.normal(size=(12, 30))), np.eye(2, dtype=int)[np.arange(12) % 2]
    weights, bias = fit_classes(rows, labels, 1.0, classifier)
    assert fit([rows], labels, 1.0, classifier)([rows]) == pytest.approx(rows @ weights + bias, abs=2e-3)
    twice = fit([rows, rows], labels, 1.0, classifier)
    assert twice([rows, rows]) == pytest.approx(rows @ weights + bias, abs=2e-3), "copies count as one image"
    assert twice([rows, -rows]) == pytest.approx(np.tile(twice.bias, (12, 1)), abs=1e-5), "their mean"


def parts(count, seed=0):
    names = np.array(["train", "validation", "test"])[np.arange(count) % 3]
    labels = np.eye(4, dtype=np.int32)[np.random.default_rng(seed).integers(0, 4, count)]
    return Parts(tuple("abcd"), labels, np.arange(count), names, None, seed)


def test_separable_classes_are_ranked_without_a_mistake():
    part = parts(120)
    rows = signed_root(part.labels @ np.random.default_rng(1).normal(size=(4, 8)))
    strength, found = choose(rows, part.labels, part.train, part.validation, "svm")
    assert found == 1.0
    scores = fit([rows[part.train]], part.labels[part.train], strength, "svm")([rows])
    assert part.metrics(scores)["map"] == part.metrics(scores)["accuracy"] == 1.0


def test_random_scores_are_as_good_as_chance():
    part = parts(6000)
    scores = np.random.default_rng(5).normal(size=(6000, 4))
    assert part.chance() == pytest.approx(0.25, abs=1e-9)
    assert part.metrics(scores)["map"] == pytest.approx(0.25, abs=0.02)


def test_a_fusion_is_better_than_what_it_is_made_of():
    part, rng = parts(1500), np.random.default_rng(2)
    halves = [part.labels * [1, 1, 0, 0], part.labels * [0, 0, 1, 1]]  # each knows two of the classes
    scores = [half + 0.5 * rng.normal(size=half.shape) for half in halves]
    fused, _ = fuse(scores, part, "logistic")
    single = [part.metrics(one)["map"] for one in scores]
    assert part.metrics(fused)["map"] > max(single) + 0.15


def test_products_with_content_tell_what_neither_tells():
    part, rng = parts(900), np.random.default_rng(3)
    content = rng.choice([-1.0, 1.0], (900, 1))
    style = (2 * part.labels - 1) * content  # its sign turns with the content
    alone, with_content = fuse([style], part, "logistic")[0], fuse([style], part, "logistic", content)[0]
    assert part.metrics(with_content)["map"] > 0.95 > part.metrics(alone)["map"] + 0.3


def test_an_image_of_two_labels_is_right_with_either():
    part = dataclasses.replace(parts(12), labels=np.tile([1, 1, 0, 0], (12, 1)))
    scores = np.tile([0.0, 1.0, 0.5, 0.0], (12, 1))
    assert part.metrics(scores)["accuracy"] == 1.0


def noisy(labels, classes, rng):
    """Images with a stripe of blue, green or red for each of their labels."""
    rows = []
    for label in labels:
        pixels = rng.integers(0, 90, (SIZE, SIZE, 3))
        for channel in np.flatnonzero(label):
            pixels[4 * channel : 4 * channel + 4, :, channel] += rng.integers(40, 120)
        rows.append(pixels.astype(np.uint8))
    return ArraySource(rows)


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    labels = [np.eye(3, dtype=np.int32)[i % 3] for i in range(60)] + [np.array([1, 0, 1], np.int32)] * 3
    content = tuple(i % 2 for i in range(63))
    options = {"groups": tuple(range(63)), "content": content, "contents": ("sea", "town")}
    return TaggedImages("stripes", noisy(labels, 3, rng), tuple(labels), ("blue", "green", "red"), **options)


def test_the_task(encoder, source, tmp_path):
    before, told = encoder.get_weights(), []
    out = tmp_path / "out"
    options = {"image_size": SIZE, "seeds": 1, "pool": 1}
    record = evaluate(encoder, source, out=out, progress=lambda *units: told.append(units), **options)
    found = record["map"]
    assert set(found.baselines) == {
        "untrained", "pixels", "lab_histogram", "fusion", "content", "fusion_content", "chance"
    }  # fmt: skip
    assert found.value > 0.7 and found.baselines["lab_histogram"] > 0.8 and 0.3 < found.baselines["chance"] < 0.5
    assert {"ap_blue", "accuracy", "tap_conv1", "tap_conv2", "best_on_test"} <= set(record)
    assert all(np.array_equal(a, b) for a, b in zip(before, encoder.get_weights(), strict=True)), "frozen"
    assert told[0][0] == 0 and told[-1][0] == told[-1][1]
    names = {"metrics.json", "runs.csv", "classes.csv", "splits.csv", "taps.png", "confusion.png"}
    assert names | {"mosaics.png", "mosaics.html"} == {path.name for path in out.iterdir()}
    table = pandas.read_csv(out / "classes.csv")
    assert set(table["encoder"]) == {"encoder", *found.baselines} - {"chance"} and table["chance"].between(0, 1).all()
    again = evaluate(encoder, source, split=out / "splits.csv", **options)
    assert {name: float(m) for name, m in again.items()} == {name: float(m) for name, m in record.items()}
    assert again.protocol["splits"] == [42] and not again.protocol["drawn"]


@pytest.mark.slow
def test_ten_crops_and_other_data(encoder, source):
    rng = np.random.default_rng(1)
    labels = [np.eye(2, dtype=np.int32)[i % 2] for i in range(12)]
    as_here = [np.array([0, label[1], label[0]]) for label in labels]  # red and green, and no blue
    other = TaggedImages("other", noisy(as_here, 3, rng), tuple(labels), ("red", "green"), groups=tuple(range(12)))
    options = {"image_size": SIZE, "seeds": 1, "taps": ["conv2"]}
    record = evaluate(encoder, source, transfer=other, augment=True, **options)
    assert record["transfer_map"].value > 0.7 and record["transfer_map"].baselines["chance"] == 0.5
    assert set(record["transfer_map"].baselines) == set(record["map"].baselines)
    assert record.protocol["augment"] and record.protocol["transfer"] == "other"


def test_crops_keep_their_colors(encoder, source):
    sets = TaggedSets([source], SIZE, augment=True)
    uniform = keras.Model(x := keras.Input((None, None, 3)), {"mean": keras.layers.GlobalAveragePooling2D()(x)})
    copies = sets.vectors(uniform, ("mean",), 1)["mean"]
    assert len(copies) == 10 and np.allclose(copies[0], copies[1]), "a mirror image has the same mean"


def test_missing_files_are_skipped_and_named(encoder, tmp_path):
    rows = ["image,labels"]
    for number in range(13):
        if number:
            Image.new("RGB", (SIZE, SIZE), (20 * number, 250 - 20 * number, 9)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    record = evaluate(encoder, tmp_path / "labels.csv", image_size=SIZE, seeds=1, taps=["conv2"])
    assert [name.rsplit("/", 1)[-1] for name in record.skipped] == ["0.png"] and float(record["images_skipped"]) == 1
    assert float(record["images_train"]) + float(record["images_test"]) == 12


@pytest.mark.parametrize(
    ("error", "options", "said"),
    [
        (ConfigError, {"classifier": "forest"}, "`classifier` must be one of svm, logistic"),
        (ConfigError, {"seeds": 0}, "`seeds` must be a positive integer"),
        (ConfigError, {"image_size": 4}, "`image_size` must be an integer from 8"),
        (ConfigError, {"compare": {"fusion": None}}, "the name 'fusion' is taken"),
        (ConfigError, {"fuse": "encoder,pixels"}, "`fuse` must name some of encoder"),
        (SourceError, {"split": "none.csv"}, "`split` 'none.csv' holds no table"),
        (SourceError, {"test": "folder"}, "`test` belongs to class folders"),
    ],
)
def test_wrong_options_are_named(encoder, source, error, options, said):
    with pytest.raises(error, match=said):
        evaluate(encoder, source, **options)


def test_other_data_without_a_common_label(encoder, source):
    other = dataclasses.replace(source, classes=("x", "y", "z"))
    with pytest.raises(SourceError, match="`transfer` shares no label with `data`, such as blue, green, red"):
        evaluate(encoder, source, transfer=other)


def test_average_precision_is_not_interpolated():
    assert average_precision([4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx(0.8333, abs=1e-4)
