"""How well a colorizer does on photographs it is shown in gray: metrics beside baselines, tables and images."""

import re
from pathlib import Path

import numpy as np

from tfssl.color.metrics import colorfulness, join_lab
from tfssl.color.photographs import LONGEST_SIDE, read_photographs
from tfssl.color.predict import Colorizer, GrayBaseline, RandomColors, predict_ab
from tfssl.color.tally import NEUTRAL_BANDS, SAMPLING, ColorTally
from tfssl.data.examples import spread_examples
from tfssl.data.images import image_source
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.record import method_record
from tfssl.methods.colorization.report import PROTOCOL, image_table, name_of, write_comparison
from tfssl.methods.colorization.semantic import SemanticMeasures
from tfssl.methods.colorization.semantic_sheets import write_sheets
from tfssl.ops.ab_bins import GRAY_THRESHOLD
from tfssl.options import at_least_one, check_temperature
from tfssl.visualization.sheet import picture_sheet

_GAINS = ("auc_raw", "auc_macro", "auc_inverse_frequency", "auc_inverse_prior")
_KINDS = dict.fromkeys(_GAINS, ("fraction", True)) | {
    "rmse_ab": ("", False),
    **dict.fromkeys(("neutral_chroma", *NEUTRAL_BANDS), ("", False)),
    "psnr": ("dB", True),
    "psnr_infinite": ("", None),
    "psnr_of_mean_mse": ("dB", True),
    "ssim": ("", True),
    "ciede2000": ("", False),
    "colorfulness": ("", None),
    "colorfulness_error": ("", False),
    "colorfulness_ratio": ("", None),
}
_GAIN_KINDS: dict = {f"{name}_gain": ("fraction", True, {}) for name in _GAINS}


def evaluate(
    method, model, data, *, out=None, temperature=None, limit=None, compare=None, semantic=False, progress=None
):
    """Colorize photographs from their lightness and compare with their true colors.

    Each image is judged at its own size, or at 512 pixels on its longer side where it is larger. The network sees
    it with ``method.image_size`` pixels on its shorter side; the predicted ab are stretched back bilinearly, and
    measured as :class:`tfssl.color.tally.ColorTally` does. Images whose |a| and |b| nowhere exceed 5 are gray in truth:
    left out and counted. Memory does not grow with the number of images.

    Args:
        method, model, data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`; ``per_image.csv`` is
            written too.
        temperature: T of the annealed mean in (0, 1]; None is the method's. Compared models keep their own.
        compare: other trained models to measure on the same pixels, ``{name: (method, model)}``, or a list of
            ``(method, model)``, which are then named after their objectives; on the command line sources, as RUN.
        semantic: also ask pretrained networks what they see in the predicted colors, beside true, gray and random ones,
            and try simple stimuli. Needs the extra ``pretrained``; what is not installed is left out, and said. Takes
            20 kB of memory an image; draws ``answers.png``, ``stimuli.png``, ``isoluminant.png``, ``temperature.png``.

    Returns:
        :class:`~tfssl.evaluation.record.Record` with the names of :meth:`tfssl.color.tally.ColorTally.result`
        (``prior`` is the method's smoothed one), beside the prediction ab = 0, ``gray``, and each compared model;
        ``auc_raw_gain`` and so on, over gray; the counts ``images``, ``images_gray``, ``images_skipped``, ``pixels``
        and ``bins`` (that ``auc_macro`` averages over). With ``semantic`` also the names of
        :meth:`tfssl.methods.colorization.semantic.SemanticMeasures.result`, and everything of ``random`` colors.
    """
    temperature = method.temperature if temperature is None else temperature
    _check(temperature, limit)
    colorizers = {"": Colorizer(method, model, {"": temperature}), "gray": GrayBaseline()}
    if semantic:
        colorizers["random"] = RandomColors(image_source(data, min_size=LONGEST_SIDE), limit)
    for name, (other, network) in _named(compare).items():
        colorizers[name] = Colorizer(other, network, {f"{name}_": None})
    others = [name for name in colorizers if name]
    kinds = {name: (*kind, {other: f"{other}_{name}" for other in others}) for name, kind in _KINDS.items()}
    gains, prefixes = [], [prefix for colorizer in colorizers.values() for prefix in colorizer.prefixes]
    survey = _Survey(data, colorizers.values(), limit)
    measures = SemanticMeasures(colorizers, survey.total) if semantic else None
    with image_table(out, prefixes) as write:
        for photograph, row, fields in survey.rows(progress):
            write(photograph, row)
            if row:
                gains.append((row["auc_raw"] - row["gray_auc_raw"], photograph.index))
                if measures is not None:
                    measures.add(photograph, fields)
    metrics, title = survey.metrics(method.smoothed_prior()), "ours"
    if method.objective != "regression":
        metrics["temperature"] = float(temperature)
        title = f"ours, T = {temperature:g}"
    about = {"skipped": survey.skipped, "protocol": PROTOCOL, "source": name_of(data)}
    if measures is not None:
        more, more_kinds, about["details"] = measures.result()
        metrics, kinds = metrics | more, kinds | more_kinds
        about["protocol"] = PROTOCOL | measures.protocol
    record = method_record(method, metrics, kinds | _GAIN_KINDS, **about)
    if out is not None:
        write_comparison(colorizers, data, gains, Path(out) / "sheet.png", title)
        if measures is not None:
            write_sheets(method, model, data, colorizers, measures, out)
        record.write(out)
    return record


