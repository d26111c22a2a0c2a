"""Who takes part in an evaluation, and how runs become a record."""

import csv

import keras
import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.evaluation import get_task, task_names
from tfssl.evaluation.baselines import pixel_encoder, untrained
from tfssl.evaluation.runner import (
    Progress,
    Run,
    best_of_seed,
    best_tap,
    compared,
    finish,
    run_all,
    spread,
)


@pytest.fixture(scope="module")
def encoder():
    """A tower inside an encoder, with batch statistics that training has moved."""
    inside = keras.Input((None, None, 3))
    taps = {"conv1": keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, name="conv1")(inside))}
    taps["conv2"] = keras.layers.Conv2D(5, 3, name="conv2")(taps["conv1"])
    tower = keras.Model(inside, taps, name="tower")
    rgb = keras.Input((None, None, 3))
    encoder = keras.Model(rgb, tower(keras.layers.Rescaling(4.0, offset=-2.0)(rgb)), name="encoder")
    for variable in encoder.variables:
        variable.assign(np.random.default_rng(0).uniform(1, 2, variable.shape))
    return encoder


def values(model):
    return [np.asarray(v) for v in model.variables]


def test_an_untrained_network_shares_nothing(encoder):
    before = values(encoder)
    one, again, other = untrained(encoder, 0), untrained(encoder, 0), untrained(encoder, 1)
    assert [v.path for v in one.variables] == [v.path for v in encoder.variables]
    assert all((a == b).all() for a, b in zip(values(one), values(again), strict=True))
    assert any((a != b).any() for a, b in zip(values(one), values(other), strict=True))
    trained, fresh = (np.concatenate([v.ravel() for v in values(m) if v.ndim == 4]) for m in (encoder, one))
    assert trained.min() >= 1 > np.abs(fresh).max()
    for variable in one.variables:
        variable.assign(np.zeros(variable.shape))
    assert all((a == b).all() for a, b in zip(before, values(encoder), strict=True))


def test_baselines_stand_beside(encoder):
    found = compared(encoder, taps=["conv2"], compare={"other": encoder})
    assert [c.name for c in found] == ["encoder", "untrained", "pixels", "other"]
    assert [c.taps for c in found] == [("conv2",), ("conv2",), ("pixels",), ("conv2",)]
    assert [c.redrawn for c in found] == [False, True, False, False]
    assert [seeds for _, seeds in found[0].networks(3)] == [[0, 1, 2]]
    assert [seeds for _, seeds in found[1].networks(3)] == [[0], [1], [2]]
    assert [c.name for c in compared(encoder, trained=False)] == ["encoder", "pixels"]
    assert [c.name for c in compared(pixel_encoder())] == ["encoder"]


def test_an_encoder_of_another_modality_is_refused_in_one_line(encoder):
    with pytest.raises(ConfigError, match=r"modality='clip'. Received: 'encoder', 'image'") as caught:
        compared(encoder, modality="clip")
    assert "\n" not in str(caught.value)


def test_each_seed_of_an_untrained_network_is_another_network(encoder):
    seen = []

    def measure(entry, network, seeds):
        seen.append((entry.name, id(network), seeds))
        return [Run(entry.name, seed, {"accuracy": 0.5}) for seed in seeds]

    runs = run_all(compared(encoder, pixels=False), 3, measure)
    assert [(name, seeds) for name, _, seeds in seen] == [
        ("encoder", [0, 1, 2]),
        *(("untrained", [seed]) for seed in range(3)),
    ]
    assert [(run.encoder, run.seed) for run in runs] == [(n, s) for n in ("encoder", "untrained") for s in range(3)]


def run(tap, seed, held, right, encoder="encoder"):
    return Run(encoder, seed, {"accuracy": right, "error": 1 - right}, tap, held, {"strength": 1.0})


RUNS = [
    *(run("conv1", 0, 0.5, 0.30), run("conv1", 1, 0.3, 0.30)),
    *(run("conv2", 0, 0.4, 0.44), run("conv2", 1, 0.6, 0.40)),
    *(run("conv1", 0, 0.2, 0.2, "untrained"), run("conv1", 1, 0.2, 0.1, "untrained")),
    run("pixels", 0, 0.2, 0.25, "pixels"),
]


