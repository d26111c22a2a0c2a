"""Local features in tasks that train a network on top, in ensembles of the command line, and on the sheet of steps."""

import json

import numpy as np
import pytest
from PIL import Image

import tfssl
from tfssl.cli import main
from tfssl.data.builtin import builtin_photographs
from tfssl.data.rendered_shapes import labeled_shapes
from tfssl.errors import ModelError
from tfssl.evaluation.tasks import classification, segmentation
from tfssl.local.encoders import local_encoder
from tfssl.local.steps import steps

pytest.importorskip("cv2", reason="SIFT is computed by OpenCV")


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Rendered shapes in train/<class>/ and test/<class>/."""
    folder = tmp_path_factory.mktemp("classes")
    for seed, part in enumerate(("train", "test")):
        shapes = labeled_shapes(count=24, size=48, seed=seed)
        for index, label in enumerate(shapes.labels):
            path = folder / part / shapes.classes[label] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shapes.example(index)["image"].save(path)
    return folder


def test_classification_trains_a_layer_on_words():
    options = {"image_size": 32, "steps": 3, "batch_size": 4, "seeds": 1}
    encoder = local_encoder("sift-bow", words=4)
    data, test = (labeled_shapes(count=8, size=32, seed=seed) for seed in (0, 1))
    for tap in ("words", "bag"):  # a map and a vector
        record = classification.evaluate(encoder, data, test=test, tap=tap, **options)
        assert set(record["accuracy"].baselines) == {"chance"} and not encoder.adapted
    classification.evaluate(local_encoder("hog"), data, test=test, **options)  # whose vector grows with the image


def test_segmentation_scores_words(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "classes.txt").write_text("ground\nbars\n")
    for part, count in (("train", 4), ("val", 2)):
        for folder in (part, f"{part}annot"):
            (tmp_path / folder).mkdir()
        for number in range(count):
            mask = np.zeros((48, 64), np.uint8)
            mask[:, 32:] = 1
            rgb = random.integers(100, 120, (48, 64, 3)).astype(np.uint8)
            rgb[:, 32::4] = 250
            Image.fromarray(rgb).save(tmp_path / part / f"{number}.png")
            Image.fromarray(mask).save(tmp_path / f"{part}annot" / f"{number}.png")
    options = {"steps": 60, "crop_size": 48, "batch_size": 2, "seeds": 1, "taps": ["words"]}
    record = segmentation.evaluate(local_encoder("sift-bow", words=4), tmp_path, **options)
    assert float(record["mean_iou"]) > 0.8 > record["mean_iou"].baselines["majority"]


def test_the_command_measures_joins_and_compares(classes, tmp_path, capsys):
    words = ["evaluate", "local:lbp", "--ensemble", "local:hog", "--task", "knn", "--data", classes]
    more = ["--out", tmp_path, "image_size=48", "seeds=1", "compare=local:patches-kmeans", "taps=lbp+hog"]
    assert call(*words, *more) == 0
    found = json.loads((tmp_path / "metrics.json").read_text())
    beside = {"local:lbp", "local:hog", "local:patches-kmeans", "pixels", "chance"}
    assert set(found["metrics"]["accuracy"]["baselines"]) == beside
    assert found["model"] == "local:lbp + local:hog"
    assert call("evaluate", "local:hgo", "--task", "knn", "--data", classes) == 2
    assert "did you mean `hog`?" in capsys.readouterr().err


def test_steps_are_drawn_with_a_vocabulary_of_their_own(tmp_path):
    encoder = local_encoder("sift-bow", words=7, step=16)
    numbers = steps({"mine": encoder}, photo=builtin_photographs()[1], out=tmp_path, image_size=64, limit=8)
    assert numbers["mine"]["patches"] == 16 and 1 <= numbers["mine"]["words_used"] <= 7
    assert numbers["mine"]["matches_right"] > 0.9
    assert not encoder.adapted
    with Image.open(tmp_path / "steps-mine.png") as sheet:
        assert sheet.width > 4 * 400
    assert (tmp_path / "index.html").is_file() and (tmp_path / "matches.png").is_file()
    with pytest.raises(ModelError, match="hog has no visual words to show; the steps are those of local:sift-bow"):
        steps({"hog": local_encoder("hog")}, out=tmp_path)


def test_visualize_draws_what_needs_no_vocabulary_and_says_where_one_is_missing(tmp_path):
    numbers = tfssl.api.visualize("local:sift-bow", "steps", out=tmp_path, limit=8)
    assert set(numbers) == {"local:sift-bow"}  # nothing of it is trained
    with pytest.raises(ModelError, match=r"learn its vocabulary first: encoder.adapt\(images\)"):
        tfssl.api.visualize("local:sift-bow", "neighbors", data="builtin", out=tmp_path)
    with pytest.raises(ModelError, match=r"no .*gradient"):
        tfssl.api.visualize("local:hog", "dream", out=tmp_path)
