"""Colorizers over a set of photographs that they are shown in gray: metrics beside baselines, tables and images."""

import re
from pathlib import Path

import numpy as np

from tfssl.color.metrics import colorfulness, join_lab
from tfssl.color.photographs import LONGEST_SIDE, read_photographs
from tfssl.color.predict import Colorizer, GrayBaseline, RandomColors, predict_ab
from tfssl.color.report import PROTOCOL, image_table, name_of, write_comparison
from tfssl.color.tally import NEUTRAL_BANDS, SAMPLING, ColorTally
from tfssl.data.examples import spread_examples
from tfssl.data.images import image_source
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, SourceError
from tfssl.ops.ab_bins import GRAY_THRESHOLD
from tfssl.options import at_least_one
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
    "false_reds": ("fraction", False),
}
_GAIN_KINDS: dict = {f"{name}_gain": ("fraction", True, {}) for name in _GAINS}


def measure(colorizer, data, *, prior, title, out=None, limit=None, compare=None, more=None, progress=None):
    """Colorize photographs from their lightness and compare with their true colors.

    Each image is judged at its own size, or at 512 pixels on its longer side where it is larger. The network sees
    it with ``method.image_size`` pixels on its shorter side; the predicted ab are stretched back bilinearly, and
    measured as :class:`tfssl.color.tally.ColorTally` does. Images whose |a| and |b| nowhere exceed 5 are gray in truth:
    left out and counted. Memory does not grow with the number of images.

    Args:
        colorizer: a :class:`~tfssl.color.predict.Colorizer` with one prefix, ``""``.
        prior: probabilities of the 313 bins, for ``auc_inverse_prior``.
        title: what the sheet calls the colorizer.
        data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`; ``per_image.csv`` and ``sheet.png``
            are written.
        compare: other trained models to measure on the same pixels, ``{name: (method, model)}``, or a list of
            ``(method, model)``, which are then named after their objectives.
        more: function that makes further measures of ``{name: predictor}`` (``""``, ``"gray"``, ``"random"``, ...) and
            the number of images: an object with ``add(photograph, {prefix: ab})``, ``result()`` -> ``(metrics, kinds,
            details)``, ``draw(data, out)`` and the constants ``protocol``. Random colors are measured too then.

    Returns:
        ``(metrics, kinds, about)``, of which :func:`tfssl.evaluation.record.method_record` makes a record: the names
        of :meth:`tfssl.color.tally.ColorTally.result`, beside the prediction ab = 0, ``gray``, and each compared model;
        ``auc_raw_gain`` and so on, over gray; the counts ``images``, ``images_gray``, ``images_skipped``, ``pixels``
        and ``bins`` (that ``auc_macro`` averages over).
    """
    at_least_one(limit=limit)
    colorizers = {"": colorizer, "gray": GrayBaseline()}
    if more is not None:
        colorizers["random"] = RandomColors(image_source(data, min_size=LONGEST_SIDE), limit)
    for name, (other, network) in _named(compare).items():
        colorizers[name] = Colorizer(other, network, {f"{name}_": None})
    others = [name for name in colorizers if name]
    kinds = {name: (*kind, {other: f"{other}_{name}" for other in others}) for name, kind in _KINDS.items()}
    gains, prefixes = [], [prefix for one in colorizers.values() for prefix in one.prefixes]
    survey = Survey(data, colorizers.values(), limit)
    measures = more(colorizers, survey.total) if more is not None else None
    with image_table(out, prefixes) as write:
        for photograph, row, fields in survey.rows(progress):
            write(photograph, row)
            if row:
                gains.append((row["auc_raw"] - row["gray_auc_raw"], photograph.index))
                if measures is not None:
                    measures.add(photograph, fields)
    if out is not None:
        write_comparison(colorizers, data, gains, Path(out) / "sheet.png", title)
    about = {"skipped": survey.skipped, "protocol": PROTOCOL, "source": name_of(data)}
    if measures is None:
        return survey.metrics(prior), kinds | _GAIN_KINDS, about
    found, found_kinds, details = measures.result()
    if out is not None:
        measures.draw(data, out)
    about |= {"details": details, "protocol": PROTOCOL | measures.protocol}
    return survey.metrics(prior) | found, kinds | _GAIN_KINDS | found_kinds, about


class Survey:
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
        """The numbers of :func:`measure`; ``others`` are the prefixes of the predictors to put beside."""
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


def write_sheet(method, model, data, path, count=8):
    """Draw what a model makes of center crops: rows gray, predicted and truth, one column for each image."""
    from skimage.color import rgb2lab

    crops = np.stack(spread_examples(method.open(data), count, lambda example, _: method.crop.apply(example["image"])))
    labs = rgb2lab(crops)
    ab = np.asarray(predict_ab(method, method.served(model), labs[..., :1].astype(np.float32)))
    rows = [
        [join_lab(lab[..., 0], np.zeros_like(lab[..., 1:])) for lab in labs],
        [join_lab(lab[..., 0], colors) for lab, colors in zip(labs, ab, strict=True)],
        list(crops),
    ]
    picture_sheet(rows, path, labels=["gray", "predicted", "truth"], cell=min(max(method.crop_size, 96), 192))


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
            f"`compare` takes colorizers as (method, model), as tfssl.load(RUN) gives. Received: {pair!r:.100}"
        )
