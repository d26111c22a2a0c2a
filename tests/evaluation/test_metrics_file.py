"""metrics.json is strict JSON, complete and whole."""

import json

from tfssl.evaluation.metrics_file import write_metrics


def test_numbers_and_what_belongs_to_them(tmp_path):
    write_metrics(tmp_path / "new", {"a": 0.5, "b": float("nan"), "n": 3}, seed=7, config={"x": [1, 2]})
    text = (tmp_path / "new" / "metrics.json").read_text()
    assert "NaN" not in text
    record = json.loads(text)
    assert record["a"] == 0.5 and record["b"] is None and record["n"] == 3
    assert record["seed"] == 7 and record["config"] == {"x": [1, 2]}
    assert {"tfssl", "python", "tensorflow", "keras"} <= record["versions"].keys()


def test_the_last_one_counts_and_nothing_else_is_left(tmp_path):
    for value in (1.0, 2.0):
        write_metrics(tmp_path, {"a": value})
    assert json.loads((tmp_path / "metrics.json").read_text())["a"] == 2.0
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
