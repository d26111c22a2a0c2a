"""The table of results: nothing lost, nothing changed, and Markdown made from it."""

import json
import math
import multiprocessing

import pytest

from tfssl.errors import ConfigError
from tfssl.evaluation.provenance import add_model, model_of, sha256
from tfssl.evaluation.results_table import IDENTITY, append_result, newest, read_results, results_markdown, row_of

RECORD = {
    "task": "knn",
    "accuracy": 0.34750000000000003,
    "accuracy_std": 0.0021650635094610828,
    "tap": "conv3",
    "untrained_accuracy": 0.2025,
    "gain": 0.145,
    "worst": None,
    "images_test": 800,
    "skipped": {"a.jpg": "no picture"},
    "confusion": [[1, 2], [3, 4]],
    "model": "runs/puzzles",
    "weights_sha256": "1e5" + "0" * 61,
    "date": "2026-01-02T03:04:05+00:00",
    "protocol": {"train": "classes/train", "test": "classes/test", "seeds": 3, "strengths": [0.1, 1.0], "pool": None},
    "versions": {"tfssl": "0.1.0"},
}


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_a_row_is_the_whole_record(tmp_path, name):
    append_result(tmp_path / name, RECORD)
    (row,) = read_results(tmp_path / name).to_dict("records")
    assert list(row)[:7] == ["date", "model", "weights_sha256", "task", "data", "split", "seeds"]
    assert row["model"] == "runs/puzzles" and row["data"] == "classes/train" and row["split"] == "classes/test"
    assert row["weights_sha256"] == RECORD["weights_sha256"], "not read as the number 1e50..."
    assert row["accuracy"] == RECORD["accuracy"] and row["accuracy_std"] == RECORD["accuracy_std"], "to the last bit"
    assert row["seeds"] == 3 and row["images_test"] == 800 and row["tap"] == "conv3"
    assert json.loads(row["protocol.strengths"]) == [0.1, 1.0] and str(row["versions.tfssl"]) == "0.1.0"
    assert row["worst"] is None or math.isnan(row["worst"])
    assert not {"skipped", "confusion", "protocol", "versions"} & set(row)
    assert [p.name for p in tmp_path.iterdir()] == [name], "no lock and nothing unfinished is left"


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_columns_are_the_union_and_old_rows_stay(tmp_path, name):
    append_result(tmp_path / name, RECORD)
    before = read_results(tmp_path / name)
    other = {"task": "detection", "mean_ap": 0.25, "images_test": 12, "protocol": {"data": "NA", "split": "val"}}
    append_result(tmp_path / name, other, source="pixels")
    table = read_results(tmp_path / name)
    assert list(table["task"]) == ["knn", "detection"] and set(before) < set(table)
    for column in before:
        old, new = before[column][0], table[column][0]
        assert old == new or ((old is None or old != old) and (new is None or new != new)), column
    assert table["data"][1] == "NA" and table["split"][1] == "val" and table["mean_ap"][1] == 0.25
    assert table["images_test"].tolist() == [800, 12] and table["seeds"].isna().tolist() == [False, True]
    assert table["seeds"].dtype == "Int64", "a gap makes no fractions of counts"


def test_a_methods_own_metrics(tmp_path):
    record = {"auc": 0.9, "source": "500 pictures", "config": {"method": "jigsaw", "tile": 28}, "seed": 4}
    row = row_of(record, source="random:small")
    assert row["task"] == "jigsaw" and row["data"] == "500 pictures" and row["seeds"] == 4
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
        append_result(tmp_path / "r.csv", {"task": "knn", "accuracy": 1.0})
    with pytest.raises(ConfigError, match="neither a task nor a method"):
        append_result(tmp_path / "r.csv", {"accuracy": 1.0}, source="pixels")
    with pytest.raises(ConfigError, match="no table"):
        read_results(tmp_path / "r.csv")


def _append_many(path, worker, count):
    for i in range(count):
        append_result(path, RECORD | {"worker": worker, "number": i, f"only_{worker}": float(i)})


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
    assert (table["only_2"].dropna() == table["number"][table["worker"] == 2]).all()
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_fingerprint_of_what_was_measured(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.keras").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert sha256(run / "model.keras") == known
    assert model_of(run) == {"model": str(run), "weights_sha256": known}
    assert model_of(run / "model.keras")["weights_sha256"] == known
    assert model_of("pixels")["weights_sha256"] is None and model_of("random:small")["weights_sha256"] is None
    assert model_of("colorizer")["weights_sha256"] is not None, "one that ships, by name"
    (tmp_path / "metrics.json").write_text(json.dumps({"task": "knn", "accuracy": 0.5}))
    record = add_model(tmp_path, run)
    assert record == json.loads((tmp_path / "metrics.json").read_text())
    assert record["weights_sha256"] == known and record["accuracy"] == 0.5 and record["date"].endswith("+00:00")
    assert append_result(tmp_path / "r.csv", record)["date"] == record["date"]


def test_markdown_of_some_rows(tmp_path):
    path = tmp_path / "r.json"
    append_result(path, RECORD)
    append_result(path, RECORD | {"model": "a|b", "accuracy": 1.0, "accuracy_std": 0.0, "gain": None})
    append_result(path, RECORD | {"task": "few_shot"})
    table = read_results(path)
    columns = {"Encoder": "model", "Accuracy, %": "accuracy", "Gain": "gain", "Pictures": "images_test"}
    assert results_markdown(table, columns, where={"task": "knn"}, order="accuracy", digits=1, factor=100) == (
        "| Encoder | Accuracy, % | Gain | Pictures |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a\\|b | 100.0 | \u2013 | 800 |\n"
        "| runs/puzzles | 34.8 ± 0.2 | 14.5 | 800 |\n"
    )
    with pytest.raises(ConfigError, match="no column 'acuracy'"):
        results_markdown(table, ["acuracy"])
    with pytest.raises(ConfigError, match="leaves no row"):
        results_markdown(table, ["model"], where={"task": ["detection"]})


def test_the_newest_of_the_same_measurement(tmp_path):
    path = tmp_path / "r.csv"
    for date, accuracy, side in (("2026-01-01", 0.1, 96), ("2026-01-02", 0.2, 96), ("2026-01-03", 0.3, 64)):
        append_result(path, RECORD | {"date": date, "accuracy": accuracy, "protocol": {"side": side}})
    assert newest(read_results(path))["accuracy"].tolist() == [0.2, 0.3]
