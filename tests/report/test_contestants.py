"""Baselines told from metrics in flat records, with the names that tasks and methods really write."""

import pytest

from tfssl.report.contestants import comparisons, good_side


def found(record, names=()):
    return {c.metric: c for c in comparisons(record, names)}


def test_the_record_of_a_task():
    record = {
        "task": "knn",
        "accuracy": 0.5,
        "accuracy_std": 0.01,
        "tap": "conv3",
        "best_on_test": 0.6,
        "best_on_test_tap": "conv4",
        "untrained_accuracy": 0.3,
        "untrained_accuracy_std": 0.02,
        "untrained_tap": "conv1",
        "untrained_best_on_test": 0.35,
        "pixels_accuracy": 0.2,
        "pixels_tap": "pixels",
        "pixels_best_on_test": 0.2,
        "jigsaw-1_accuracy": 0.4,
        "jigsaw-1_best_on_test": 0.45,
        "gain": 0.2,
        "tap_conv1": 0.4,
        "chance": 0.01,
        "images_train": 100,
    }
    metrics = found(record)
    assert list(metrics) == ["accuracy", "best_on_test"]
    accuracy = metrics["accuracy"]
    assert (accuracy.value.mean, accuracy.value.std, accuracy.value.layer) == (0.5, 0.01, "conv3")
    assert list(accuracy.others) == ["untrained", "pixels", "jigsaw-1", "chance"]
    assert (accuracy.others["untrained"].std, accuracy.others["untrained"].layer) == (0.02, "conv1")
    assert accuracy.others["pixels"].layer is None, "pixels have no layers"
    assert accuracy.rival == "untrained" and accuracy.gain == pytest.approx(0.2) and accuracy.better is True
    assert metrics["best_on_test"].value.layer == "conv4" and metrics["best_on_test"].others["jigsaw-1"].mean == 0.45


def test_where_small_is_good():
    angle = found({"mean_angle": 30.0, "untrained_mean_angle": 28.0})["mean_angle"]
    assert angle.gain == 2.0 and angle.better is False
    assert found({"l1": 12.0, "mean_fill_l1": 20.0, "nn_hog_l1": 25.0})["l1"].better is True


def test_methods_own_baselines():
    jigsaw = found(
        {"accuracy": 0.5, "chance": 0.02, "loss": 2.0, "baseline": 4.2, "tile_accuracy": 0.3, "tile_chance": 0.1}
    )
    assert jigsaw["accuracy"].rival == jigsaw["tile_accuracy"].rival == "chance"
    assert jigsaw["loss"].rival == "trivial predictor" and jigsaw["loss"].better is True
    context = found({"accuracy": 0.2, "accuracy_chance": 0.125, "accuracy_constant": 0.16, "pairs": 100.0})
    assert {name: v.mean for name, v in context["accuracy"].others.items()} == {"chance": 0.125, "constant": 0.16}
    artifacts = found({"accuracy": 0.5, "chance": 0.5, "auc": 1.0, "mask_auc": 0.53, "mask_accuracy": 0.5})
    assert list(artifacts) == ["accuracy"], "a mask is no contestant"
    assert artifacts["accuracy"].gain == 0 and artifacts["accuracy"].better is None


def test_an_undefined_figure_has_no_gain():
    one = found({"auc": None, "untrained_auc": 0.5})["auc"]
    assert one.gain is None and one.better is None


@pytest.mark.parametrize(
    ("metric", "side"),
    [
        *(("mean_ap", 1), ("coco_ap50", 1), ("mean_iou", 1), ("within_11_25", 1), ("psnr_of_mean", 1)),
        *(("rmse_ab", -1), ("median_angle", -1), ("ciede2000", -1), ("pairs", 0), ("distance_wrong", 0)),
    ],
)
def test_which_side_is_good(metric, side):
    assert good_side(metric) == side
