"""How well a colorizer does on photographs it is shown in gray: metrics beside baselines, tables and images."""

import re

import numpy as np

from tfssl.color.metrics import colorfulness, join_lab
from tfssl.color.photographs import LONGEST_SIDE, read_photographs
from tfssl.color.predict import predict_ab
from tfssl.color.predictors import Colorizer, GrayBaseline, all_temperatures, one_temperature
from tfssl.color.tally import SAMPLING, ColorTally
from tfssl.data.examples import spread_examples
from tfssl.data.images import image_source
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.record import method_record
from tfssl.methods.colorization.data import crop_of
from tfssl.methods.colorization.report import PROTOCOL, Report, name_of
from tfssl.ops.ab_bins import GRAY_THRESHOLD
from tfssl.visualization.sheet import picture_sheet

_GAINS = ("auc_raw", "auc_macro", "auc_inverse_frequency", "auc_inverse_prior")
_KINDS = dict.fromkeys(_GAINS, ("fraction", True)) | {
    "rmse_ab": ("", False),
    "psnr": ("dB", True),
    "psnr_infinite": ("", None),
    "psnr_of_mean_mse": ("dB", True),
    "ssim": ("", True),
    "ciede2000": ("", False),
    "colorfulness": ("", None),
    "colorfulness_error": ("", False),
    "colorfulness_ratio": ("", None),
}
_GAIN_KINDS = {f"{name}_gain": ("fraction", True, {}) for name in _GAINS}


def evaluate(method, model, data, *, out=None, temperature=None, limit=None, compare=None, progress=None):
    """Colorize the images of a source from their lightness and compare with their true colors.

    Each image is judged at its own size, or at 512 pixels on its longer side where it is larger. The network sees
    it with ``method.image_size`` pixels on its shorter side; the predicted ab are stretched back bilinearly.
    AuC and RMSE are of that ab field before clipping to the sRGB gamut, at every 4th pixel in both directions; PSNR,
    SSIM, CIEDE2000 and colorfulness are of the clipped 8-bit image that keeps the true L. Images whose |a|
    and |b| nowhere exceed 5 are gray in truth: left out and counted. Memory does not grow with the number of
    images.

    Args:
        method: the :class:`~tfssl.methods.Colorization` that the model belongs to.
        model: its network.
        data: photographs in color, see :func:`tfssl.data.images.image_source`.
        out: folder for ``metrics.json``, ``per_image.csv`` and ``sheet.png``; None writes nothing.
        temperature: T of the annealed mean in (0, 1]; None is the method's. Compared models keep their own.
        limit: use only the first so many images; None for all.
        compare: other trained models to measure on the same pixels, ``{name: (method, model)}``, or a list of
            ``(method, model)``, which are then named after their objectives.
        progress: called with (images done, images in all) after each image.

    Returns:
        :class:`~tfssl.evaluation.record.Record` with the names of :meth:`tfssl.color.tally.ColorTally.result`
        (``prior`` is the method's smoothed one), beside the prediction ab = 0, ``gray``, and each compared model;
        ``auc_raw_gain`` and so on, over gray; the counts ``images``, ``images_gray``, ``images_skipped``, ``pixels``
        and ``bins`` (that ``auc_macro`` averages over).

    Raises:
        SourceError: if the source holds no readable image in color, or is mostly unreadable.
        ConfigError: for a temperature, limit or name of a compared model outside its range.
        ModelError: if a model predicts NaN.
    """
    temperature = method.temperature if temperature is None else temperature
    _check(temperature, limit)
    colorizers = {"": Colorizer(method, one_temperature(method, model, temperature), [""]), "gray": GrayBaseline()}
    for name, (other, network) in _named(compare).items():
        colorizers[name] = Colorizer(other, one_temperature(other, network, None), [f"{name}_"])
    others = [name for name in colorizers if name]
    kinds = {name: (*kind, {other: f"{other}_{name}" for other in others}) for name, kind in _KINDS.items()}
    with Report(out, colorizers) as report:
        survey = _survey(data, colorizers.values(), limit, progress, report.add)
        metrics = survey.metrics(method.smoothed_prior())
        if method.objective != "regression":
            metrics["temperature"] = float(temperature)
        about = {"skipped": survey.skipped, "protocol": PROTOCOL, "source": name_of(data)}
        record = method_record(method, metrics, kinds | _GAIN_KINDS, **about)
        report.finish(record, data)
    return record


def sweep_temperature(method, model, data, temperatures, *, limit=None, progress=None):
    """Metrics for several temperatures of the annealed mean, to choose one; the network runs once for each image.

    Args:
        method: a :class:`~tfssl.methods.Colorization` with a classification objective.
        model: its network.
        data: photographs in color; not those that the final numbers are reported on.
        temperatures: several T in (0, 1].
        limit: use only the first so many images; None for all.
        progress: called with (images done, images in all) after each image.

    Returns:
        ``{T: metrics}`` as :func:`evaluate` without compared models.

    Raises:
        ConfigError: if the objective is regression, which has no temperature; otherwise as :func:`evaluate`.
    """
    if method.objective == "regression":
        raise ConfigError("`temperatures` need a model that predicts bins. Received: objective='regression'")
    temperatures = [float(t) for t in temperatures]
    if not temperatures:
        raise ConfigError("`temperatures` must hold at least one T in (0, 1]. Received: temperatures=[]")
    for temperature in temperatures:
        _check(temperature, limit)
    prefixes = [f"{t!r}_" for t in temperatures]
    colorizer = Colorizer(method, all_temperatures(method, model, temperatures), prefixes)
    survey = _survey(data, [colorizer, GrayBaseline()], limit, progress)
    prior = method.smoothed_prior()
    return {
        temperature: {**survey.metrics(prior, ours=prefix, others=["gray_"]), "temperature": temperature}
        for temperature, prefix in zip(temperatures, prefixes, strict=True)
    }


