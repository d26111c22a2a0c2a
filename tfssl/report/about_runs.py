"""Sections about the runs themselves: at a glance, what they are, their pictures, their learning curves."""

import json

import yaml

from tfssl.report.contestants import comparisons, label, words
from tfssl.report.curves import NOT_CURVES, chart
from tfssl.report.markup import NOTHING, details, join, paragraph, picture, plain, section, table, tag
from tfssl.report.verdict import verdict


def duration(seconds):
    """Seconds to be read: 5532 -> "1 h 32 min"."""
    if seconds is None:
        return NOTHING
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def glance(runs, measured):
    """One row for each run: how it went, and the first figure of each evaluation beside its baseline."""
    rows = []
    for run in runs:
        own = [m for m in measured if m.run == run.name]
        figures = [_headline(m) for m in own]
        what = tag("small", f"{run.method.name()}; {_length(run)}")
        rows.append([join([run.name, what]), _end_loss(run), join(figures) if figures else "none yet"])
    header = ["Run", "Loss at the end", "Evaluations"]
    caption = "Every figure stands beside what a predictor without learning reaches; losing to it is said."
    return section("glance", "At a glance", table(header, rows, caption=caption))


def _length(run):
    last = run.history[-1] if run.history else {}
    text = f"{plain(last.get('step', 0))} steps, {duration(last.get('seconds'))}"
    return text if run.weights else f"{text}; not finished"


def _end_loss(run):
    last = run.history[-1] if run.history else {}
    if last.get("loss") is None or last.get("baseline") is None:
        return "not recorded"
    return join(
        [
            f"{plain(last['loss'])} ",
            verdict(last["loss"] - last["baseline"], last["loss"] < last["baseline"]),
            tag("small", f"trivial predictor {plain(last['baseline'])}"),
        ]
    )


def _headline(measurement):
    found = comparisons(measurement.record, measurement.by_tap)
    what = measurement.task or "own metrics"
    if not found:
        return tag("div", f"{what}: no baseline recorded")
    first = found[0]
    beside = f"{label(first.rival)} {plain(first.others[first.rival].mean)}"
    text = f"{what}: {words(first.metric)} {plain(first.value.mean)} "
    return tag("div", text, verdict(first.gain, first.better), tag("small", beside))


def facts(runs):
    """What each run is, side by side; settings that differ; every setting on demand."""
    columns = [dict(_facts(run)) for run in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, NOTHING) for column in columns)] for name in names]
    parts = [
        table(["", *(run.name for run in runs)], rows, caption="What each run is, from the files of its directory")
    ]
    settings = [run.config.settings.model_dump(mode="json") for run in runs]
    differing = [key for key in settings[0] if len({json.dumps(column[key]) for column in settings}) > 1]
    if differing:
        rows = [[key, *(_setting(column[key]) for column in settings)] for key in differing]
        parts.append(table(["Setting", *(run.name for run in runs)], rows, caption="Training settings that differ"))
    elif len(runs) > 1:
        parts.append(paragraph("All training settings are the same."))
    for run in runs:
        text = yaml.safe_dump(run.config.to_dict(), sort_keys=False)
        parts.append(details(f"Whole configuration of {run.name}", tag("pre", tag("code", text))))
    return section("runs", "Runs", *parts)


def _facts(run):
    paper, settings, last = run.method.paper, run.config.settings, run.history[-1] if run.history else {}
    steps, seconds = last.get("step", 0), last.get("seconds")
    yield "Method", run.method.name()
    yield "Paper", f"{paper.authors}: {paper.title}. {paper.venue} {paper.year}"
    yield "Learns from", run.method.inputs
    yield "Network", network_name(run.method)
    yield "Training pictures", settings.data
    yield "Validation pictures", settings.validation or "none"
    yield "Steps", f"{plain(steps)} of batch {settings.batch_size}, in {len(run.history)} of {settings.epochs} epochs"
    yield "Optimizer", f"{settings.optimizer}, rate {_setting(settings.learning_rate)}, {settings.schedule}"
    yield "Seed", str(settings.seed)
    each = f" ({1000 * seconds / steps:.0f} ms a step)" if seconds and steps else ""
    yield "Time", duration(seconds) + each
    wait = last.get("wait_share")
    yield "Waiting for data", NOTHING if wait is None else f"{100 * wait:.1f} % of the time"
    yield "Unreadable pictures", NOTHING if run.skipped is None else str(run.skipped)
    yield "State", "finished" if run.metrics and run.weights else "not finished: no trained network"
    saved = run.saved_with
    yield "Versions", f"Keras {saved[0]}; saved {saved[1]}" if saved else "not recorded"
    fingerprint = run.fingerprint
    yield "Weights, SHA-256", tag("code", fingerprint[:16], title=fingerprint) if fingerprint else NOTHING
    yield "Directory", tag("code", run.folder)


