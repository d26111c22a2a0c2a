"""What a run directory tells of a run, read from its files without loading the network, and the sections about it."""

import dataclasses
import json
import os
import zipfile
from functools import cached_property
from pathlib import Path

import yaml

from tfssl.config import RunConfig, load_config
from tfssl.errors import ArgumentError, ModelError
from tfssl.files import check_zip, read_json, read_table, sha256
from tfssl.options import as_path
from tfssl.visualization import page
from tfssl.visualization.line_plot import draw_lines

_NOT_CURVES = ("epoch", "step", "phase", "seconds", "wait_fraction", "wait_share", "skipped", "baseline", "loss")
"""Columns of history.csv that are no measurement of their own; wait_share is what older runs have."""


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run, finished or not: its directory, and what the report calls it; no two runs of a report share a name."""

    folder: Path
    name: str

    @cached_property
    def config(self) -> RunConfig:
        return load_config(self.folder / "config.yaml")

    @property
    def method(self):
        return self.config.method

    @property
    def network(self):
        """What the method calls its network, such as "small"."""
        fields = self.method.model_dump(mode="json")
        return str(fields.get("backbone") or fields.get("network") or "see its configuration")

    @cached_property
    def history(self):
        """Rows of history.csv, ``{column: number, text of a phase, or None}``; empty if there is none."""
        rows = read_table(self.folder / "history.csv")
        return [{key: _number(value) for key, value in row.items()} for row in rows]

    @property
    def last(self):
        return self.history[-1] if self.history else {}

    @cached_property
    def metrics(self):
        file = self.folder / "metrics.json"
        return read_json(file) if file.is_file() else {}

    @property
    def weights(self):
        """The file of the trained network, or None."""
        file = self.folder / "model.keras"
        return file if file.is_file() else None

    @cached_property
    def fingerprint(self):
        return sha256(self.weights) if self.weights else None

    @cached_property
    def saved_with(self):
        try:
            check_zip(self.weights or "")
            with zipfile.ZipFile(self.weights or "") as archive:
                about = json.loads(archive.read("metadata.json"))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return "not recorded"
        return f"Keras {about.get('keras_version', '?')}; saved {about.get('date_saved', '?').replace('@', ' ')}"

    @property
    def sample(self):
        return max(self.folder.glob("samples/*.png"), default=None)

    @property
    def skipped(self):
        """Number of images that could not be read in training; None where that is not recorded."""
        file = self.folder / "skipped.csv"
        return len(read_table(file)) if file.is_file() else None


def read_runs(folders):
    """The :class:`RunRecord` of each run directory; one that is given twice counts once.

    Raises:
        ModelError: if one is no run directory.
        ConfigError: if its configuration is damaged.
    """
    folders = [folders] if isinstance(folders, (str, os.PathLike)) else folders
    if not isinstance(folders, (list, tuple)):
        raise ArgumentError(f"`runs` must be a list of run directories. Received: {type(folders).__name__}")
    paths = list(dict.fromkeys(as_path("runs", folder).resolve() for folder in folders))
    if not paths:
        raise ModelError("`runs` must name at least one run directory")
    for path in paths:
        if not (path / "config.yaml").is_file():
            raise ModelError(f"{str(path)!r} is no run directory (no config.yaml); give what `tfssl train` wrote")
    runs = [RunRecord(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    for run in runs:
        run.config  # noqa: B018  (a damaged one is named now, not in the middle of the page)
    return runs


def verdict(gain, higher_is_better, deviation=0.0):
    """A difference in words, sign and color, so that none of them is needed alone: a :class:`Cell`.

    One that is no larger than the deviation of a run says nothing.
    """
    if gain is None:
        return page.Cell(None)
    sign = "+" if gain > 0 else "\N{MINUS SIGN}" if gain < 0 else "\N{PLUS-MINUS SIGN}"
    text = f"{sign}{page.format_cell(abs(gain))}"
    if higher_is_better is None or not gain:
        return page.Cell(text, numeric=True)
    if abs(gain) <= deviation:
        return page.Cell(f"{text} within the deviation", numeric=True)
    better = (gain > 0) == higher_is_better
    return page.Cell(f"{text} {'better' if better else 'worse'}", style="up" if better else "down", numeric=True)


def losses(runs):
    """The end of training beside the trivial predictor, a row for each run."""
    rows = []
    for run in runs:
        loss, validation, trivial = (run.last.get(name) for name in ("loss", "val_loss", "baseline"))
        known = loss is not None and bool(trivial)
        gain = verdict(loss - trivial if known else None, False)
        rows.append([run.name, loss, validation, trivial, gain, loss / trivial if known else None])
    header = ["Run", "Training loss", "Validation loss", "Trivial predictor", "Gain", "Fraction of the trivial"]
    return page.Table(header, rows, "Loss of the last epoch, as training recorded it, beside ignoring the input")


def facts(runs):
    """What each run is, side by side; settings that differ; every setting on demand."""
    columns, header = [dict(_facts(run)) for run in runs], [run.name for run in runs]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    blocks: list = [page.Table(["", *header], rows, "What each run is, from the files of its directory")]
    settings = [run.config.settings.model_dump(mode="json") for run in runs]
    differing = [key for key in settings[0] if len({json.dumps(column[key]) for column in settings}) > 1]
    if differing:
        rows = [[key, *(_setting(column[key]) for column in settings)] for key in differing]
        blocks.append(page.Table(["Setting", *header], rows, "Training settings that differ"))
    elif len(runs) > 1:
        blocks.append("All training settings are the same.")
    for run in runs:
        text = page.Code(yaml.safe_dump(run.config.to_dict(), sort_keys=False))
        blocks.append(page.Details(f"Whole configuration of {run.name}", [text]))
    return page.Section("Runs", blocks, "runs")


def _facts(run):
    paper, settings = run.method.paper, run.config.settings
    steps, seconds = run.last.get("step", 0), run.last.get("seconds")
    yield "Method", run.method.name()
    yield "Paper", f"{paper.authors}: {paper.title}. {paper.venue} {paper.year}"
    yield "Learns from", run.method.inputs
    yield "Network", run.network
    yield "Training data", str(settings.data)
    yield "Validation data", str(settings.validation or "none")
    epochs = f"{len(run.history)} of {settings.epochs} epochs"
    yield "Steps", f"{page.format_cell(steps)} of batch {settings.batch_size}, in {epochs}"
    learning_rate = f"learning rate {_setting(settings.learning_rate)}"
    yield "Optimizer", f"{settings.optimizer}, {learning_rate}, {settings.schedule}"
    yield "Seed", str(settings.seed)
    yield "Time", _duration(seconds) + (f" ({1000 * seconds / steps:.0f} ms a step)" if seconds and steps else "")
    wait = run.last.get("wait_fraction", run.last.get("wait_share"))
    yield "Waiting for data", page.NOTHING if wait is None else f"{100 * wait:.1f} % of the time"
    yield "Unreadable images", page.NOTHING if run.skipped is None else str(run.skipped)
    yield "State", "finished" if run.metrics and run.weights else "not finished: no trained network"
    yield "Versions", run.saved_with
    yield "Weights, SHA-256", page.Cell((run.fingerprint or page.NOTHING)[:16], style="code")
    yield "Directory", page.Cell(str(run.folder), style="code")


def pretext(runs, drawn, data=None):
    """The newest image of what each run answers to its own task, or those ``drawn`` for this page from ``data``."""
    blocks: list = []
    for run in runs:
        file, settings = drawn.get(run.name) or run.sample, run.config.settings
        blocks.append(page.Heading(f"{run.name}: {run.method.name()}"))
        if file is None:
            blocks.append("There is no image: samples/ is empty. Give images with --data to have one drawn.")
            continue
        if run.name in drawn:
            origin = f"drawn for this page from {data}"
        elif settings.validation:
            origin = f"drawn in training ({file.name}) from the validation data, {settings.validation}"
        else:
            origin = f"drawn in training ({file.name}) from training data, {settings.data}, which it has seen"
        text = f"What the {run.network} network of {run.name} answers to its own task; {origin}."
        blocks.append(page.Figure(file, text, f"Answers of {run.name} to its pretext task"))
    return page.Section("The pretext task", blocks, "pretext", "Pretext task")


def learning(runs):
    """The curves of history.csv, the loss with the trivial predictor's."""
    blocks: list = []
    fractions = {run.name: _points(run.history, _fraction) for run in runs if run.history}
    if len(fractions) > 1:
        end = max(max(x) for x, _ in fractions.values())
        curves = {**fractions, "trivial predictor": ((0, end), (1.0, 1.0))}
        text = (
            "All runs: training loss, trivial predictor = 1. Losses of different tasks are in different units; each is "
            "divided by that of the trivial predictor, which ignores its input. What falls further need not have "
            "learned more: tasks differ in how far one can get."
        )
        blocks.append(_curves(curves, "loss / trivial predictor's", text, {"trivial predictor": None}))
    for run in runs:
        nothing = "No curve: history.csv is missing or empty, no epoch has ended yet."
        blocks += [page.Heading(run.name), page.Row(list(filter(None, _charts(run)))) if run.history else nothing]
    return page.Section("Learning curves", blocks, "curves")


