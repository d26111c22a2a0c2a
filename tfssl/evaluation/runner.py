"""How every task measures: the encoder beside the same network untrained and others, over seeds, summed up in a record.

A task makes a :class:`Run` for each tap and seed, and nothing else:

    encoders = compared(encoder, taps=taps, trained=trained, compare=compare)
    runs = run_all(encoders, seeds, measure, images)  # measure(entry, network, seeds) yields runs
    return finish("my_task", runs, protocol=..., out=out)
"""

import contextlib
import dataclasses
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from tfssl.errors import ConfigError
from tfssl.evaluation.baselines import learned, pixel_encoder, untrained, with_vocabulary
from tfssl.evaluation.record import Metric, Record
from tfssl.files import cell, writing
from tfssl.transfer import STRATEGIES, transfer
from tfssl.transfer.strategies import check_taps, unchanged
from tfssl.transfer.training import Pretext, train_head

RESERVED = ("encoder", "untrained", "pixels", "chance")  # names that compared encoders may not have
FRACTION = ("fraction", True)  # unit and direction of a metric that lies in [0, 1] and had better be high


@dataclasses.dataclass(frozen=True)
class Compared:
    """An encoder under comparison: name (``"encoder"`` for the one evaluated), network, and the taps to measure. Where
    it is ``redrawn`` its weights are random, drawn anew for each seed; so is a vocabulary that it has yet to learn."""

    name: str
    network: keras.Model
    taps: tuple[str, ...]
    redrawn: bool = False

    def networks(self, seeds, images=None):
        """Yield ``(network, its seeds)``, one for all seeds or another for each; ``images`` as of :func:`run_all`."""
        adapted = getattr(self.network, "adapted", True)
        if adapted and not self.redrawn:
            yield self.network, list(range(seeds))
            return
        for seed in range(seeds):
            network = untrained(self.network, seed) if self.redrawn else self.network
            with contextlib.nullcontext() if adapted else with_vocabulary(network, self.name, images, seed):
                yield network, [seed]


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One tap of one network, measured once: ``metrics`` are ``{name: float}``.

    ``held_out`` is a number from training data that chooses among the taps, the highest; None where nothing is chosen.
    ``about`` are further columns of ``runs.csv``, and ``shown`` is what is drawn of it."""

    encoder: str
    seed: int
    metrics: dict
    tap: str = ""
    held_out: float | None = None
    about: dict = dataclasses.field(default_factory=dict)
    shown: object = None


class Progress:
    """Counts units of work, and calls ``report`` with (done, ``total``, what) if there is one, for the first time at
    once: tasks make it when their arguments are checked."""

    def __init__(self, report, total):
        self._report, self._total, self._done = report, total, 0
        self._tell(0, "")

    def add(self, what, count=1):
        self._done += count
        self._tell(self._done, what)

    def steps(self, what, count):
        """A function of (done, in all, text), for a training of ``count`` steps, which are counted at once."""
        begun = self._done
        self._done += count
        return lambda done, _, text="": self._tell(begun + done, f"{what} {text}".rstrip())

    def _tell(self, done, what):
        if self._report is not None:
            self._report(done, self._total, what)


def compared(encoder, *, modality="image", taps=None, trained=True, compare=None, pixels=True):
    """A list of :class:`Compared`: the encoder, itself untrained, raw pixels, and what it is compared with.

    ``modality`` is what the task measures: ``"image"``, ``"clip"``, ``"pair"`` or ``"sound"``, or a tuple of them.
    There is no untrained network beside one that no training made, no pixels beside pixels. A ConfigError tells of
    what is no encoder or of another modality, of a tap that the encoder lacks, and of a reserved name.
    """
    found = [Compared("encoder", encoder, _taps(encoder, taps, modality), redrawn=not trained)]
    if trained and learned(encoder):
        found.append(Compared("untrained", encoder, found[0].taps, redrawn=True))
    if pixels and modality in ("image", "clip") and list(encoder.output) != ["pixels"]:
        frames = encoder.input.shape[1] if modality == "clip" else None
        found.append(Compared("pixels", pixel_encoder(frames), ("pixels",)))
    for name, network in (compare or {}).items():
        if name in RESERVED:
            raise ConfigError(f"`compare`: the name {name!r} is taken; choose another one")
        named = dict.fromkeys(part for tap in taps or () for part in (tap, *tap.split("+")))  # those of ensembles too
        shared = [tap for tap in named if tap in network.output]
        if modality == "clip" and network.input.shape != encoder.input.shape:
            taken = f"{name!r} takes {network.input.shape[1:]}, the encoder {encoder.input.shape[1:]}"
            raise ConfigError(f"`compare`: clips must be of one shape; {taken}")
        found.append(Compared(name, network, _taps(network, shared or None, modality)))
    return found


def run_all(encoders, seeds, measure, images=None):
    """All runs of ``measure(compared, network, seeds)``: called once for a network whose weights stay the same, and for
    each seed where they are drawn anew. ``images()`` gives batches of the training images, for encoders that learn a
    vocabulary from them; without it these are a ConfigError."""
    found = ((entry, *both) for entry in encoders for both in entry.networks(seeds, images))
    return [run for entry, network, own in found for run in measure(entry, network, own)]


@dataclasses.dataclass(frozen=True)
class Training:
    """How a task trains networks: arguments of :mod:`tfssl.evaluation`, checked."""

    strategy: str
    train_from: str | None
    steps: int
    batch_size: int
    learning_rate: float
    seeds: int
    pretext: Pretext | None
    pretext_weight: float
    trained: bool

    def __post_init__(self):
        check_counts(steps=self.steps, batch_size=self.batch_size, seeds=self.seeds)
        check_choice(STRATEGIES, strategy=self.strategy)
        if not self.learning_rate > 0:
            raise ConfigError(f"`learning_rate` must be above 0. Received: learning_rate={self.learning_rate!r}")
        if (self.strategy == "joint") != (self.pretext is not None and self.trained):
            wanted = "a trained encoder and its `pretext` task, other strategies use none"
            raise ConfigError(f"strategy='joint' needs {wanted}")

    @contextlib.contextmanager
    def network(self, entry, network, seed, head, batches, loss, *, taps, work, build=transfer, **options):
        """A network trained on a task; afterwards the encoder, and the model of its pretext task, are what they were.

        ``build(network, head, strategy, taps=, train_from=, seed=)`` makes the ``keras.Model``, and ``batches(seed)``
        its data, once the seeds are set; ``loss`` and ``options`` are those of
        :func:`tfssl.transfer.training.train_head`. Yields ``(keras.Model, list of losses)``.
        """
        pretext = self.pretext if entry.name == "encoder" else None  # the others have none
        strategy = "fine_tune" if self.strategy == "joint" and pretext is None else self.strategy
        options |= {"steps": self.steps, "learning_rate": self.learning_rate}
        options |= {"pretext": pretext, "weight": self.pretext_weight}
        what = f"{entry.name} {seed}" if self.seeds > 1 else entry.name
        keras.utils.set_random_seed(seed)
        with unchanged(*([network, pretext.model] if pretext is not None else [])):
            model = build(network, head, strategy, taps=taps, train_from=self.train_from, seed=seed)
            yield model, train_head(model, batches(seed), loss, progress=work.steps(what, self.steps), **options)

    def record(self):
        """The entries of a protocol."""
        names = ("strategy", "train_from", "steps", "batch_size", "learning_rate", "seeds")
        weight = None if self.pretext is None else self.pretext_weight
        return {name: getattr(self, name) for name in names} | {"pretext_weight": weight}


def final_loss(losses):
    """Mean of the last tenth of the losses of a training."""
    return float(np.mean(losses[-max(len(losses) // 10, 1) :]))


def best_of_seed(runs):
    """The run of each seed that held-out data prefer, the first of equals."""
    seeds = dict.fromkeys(run.seed for run in runs)
    return [max((r for r in runs if r.seed == seed), key=lambda r: r.held_out or 0.0) for seed in seeds]


def best_tap(runs):
    """The runs of the tap that held-out data prefer over all seeds, the first of equals."""
    own = {tap: [run for run in runs if run.tap == tap] for tap in dict.fromkeys(run.tap for run in runs)}
    return max(own.values(), key=lambda some: np.mean([run.held_out or 0.0 for run in some]))


def finish(
    task,
    runs,
    *,
    protocol,
    kinds=None,
    choose=best_of_seed,
    by_tap=None,
    baselines=None,
    counts=None,
    details=None,
    skipped=None,
    out=None,
    draw=None,
):
    """Sum up an evaluation and write its files.

    Args:
        task, protocol, details, skipped: of the :class:`~tfssl.evaluation.record.Record`.
        runs: list of :class:`Run`.
        kinds: ``{metric: (unit, higher_is_better)}``, for those that are not :data:`FRACTION`.
        choose: function of the runs of one encoder that gives those that are reported, one for each seed.
        by_tap: name of a metric that is also reported for each tap, see :func:`tap_metrics`.
        baselines: ``{metric: {name: number}}`` beside those of the other encoders.
        counts: ``{name: number}`` of images, classes and the like.
        out, draw: folder for ``metrics.json``, ``runs.csv`` and what the function of it draws; None writes nothing.

    The record holds of each metric of the chosen runs the mean over the seeds, beside those of the other encoders;
    ``details`` names the ``tap`` that was chosen most often, and under ``encoders`` that and the deviations of others.
    """
    kinds = {"training_loss": ("", False)} | (kinds or {})
    chosen = {name: choose(own) for name, own in by_encoder(runs).items()}
    metrics, others = {}, {name: {} for name in chosen if name != "encoder"}
    for name in chosen["encoder"][0].metrics:
        found = {key: _metric([r.metrics[name] for r in own], kinds.get(name, FRACTION)) for key, own in chosen.items()}
        metrics[name] = _beside(name, found, others, (baselines or {}).get(name))
    taps = {key: Counter(run.tap for run in own).most_common(1)[0][0] for key, own in chosen.items()}
    for key, about in others.items():
        about["tap"] = taps[key]
    details = {"tap": taps["encoder"]} | (details or {})
    if by_tap is not None:
        metrics |= tap_metrics(runs, by_tap, kinds.get(by_tap, FRACTION), details, others)
    counted = {name: v if isinstance(v, Metric) else Metric(v) for name, v in (counts or {}).items()}
    if others:
        details["encoders"] = others
    record = Record(task, metrics | counted, details, protocol, dict(sorted((skipped or {}).items())))
    if out is not None:
        record.write(out)
        write_runs(Path(out) / "runs.csv", runs)
        if draw is not None:
            draw(Path(out))
    return record


def tap_metrics(runs, metric, kind, details, others):
    """``best_on_test``, the highest mean of a tap on the test set, and ``tap_NAME`` of each tap of the encoder.

    ``details`` names the tap that is best on the test set, which most papers print, ``others`` those of the others.
    """
    found = values_by_tap(runs, metric)
    means = {name: {tap: _metric(values, kind) for tap, values in own.items()} for name, own in found.items()}
    best = {name: max(taps, key=lambda tap: float(taps[tap])) for name, taps in means.items()}
    for name, tap in best.items():
        (details if name == "encoder" else others[name])["best_on_test_tap"] = tap
    found = {"best_on_test": _beside("best_on_test", {n: means[n][tap] for n, tap in best.items()}, others)}
    for tap in means["encoder"]:
        shared = {name: taps[tap] for name, taps in means.items() if tap in taps}
        found[f"tap_{tap}"] = _beside(f"tap_{tap}", shared, others)
    return found


def values_by_tap(runs, metric):
    """``{encoder: {tap: list of the values of a metric}}``."""
    found = {}
    for run in runs:
        found.setdefault(run.encoder, {}).setdefault(run.tap, []).append(run.metrics[metric])
    return found


def by_encoder(runs):
    """``{name: its runs}``."""
    return {name: [r for r in runs if r.encoder == name] for name in dict.fromkeys(r.encoder for r in runs)}


def write_runs(path, runs):
    """Write every run as a row of a CSV file, without columns that are empty."""
    import pandas

    rows = [
        {"encoder": run.encoder, "seed": run.seed, "tap": run.tap, "held_out": run.held_out, **run.about, **run.metrics}
        for run in runs
    ]
    _write_csv(path, pandas.DataFrame(rows).dropna(axis="columns", how="all"))


def write_classes(folder, runs, columns):
    """Write ``classes.csv``: a row for each run and class, of ``columns(run)``, ``{column: values of the classes}``."""
    import pandas

    tables = [pandas.DataFrame({"encoder": run.encoder, "seed": run.seed, **columns(run)}) for run in runs]
    _write_csv(folder / "classes.csv", pandas.concat(tables))


def spread(count, number):
    """Which ``number`` of ``count`` things to take, spread evenly: rising positions."""
    return np.unique(np.linspace(0, count - 1, min(count, number)).round().astype(int)).tolist()


def limited(source, limit):
    """At most ``limit`` examples of a source, see :mod:`tfssl.evaluation`; all of them for None."""
    check_counts(limit=limit)
    if limit is None or limit >= len(source):
        return source
    labels = np.asarray(getattr(source, "labels", np.zeros(len(source))))
    ordered = np.argsort(labels, kind="stable") if labels.ndim == 1 else np.arange(len(source))
    return source.take(np.sort(ordered[spread(len(source), limit)]).tolist())


def check_counts(**counts):
    """Raise ConfigError unless each value is a positive integer or None."""
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"`{name}` must be a positive integer. Received: {name}={value!r}")


def check_choice(known, **given):
    """Raise ConfigError unless each value is one of those known."""
    for name, value in given.items():
        if value not in known:
            raise ConfigError(f"`{name}` must be one of {', '.join(known)}. Received: {name}={value!r}")


def _write_csv(path, frame):
    with writing(path, "w", newline="") as file:
        frame.map(cell).to_csv(file, index=False)


def _metric(values, kind):
    apart = np.subtract(values, values[0])  # exactly 0 where all are the same
    std = float(np.std(apart, ddof=1)) if len(values) > 1 else None
    return Metric(float(values[0] + np.mean(apart)), std, len(values), *kind)


def _beside(name, found, others, more=None):
    """The encoder's metric with those of the others as baselines; their deviations go to ``others``."""
    beside = {key: metric for key, metric in found.items() if key != "encoder"}
    for key, metric in beside.items():
        if metric.std is not None:
            others[key][f"{name}_std"] = metric.std
    baselines = {key: metric.value for key, metric in beside.items()} | (more or {})
    return dataclasses.replace(found["encoder"], baselines=baselines)


def _taps(network, wanted, modality):
    if not isinstance(network, keras.Model) or not isinstance(network.output, dict):
        raise ConfigError(f"{getattr(network, 'name', network)!r} is no encoder: it must answer with a dict of taps")
    own = getattr(network, "modality", "image")
    known = (modality,) if isinstance(modality, str) else modality
    if own not in known:
        wanted = " or ".join(map(repr, known))
        raise ConfigError(f"the task measures encoders with modality={wanted}. Received: {network.name!r}, {own!r}")
    return check_taps(network, wanted)
