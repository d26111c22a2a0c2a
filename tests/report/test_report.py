"""The page: complete, self-contained, escaped, and honest about what is missing."""

import json
import re

import pytest
from PIL import Image

from tfssl.cli import main
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.report import write_report

from ..visualization.test_page import Reader
from .conftest import metric


def test_two_runs_side_by_side(make_run, make_evaluation, tmp_path):
    one = make_run("one", data="photos/train", seed=7)
    two = make_run("two", method="context_prediction", weights=b"others", batch_size=8)
    make_evaluation("runs/one/evaluations/knn")
    make_evaluation("given/two/knn", 0.25)
    page = Reader(write_report([one, two], tmp_path / "out", evaluations=[tmp_path / "given"]))
    text = page.text
    for words in (
        "2 runs, 2 evaluations",
        "Noroozi, Favaro: Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles. ECCV 2016",
        "photos/train",
        "20 of batch 32",
        "Keras 3.9.9; saved 2026-01-02 03:04",
        "2 \u22122 better 4 trivial predictor",
        "classes/train; 800 test images; image size 96, seeds 3.",
        "+0.2 better",
        "\u22120.05 worse",
        "over untrained",
        "0.3 ± 0.012 conv1",
        "By tap, mean over the seeds",
        "(epoch_0002.png) from training data, photos/train, which it has seen",
        "by the name of its folder only",
    ):
        assert words in text, words
    assert set(page.links) == {f"#{anchor}" for anchor in page.anchors}
    greens = [p for p in page.images if p.convert("RGB").getpixel((5, 5)) == (0, 255, 0)]
    assert len(greens) == 2, "the newest image of each"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]


def test_one_table_only_for_equal_protocols(make_run, make_evaluation, tmp_path):
    one, two = make_run("one"), make_run("two", weights=b"others")
    make_evaluation("runs/one/evaluations/knn")
    make_evaluation("runs/two/evaluations/knn", protocol={"train": "classes/train", "image_size": 64, "seeds": 3})
    text = Reader(write_report([one, two], tmp_path / "out")).text
    assert "knn (image size 96)" in text and "knn (image size 64)" in text and "the best in bold" not in text


def test_the_best_is_marked(make_run, make_evaluation, tmp_path):
    runs = [make_run("one"), make_run("two", weights=b"others")]
    make_evaluation("runs/one/evaluations/knn", 0.4321)
    make_evaluation("runs/two/evaluations/knn", 0.8765)
    page = write_report(runs, tmp_path / "out").read_text()
    assert re.findall(r'<span class="best">([\d.]+)', page) == ["0.8765"]


def test_direction_and_baselines_are_those_of_the_record(make_run, make_evaluation, tmp_path):
    run = make_run()
    metrics = {"accuracy_of_nothing": metric(0.7, higher=False, rest=0.5), "odd": metric(4, higher=None, rest=1)}
    make_evaluation("runs/puzzles/evaluations/a", metrics=metrics)
    text = Reader(write_report([run], tmp_path / "out")).text
    assert (
        "+0.2 worse over rest" in text and "+3 over rest" in text and "better" not in text.split("How to read")[0][-99:]
    )


def test_a_flat_record_of_former_times_is_a_list_without_verdicts(make_run, tmp_path):
    run = make_run()
    folder = run / "evaluations" / "knn"
    folder.mkdir(parents=True)
    record = {"task": "knn", "accuracy": 0.61, "accuracy_std": 0.01, "mse_gain": 7.25, "chance": 0.01, "tap": "conv3"}
    (folder / "metrics.json").write_text(json.dumps(record))
    text = Reader(write_report([run], tmp_path / "out")).text
    assert "Its record says of no number" in text and "accuracy 0.61 ± 0.01" in text and "mse_gain 7.25" in text
    assert "better" not in text.split("Transfer: what")[1].split("How to read")[0]


def test_what_is_missing_is_said(make_run, tmp_path):
    run = make_run(finished=False, sample=False, history=())
    text = Reader(write_report([run], tmp_path / "out")).text
    for words in ("not finished", "samples/ is empty", "no epoch has ended", "Own metrics were not measured"):
        assert words in text, words
    assert "Not evaluated on any task" in text and "None were found" in text and "--task linear_probe" in text


def test_problems_and_stale_weights_are_said(make_run, make_evaluation, tmp_path):
    run = make_run()
    make_evaluation("runs/puzzles/evaluations/old", weights_sha256="0" * 64)
    (make_evaluation("runs/puzzles/evaluations/broken") / "metrics.json").write_text("[1]")
    text = Reader(write_report([run], tmp_path / "out")).text
    assert "broken/metrics.json' holds no record" in text
    assert "was measured on other weights than the run's model.keras now holds" in text
    assert "0 evaluations" not in text and "1 evaluation," in text


def test_phases_have_curves_of_their_own(make_run, tmp_path):
    history = [
        {"epoch": 1, "step": 5, "phase": "autoencoder", "loss": 0.5, "baseline": 1.0, "learning_rate": 0.1},
        {
            "epoch": 2,
            "step": 10,
            "phase": "game",
            "loss": 3.0,
            "baseline": 0.9,
            "discriminator": 0.4,
            "learning_rate": 0.1,
        },
    ]
    text = Reader(write_report([make_run(method="spot_artifacts", history=history)], tmp_path / "out")).text
    assert "phase autoencoder" in text and "phase game" in text and "Discriminator, phase game" in text
    assert "+2.1 worse" in text, "a loss above the trivial predictor's is said"


