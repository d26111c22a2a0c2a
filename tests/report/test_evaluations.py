"""Evaluations are given to the run that they measured, and how that is known is said."""

import numpy as np
import pytest

from tfssl.errors import SourceError
from tfssl.evaluation.record import method_record
from tfssl.files import sha256
from tfssl.report.evaluations import Evaluation, find_evaluations, headline
from tfssl.report.runs import read_runs, verdict


@pytest.fixture
def runs(make_run):
    return read_runs([make_run("one"), make_run("two", method="context_prediction", weights=b"others")])


def test_by_place_weights_path_name_and_configuration(runs, make_evaluation, tmp_path):
    make_evaluation("runs/one/evaluations/knn")
    make_evaluation("given/a", weights_sha256=runs[1].fingerprint, model="moved/elsewhere")
    make_evaluation("given/b", model=str(tmp_path / "runs" / "one"), weights_sha256="0" * 64)
    make_evaluation("given/two/knn")
    make_evaluation("given/c", task="context_prediction", config=runs[1].method.model_dump(mode="json"))
    make_evaluation("given/d", model="random:alexnet_s")
    make_evaluation("given/e")
    measured, problems = find_evaluations(runs, [tmp_path / "given"])
    assert not problems
    known = {str(m.folder.relative_to(tmp_path)): (m.run, m.because, m.stale) for m in measured}
    assert known == {
        "runs/one/evaluations/knn": ("one", "lies in its folder", False),
        "given/b": ("one", "measured under its path", True),
        "given/a": ("two", "same weights", False),
        "given/c": ("two", "by its configuration only", False),
        "given/two/knn": ("two", "by the name of its folder only", False),
        "given/d": (None, "measured random:alexnet_s", False),
        "given/e": (None, "which run it measured is not recorded", False),
    }
    assert [m.run for m in measured] == ["one", "one", "two", "two", "two", None, None]
    assert [m.folder.name for m in measured if m.own] == ["c"]
    assert {tap: (found.value, found.baselines["untrained"]) for tap, found in measured[0].by_tap.items()} == {
        "conv1": (0.4, 0.31), "conv2": (0.45, 0.21),
    }  # fmt: skip
    assert list(measured[0].compared) == ["accuracy"]


def test_what_cannot_be_read_is_named(runs, make_evaluation, tmp_path):
    (make_evaluation("given/a") / "metrics.json").write_text("{")
    make_evaluation("given/b")
    measured, problems = find_evaluations(runs, [tmp_path / "given"])
    assert [m.folder.name for m in measured] == ["b"]
    assert "given/a/metrics.json" in problems[0] and "cannot be read" in problems[0] and len(problems) == 1


@pytest.mark.parametrize(
    ("gain", "higher", "text", "style"),
    [
        (0.2, True, "+0.2 better", "up"), (0.2, False, "+0.2 worse", "down"), (-3.0, False, "\u22123 better", "up"),
        (-0.05, True, "\u22120.05 worse", "down"), (0.5, None, "+0.5", ""), (0.0, True, "\u00b10", ""),
        (None, True, "\u2013", ""),
    ],
)  # fmt: skip
def test_a_verdict_follows_from_the_direction_that_is_given(gain, higher, text, style):
    cell = verdict(gain, higher)
    assert (cell.text, cell.style, cell.right) == (text, style, True)


@pytest.mark.parametrize(
    ("value", "std", "baselines", "text", "below"),
    [
        (0.5, 0.02, {"untrained": 0.49}, "+0.01 within the deviation", "over untrained"),
        (0.5, 0.002, {"untrained": 0.49}, "+0.01 within the deviation", "over untrained"),  # the baseline's deviates
        (0.5, 0.002, {"untrained": 0.4}, "+0.1 better", "over untrained"),
        (0.2, None, {"chance": 0.125, "constant": 0.25}, "\u22120.05 worse", "over constant"),
        (0.5, None, {"untrained": 0.3, "other run": 0.9}, "+0.2 better", "over untrained"),
    ],
)
def test_the_gain_is_over_the_strongest_baseline_and_beyond_the_deviation(
    runs, make_evaluation, value, std, baselines, text, below
):
    metrics = {
        "iou": {"value": 0.1, "higher_is_better": True},  # without a baseline: no headline
        "accuracy": {"value": value, "std": std, "n": 3, "higher_is_better": True, "baselines": baselines},
    }
    encoders = {"untrained": {"accuracy_std": 0.0123}, "other run": {}}
    make_evaluation("runs/one/evaluations/knn", metrics=metrics, details={"encoders": encoders})
    _, number, gain, beside = headline(find_evaluations(runs)[0][0])
    assert (number.below, gain.text, gain.below) == ("accuracy", text, below)
    assert gain.style == {"better": "up", "worse": "down"}.get(text.split()[-1], "")
    assert beside.below == below.removeprefix("over ")


def test_runs_are_no_evaluations_and_nothing_is_refused(runs, tmp_path):
    with pytest.raises(SourceError, match=r"holds no metrics\.json of an evaluation"):
        find_evaluations(runs, [tmp_path / "runs"])
    assert find_evaluations(runs) == ([], [])


def test_the_fingerprint_is_that_of_the_weights_file(runs):
    assert runs[0].fingerprint == sha256(runs[0].folder / "model.keras") != runs[1].fingerprint


def test_the_autoencoder_stands_beside_the_corrupted_image(tmp_path):
    from tfssl.methods import DenoisingAutoencoder
    from tfssl.methods.denoising_autoencoder.evaluate import METRICS, denoising_metrics

    errors = {"noisy": [0.04], "denoised": [0.01], "clean": [0.005]}
    metrics = denoising_metrics({name: np.array(values) for name, values in errors.items()})
    record = method_record(DenoisingAutoencoder(), metrics, METRICS)
    _, value, gain, beside = headline(Evaluation(tmp_path, record, "run", "", own=True))
    assert (value.below, beside.below, beside.value) == ("mse denoised", "noisy", 0.04) and gain.text.endswith("better")
