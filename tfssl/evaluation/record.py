"""Records of evaluations: what was measured, how well, beside what, and what it takes to measure it again.

``metrics.json`` of every evaluation is a :class:`Record`, written and read here alone.
"""

import dataclasses
import math
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tfssl.errors import SourceError
from tfssl.files import read_json, sha256, write_json
from tfssl.resources import savedmodels

_PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "scikit-image")
_FIELDS = ("task", "metrics", "details", "protocol", "skipped")


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number, and what it means; ``float(metric)`` is its value.

    Args:
        value: the mean over ``n`` runs; NaN where it is not defined.
        std: standard deviation of a sample, over the runs; None for a single one.
        unit: such as ``"dB"``; ``"fraction"`` for what lies in [0, 1]; ``""`` for a pure number.
        higher_is_better: None for counts and descriptions.
        baselines: ``{name: the same number of something else}``, such as the untrained network or chance.
    """

    value: float
    std: float | None = None
    n: int = 1
    unit: str = ""
    higher_is_better: bool | None = None
    baselines: Mapping = dataclasses.field(default_factory=dict)

    def __float__(self):
        return float(self.value)

    @property
    def gain(self):
        """How much the value lies above that of the same network untrained; None where that was not measured."""
        return None if "untrained" not in self.baselines else self.value - self.baselines["untrained"]


@dataclasses.dataclass(frozen=True)
class Record(Mapping):
    """What an evaluation found: ``{name: Metric}``, the headline first.

    Args:
        task: name of the task, or of the method whose own metrics these are.
        details: what is no number, such as the tap that was chosen, in what JSON can hold.
        protocol: every constant that it takes to measure the same again.
        skipped: ``{file: reason}`` of what could not be read.
        about: further entries of the file: ``model``, ``weights_sha256``, ``date``, ``versions``, and ``config`` and
            ``seed`` of a method's own metrics.
    """

    task: str
    metrics: dict
    details: dict = dataclasses.field(default_factory=dict)
    protocol: dict = dataclasses.field(default_factory=dict)
    skipped: dict = dataclasses.field(default_factory=dict)
    about: dict = dataclasses.field(default_factory=dict)

    def __getitem__(self, name):
        return self.metrics[name]

    def __iter__(self):
        return iter(self.metrics)

    def __len__(self):
        return len(self.metrics)

    def of(self, source):
        """The record with the name of what was measured, and the fingerprint of its weights, see :func:`model_of`."""
        return dataclasses.replace(self, about=self.about | model_of(source))

    def lines(self):
        """The metrics as text, name, value ± deviation and what stands beside it: the headline after the name of what
        was measured, an empty line, then the rest, a line each."""
        about = f"{self.task} of {self.about['model']}" if self.about.get("model") else self.task
        texts = list(self._texts().items())
        width = max((len(name) for name, _ in texts), default=0)
        for number, (name, text) in enumerate(texts):
            if number == 1:
                yield ""
            yield f"{name:{width}}  {text}" if number else f"{about}: {name} {text}"

    def _texts(self):
        """``{name: text}`` of the metrics, the headline first, and the details that are texts."""
        found = {}
        for name, metric in self.metrics.items():
            text = _number(metric.value) + (f" ± {_number(metric.std)}" if metric.std is not None else "")
            text += f" {metric.unit}" if metric.unit not in ("", "fraction") else ""
            beside = ", ".join(f"{key} {_number(value)}" for key, value in metric.baselines.items())
            found[name] = text + (f"  ({beside})" if beside else "")
        return found | {name: value for name, value in self.details.items() if isinstance(value, str)}

    def flat(self):
        """``{name: number or text}``: ``NAME``, ``NAME_std``, ``BASELINE_NAME``, and the details that are texts."""
        found = {}
        for name, metric in self.metrics.items():
            found[name] = metric.value
            if metric.std is not None:
                found[f"{name}_std"] = metric.std
            found |= {f"{key}_{name}": value for key, value in metric.baselines.items()}
        return found | {name: value for name, value in self.details.items() if isinstance(value, str)}

    def to_dict(self):
        """What ``metrics.json`` holds."""
        known = {name: getattr(self, name) for name in _FIELDS}
        metrics = {name: dataclasses.asdict(metric) for name, metric in self.metrics.items()}
        about = {"model": None, "weights_sha256": None, "date": now(), **self.about}
        return known | {"metrics": metrics} | about | {"versions": self.about.get("versions") or _versions()}

    def write(self, out):
        """Write ``out/metrics.json``, whole or not at all; NaN becomes null."""
        write_json(Path(out) / "metrics.json", self.to_dict())


def read_record(path):
    """Read a ``metrics.json``, or that of a folder; a SourceError if there is none, or it holds something else.

    Of files from before there were records, flat ``{name: number}``, it gives what it can: ``NAME_std`` joins NAME, so
    do ``untrained_NAME`` and ``pixels_NAME`` as baselines, texts become details; units and directions stay unknown.
    """
    path = Path(path)
    path = path / "metrics.json" if path.is_dir() else path
    try:
        values = read_json(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{str(path)!r} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise SourceError(f"{str(path)!r} holds no record of an evaluation")
    metrics = values.get("metrics")
    if not isinstance(metrics, dict) or not all(isinstance(value, dict) for value in metrics.values()):
        return _old_record(values)
    known = {field.name for field in dataclasses.fields(Metric)}
    parts = {name: values.get(name) or {} for name in _FIELDS[2:]}
    return Record(
        task=values.get("task") or "",
        metrics={name: _metric(metric, known) for name, metric in metrics.items()},
        about={name: value for name, value in values.items() if name not in _FIELDS},
        **parts,
    )


def metrics_of(values, kinds):
    """Numbers of a method's own evaluation as ``{name: Metric}``, the metrics first, in the order of ``kinds``.

    Args:
        values: ``{name: number}``.
        kinds: ``{name: (unit, higher_is_better, {baseline: its name in values or its number})}`` of the metrics among
            them; what else is no baseline of one counts or describes.
    """
    beside = {key for *_, baselines in kinds.values() for key in baselines.values()}
    found = {}
    for name, (unit, higher, baselines) in kinds.items():
        if name in values:
            others = {k: values.get(v) if isinstance(v, str) else v for k, v in baselines.items()}
            others = {k: v for k, v in others.items() if v is not None}
            found[name] = Metric(values[name], unit=unit, higher_is_better=higher, baselines=others)
    return found | {k: Metric(v) for k, v in values.items() if k not in found and k not in beside}


def method_record(method, values, kinds, *, details=None, protocol=None, skipped=None, **about):
    """The :class:`Record` of a method's own evaluation, of the numbers that :func:`metrics_of` takes.

    The fields of the method become ``config``; ``about`` are further entries, such as ``seed``.
    """
    about["config"] = {"method": method.name(), **method.model_dump(mode="json")}
    metrics = metrics_of(values, kinds)
    return Record(method.name(), metrics, details or {}, protocol or {}, dict(skipped or {}), about)


def model_of(source):
    """Name what was evaluated, as :func:`tfssl.load_encoder` takes it: its text, and the fingerprint of its weights.

    ``{"model": ..., "weights_sha256": ...}``, the latter None where no file holds weights.
    """
    path = Path(source).expanduser()
    if not path.exists() and str(source) and (savedmodels() / path).is_dir():
        path = savedmodels() / path
    files = [path, path / "model.keras", *sorted(path.glob("**/variables/variables.data-*"))]
    file = next((file for file in files if file.is_file()), None)
    return {"model": os.fspath(source), "weights_sha256": None if file is None else sha256(file)}


def now():
    """This moment: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions():
    from tfssl import __version__

    packages = {package: version(package) for package in _PACKAGES}
    return {"tfssl": __version__, "python": platform.python_version(), **packages}


