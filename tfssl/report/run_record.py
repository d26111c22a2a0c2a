"""What a run directory tells of a run: read from its files, without loading the network."""

import csv
import dataclasses
import json
import zipfile
from functools import cached_property
from pathlib import Path

from tfssl.config import RunConfig, load_config
from tfssl.errors import ModelError
from tfssl.files import sha256


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run, finished or not.

    Args:
        folder: the run directory.
        name: what the report calls it; no two runs of a report share it.
    """

    folder: Path
    name: str

    @cached_property
    def config(self) -> RunConfig:
        """Method and settings."""
        return load_config(self.folder / "config.yaml")

    @cached_property
    def method(self):
        """The :class:`~tfssl.methods.base.Method`."""
        return self.config.method

    @cached_property
    def history(self):
        """Rows of history.csv, ``{column: number, text of a phase, or None}``; empty if there is none."""
        file = self.folder / "history.csv"
        if not file.is_file():
            return []
        with open(file, newline="", encoding="utf-8") as lines:
            return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(lines)]

    @cached_property
    def metrics(self):
        """Content of metrics.json; empty where training has not ended."""
        file = self.folder / "metrics.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    @property
    def weights(self):
        """The file of the trained network, or None."""
        file = self.folder / "model.keras"
        return file if file.is_file() else None

    @cached_property
    def fingerprint(self):
        """SHA-256 of that file, or None."""
        return sha256(self.weights) if self.weights else None

    @cached_property
    def saved_with(self):
        """``(version of Keras, date)`` that the network was saved with; None where there is none."""
        try:
            with zipfile.ZipFile(self.weights or "") as archive:
                about = json.loads(archive.read("metadata.json"))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return None
        return about.get("keras_version", "?"), about.get("date_saved", "?").replace("@", " ")

    @property
    def sample(self):
        """The newest picture in samples/, or None."""
        return max(self.folder.glob("samples/*.png"), default=None)

    @property
    def skipped(self):
        """Number of pictures that could not be read in training; None where that is not recorded."""
        file = self.folder / "skipped.csv"
        if not file.is_file():
            return None
        with open(file, newline="", encoding="utf-8") as lines:
            return sum(1 for _ in csv.DictReader(lines))


def read_runs(folders):
    """The runs of a report.

    Args:
        folders: run directories; one that is given twice counts once.

    Returns:
        List of :class:`RunRecord`, in this order.

    Raises:
        ModelError: if one is no run directory.
        ConfigError: if its configuration is damaged.
    """
    paths = list(dict.fromkeys(Path(folder).expanduser().resolve() for folder in folders))
    if not paths:
        raise ModelError("`runs` must name at least one run directory")
    for path in paths:
        if not (path / "config.yaml").is_file():
            raise ModelError(f"{str(path)!r} is no run directory (no config.yaml); give what `tfssl train` wrote")
    runs = [RunRecord(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    for run in runs:
        run.config  # noqa: B018  (a damaged one is named now, not in the middle of the page)
    return runs


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
