"""Sets of images with labels as tasks see them: vectors of an encoder, and which part each image belongs to."""

import dataclasses

import numpy as np

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.labeled import labeled_batches
from tfssl.data.splits import PARTS, TEST, TRAIN, VALIDATION, balanced
from tfssl.errors import SourceError
from tfssl.evaluation.average_precision import average_precision
from tfssl.evaluation.features import Pooled, ten_crops
from tfssl.evaluation.off_the_shelf import signed_root

CENTER = 8
"""Which of ten crops is the one of the center, not mirrored."""

_OTHER = "other"  # the part of images of another set


class TaggedSets:
    """Images of one set, or of two behind each other, as squares of one size, or as ten crops of each.

    Args:
        sources: list of one or two :class:`~tfssl.data.tagged.TaggedImages` with the same classes.
        size: height and width of squares, in pixels.
        augment: whether there are ten crops of each, of the image at 256 / 227 of the size.

    Attributes:
        skipped: :class:`~tfssl.data.examples.Skipped`, of unreadable files.
        positions: of the readable images among all, int (n,), once vectors were computed.
    """

    def __init__(self, sources, size, augment):
        self.sources, self.skipped, self.positions = sources, Skipped(), None
        whole = round(size * 256 / 227) if augment else size
        self._batches = []
        for source in sources:
            # Images are numbered in place of their labels: those that can be read tell which they are.
            numbered = dataclasses.replace(source, labels=tuple(np.arange(len(source), dtype=np.int32)))
            squares = labeled_batches(numbered, Crop(whole, resize=whole, flip=False), skipped=self.skipped)
            self._batches.append(ten_crops(squares, whole, size) if augment else (squares,))

    def vectors(self, network, taps, pool):
        """``{tap: [float32 (n, D) of each copy]}`` of the readable images, see :func:`signed_root`."""
        pooled = Pooled(network, self._batches[0][0].element_spec[0], taps, pool)
        found = [[pooled.features(one) for one in copies] for copies in self._batches]
        starts = (0, len(self.sources[0]))
        self.positions = np.concatenate([s + copies[0].labels for s, copies in zip(starts, found, strict=False)])
        copies = list(zip(*found, strict=True))
        return {tap: [signed_root(np.concatenate([f.rows[tap] for f in one])) for one in copies] for tap in taps}

    def parts(self, names, seed):
        """The :class:`Parts` of the readable images, of a list of the names of parts of the first source's images."""
        first, rest = self.sources[0], sum(map(len, self.sources[1:]))
        content = None
        if first.content is not None:
            content = np.eye(len(first.contents), dtype=np.int32)[list(first.content)]
            content = np.pad(content, ((0, rest), (0, 0)))[self.positions]
        labels = np.stack([row for source in self.sources for row in source.labels])[self.positions]
        groups = np.array([*first.groups, *[-1] * rest])[self.positions]
        names = np.array([*names, *[_OTHER] * rest])[self.positions]
        for name in PARTS:
            if name not in names:
                raise SourceError(f"`data`: no image of the {name} part can be read")
        return Parts(first.classes, labels, groups, names, content, seed)


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """Which image is for what: ``labels`` int (n, classes), ``groups`` int (n,), ``names`` of the parts, and
    ``content`` int (n, contents), or None."""

    classes: tuple[str, ...]
    labels: np.ndarray
    groups: np.ndarray
    names: np.ndarray
    content: np.ndarray | None
    seed: int

    def rows(self, *names):
        """Positions of the images of these parts."""
        return np.flatnonzero(np.isin(self.names, names))

    @property
    def train(self):
        return self.rows(TRAIN)

    @property
    def validation(self):
        return self.rows(VALIDATION)

    @property
    def test(self):
        return self.rows(TEST)

    def balanced(self, part=TEST):
        """Positions of the images of a part among which labels occur equally often."""
        rows = self.rows(part)
        return rows[balanced(self.labels[rows], self.seed)]

    def chance(self, part=TEST):
        """Of the balanced images, the mean over the labels that occur of the fraction that has each."""
        found = self.labels[self.balanced(part)].mean(axis=0)
        return float(found[found > 0].mean())

    @property
    def commonest(self):
        """Accuracy on the test part of always naming the commonest label of the training part."""
        return float(np.mean(self.labels[self.test, self.labels[self.train].sum(axis=0).argmax()]))

    def metrics(self, scores):
        """Numbers of scores, float (n, classes), by their names."""
        found, right = self._precisions(scores, TEST), self.labels[self.test, scores[self.test].argmax(axis=1)]
        metrics = {"map": float(np.nanmean(found)), "accuracy": float(right.mean())}
        if _OTHER in self.names:
            metrics["transfer_map"] = float(np.nanmean(self._precisions(scores, _OTHER)))
        return metrics | {f"ap_{name}": float(value) for name, value in zip(self.classes, found, strict=True)}

    def _precisions(self, scores, part):
        rows = self.balanced(part)
        return average_precision(scores[rows], self.labels[rows])

    @property
    def transfer_chance(self):
        return self.chance(_OTHER)
