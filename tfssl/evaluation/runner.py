"""How every task measures: the encoder beside the same network untrained and others, over seeds, summed up in a record.

A task makes :class:`Run`\\ s, one for each tap and seed, and nothing else:

    encoders = compared(encoder, modality=MODALITY, taps=taps, trained=trained, compare=compare)
    runs = run_all(encoders, seeds, measure)          # measure(entry, network, seeds) yields runs
    return finish("my_task", runs, protocol=..., out=out)
"""

import contextlib
import dataclasses
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from tfssl.errors import ConfigError
from tfssl.evaluation.record import Metric, Record
from tfssl.files import writing
from tfssl.transfer import transfer
from tfssl.transfer.strategies import unchanged
from tfssl.transfer.training import train_head

RESERVED = ("encoder", "untrained", "pixels", "chance")
"""Names that compared encoders may not have."""

FRACTION = ("fraction", True)
"""Unit and direction of a metric that lies in [0, 1] and had better be high."""


@dataclasses.dataclass(frozen=True)
class Compared:
    """An encoder under comparison.

    Args:
        name: ``"encoder"`` for the one that is evaluated, ``"untrained"``, ``"pixels"`` or that of a compared one.
        network: ``keras.Model``: input -> ``{tap: map}``.
        taps: the taps to measure.
        redrawn: whether its weights are random, and drawn anew for each seed.
    """

    name: str
    network: keras.Model
    taps: tuple[str, ...]
    redrawn: bool = False

    def networks(self, seeds):
        """Yield ``(network, its seeds)``: one network for all seeds, or another one for each."""
        if self.redrawn:
            yield from ((untrained(self.network, seed), [seed]) for seed in range(seeds))
        else:
            yield self.network, list(range(seeds))


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One tap of one network, measured once.

    Args:
        encoder: name of the :class:`Compared`.
        seed: of the split, order or head, and of the weights of an untrained network.
        metrics: ``{name: float}``.
        tap: its name, or names.
        held_out: a number from training data that chooses among the taps, the highest; None where nothing is chosen.
        about: further columns of ``runs.csv``.
        shown: what is drawn of it.
    """

    encoder: str
    seed: int
    metrics: dict
    tap: str = ""
    held_out: float | None = None
    about: dict = dataclasses.field(default_factory=dict)
    shown: object = None


class Progress:
    """Counts units of work.

    Args:
        report: called with (done, in all, what), or None.
        total: units in all.
    """

    def __init__(self, report, total):
        self._report, self._total, self._done = report, total, 0

    def add(self, what, count=1):
        """Count some units."""
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
    """The encoder, its baselines and what it is compared with.

    Args:
        encoder: ``keras.Model`` to evaluate.
        modality: what the task measures: ``"image"``, ``"clip"``, ``"pair"`` or ``"sound"``.
        taps: names of the taps to measure; None for all.
        trained: False if its weights are random: then each seed draws new ones, and that is its own baseline.
        compare: further encoders, ``{name: keras.Model}``.
        pixels: whether raw pixels take part, where the task measures images.

    Returns:
        List of :class:`Compared`, the encoder first. There is no untrained network beside one without weights, no
        pixels beside pixels.

    Raises:
        ConfigError: for another modality, a tap that the encoder lacks, a reserved name, or what is no encoder.
    """
    found = [Compared("encoder", encoder, _taps(encoder, taps, modality), redrawn=not trained)]
    if trained and encoder.variables:
        found.append(Compared("untrained", encoder, found[0].taps, redrawn=True))
    if pixels and modality == "image" and list(encoder.output) != ["pixels"]:
        found.append(Compared("pixels", pixel_encoder(), ("pixels",)))
    for name, network in (compare or {}).items():
        if name in RESERVED:
            raise ConfigError(f"`compare`: the name {name!r} is taken; choose another one")
        shared = [tap for tap in taps or () if tap in network.output]
        found.append(Compared(name, network, _taps(network, shared or None, modality)))
    return found


def untrained(encoder, seed):
    """The same architecture with new random weights, as its initializers draw them.

    Args:
        encoder: ``keras.Model``.
        seed: of the weights; sets the global seeds of Python, NumPy and the backend.
    """
    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(encoder)


def pixel_encoder():
    """An encoder whose only tap, ``pixels``, is the image: RGB in [0, 1], (B, H, W, 3) -> the same."""
    rgb = keras.Input((None, None, 3), name="rgb")
    return keras.Model(rgb, {"pixels": keras.layers.Identity(name="pixels")(rgb)}, name="pixels")


def run_all(encoders, seeds, measure):
    """Measure every encoder for every seed.

    Args:
        encoders: list of :class:`Compared`.
        seeds: their number; each is a run with seed 0, 1, ...
        measure: function ``(compared, network, seeds) -> iterable of`` :class:`Run`; it is called once for a network
            whose weights stay the same, with all seeds, and once for each seed where they are drawn anew.

    Returns:
        list of :class:`Run`.
    """
    return [run for entry in encoders for network, own in entry.networks(seeds) for run in measure(entry, network, own)]


@contextlib.contextmanager
def trained_on(entry, network, head, batches, loss, *, taps, strategy, train_from, seed, pretext=None, **options):
    """A network trained on a task; afterwards the encoder, and the model of its pretext task, are what they were.

    Only the encoder itself has a pretext task: for strategy ``"joint"`` the others are fine-tuned.

    Args:
        entry: the :class:`Compared`.
        network: its network.
        head, taps, strategy, train_from, seed: as :func:`tfssl.transfer.transfer`; ``seed`` is that of everything.
        batches: function without arguments that gives the batches, called once the seeds are set.
        loss, pretext, options: as :func:`tfssl.transfer.training.train_head`.

    Yields:
        ``(keras.Model, list of losses)``.
    """
    pretext = pretext if entry.name == "encoder" else None
    strategy = "fine_tune" if strategy == "joint" and pretext is None else strategy
    keras.utils.set_random_seed(seed)
    with unchanged(*([network, pretext.model] if pretext is not None else [])):
        model = transfer(network, head, strategy, taps=taps, train_from=train_from, seed=seed)
        yield model, train_head(model, batches(), loss, pretext=pretext, **options)


def check_joint(strategy, pretext, trained):
    """Raise ConfigError where strategy ``"joint"`` lacks a pretext task, or another one has it."""
    if (strategy == "joint") != (pretext is not None and trained):
        raise ConfigError("strategy='joint' needs a trained encoder and its `pretext` task, other strategies use none")


def best_of_seed(runs):
    """The run of each seed that held-out data prefer, the first of equals."""
    seeds = dict.fromkeys(run.seed for run in runs)
    return [max((r for r in runs if r.seed == seed), key=lambda r: r.held_out or 0.0) for seed in seeds]


def best_tap(runs):
    """The runs of the tap that held-out data prefer over all seeds, the first of equals."""

    def held_out(tap):
        return np.mean([run.held_out or 0.0 for run in runs if run.tap == tap])

    tap = max(dict.fromkeys(run.tap for run in runs), key=held_out)
    return [run for run in runs if run.tap == tap]


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
        task: its name.
        runs: list of :class:`Run`.
        protocol: dict of its constants.
        kinds: ``{metric: (unit, higher_is_better)}``, for those that are not :data:`FRACTION`.
        choose: function of the runs of one encoder that gives those that are reported, one for each seed.
        by_tap: name of a metric that is also reported for each tap, see :func:`tap_metrics`.
        baselines: ``{metric: {name: number}}`` beside those of the other encoders.
        counts: ``{name: number}`` of images, classes and the like.
        details, skipped: of the record.
        out: folder for ``metrics.json``, ``runs.csv`` and what is drawn; None writes nothing.
        draw: function of that folder.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: of each metric of the chosen runs the mean over the seeds, beside
        those of the other encoders; ``details`` names the ``tap`` that was chosen most often, and under ``encoders``
        that and the deviations of each other encoder.
    """
    kinds = kinds or {}
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
    means = {
        name: {tap: _metric(values, kind) for tap, values in values_by_tap(own, metric).items()}
        for name, own in by_encoder(runs).items()
    }
    best = {name: max(taps, key=lambda tap: float(taps[tap])) for name, taps in means.items()}
    for name, tap in best.items():
        (details if name == "encoder" else others[name])["best_on_test_tap"] = tap
    found = {"best_on_test": _beside("best_on_test", {n: means[n][tap] for n, tap in best.items()}, others)}
    for tap in means["encoder"]:
        shared = {name: taps[tap] for name, taps in means.items() if tap in taps}
        found[f"tap_{tap}"] = _beside(f"tap_{tap}", shared, others)
    return found


