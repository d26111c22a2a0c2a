"""Evaluations: found in folders, given to the runs that they measured, and set side by side. Only records are read."""

import dataclasses
import json
import math
from pathlib import Path

from tfssl.errors import SourceError
from tfssl.evaluation.record import Record, read_record
from tfssl.report.runs import losses, verdict
from tfssl.visualization import page
from tfssl.visualization.line_plot import draw_lines

_SHOWN = 8  # metrics that are shown at once; the others are a click away
_CONTROLS = ("untrained", "pixels", "lab_histogram")  # baselines that tasks measure as encoders
_TAP = "tap_"  # how records call the metric of a single tap
_COUNTS = {"classes": "classes", "images_train": "training images", "images_test": "test images", "images": "images"}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A folder with a ``metrics.json``.

    Args:
        run: name of the run it belongs to; None if that is not known.
        because: how that is known, in words.
        own: whether these are metrics of the method itself and not of a task.
        stale: whether it was measured on other weights than the run's file now holds.
    """

    folder: Path
    record: Record
    run: str | None
    because: str
    own: bool = False
    stale: bool = False

    @property
    def name(self):
        """What was measured: the run, or else the model's name, or else the folder's."""
        return self.run or self.record.about.get("model") or f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def what(self):
        return "own metrics" if self.own else page.words(self.record.task or "evaluation")

    @property
    def by_tap(self):
        """``{tap: Metric}`` of single taps."""
        return {key.removeprefix(_TAP): value for key, value in self.record.items() if key.startswith(_TAP)}

    @property
    def compared(self):
        """``{name: Metric}`` of those that are told apart from counts: with a direction or a baseline."""
        found = {key: m for key, m in self.record.items() if m.baselines or m.higher_is_better is not None}
        return {key: metric for key, metric in found.items() if not key.startswith(_TAP)}


def find_evaluations(runs, folders=()):
    """Everything that was measured: ``(list of Evaluation, texts that say which files could not be read)``.

    Args:
        runs: list of :class:`~tfssl.report.runs.RunRecord`; what lies in their folders ``evaluations/`` is theirs.
        folders: further folders, searched to the bottom.

    Raises:
        SourceError: if one of ``folders`` holds none.
    """
    files = {}
    for run in runs:
        files |= dict.fromkeys(_search(run.folder / "evaluations"), run)
    for folder in folders:
        found = _search(Path(folder).expanduser())
        if not found:
            raise SourceError(f"`evaluations` {str(folder)!r} holds no metrics.json of an evaluation")
        files = dict.fromkeys(found) | files
    measured, problems = [], []
    for file, owner in sorted(files.items()):
        try:
            record = read_record(file)
        except SourceError as error:
            problems.append(str(error))
            continue
        run, because = (owner, "lies in its folder") if owner else _owner(file.parent, record, runs)
        stale = run is not None and record.about.get("weights_sha256") not in (None, run.fingerprint)
        own = record.task in ("", run.method.name() if run else "")
        measured.append(Evaluation(file.parent, record, run and run.name, because, own, stale))
    order = {run.name: index for index, run in enumerate(runs)}
    return sorted(measured, key=lambda m: order.get(m.run, len(order))), problems


def _search(folder):
    """Files metrics.json below a folder; those of runs are of another kind."""
    files = (file.resolve() for file in Path(folder).glob("**/metrics.json"))
    return [file for file in files if not (file.parent / "config.yaml").is_file()]


def _owner(folder, record, runs):
    fingerprint, model = record.about.get("weights_sha256"), record.about.get("model")
    for run in runs:
        if fingerprint is not None and run.fingerprint == fingerprint:
            return run, "same weights"
    if model is not None:  # another model, said by name: no guess is needed
        same = [run for run in runs if Path(model).expanduser().resolve() == run.folder]
        return (same[0], "measured under its path") if same else (None, f"measured {model}")
    same = [run for run in runs if run.name in (folder.name, *(parent.name for parent in folder.parents))]
    if len(same) == 1:
        return same[0], "by the name of its folder only"
    same = [run for run in runs if record.about.get("config") == run.method.model_dump(mode="json")]
    return (same[0], "by its configuration only") if len(same) == 1 else (None, "which run it measured is not recorded")


def headline(evaluation):
    """The first metric that has a baseline beside the strongest of them, as a row of a table."""
    found = evaluation.compared
    key = next((key for key, metric in found.items() if metric.baselines), next(iter(found), None))
    metric = found.get(key)
    if metric is None:
        return [evaluation.what, page.Cell("listed below", numeric=True), None, None]
    encoders = _encoders(evaluation)
    name = _strongest(metric, encoders)
    first, beside = (name, metric.baselines[name]) if name else ("no baseline recorded", None)
    value, beside = page.Cell(metric.value, metric.std, page.words(key)), page.Cell(beside, below=page.words(first))
    return [evaluation.what, value, _gain(key, metric, encoders), beside]


def _encoders(evaluation):
    """What its record tells of the other encoders that were measured, ``{name: {detail: value}}``."""
    found = evaluation.record.details.get("encoders")
    return found if isinstance(found, dict) else {}


def _strongest(metric, encoders):
    """The best baseline but for other trained encoders; the first where the direction is unknown, None without one."""
    own = {k: v for k, v in metric.baselines.items() if k not in encoders or k in _CONTROLS}
    known = {k: v for k, v in own.items() if v is not None and v == v}
    if metric.higher_is_better is None or not known:
        return next(iter(own), None)
    return (max if metric.higher_is_better else min)(known, key=lambda name: known[name])


def _gain(key, metric, encoders):
    name = _strongest(metric, encoders)
    if name is None:
        return page.Cell(None)
    beside, its_std = metric.baselines[name], (encoders.get(name) or {}).get(f"{key}_std")
    known = metric.value == metric.value and beside is not None
    deviation = math.hypot(metric.std or 0.0, its_std or 0.0)
    gain = verdict(metric.value - beside if known else None, metric.higher_is_better, deviation)
    return gain._replace(below=f"over {page.words(name)}")


def own_metrics(runs, measured):
    """What each method says of itself: the loss of all runs, then run by run."""
    blocks, found = [losses(runs)], {run.name: [m for m in measured if m.run == run.name and m.own] for run in runs}
    for run in runs:
        blocks += [page.Heading(f"{run.name}: {run.method.name()}")] if found[run.name] else []
        for one in found[run.name]:
            source = one.record.about.get("source") or one.record.protocol.get("data") or "not named"
            caption = f"Own metrics of {run.name}; data: {source}; measured: {_count(one) or 'not counted'}"
            blocks += [*_comparison({run.name: one}, caption), *_after_the_table(one)]
    missing = [run for run in runs if not found[run.name]]
    blocks += _missing(missing, "Own metrics were not measured", "--data IMAGES", "own")
    return page.Section("The methods' own metrics", blocks, "own", "Own metrics")


def transfer(runs, measured):
    """Each task under one protocol is one group: all encoders that were measured that way, side by side."""
    tasks = [m for m in measured if not m.own]
    blocks: list = []
    for group in _groups(tasks):
        blocks += _group(group, [other for other in tasks if other.record.task == group[0].record.task])
    missing = [run for run in runs if not any(m.run == run.name for m in tasks)]
    blocks += _missing(missing, "Not evaluated on any task", "--task linear_probe --data CLASSES", "linear_probe")
    return page.Section("Transfer: what the features are good for", blocks, "transfer", "Transfer")


def _groups(measured):
    """Evaluations that can be compared: of the same task, with equal constants on equally many images."""
    found: dict = {}
    for one in measured:
        counts = {key: float(one.record[key]) for key in _COUNTS if key in one.record}
        key = json.dumps([one.record.task, one.record.protocol, counts], sort_keys=True)
        found.setdefault(key, []).append(one)
    return sorted(found.values(), key=lambda group: group[0].record.task)


def _missing(runs, what, options, folder):
    commands = [f"tfssl evaluate {run.folder} {options} --out {run.folder}/evaluations/{folder}" for run in runs]
    names = ", ".join(run.name for run in runs)
    return [f"{what}: {names}. To have it here:", page.Code("\n".join(commands))] if runs else []


def _group(group, same_task):
    first, task, protocol = group[0], group[0].what, group[0].record.protocol
    differing = [k for k in protocol if len({json.dumps(m.record.protocol.get(k)) for m in same_task}) > 1]
    told_apart = ", ".join(f"{page.words(key)} {_text(protocol[key])}" for key in differing)
    yield page.Heading(f"{task} ({told_apart})" if told_apart else task)
    yield page.Note(_conditions(first))
    names = [one.name for one in group]  # those of one network are told apart by their folders
    named = {m.name if names.count(m.name) == 1 else f"{m.name} ({m.folder})": m for m in group}
    best = "; in bold the best, and what lies within the deviation of it" if len(named) > 1 else ""
    yield from _comparison(named, f"{task}: every encoder beside its baselines{best}")
    yield from _by_tap(named)
    for name, one in named.items():
        if one.stale:
            yield f"{name} was measured on other weights than the run's model.keras now holds: trained again since."
        yield from _after_the_table(one)


def _conditions(one):
    protocol = one.record.protocol
    data = [protocol[key] for key in ("data", "train", "test", "split") if isinstance(protocol.get(key), str)]
    known = [key for key in ("image_size", "seeds", "strategy") if protocol.get(key) is not None]
    named = [f"{page.words(key)} {_text(protocol[key])}" for key in known]
    return "; ".join(filter(None, [", ".join(data), _count(one), ", ".join(named)])) + "."


def _count(one):
    record = one.record
    return ", ".join(f"{page.format_cell(float(record[key]))} {text}" for key, text in _COUNTS.items() if key in record)


def _comparison(group, caption):
    """Tables with rows of a metric and an encoder and columns of its baselines; the rest on demand."""
    metrics = list(dict.fromkeys(key for one in group.values() for key in one.compared))
    nothing = "Its record says of no number what it stands beside; all of them are listed below."
    yield _table(group, metrics[:_SHOWN], caption) if metrics else nothing
    if len(metrics) > _SHOWN:
        more = _table(group, metrics[_SHOWN:], caption)
        yield page.Details(f"{len(metrics) - _SHOWN} more metrics beside their baselines", [more])


def _table(group, metrics, caption):
    all_of = [(key, name, one, one.compared.get(key)) for key in metrics for name, one in group.items()]
    found = [row for row in all_of if row[-1] is not None]
    baselines = list(dict.fromkeys(name for *_, metric in found for name in metric.baselines))
    rows, several = [], len(group) > 1
    for key, name, one, metric in found:
        details, encoders = one.record.details, _encoders(one)
        unit = "" if metric.unit == "fraction" else metric.unit
        heading = (
            page.Cell(name, below=f"{page.words(key)} {unit}".strip())
            if several
            else page.Cell(page.words(key), below=unit)
        )
        best = _is_best(metric, [other.compared[key] for other in group.values() if key in other.compared])
        measured = page.Cell(metric.value, metric.std, _tap(details, key), "best" if best else "")
        rows.append([heading, measured, _gain(key, metric, encoders)])
        for baseline in baselines:
            about, beside = encoders.get(baseline) or {}, metric.baselines.get(baseline)
            tap = _tap(about, key) if baseline in metric.baselines else ""
            rows[-1].append(page.Cell(beside, about.get(f"{key}_std"), tap))
    return page.Table(
        ["Encoder, metric" if several else "Metric", "Measured", "Gain", *map(page.words, baselines)], rows, caption
    )


def _tap(about, key):
    """The tap that a number was reached at, as a record's details name it."""
    tap = about.get(f"{key}_tap") or about.get("tap") or ""
    return tap if isinstance(tap, str) and tap != "pixels" else ""


