"""Counts of which class was taken for which, over any number of pictures, and the four numbers made of them."""

import numpy as np

from tfssl.data.voc import IGNORE


class Confusion:
    """A confusion matrix that grows picture by picture.

    Args:
        classes: number of classes.

    Attributes:
        counts: int64 (classes, classes), pixels of true class i that were answered with class j.
    """

    def __init__(self, classes):
        self.counts = np.zeros((classes, classes), np.int64)

    def add(self, truth, predicted):
        """Count the pixels of a picture.

        Args:
            truth: int array (H, W), class numbers, or 255 where nothing is counted.
            predicted: int array (H, W), class numbers.
        """
        classes, counted = len(self.counts), truth != IGNORE
        pairs = truth[counted].astype(np.int64) * classes + predicted[counted]
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def accuracies(self):
        """Share of each class's pixels that were found, float64 (classes,); NaN for a class without pixels."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    def intersection_over_union(self):
        """n_ii / (sum_j n_ij + sum_j n_ji - n_ii), float64 (classes,); NaN for a class without pixels in the truth."""
        truth, predicted, hit = self.counts.sum(axis=1), self.counts.sum(axis=0), np.diag(self.counts)
        return np.where(truth > 0, _ratio(hit, truth + predicted - hit), np.nan)

    def metrics(self):
        """The four numbers of Long, Shelhamer and Darrell (CVPR 2015, section 5), each in [0, 1].

        Returns:
            ``pixel_accuracy`` = sum_i n_ii / sum_i t_i with t_i the pixels of class i; ``mean_accuracy`` and
            ``mean_iou``, means over the classes that occur in the truth; ``frequency_weighted_iou`` =
            sum_i t_i IoU_i / sum_i t_i. NaN where nothing was counted.
        """
        truth, iou = self.counts.sum(axis=1), self.intersection_over_union()
        occurs = truth > 0
        if not occurs.any():
            return dict.fromkeys(("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou"), np.nan)
        return {
            "pixel_accuracy": float(np.trace(self.counts) / truth.sum()),
            "mean_accuracy": float(self.accuracies()[occurs].mean()),
            "mean_iou": float(iou[occurs].mean()),
            "frequency_weighted_iou": float(np.average(iou[occurs], weights=truth[occurs])),
        }


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
