"""Do predicted colors make sense? What a classifier answers on true, gray and predicted ones."""

import numpy as np

TOP = 5
"""Answers of the classifier that are kept of each image, the surest first."""

_SHOWN = 12  # confusions that a record lists


class AnswerTally:
    """The first :data:`TOP` answers of a classifier for versions of the same images; 100 bytes an image and version.

    Versions are called by the prefixes of their metrics: ``"true_"``, ``"gray_"``, ``""`` for what is evaluated.
    Images whose class is known count. Where none is known, the answer on the true colors takes its place: accuracy
    becomes agreement with it.
    """

    def __init__(self):
        self._labels, self._answers, self._odds = [], {}, {}

    def add(self, label, logits):
        """Add an image.

        Args:
            label: number of its class, or None.
            logits: ``{version: float (classes,)}``, with ``"true_"`` and ``"gray_"``, the same versions each time.
        """
        self._labels.append(-1 if label is None else label)
        for version, scores in logits.items():
            order = np.argsort(-scores, kind="stable")[:TOP]
            self._answers.setdefault(version, []).append(order)
            self._odds.setdefault(version, []).append(np.exp(scores[order] - np.logaddexp.reduce(scores)))

    @property
    def kind(self):
        """``"classifier"`` if some class is known and accuracy is counted, else ``"agreement"``."""
        return "classifier" if any(label >= 0 for label in self._labels) else "agreement"

    def result(self):
        """``{version + name: number}``; names begin with :attr:`kind`: ``classifier_top1``.

        ``top1`` and ``top5`` are the fractions of the images that count whose class is the first, or among the first
        five answers; ``top1_recovered`` and ``top5_recovered`` the fraction of the way from gray to true, ``(x - gray)
        / (true - gray)``, each with its standard error over images, ``..._error``: NaN where gray is no worse than
        true, and not given for these two. ``images_classified`` is the number of images that count.
        """
        counted, reference = self._counted()
        values, hits = {}, {}
        for name, depth in ((f"{self.kind}_top1", 1), (f"{self.kind}_top5", TOP)):
            for version in self._answers:
                found = self._found(version)[counted, :depth]
                hits[version] = np.any(found == reference[:, None], axis=1).astype(float)
                values[version + name] = _mean(hits[version])
            for version in (v for v in hits if v not in ("true_", "gray_")):
                fraction, error = _recovered(hits[version], hits["gray_"], hits["true_"])
                values |= {f"{version}{name}_recovered": fraction, f"{version}{name}_recovered_error": error}
        return values | {"images_classified": float(counted.sum())}

    def confusions(self, before, after="", count=_SHOWN):
        """Which answers to which class came and went between two versions, by the fraction of its images that have
        the answer among their first five (Zhang et al., section 3.2, compare recolored with true ones so).

        Returns:
            ``{"worse": [(class, answer, change), ...], "better": ...}``, numbers of classes, at most ``count`` each;
            of equal changes the one that the classifier was surer of comes first.
        """
        counted, reference = self._counted()
        rates, odds = {}, {}
        for version, sign in ((before, -1), (after, 1)):
            answers, surenesses = self._found(version)[counted], np.array(self._odds[version])[counted]
            for label, row, sure in zip(reference.tolist(), answers.tolist(), surenesses.tolist(), strict=True):
                for answer, p in zip(row, sure, strict=True):
                    if answer != label:
                        rates[label, answer] = rates.get((label, answer), 0) + sign
                        odds[label, answer] = odds.get((label, answer), 0.0) + sign * p
        sizes = np.bincount(reference) if len(reference) else []
        changes = [(n / sizes[pair[0]], odds[pair], pair) for pair, n in rates.items() if n]
        ordered = sorted(changes, reverse=True)
        return {
            "worse": [(*pair, change) for change, _, pair in ordered[:count] if change > 0],
            "better": [(*pair, change) for change, _, pair in ordered[::-1][:count] if change < 0],
        }

    @property
    def images(self):
        """Number of images added."""
        return len(self._labels)

    def reference(self, index):
        """Number of the class of image ``index``, of those added, as it counts; -1 where it is not known."""
        return self._labels[index] if self.kind == "classifier" else self.answer(index, "true_")[0]

    def turned(self, index, before, after=""):
        """+1 where the first answer for image ``index`` is right after but not before, -1 the reverse, or 0."""
        right = self.reference(index)
        return int(self.answer(index, after)[0] == right) - int(self.answer(index, before)[0] == right)

    def answer(self, index, version):
        """(number of the class, probability) of the first answer for image ``index``."""
        return int(self._answers[version][index][0]), float(self._odds[version][index][0])

    def _found(self, version):
        return np.array(self._answers[version]).reshape(-1, TOP)

    def _counted(self):
        """Which images count, bool (N,), and their classes."""
        labels = np.array(self._labels, int)
        if self.kind == "agreement":
            return np.ones(len(labels), bool), self._found("true_")[:, 0]
        return labels >= 0, labels[labels >= 0]


def _mean(hits):
    return float(hits.mean()) if len(hits) else float("nan")


def _recovered(hits, gray, true):
    """(mean(hits - gray) / mean(true - gray), its standard error by linearization) of arrays (N,)."""
    way = _mean(true - gray)
    if not way > 0:
        return float("nan"), float("nan")
    fraction = _mean(hits - gray) / way
    return fraction, float(np.std(hits - gray - fraction * (true - gray)) / np.sqrt(len(hits)) / way)
