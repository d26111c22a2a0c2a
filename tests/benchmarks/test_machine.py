"""The timing helper of the benchmarks, and that committed results say what they were measured on."""

import json

import pytest

from benchmarks.machine import Comparison, alternate, kept, ratio, save


def test_candidates_take_turns():
    calls = []
    seconds = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3, warmup=1)
    assert calls == ["a", "b"] * 4
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_ratio_is_of_medians():
    assert ratio({"slow": [9.0, 1.0, 3.0], "fast": [1.0, 100.0, 1.5]}, "slow", "fast") == pytest.approx(2.0)


def test_what_was_measured_is_not_measured_again(tmp_path):
    for value in (None, {"a": [1.5]}):
        assert kept(tmp_path / "new" / f"{value}.json", lambda value=value: value) == value
        assert kept(tmp_path / "new" / f"{value}.json", lambda: pytest.fail("measured again")) == value


def test_result_says_where_it_comes_from(tmp_path):
    rows = [Comparison("a", "b", 2.0, 1.0)]
    path = save(
        "x", config={"seed": 0}, packages=["numpy"], seconds={"a": [3.0, 1.0, 2.0]}, comparisons=rows, out=tmp_path
    )
    record = json.loads(path.read_text())
    assert record["median_seconds"] == {"a": 2.0}
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["memory_gib"] > 0
    assert {"python", "numpy"} == set(record["versions"])


def test_committed_results_are_complete(root):
    for path in (root / "benchmarks" / "results").glob("*.json"):
        record = json.loads(path.read_text())
        assert {"config", "machine", "versions"} <= set(record), path.name