def test_a_record_tells_both_best_taps(tmp_path):
    record = finish(
        "probe",
        RUNS,
        protocol={"seeds": 2},
        kinds={"error": ("degrees", False)},
        by_tap="accuracy",
        baselines={"accuracy": {"chance": 0.05}},
        counts={"images_test": 9},
        skipped={"b": "gone", "a": "gone"},
        out=tmp_path,
    )
    accuracy = record["accuracy"]
    assert accuracy.value == pytest.approx((0.30 + 0.40) / 2), "conv1 chosen by seed 0, conv2 by seed 1"
    assert accuracy.std == pytest.approx(np.std([0.30, 0.40], ddof=1)) and accuracy.n == 2
    assert accuracy.baselines == pytest.approx({"untrained": 0.15, "pixels": 0.25, "chance": 0.05})
    assert (accuracy.unit, accuracy.higher_is_better) == ("fraction", True) and accuracy.gain == pytest.approx(0.2)
    assert (record["error"].unit, record["error"].higher_is_better) == ("degrees", False)
    best = record["best_on_test"]
    assert best.value == pytest.approx(0.42) and record.details["best_on_test_tap"] == "conv2"
    assert best.gain == pytest.approx(0.27) and best.baselines["pixels"] == 0.25
    assert record["tap_conv1"].value == pytest.approx(0.3) and record["tap_conv1"].std == 0
    assert record["tap_conv1"].baselines == pytest.approx({"untrained": 0.15})
    assert record.details["encoders"]["untrained"]["accuracy_std"] == pytest.approx(np.std([0.2, 0.1], ddof=1))
    assert record.details["encoders"]["pixels"] == {"tap": "pixels", "best_on_test_tap": "pixels"}
    assert next(iter(record)) == "accuracy" and record["images_test"].higher_is_better is None
    assert list(record.skipped) == ["a", "b"]
    with open(tmp_path / "runs.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(RUNS) and list(table[0]) == [
        *("encoder", "seed", "tap", "held_out", "strength", "accuracy", "error"),
    ]


def test_a_single_run_has_no_deviation():
    record = finish("probe", [run("conv1", 0, None, 0.3)], protocol={})
    assert record["accuracy"].std is None and record["accuracy"].n == 1 and "encoders" not in record.details


def test_runs_are_chosen_by_held_out_data():
    own = [r for r in RUNS if r.encoder == "encoder"]
    assert [r.tap for r in best_of_seed(own)] == ["conv1", "conv2"]
    assert [r.tap for r in best_tap(own)] == ["conv2", "conv2"], "0.5 on average, conv1 0.4"


def test_progress_counts_units_and_trainings():
    seen = []
    work = Progress(lambda *state: seen.append(state), 12)
    work.add("images", 2)
    step = work.steps("encoder", 5)
    step(3, 5, "loss 1.0")
    work.steps("untrained", 5)(5, 5)
    assert seen == [(0, 12, ""), (2, 12, "images"), (5, 12, "encoder loss 1.0"), (12, 12, "untrained")]
    Progress(None, 1).add("nobody asks")


def test_things_are_spread_evenly():
    assert spread(100, 4) == [0, 33, 66, 99] and spread(3, 8) == [0, 1, 2] and spread(1, 8) == [0]


def test_what_is_no_encoder_is_refused(encoder):
    rgb = keras.Input((None, None, 3))
    with pytest.raises(ConfigError, match="is no encoder"):
        compared(keras.Model(rgb, keras.layers.Conv2D(2, 3)(rgb)))
    with pytest.raises(ConfigError, match="is taken"):
        compared(encoder, compare={"untrained": encoder})


def test_tasks_are_found_by_name():
    assert {"knn", "linear_probe"} <= set(task_names())
    assert get_task("knn").__module__ == "tfssl.evaluation.tasks.knn"
    with pytest.raises(ConfigError, match="unknown task `linear_prob`: did you mean `linear_probe`"):
        get_task("linear_prob")