def write_sheet(method, model, data, path, count=8):
    """Write what a model makes of a few images: rows gray, predicted and truth, one column for each image.

    The images are spread evenly over the source and always the same; of each the center crop is shown that
    training would see. Unreadable ones give way to the next.

    Args:
        method: a :class:`~tfssl.methods.Colorization`.
        model: its network.
        data: see :func:`tfssl.data.images.image_source`.
        path: PNG to write.
        count: number of images.

    Raises:
        SourceError: if no image is readable.
    """
    from skimage.color import rgb2lab

    crop = crop_of(method)
    crops = np.stack(spread_examples(method.open(data), count, lambda example, _: crop.apply(example["image"])))
    labs = rgb2lab(crops)
    ab = np.asarray(predict_ab(method, model, labs[..., :1].astype(np.float32)))
    rows = [
        [join_lab(lab[..., 0], np.zeros_like(lab[..., 1:])) for lab in labs],
        [join_lab(lab[..., 0], colors) for lab, colors in zip(labs, ab, strict=True)],
        list(crops),
    ]
    picture_sheet(rows, path, labels=["gray", "predicted", "truth"], cell=min(max(method.crop_size, 96), 192))


class _Survey:
    """Totals over the photographs seen so far."""

    def __init__(self, prefixes):
        self.tallies = {prefix: ColorTally() for prefix in prefixes}
        self.images = 0
        self.gray = 0
        self.skipped = {}

    def add(self, photograph, colorizers):
        """Metrics of one photograph as ``{prefixed name: float}``; empty if it is gray or unreadable."""
        if photograph.reason is not None:
            self.skipped[photograph.name] = photograph.reason
            return {}
        if np.abs(photograph.lab[..., 1:]).max() <= GRAY_THRESHOLD:
            self.gray += 1
            return {}
        self.images += 1
        row = {
            "pixels": photograph.lab[::SAMPLING, ::SAMPLING, 0].size,
            "colorfulness_true": colorfulness(photograph.rgb),
        }
        for colorizer in colorizers:
            for prefix, ab in colorizer(photograph).items():
                metrics = self.tallies[prefix].add(photograph.rgb, photograph.lab, ab)
                row.update({prefix + name: value for name, value in metrics.items()})
        return row

    def metrics(self, prior, ours="", others=None):
        """The result of :func:`evaluate`; ``others`` are the prefixes of the predictors to put beside."""
        metrics = self.tallies[ours].result(prior)
        for prefix in others if others is not None else [p for p in self.tallies if p != ours]:
            metrics.update({prefix + name: value for name, value in self.tallies[prefix].result(prior).items()})
        metrics.update({f"{name}_gain": metrics[name] - metrics[f"gray_{name}"] for name in _GAINS})
        auc = self.tallies[ours].auc
        counts = {
            "images": self.images,
            "images_gray": self.gray,
            "images_skipped": len(self.skipped),
            "pixels": auc.pixels.sum(),
            "bins": auc.counted().sum(),
        }
        return metrics | {name: float(count) for name, count in counts.items()}


def _survey(data, colorizers, limit, progress, record=None):
    source = image_source(data, min_size=LONGEST_SIDE)
    check_source(source)
    total = len(source) if limit is None else min(limit, len(source))
    survey = _Survey([prefix for colorizer in colorizers for prefix in colorizer.prefixes])
    for done, photograph in enumerate(read_photographs(source, range(total)), start=1):
        row = survey.add(photograph, colorizers)
        if record is not None:
            record(photograph, row)
        if progress is not None:
            progress(done, total)
    if survey.images == 0:
        raise SourceError(
            f"`data` has no readable image in color among {total} ({survey.gray} gray, {len(survey.skipped)} "
            f"unreadable); give photographs in color"
        )
    return survey


def _check(temperature, limit):
    if not 0 < temperature <= 1:
        raise ConfigError(f"`temperature` must lie in (0, 1]. Received: temperature={temperature}")
    if limit is not None and limit < 1:
        raise ConfigError(f"`limit` must be at least 1 image. Received: limit={limit}")


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
        if name == "gray" or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise ConfigError(f"`compare`: a name must be letters, digits, '-', and not 'gray'. Received: {name!r}")
    return named


def _check_pair(pair):
    if not (isinstance(pair, tuple) and len(pair) == 2 and hasattr(pair[0], "objective")):
        raise ConfigError(
            f"`compare` takes colorization models as (method, model), as tfssl.load(RUN) gives. Received: {pair!r:.100}"
        )