def _is_best(metric, others):
    """Whether it is the best of several, or no further from it than their deviations."""
    known = [other for other in others if other.value == other.value]
    if len(known) < 2 or metric.higher_is_better is None:
        return False
    best = (max if metric.higher_is_better else min)(known, key=float)
    return abs(metric.value - best.value) <= (0.0 if metric is best else math.hypot(metric.std or 0.0, best.std or 0.0))


def _by_tap(group):
    """Curves and a table over the taps; nothing where no tap was measured by itself."""
    group = {name: one for name, one in group.items() if one.by_tap}
    taps = list(dict.fromkeys(tap for one in group.values() for tap in one.by_tap))
    if not taps:
        return
    values, dashed = {}, {}
    for name, one in group.items():
        values[name] = {tap: (metric.value, metric.std) for tap, metric in one.by_tap.items()}
        for tap, metric in one.by_tap.items():
            for baseline, value in metric.baselines.items():
                beside = f"{name}, {page.words(baseline)}"
                values.setdefault(beside, {})[tap] = value, None
                dashed[beside] = name
    rows = [
        [name, *(page.Cell(*own[tap]) if tap in own else page.NOTHING for tap in taps)] for name, own in values.items()
    ]
    curves = {
        name: ([n for n, tap in enumerate(taps) if tap in own], [own[tap][0] for tap in taps if tap in own])
        for name, own in values.items()
    }
    label = page.words(next(iter(next(iter(group.values())).record)))  # single taps are told of the headline
    figure = draw_lines(curves, x_label="tap", y_label=label, x_ticks=dict(enumerate(taps)), dashed=dashed)
    yield page.Figure(figure, "By tap, mean over the seeds; dashed, its baselines.", "Curves over the taps")
    yield page.Table(["Encoder", *taps], rows, "The same as numbers, ± standard deviation over seeds")


def _after_the_table(one):
    """Its images; then, on demand, all numbers, constants and versions of its record."""
    what = f"{one.what} of {one.name}"
    for file in sorted(one.folder.glob("*.png")):
        yield page.Figure(file, f"{page.words(file.stem).capitalize()}: {what} ({file.name})")
    yield page.Details(f"Every number and constant: {what}", list(_everything(one)))


def _everything(one):
    record = one.record
    yield page.Note(f"From {one.folder}. Given to {one.run or 'no run'}: {one.because}.")
    rows = [[key, page.Cell(metric.value, metric.std)] for key, metric in record.items()]
    rows += [[key, value] for key, value in record.details.items() if isinstance(value, str)]
    yield page.Table(["Name", "Value"], rows, "All numbers of the record")
    for heading, values in (("Protocol", record.protocol), ("Versions", record.about.get("versions") or {})):
        rows = [[page.words(key), _text(value)] for key, value in values.items()]
        yield page.Table([heading, "Value"], rows, f"{heading}, as recorded") if rows else f"{heading}: not recorded."


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)