def network_name(method):
    """What a method calls its network, such as "small"."""
    fields = method.model_dump(mode="json")
    return str(fields.get("backbone") or fields.get("network") or "see its configuration")


def _setting(value):
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def pretext(runs, drawn, source=None):
    """The newest picture of what each run answers to its own task.

    Args:
        runs: list of :class:`~tfssl.report.run_record.RunRecord`.
        drawn: ``{name of a run: PNG drawn for this page}``.
        source: the pictures that those were drawn from.
    """
    parts = []
    for run in runs:
        file = drawn.get(run.name) or run.sample
        parts.append(tag("h3", f"{run.name}: {run.method.name()}"))
        if file is None:
            text = "There is no picture: samples/ is empty. Give pictures with --data to have one drawn."
            parts.append(paragraph(text))
            continue
        settings = run.config.settings
        if run.name in drawn:
            origin = f"drawn for this page from {source}"
        elif settings.validation:
            origin = f"drawn in training ({file.name}) from the validation pictures, {settings.validation}"
        else:
            origin = f"drawn in training ({file.name}) from training pictures, {settings.data}, which it has seen"
        text = f"What the {network_name(run.method)} network of {run.name} answers to its own task; {origin}."
        parts.append(picture(file, text, alt=f"Answers of {run.name} to its pretext task"))
    return section("pretext", "The pretext task", *parts)


def learning(runs):
    """The curves of history.csv, the loss with the trivial predictor's."""
    parts = []
    shares = {run.name: [(row["step"], _ratio(row)) for row in run.history] for run in runs if run.history}
    if len(shares) > 1:
        ends = [max(points)[0] for points in shares.values()]
        one = ("trivial predictor", [(0, 1.0), (max(ends), 1.0)])
        figure = chart(shares, title="Training loss as a share of the trivial predictor's, all runs", level=one)
        text = (
            "Losses of different tasks are in different units; each is divided by that of the trivial predictor, which "
            "ignores its input. What falls further need not have learned more: tasks differ in how far one can get."
        )
        parts.append(_figure(figure, f"All runs: training loss, trivial predictor = 1. {text}"))
    for run in runs:
        parts.append(tag("h3", run.name))
        if run.history:
            parts.append(tag("div", _charts(run), class_="side"))
        else:
            parts.append(paragraph("No curve: history.csv is missing or empty, no epoch has ended yet."))
    return section("curves", "Learning curves", *parts)


def _charts(run):
    phases = list(dict.fromkeys(row.get("phase") for row in run.history))
    for phase in phases:
        rows = [row for row in run.history if row.get("phase") == phase]
        suffix = f", phase {phase}" if phase else ""
        losses = {name: _points(rows, name) for name in ("loss", "val_loss")}
        level = ("trivial predictor", _points(rows, "baseline"))
        figure = chart(losses, title=f"Loss of {run.name}{suffix}", level=level)
        yield _figure(figure, f"Training loss{suffix}: mean over each epoch; dashed, what ignoring the input reaches.")
        names = [name for name in rows[0] if name not in NOT_CURVES and not name.startswith("val_")]
        for name in [*names, "learning_rate"]:
            curves = {key: _points(rows, key) for key in (name, f"val_{name}")}
            figure = chart(curves, title=f"{name} of {run.name}{suffix}")
            when = "at the end of each epoch" if name in NOT_CURVES else "as training reports it, mean over each epoch"
            yield _figure(figure, f"{words(name).capitalize()}{suffix}: {when}.")


def _figure(markup, caption):
    return None if markup is None else tag("figure", markup, tag("figcaption", caption))


def _points(rows, name):
    return [(row["step"], row.get(name)) for row in rows]


def _ratio(row):
    loss, baseline = row.get("loss"), row.get("baseline")
    return loss / baseline if loss is not None and baseline else None