def values_by_tap(runs, metric):
    """``{tap: list of the values of a metric}`` of the runs of one encoder."""
    return {
        tap: [run.metrics[metric] for run in runs if run.tap == tap] for tap in dict.fromkeys(run.tap for run in runs)
    }


def write_runs(path, runs):
    """Write every run as a row of a CSV file."""
    import pandas

    rows = [
        {"encoder": run.encoder, "seed": run.seed, "tap": run.tap, "held_out": run.held_out, **run.about, **run.metrics}
        for run in runs
    ]
    with writing(path, "w", newline="") as file:
        pandas.DataFrame(rows).dropna(axis="columns", how="all").to_csv(file, index=False)


def check_counts(**counts):
    """Raise ConfigError unless each value is a positive integer or None."""
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"`{name}` must be a positive integer. Received: {name}={value!r}")


def by_encoder(runs):
    """``{name: its runs}``."""
    return {name: [r for r in runs if r.encoder == name] for name in dict.fromkeys(r.encoder for r in runs)}


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
    if own != modality:
        raise ConfigError(f"the task measures encoders with modality={modality!r}. Received: {network.name!r}, {own!r}")
    unknown = sorted(set(wanted or ()) - set(network.output))
    if unknown:
        raise ConfigError(f"`taps`: there is no {unknown[0]!r}; the encoder has {', '.join(network.output)}")
    return tuple(wanted or network.output)
