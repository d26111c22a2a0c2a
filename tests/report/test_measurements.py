"""Evaluations are given to the run that they measured, and how that is known is said."""

import pytest

from tfssl.errors import SourceError
from tfssl.files import sha256
from tfssl.report.measurements import find_measurements
from tfssl.report.run_record import read_runs


@pytest.fixture
def runs(make_run):
    return read_runs([make_run("one"), make_run("two", method="context_prediction", weights=b"others")])


def test_by_place_weights_path_name_and_configuration(runs, make_evaluation, tmp_path):
    make_evaluation("runs/one/evaluations/knn")
    make_evaluation("given/a", weights_sha256=runs[1].fingerprint, model="moved/elsewhere")
    make_evaluation("given/b", model=str(tmp_path / "runs" / "one"), weights_sha256="0" * 64)
    make_evaluation("given/two/knn")
    make_evaluation("given/c", task=None, config=runs[1].method.model_dump(mode="json"))
    make_evaluation("given/d", model="random:alexnet_s")
    make_evaluation("given/e")
    measured, problems = find_measurements(runs, [tmp_path / "given"])
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
    assert measured[0].by_tap["encoder"] == {"conv1": [0.4], "conv2": [0.5]}


def test_what_cannot_be_read_is_named(runs, make_evaluation, tmp_path):
    (make_evaluation("given/a") / "metrics.json").write_text("{")
    (make_evaluation("given/b") / "taps.csv").write_text("encoder,tap\nencoder,conv1\n")
    measured, problems = find_measurements(runs, [tmp_path / "given"])
    assert [m.folder.name for m in measured] == ["b"] and measured[0].by_tap == {}
    assert "given/a/metrics.json cannot be read" in problems[0] and "taps.csv is no table" in problems[1]


def test_runs_are_no_evaluations_and_nothing_is_refused(runs, tmp_path):
    with pytest.raises(SourceError, match=r"holds no metrics\.json of an evaluation"):
        find_measurements(runs, [tmp_path / "runs"])
    assert find_measurements(runs) == ([], [])


def test_the_fingerprint_is_that_of_the_weights_file(runs):
    assert runs[0].fingerprint == sha256(runs[0].folder / "model.keras") != runs[1].fingerprint
