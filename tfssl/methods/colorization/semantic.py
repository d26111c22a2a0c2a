"""The measures of ``semantic=True``: what pretrained networks say of predicted colors, beside gray, random and true."""

import numpy as np

from tfssl import runtime
from tfssl.backbones.imagenet import IMAGE_SIZE, RESIZE, imagenet_class, imagenet_classes, imagenet_classifier
from tfssl.color.metrics import join_lab
from tfssl.color.semantic import AnswerTally
from tfssl.data.crop import Crop
from tfssl.data.decode import array_to_image
from tfssl.errors import ConfigError

_CROP = Crop(IMAGE_SIZE, resize=RESIZE, flip=False)


class SemanticMeasures:
    """Measures over photographs that are added one after the other; what lacks a package is left out, and said.

    Args:
        prefixes: of the predictors: ``""`` of what is evaluated, ``"gray_"``, ``"random_"`` and compared ones.
    """

    def __init__(self, prefixes):
        self._prefixes = list(prefixes)
        self._answers = AnswerTally()
        self._skipped = {}
        self._classifier = self._built("classifier", imagenet_classifier)

    def _built(self, name, build):
        try:
            with runtime.precision():
                return build()
        except ConfigError as error:
            self._skipped[name] = f"skipped: {error}"
            return None

    def add(self, photograph, fields):
        """Add a :class:`~tfssl.color.photographs.Photograph` and what is predicted for it, ``{prefix: ab}``."""
        versions = {"true_": photograph.rgb}
        versions |= {prefix: join_lab(photograph.lab[..., 0], ab) for prefix, ab in fields.items()}
        if self._classifier is not None:
            crops = np.stack([_CROP.apply(array_to_image(image)) for image in versions.values()])
            found = self._classifier.predict_on_batch(crops.astype(np.float32))
            logits = dict(zip(versions, found["logits"].astype(np.float64), strict=True))
            self._answers.add(imagenet_class(photograph.name), logits)

    def result(self):
        """``(values, kinds, details)`` as :func:`tfssl.evaluation.record.method_record` takes them."""
        values, kinds, details = {}, {}, dict(self._skipped)
        if self._classifier is not None:
            kind = self._answers.kind
            values |= self._answers.result()
            for name in (f"{kind}_top1", f"{kind}_top5"):
                kinds[name] = ("fraction", True, self._beside(name, "true_"))
                kinds[f"{name}_recovered"] = ("fraction", True, self._beside(f"{name}_recovered"))
                kinds[f"{name}_recovered_error"] = ("fraction", None, self._beside(f"{name}_recovered_error"))
            details |= {f"confusions_from_{name}": self._confusions(f"{name}_") for name in ("gray", "true")}
            if kind == "agreement":
                details["classifier"] = "no name tells a class: agreement with the answer on the true colors"
        return values, kinds, details

    def _beside(self, name, *more):
        """Baselines of a metric: ``{predictor: its name in the values}``."""
        prefixes = [*more, *filter(None, self._prefixes)]
        return {prefix.removesuffix("_"): prefix + name for prefix in prefixes}

    def _confusions(self, before):
        names = [name for _, name in imagenet_classes()]
        found = self._answers.confusions(before)
        return {
            way: [{"class": names[label], "answer": names[answer], "change": change} for label, answer, change in rows]
            for way, rows in found.items()
        }
