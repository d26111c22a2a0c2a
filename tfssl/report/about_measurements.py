"""Sections about what was measured: the methods' own metrics, and the transfer tasks with all networks in one table."""

import json

from tfssl.report.compared import by_layer, comparison_table, losses
from tfssl.report.contestants import words
from tfssl.report.markup import details, join, number, paragraph, picture, plain, section, table, tag


def own_metrics(runs, measured):
    """What each method says of itself: the loss of all runs, then run by run."""
    parts, missing = [losses(runs)], []
    for run in runs:
        own = [m for m in measured if m.run == run.name and m.task is None]
        if not own:
            missing.append(run)
            continue
        parts.append(tag("h3", f"{run.name}: {run.method.name()}"))
        for measurement in own:
            source, counted = (
                measurement.record.get("source") or "not named",
                _count(measurement.record) or "not counted",
            )
            caption = f"Own metrics of {run.name}; pictures: {source}; measured: {counted}"
            parts.append(comparison_table({run.name: measurement}, caption))
            parts += _after_the_table(measurement)
    if missing:
        parts.append(_missing(missing, "Own metrics were not measured", "--data PICTURES", "own"))
    return section("own", "The methods' own metrics", *parts)


def transfer(runs, measured):
    """Each task under one protocol is one group: all networks that were measured that way, side by side."""
    tasks = [m for m in measured if m.task is not None]
    parts = []
    for group in groups(tasks):
        parts += _group(group, [other for other in tasks if other.task == group[0].task])
    missing = [run for run in runs if not any(m.run == run.name for m in tasks)]
    if missing:
        options = "--task linear_probe --data CLASSES"
        parts.append(_missing(missing, "Not evaluated on any task", options, "linear_probe"))
    return section("transfer", "Transfer: what the features are good for", *parts)


def groups(measured):
    """Measurements that can be compared: of the same task, with equal constants on equal pictures."""
    found = {}
    for measurement in measured:
        counts = {key: measurement.record.get(key) for key in ("chance", "classes", "images_train", "images_test")}
        key = json.dumps([measurement.task, measurement.protocol, counts], sort_keys=True)
        found.setdefault(key, []).append(measurement)
    return sorted(found.values(), key=lambda group: group[0].task)


def _missing(runs, what, options, folder):
    """What was not measured, and how to have it."""
    parts = []
    for run in runs:
        command = f"tfssl evaluate {run.folder} {options} --out {run.folder}/evaluations/{folder}"
        parts.append(tag("li", f"{run.name}: ", tag("code", command)))
    return join([paragraph(f"{what}; to have it here:"), tag("ul", parts)])


def _group(group, same_task):
    first, task = group[0], words(group[0].task)
    differing = [k for k in first.protocol if len({json.dumps(m.protocol.get(k)) for m in same_task}) > 1]
    told_apart = ", ".join(f"{words(key)} {_text(first.protocol[key])}" for key in differing)
    yield tag("h3", f"{task} ({told_apart})" if told_apart else task)
    yield paragraph(_conditions(first), note=True)
    named = _named(group)
    best = "; the best in bold" if len(named) > 1 else ""
    yield comparison_table(named, f"{task}: every network beside its baselines{best}")
    yield by_layer(named)
    for name, measurement in named.items():
        if measurement.stale:
            text = (
                "was measured on other weights than the run's model.keras now holds: the run was trained again since."
            )
            yield paragraph(tag("strong", f"{name} "), text)
        yield _after_the_table(measurement)


def _named(group):
    """``{name: Measurement}``; those of one network are told apart by their folders."""
    names = [m.name for m in group]
    return {m.name if names.count(m.name) == 1 else f"{m.name} ({m.folder})": m for m in group}


def _conditions(measurement):
    record, protocol = measurement.record, measurement.protocol
    data = [protocol[key] for key in ("data", "train", "test", "split") if isinstance(protocol.get(key), str)]
    chance = f"chance {plain(record['chance'])}" if "chance" in record else None
    constants = [
        f"{words(k)} {_text(protocol[k])}" for k in ("side", "seeds", "strategy") if protocol.get(k) is not None
    ]
    counts = ", ".join(filter(None, [_count(record), chance]))
    return "; ".join(filter(None, [", ".join(data), counts, ", ".join(constants)])) + "."


_COUNTS = {
    "classes": "classes",
    "images_train": "training pictures",
    "images_test": "test pictures",
    "images": "pictures",
    "images_skipped": "unreadable",
}


def _count(record):
    return ", ".join(f"{plain(record[key])} {text}" for key, text in _COUNTS.items() if _is_number(record.get(key)))


def _after_the_table(measurement):
    """Its pictures; then, on demand, all figures, constants and versions of its record."""
    what = f"{words(measurement.task) if measurement.task else 'own metrics'} of {measurement.name}"
    drawn_anew = "taps.png" if measurement.by_tap else None  # above, with all networks in it
    parts = [
        picture(file, f"{words(file.stem).capitalize()}: {what} ({file.name})")
        for file in measurement.pictures
        if file.name != drawn_anew
    ]
    return [*parts, details(f"Every figure and constant: {what}", _everything(measurement))]


def _everything(measurement):
    record = measurement.record
    figures = [[key, number(value) if _is_number(value) else value] for key, value in record.items() if _is_flat(value)]
    yield paragraph(
        f"From {measurement.folder}. Given to {measurement.run or 'no run'}: {measurement.because}.", note=True
    )
    yield table(["Figure", "Value"], figures, caption="All figures of the record")
    for heading, values in (("Protocol", measurement.protocol), ("Versions", record.get("versions") or {})):
        if values:
            rows = [[words(key), _text(value)] for key, value in values.items()]
            yield table([heading, "Value"], rows, caption=f"{heading}, as recorded")
        else:
            yield paragraph(f"{heading}: not recorded.")
    if measurement.by_tap and (measurement.folder / "taps.png").is_file():
        yield picture(measurement.folder / "taps.png", f"Accuracy by layer of {measurement.name}, as the task drew it")


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_flat(value):
    return value is None or isinstance(value, (int, float, str))


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)
