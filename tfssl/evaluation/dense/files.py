"""What tasks of every pixel write: numbers with their protocol, a table of runs, a sheet of pictures."""

import csv
from pathlib import Path

from tfssl.evaluation.dense.task import shown_indices
from tfssl.evaluation.metrics_file import write_metrics
from tfssl.visualization.sheet import picture_sheet


def write_files(name, task, runs, numbers, about, skipped, *, paint, legend=None, out=None):
    """Add the counts to the numbers and write ``metrics.json``, ``runs.csv`` and ``pictures.png``.

    Args:
        name: of the task.
        task: :class:`~tfssl.evaluation.dense.task.DenseTask`.
        runs: list of :class:`~tfssl.evaluation.dense.task.Run`.
        numbers: ``{name: number}``.
        about: the protocol.
        skipped: :class:`~tfssl.data.pipeline.Skipped`.
        paint: function target or answer -> uint8 (H, W, 3).
        legend: picture below the last row of the sheet.
        out: folder; None writes nothing.

    Returns:
        ``numbers`` with ``taps``, ``images_train``, ``images_test``, ``images_skipped`` and ``skipped``.
    """
    unread = [sum(path in skipped.reasons for path in part.paths) for part in (task.train, task.test)]
    numbers = {
        **numbers,
        "taps": ",".join(next(run.taps for run in runs if run.encoder == "encoder")),
        "images_train": len(task.train) - unread[0],
        "images_test": len(task.test) - unread[1],
        "images_skipped": len(skipped.reasons),
        "skipped": dict(skipped.reasons),
    }
    if out is not None:
        write_metrics(out, numbers, task=name, protocol=about)
        _write_runs(Path(out) / "runs.csv", runs)
        _write_sheet(Path(out) / "pictures.png", task, runs, paint, legend)
    return numbers


def _write_runs(path, runs):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["encoder", "seed", "taps", "training_loss", *runs[0].metrics])
        for run in runs:
            writer.writerow([run.encoder, run.seed, " ".join(run.taps), run.training_loss, *run.metrics.values()])


def _write_sheet(path, task, runs, paint, legend):
    """Photo, truth, and the answers of every network's first run."""
    first = [run for run in runs if run.seed == 0]
    rows, labels = [], []
    for index in shown_indices(len(task.test)):
        if index not in first[0].shown:  # unreadable
            continue
        picture, target = task.test.open(index)
        rows.append([picture, paint(target), *(paint(run.shown[index]) for run in first)])
        labels.append(Path(task.test.name(index)).stem)
    if not rows:
        return
    if legend is not None:
        rows.append([legend])
        labels.append("")
    picture_sheet(rows, path, titles=["photo", "truth", *(run.encoder for run in first)], labels=labels)
