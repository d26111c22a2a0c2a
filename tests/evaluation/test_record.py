"""metrics.json is strict JSON, complete and whole, and is read as it was written."""

import json
import math

import pytest

from tfssl.errors import SourceError
from tfssl.evaluation.record import Metric, Record, metrics_of, model_of, read_record

ACCURACY = Metric(0.5, 0.01, 3, "fraction", True, {"untrained": 0.3, "chance": 0.1})
RECORD = Record(
    "knn",
    {"accuracy": ACCURACY, "loss": Metric(2.0, unit="nats", higher_is_better=False), "images_test": Metric(800)},
    details={"tap": "conv3", "confusion": [[1, 2], [3, 4]]},
    protocol={"train": "classes/train", "strengths": [0.1, 1.0]},
    skipped={"a.jpg": "no image"},
)


def test_what_is_written_is_read(tmp_path):
    RECORD.of("random:small").write(tmp_path / "new")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["metrics.json"]
    found = read_record(tmp_path / "new")
    assert found.metrics == RECORD.metrics and found.details == RECORD.details
    assert found.protocol == RECORD.protocol and found.skipped == RECORD.skipped and found.task == "knn"
    assert found.about["model"] == "random:small" and found.about["weights_sha256"] is None
    assert {"tfssl", "python", "tensorflow", "keras"} <= found.about["versions"].keys()
    assert found.about["date"].endswith("+00:00")
    found.write(tmp_path)
    assert (tmp_path / "metrics.json").read_text() == (tmp_path / "new" / "metrics.json").read_text()


def test_a_number_that_is_not_defined_is_null(tmp_path):
    Record("knn", {"auc": Metric(float("nan"))}).write(tmp_path)
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text and json.loads(text)["metrics"]["auc"]["value"] is None
    assert math.isnan(read_record(tmp_path / "metrics.json")["auc"].value)


def test_a_record_is_a_mapping_of_metrics():
    assert list(RECORD) == ["accuracy", "loss", "images_test"] and len(RECORD) == 3
    assert float(RECORD["accuracy"]) == 0.5 and RECORD["accuracy"].gain == pytest.approx(0.2)
    assert RECORD["loss"].gain is None
    assert list(RECORD.lines()) == [
        "knn: accuracy 0.5 ± 0.01  (untrained 0.3, chance 0.1)",
        "",
        "loss         2 nats",
        "images_test  800",
        "tap          conv3",
    ]
    assert next(RECORD.of("random:small").lines()).startswith("knn of random:small: accuracy 0.5 ")
    assert next(Record("", {"pixels": Metric(24860.0)}).lines()) == ": pixels 24,860", "whole numbers stay whole"
    assert RECORD.flat() == {
        "accuracy": 0.5,
        "accuracy_std": 0.01,
        "untrained_accuracy": 0.3,
        "chance_accuracy": 0.1,
        "loss": 2.0,
        "images_test": 800,
        "tap": "conv3",
    }


def test_baselines_of_a_method_join_their_metrics():
    values = {"images": 4.0, "psnr": 20.0, "mean_fill_psnr": 12.0, "l1": 3.0, "loss": 1.5}
    kinds = {
        "psnr": ("dB", True, {"mean_fill": "mean_fill_psnr", "nn_hog": "nn_hog_psnr"}),
        "loss": ("nats", False, {"guessing": 1.7}),
        "sharpness": ("", None, {}),
    }
    found = metrics_of(values, kinds)
    assert list(found) == ["psnr", "loss", "images", "l1"], "the headline first"
    assert found["psnr"] == Metric(20.0, unit="dB", higher_is_better=True, baselines={"mean_fill": 12.0})
    assert found["loss"].baselines == {"guessing": 1.7} and found["l1"].higher_is_better is None


def test_old_files_give_what_they_can(tmp_path):
    old = {
        "accuracy": 0.4,
        "accuracy_std": 0.1,
        "tap": "conv5",
        "untrained_accuracy": 0.2,
        "untrained_accuracy_std": 0.05,
        "gain": 0.2,
        "auc": None,
        "skipped": {"b.jpg": "damaged"},
        "config": {"method": "jigsaw"},
        "protocol": {"side": 96},
        "model": "runs/a",
    }
    (tmp_path / "metrics.json").write_text(json.dumps(old))
    record = read_record(tmp_path)
    assert record["accuracy"] == Metric(0.4, 0.1, baselines={"untrained": 0.2}) and record.task == "jigsaw"
    assert record.details["tap"] == "conv5" and record.skipped == {"b.jpg": "damaged"}
    assert record.protocol == {"side": 96} and record.about["model"] == "runs/a" and float(record["gain"]) == 0.2


@pytest.mark.parametrize("content", [None, "[1, 2]", "{"])
def test_other_files_are_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(SourceError, match=r"metrics\.json' (cannot be read|holds no record)|cannot be read"):
        read_record(tmp_path)


def test_fingerprint_of_what_was_measured(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.keras").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert model_of(run) == {"model": str(run), "weights_sha256": known}
    assert model_of(run / "model.keras")["weights_sha256"] == known
    assert model_of("pixels")["weights_sha256"] is None and model_of("random:small")["weights_sha256"] is None
    assert model_of("colorizer")["weights_sha256"] is not None, "one that ships, by name"