def test_everything_is_escaped(make_run, make_evaluation, tmp_path):
    attack = "<script>alert('\"x\"')</script><img src=x onerror=alert(1)>"
    run = make_run("a<b>&", data=attack)
    made = {attack: metric(1, **{attack: 2})}
    make_evaluation("runs/a<b>&/evaluations/knn", task=attack, model=attack, metrics=made, protocol={attack: attack})
    drawn = run / "visualizations" / "<i>x"
    drawn.mkdir(parents=True)
    (drawn / "index.html").write_text("")
    Image.new("RGB", (9, 9)).save(drawn / "<script>alert(1)<.png")
    made = {"title": attack, "numbers": {attack: {attack: 1.0}}, "protocol": {attack: attack}}
    (drawn / "numbers.json").write_text(json.dumps(made))
    file = write_report([run], tmp_path / "out")
    page = Reader(file)
    assert attack in page.text and "a<b>&" in page.text
    text = file.read_text(encoding="utf-8")
    assert "<script" not in text and "<i>" not in text and "onerror=alert(1)>" not in text


def test_what_visualize_wrote(make_run, tmp_path):
    run = make_run()
    gallery = run / "visualizations" / "filters"
    gallery.mkdir(parents=True)
    (gallery / "index.html").write_text("page")
    Image.new("RGB", (8, 8), "yellow").save(gallery / "filters-puzzles.png")
    record = {"title": "Filters of conv1", "numbers": {"puzzles": {"colorfulness": 0.25}}, "protocol": {"zoom": 3}}
    (gallery / "numbers.json").write_text(json.dumps(record))
    page = Reader(write_report([run], tmp_path / "out"))
    assert "Filters of conv1: filters-puzzles" in page.text and "0.25" in page.text and "zoom 3" in page.text
    assert any(p.convert("RGB").getpixel((0, 0)) == (255, 255, 0) for p in page.images)
    with pytest.raises(SourceError, match=r"holds no index\.html"):
        write_report([run], tmp_path / "out", visualizations=[tmp_path / "runs" / "puzzles" / "samples"])


def test_runs_of_one_name_are_told_apart(make_run, tmp_path):
    runs = [make_run("a/run"), make_run("b/run")]
    assert "What was learned: a/run, b/run" in Reader(write_report([*runs, runs[0]], tmp_path / "out")).text


def test_what_cannot_be_reported_is_refused(make_run, tmp_path):
    with pytest.raises(ModelError, match="is no run directory"):
        write_report([tmp_path], tmp_path / "out")
    with pytest.raises(ModelError, match="at least one run"):
        write_report([], tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="`out` must be a folder"):
        write_report([make_run()], tmp_path / "file")
    assert not (tmp_path / "out").exists()


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.mark.slow
def test_the_command_measures_and_writes(tmp_path, capsys):
    """A real, tiny run: own metrics and new pictures from --data, a task on --classes, nothing measured twice."""
    photos = tmp_path / "classes"
    for part in ("train", "test"):
        for name, number in (("first", 0), ("second", 1)):
            (photos / part / name).mkdir(parents=True)
            for i in range(4):
                with Image.open(builtin_photographs()[number]) as image:
                    image.convert("RGB").resize((64 + i, 64)).save(photos / part / name / f"{part}{i}.png")
    small = ["resize=48", "crop_size=32", "batch_size=4", "steps_per_epoch=1", "epochs=1", "warmup_steps=0"]
    run, out = tmp_path / "run", tmp_path / "out"
    assert call("train", "colorization/cpu", "--data", photos / "train", "--out", run, *small) == 0
    command = [
        "report",
        run,
        "--out",
        out,
        "--data",
        photos / "train",
        "--limit",
        2,
        "--task",
        "knn",
        "--classes",
        photos,
    ]
    assert call(*command) == 0
    assert "written to" in capsys.readouterr().out
    record = json.loads((out / "evaluations" / "run" / "knn" / "metrics.json").read_text())
    assert record["model"] == str(run) and record["weights_sha256"]
    text = Reader(out / "report.html").text
    assert "2 evaluations" in text and "over gray" in text and f"drawn for this page from {photos / 'train'}" in text
    written = (out / "evaluations" / "run" / "own" / "metrics.json").stat().st_mtime_ns
    assert call(*command) == 0
    assert (out / "evaluations" / "run" / "own" / "metrics.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report"], "RUN"),
        (["report", "x"], "--out"),
        (["report", "gone", "--out", "o"], "no model 'gone'"),
        (["report", "gone", "--out", "o", "--task", "knn"], "`--task` and `--classes` go together"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--evaluations", "--visualizations"])
def test_folders_are_checked_before_anything_is_measured(option, make_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tfssl.api.evaluate", lambda *_, **__: pytest.fail("the work began"))
    (tmp_path / "empty").mkdir()
    asked = ["report", make_run(), "--out", tmp_path / "out", "--data", "builtin", option, tmp_path / "empty"]
    assert call(*asked) == 2
    error = capsys.readouterr().err
    assert f"`{option[2:]}`" in error and error.count("\n") == 1