def _charts(run):
    for phase in dict.fromkeys(row.get("phase") for row in run.history):
        rows = [row for row in run.history if row.get("phase") == phase]
        suffix = f", phase {phase}" if phase else ""
        curves = {"training": "loss", "validation": "val_loss", "trivial predictor": "baseline"}
        text = f"Loss of {run.name}{suffix}: mean over each epoch; dashed, what ignoring the input reaches."
        drawn = {name: _points(rows, column) for name, column in curves.items()}
        yield _curves(drawn, "loss", text, {"trivial predictor": None})
        for column in (name for name in rows[0] if name not in _NOT_CURVES and not name.startswith("val_")):
            drawn = {"training": _points(rows, column), "validation": _points(rows, f"val_{column}")}
            when = "at the end of each epoch" if column == "learning_rate" else "mean over each epoch"
            yield _curves(drawn, page.words(column), f"{page.words(column).capitalize()}{suffix}: {when}.")


def _curves(curves, label, caption, dashed=None):
    """A figure of the curves that have points; None if none has."""
    curves = {name: points for name, points in curves.items() if any(isinstance(y, float) for y in points[1])}
    if not set(curves) - set(dashed or {}):
        return None
    dashed = {name: like for name, like in (dashed or {}).items() if name in curves}
    return page.Figure(draw_lines(curves, x_label="step", y_label=label, dashed=dashed, size=(480, 330)), caption)


def _points(rows, column):
    read = column if callable(column) else lambda row: row.get(column)
    return [row["step"] for row in rows], [read(row) for row in rows]


def _fraction(row):
    loss, baseline = row.get("loss"), row.get("baseline")
    return loss / baseline if loss is not None and baseline else None


def _setting(value):
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _duration(seconds):
    """Seconds to be read: 5532 -> "1 h 32 min"."""
    if seconds is None or seconds < 120:
        return page.NOTHING if seconds is None else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _names(paths):
    """The shortest ends of the paths that tell them apart."""
    for length in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return text or None
