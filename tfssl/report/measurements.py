"""Evaluations as they lie in folders: found, read, and given to the runs that they measured."""

import csv
import dataclasses
import json
from pathlib import Path

from tfssl.errors import SourceError


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A folder with a ``metrics.json``.

    Args:
        folder: the folder.
        record: content of the file.
        run: name of the run it belongs to; None if that is not known.
        because: how that is known, in words.
        stale: whether it was measured on other weights than the run's file now holds.
        by_tap: ``{encoder: {tap: list of accuracies over the seeds}}`` of its taps.csv; empty if there is none.
    """

    folder: Path
    record: dict
    run: str | None
    because: str
    stale: bool = False
    by_tap: dict = dataclasses.field(default_factory=dict)

    @property
    def task(self):
        """Name of the transfer task; None for the metrics of the method itself."""
        return self.record.get("task")

    @property
    def name(self):
        """What was measured: the run, or else the model's name, or else the folder's."""
        return self.run or self.record.get("model") or f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def protocol(self):
        """``{name: value}`` of every constant."""
        return self.record.get("protocol") or {}

    @property
    def pictures(self):
        """PNG files of the folder, sorted."""
        return sorted(self.folder.glob("*.png"))


def find_measurements(runs, folders=()):
    """Everything that was measured.

    Args:
        runs: list of :class:`~tfssl.report.run_record.RunRecord`; what lies in their folders ``evaluations/`` is
            theirs.
        folders: further folders, searched to the bottom.

    Returns:
        ``(list of Measurement, list of texts)``: the texts say which files could not be read.

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
            record = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(record, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError) as error:
            problems.append(f"{file} cannot be read: {' '.join(str(error).split())}")
            continue
        taps = {}
        try:
            taps = _read_taps(file.parent / "taps.csv")
        except (OSError, KeyError, TypeError, ValueError) as error:
            problems.append(f"{file.parent / 'taps.csv'} is no table of accuracies by tap: {error}")
        measured.append(dataclasses.replace(_assigned(file.parent, record, owner, runs), by_tap=taps))
    order = {run.name: index for index, run in enumerate(runs)}
    return sorted(measured, key=lambda m: order.get(m.run, len(order))), problems


def _search(folder):
    """Files metrics.json below a folder; those of runs are of another kind."""
    files = (file.resolve() for file in Path(folder).glob("**/metrics.json"))
    return [file for file in files if not (file.parent / "config.yaml").is_file()]


def _read_taps(file):
    found = {}
    if file.is_file():
        with open(file, newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                found.setdefault(row["encoder"], {}).setdefault(row["tap"], []).append(float(row["accuracy"]))
    return found


def _assigned(folder, record, owner, runs):
    run, because = (owner, "lies in its folder") if owner else _owner(folder, record, runs)
    if run is None:
        return Measurement(folder, record, None, because)
    stale = record.get("weights_sha256") not in (None, run.fingerprint)
    return Measurement(folder, record, run.name, because, stale)


def _owner(folder, record, runs):
    fingerprint = record.get("weights_sha256")
    for run in runs:
        if fingerprint is not None and run.fingerprint == fingerprint:
            return run, "same weights"
    model = record.get("model")
    if model is not None:  # another model, said by name: no guess is needed
        same = [run for run in runs if Path(model).expanduser().resolve() == run.folder]
        return (same[0], "measured under its path") if same else (None, f"measured {model}")
    same = [run for run in runs if run.name in (folder.name, *(parent.name for parent in folder.parents))]
    if len(same) == 1:
        return same[0], "by the name of its folder only"
    same = [run for run in runs if record.get("config") == run.method.model_dump(mode="json")]
    return (same[0], "by its configuration only") if len(same) == 1 else (None, "which run it measured is not recorded")