def _metric(values, known):
    found = {name: value for name, value in values.items() if name in known}
    return Metric(**found | {"value": math.nan if values.get("value") is None else values["value"]})


def _old_record(values):
    sections = ("protocol", "skipped")
    about = ("model", "weights_sha256", "date", "versions", "config", "seed", "source")
    rest = {k: v for k, v in values.items() if k not in (*sections, *about, "task")}
    numbers = {k: v for k, v in rest.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    ends = [k for k in numbers if k.endswith("_std") and k.removesuffix("_std") in numbers]
    beside = {f"{start}_{name}": (start, name) for start in ("untrained", "pixels") for name in numbers}
    beside = {key: pair for key, pair in beside.items() if key in numbers}
    metrics = {}
    for name, value in numbers.items():
        if name not in beside and name not in ends:
            baselines = {start: numbers[key] for key, (start, of) in beside.items() if of == name}
            metrics[name] = Metric(value, std=numbers.get(f"{name}_std"), baselines=baselines)
    config = values.get("config") if isinstance(values.get("config"), dict) else {}
    return Record(
        task=str(values.get("task") or config.get("method") or ""),
        metrics=metrics,
        details={k: v for k, v in rest.items() if k not in numbers},
        about={k: values[k] for k in about if k in values},
        **{name: values[name] if isinstance(values.get(name), dict) else {} for name in sections},
    )


def _number(value):
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) and not value.is_integer() else f"{value:,.0f}"