def sweep_temperature(method, model, data, temperatures, *, limit=None, progress=None):
    """Metrics ``{T: {name: number}}`` for several temperatures, to choose one; the network runs once for each image.

    Args:
        method: with a classification objective: regression has no temperature.
        model, data, limit, progress: as :func:`evaluate`; other photographs than the final numbers are reported on.
        temperatures: several T in (0, 1].
    """
    if method.objective == "regression":
        raise ConfigError("`temperatures` need a model that predicts bins. Received: objective='regression'")
    temperatures = [float(t) for t in temperatures]
    if not temperatures:
        raise ConfigError("`temperatures` must hold at least one T in (0, 1]. Received: temperatures=[]")
    for temperature in temperatures:
        _check(temperature, limit)
    prefixes = {f"{t!r}_": t for t in temperatures}
    survey = _Survey(data, [Colorizer(method, model, prefixes), GrayBaseline()], limit)
    for _ in survey.rows(progress):
        pass
    prior = method.smoothed_prior()
    return {t: survey.metrics(prior, prefix, ["gray_"]) | {"temperature": t} for prefix, t in prefixes.items()}


def write_sheet(method, model, data, path, count=8):
    """Draw what a model makes of center crops: rows gray, predicted and truth, one column for each image."""
    from skimage.color import rgb2lab

    crops = np.stack(spread_examples(method.open(data), count, lambda example, _: method.crop.apply(example["image"])))
    labs = rgb2lab(crops)
    ab = np.asarray(predict_ab(method, model, labs[..., :1].astype(np.float32)))
    rows = [
        [join_lab(lab[..., 0], np.zeros_like(lab[..., 1:])) for lab in labs],
        [join_lab(lab[..., 0], colors) for lab, colors in zip(labs, ab, strict=True)],
        list(crops),
    ]
    picture_sheet(rows, path, labels=["gray", "predicted", "truth"], cell=min(max(method.crop_size, 96), 192))


class _Survey:
    """Totals over the first ``limit`` photographs of a source."""

    def __init__(self, data, colorizers, limit):
        self.source = image_source(data, min_size=LONGEST_SIDE)
        check_source(self.source)
        self.total = min(len(self.source), limit or len(self.source))
        self.colorizers = colorizers
        self.tallies = {prefix: ColorTally() for colorizer in colorizers for prefix in colorizer.prefixes}
        self.images = self.gray = 0
        self.skipped = {}

    def rows(self, progress):
        """Measure; yields (photograph, ``{prefixed name: float}``, ``{prefix: ab}``), empty if gray or unreadable."""
        for done, photograph in enumerate(read_photographs(self.source, range(self.total)), start=1):
            yield photograph, *self._measure(photograph)
            if progress is not None:
                progress(done, self.total)
        if self.images == 0:
            raise SourceError(
                f"`data` has no readable image in color among {self.total} ({self.gray} gray, {len(self.skipped)} "
                f"unreadable); give photographs in color"
            )

    def _measure(self, photograph):
        if photograph.reason is not None:
            self.skipped[photograph.name] = photograph.reason
            return {}, {}
        rgb, lab = photograph.rgb, photograph.lab
        if np.abs(lab[..., 1:]).max() <= GRAY_THRESHOLD:
            self.gray += 1
            return {}, {}
        self.images += 1
        row = {"pixels": lab[::SAMPLING, ::SAMPLING, 0].size, "colorfulness_true": colorfulness(rgb)}
        fields = {prefix: ab for colorizer in self.colorizers for prefix, ab in colorizer(photograph).items()}
        for prefix, ab in fields.items():
            row |= {prefix + name: value for name, value in self.tallies[prefix].add(rgb, lab, ab).items()}
        return row, fields

    def metrics(self, prior, ours="", others=None):
        """The numbers of :func:`evaluate`; ``others`` are the prefixes of the predictors to put beside."""
        metrics = self.tallies[ours].result(prior)
        for prefix in others if others is not None else [p for p in self.tallies if p != ours]:
            metrics |= {prefix + name: value for name, value in self.tallies[prefix].result(prior).items()}
        metrics |= {f"{name}_gain": metrics[name] - metrics[f"gray_{name}"] for name in _GAINS}
        auc = self.tallies[ours].auc
        counts = {
            "images": self.images,
            "images_gray": self.gray,
            "images_skipped": len(self.skipped),
            "pixels": auc.pixels.sum(),
            "bins": auc.counted().sum(),
        }
        return metrics | {name: float(count) for name, count in counts.items()}


def _check(temperature, limit):
    check_temperature(temperature)
    at_least_one(limit=limit)


def _named(compare):
    """Compared models as ``{name: (method, model)}``."""
    named = dict(compare) if isinstance(compare, dict) else {}
    for pair in [] if named else compare or []:
        _check_pair(pair)
        objective = pair[0].objective
        alike = sum(name.split("-")[0] == objective for name in named)
        named[f"{objective}-{alike + 1}" if alike else objective] = pair
    for name, pair in named.items():
        _check_pair(pair)
        if name in ("gray", "random", "true") or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise ConfigError(
                f"`compare`: a name must be letters, digits, '-', and not 'gray', 'random', 'true'. Received: {name!r}"
            )
    return named


def _check_pair(pair):
    if not (isinstance(pair, tuple) and len(pair) == 2 and hasattr(pair[0], "objective")):
        raise ConfigError(
            f"`compare` takes colorization models as (method, model), as tfssl.load(RUN) gives. Received: {pair!r:.100}"
        )
