"""The table of results: nothing lost, nothing changed, and Markdown made from it."""

import dataclasses
import json
import multiprocessing

import pandas
import pytest

from tfssl.errors import ConfigError
from tfssl.evaluation.record import Metric, Record
from tfssl.evaluation.table import IDENTITY, append_result, newest, read_results, results_markdown, row_of

ACCURACY = Metric(0.34750000000000003, 0.0021650635094610828, 3, "fraction", True, {"untrained": 0.2025})
RECORD = Record(
    "knn",
    {"accuracy": ACCURACY, "worst": Metric(float("nan")), "images_test": Metric(800)},
    details={"tap": "conv3", "confusion": [[1, 2], [3, 4]]},
    protocol={"train": "classes/train", "test": "classes/test", "seeds": 3, "strengths": [0.1, 1.0], "pool": None},
    skipped={"a.jpg": "no image"},
    about={
        "model": "runs/puzzles",
        "weights_sha256": "1e5" + "0" * 61,
        "date": "2026-01-02T03:04:05+00:00",
        "versions": {"tfssl": "0.1.0"},
    },
)


def changed(about=None, **fields):
    """The record with other entries."""
    return dataclasses.replace(RECORD, about=RECORD.about | (about or {}), **fields)


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_a_row_is_the_whole_record(tmp_path, name):
    append_result(tmp_path / name, RECORD)
    (row,) = read_results(tmp_path / name).to_dict("records")
    assert list(row)[:7] == ["date", "model", "weights_sha256", "task", "data", "split", "seeds"]
    assert row["model"] == "runs/puzzles" and row["data"] == "classes/train" and row["split"] == "classes/test"
    assert row["weights_sha256"] == RECORD.about["weights_sha256"], "not read as the number 1e50..."
    assert row["accuracy"] == ACCURACY.value and row["accuracy_std"] == ACCURACY.std, "to the last bit"
    assert row["untrained_accuracy"] == 0.2025
    assert row["seeds"] == 3 and row["images_test"] == 800 and row["tap"] == "conv3"
    assert json.loads(row["protocol.strengths"]) == [0.1, 1.0] and str(row["versions.tfssl"]) == "0.1.0"
    assert pandas.isna(row["worst"])
    assert not {"skipped", "confusion", "details", "protocol", "versions"} & set(row)
    assert [p.name for p in tmp_path.iterdir()] == [name], "no lock and nothing unfinished is left"


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_columns_are_the_union_and_old_rows_stay(tmp_path, name):
    append_result(tmp_path / name, RECORD)
    before = read_results(tmp_path / name)
    metrics = {"mean_ap": Metric(0.25), "images_test": Metric(12)}
    append_result(tmp_path / name, Record("detection", metrics, protocol={"data": "NA", "split": "val"}).of("pixels"))
    table = read_results(tmp_path / name)
    assert list(table["task"]) == ["knn", "detection"] and set(before) < set(table)
    for column in before:
        old, new = before[column][0], table[column][0]
        assert (pandas.isna(old) and pandas.isna(new)) or old == new, column
    assert table["data"][1] == "NA" and table["split"][1] == "val" and table["mean_ap"][1] == 0.25
    assert table["images_test"].tolist() == [800, 12] and table["seeds"].isna().tolist() == [False, True]
    assert table["seeds"].dtype == "Int64", "a gap makes no fractions of counts"


def test_a_methods_own_metrics(tmp_path):
    about = {"source": "500 images", "config": {"tile": 28}, "seed": 4}
    row = row_of(Record("jigsaw", {"auc": Metric(0.9)}, about=about).of("random:small"))
    assert row["task"] == "jigsaw" and row["data"] == "500 images" and row["seeds"] == 4
    assert row["model"] == "random:small" and row["weights_sha256"] is None and row["config.tile"] == 28


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("results.txt", None, "is a .csv or .json file"),
        ("results.csv", "a,b\n1,2\n", "no column 'date'"),
        ("results.csv", "", "no column 'date'"),
        ("results.csv", ",".join(IDENTITY) + "\n1,2\n", "row 2 has not as many cells"),
        ("results.json", "{}", "must hold a list of rows"),
        ("results.json", "[{", "is no table"),
    ],
)
def test_another_file_is_refused_and_kept(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        append_result(path, RECORD)
    assert (path.read_text() if path.exists() else None) == content


def test_what_was_measured_must_be_known(tmp_path):
    with pytest.raises(ConfigError, match="which model was measured"):
        append_result(tmp_path / "r.csv", Record("knn", {"accuracy": Metric(1.0)}))
    with pytest.raises(ConfigError, match="neither a task nor a method"):
        append_result(tmp_path / "r.csv", Record("", {"accuracy": Metric(1.0)}).of("pixels"))
    with pytest.raises(ConfigError, match="no table"):
        read_results(tmp_path / "r.csv")


def _append_many(path, worker, count):
    for i in range(count):
        numbers = {"worker": worker, "number": i, f"only_{worker}": i + 0.5}
        append_result(path, changed(metrics={name: Metric(value) for name, value in numbers.items()}))


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_two_processes_lose_nothing(tmp_path, name):
    path, count = tmp_path / name, 25
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_append_many, args=(path, worker, count)) for worker in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    table = read_results(path)
    assert sorted(zip(table["worker"], table["number"], strict=True)) == [
        (w, i) for w in range(3) for i in range(count)
    ]
    assert (table["only_2"].dropna() == table["number"][table["worker"] == 2] + 0.5).all()
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_markdown_of_some_rows(tmp_path):
    path = tmp_path / "r.json"
    append_result(path, RECORD)
    append_result(
        path, changed({"model": "a|b"}, metrics={"accuracy": Metric(1.0, 0.0, 3), "images_test": Metric(800)})
    )
    append_result(path, changed(task="few_shot"))
    table = read_results(path)
    columns = {
        "Encoder": "model",
        "Accuracy, %": "accuracy",
        "Untrained": "untrained_accuracy",
        "Images": "images_test",
    }
    assert results_markdown(table, columns, where={"task": "knn"}, order="accuracy", digits=1, factor=100) == (
        "| Encoder | Accuracy, % | Untrained | Images |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a\\|b | 100.0 | \u2013 | 800 |\n"
        "| runs/puzzles | 34.8 ± 0.2 | 20.2 | 800 |\n"
    )
    with pytest.raises(ConfigError, match="no column 'acuracy'"):
        results_markdown(table, ["acuracy"])
    with pytest.raises(ConfigError, match="leaves no row"):
        results_markdown(table, ["model"], where={"task": ["detection"]})


def test_the_newest_of_the_same_measurement(tmp_path):
    path = tmp_path / "r.csv"
    for date, accuracy, size in (("2026-01-01", 0.1, 96), ("2026-01-02", 0.2, 96), ("2026-01-03", 0.3, 64)):
        metrics = {"accuracy": Metric(accuracy)}
        append_result(path, changed({"date": date}, metrics=metrics, protocol={"image_size": size}))
    assert newest(read_results(path))["accuracy"].tolist() == [0.2, 0.3]
