"""Arrays of the wrong shape or type, and numbers outside their range, are refused by name, not computed with."""

import numpy as np
import pytest

from tfssl.methods.colorization.loss import ColorCrossEntropy, ColorRegression
from tfssl.ops import ab_bins, boxes, bytes_lab, color, corruption, geometry, masks, patches, permutations, whitening


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


WRONG = {
    "soft_encode": (lambda: ab_bins.soft_encode(zeros(2, 4, 4, 3)), "`ab`.*2, 4, 4, 3"),
    "soft_encode_reference": (lambda: ab_bins.soft_encode_reference(zeros(3)), "`ab`"),
    "annealed_mean": (lambda: ab_bins.annealed_mean(zeros(2, 300)), "`logits`.*313"),
    "temperature": (lambda: ab_bins.annealed_mean(zeros(2, 313), temperature=3), "`temperature`"),
    "nearest_bin": (lambda: ab_bins.nearest_bin(zeros(2, 3)), "`ab`"),
    "nan": (lambda: ab_bins.nearest_bin(zeros(1, 2) + np.nan), "NaN"),
    "lightness": (lambda: bytes_lab.lightness(zeros(4, 4, 3)), "`pixels` must be uint8"),
    "ab": (lambda: bytes_lab.ab(zeros(4, 4, 4, dtype=np.uint8)), "`pixels`"),
    "rgb_to_lab": (lambda: color.rgb_to_lab(zeros(4, 4, 3, dtype=np.uint8)), "`rgb`.*uint8"),
    "lab_to_rgb": (lambda: color.lab_to_rgb(zeros(4, 4, 2)), "`lab`"),
    "iou": (lambda: boxes.iou(zeros(4), zeros(2, 4)), "`first`"),
    "encode": (lambda: boxes.encode(zeros(2, 4), zeros(2, 4)), "area"),
    "nms": (lambda: boxes.non_maximum_suppression(zeros(3, 4), zeros(2)), "`scores`.*N=3"),
    "corruption": (lambda: corruption.Corruption("pixel").apply(zeros(2, 4), None, None, np), "`x`"),
    "cell_weights": (lambda: geometry.cell_weights(8, 0), "`cells`"),
    "pattern_mask": (lambda: masks.pattern_mask(2000, None, None), "`size`"),
    "corners": (lambda: patches.corners((8, 8), zeros(2, 2), (0, 0), zeros(3, 2), 4, 1), "`jitter`"),
    "hamming": (lambda: permutations.hamming(zeros(2, 9), zeros(2, 1)), "`second`"),
    "whiten": (lambda: whitening.whiten(zeros(1, 8, 8, 1)), "at least 9"),
    "300 bins": (lambda: ColorCrossEntropy()(zeros(2, 4, 4, 2), zeros(2, 4, 4, 300)), "`y_pred`.*313"),
    "3 channels": (lambda: ColorCrossEntropy()(zeros(2, 4, 4, 3), zeros(2, 4, 4, 313)), "`y_true`"),
    "other sizes": (lambda: ColorRegression()(zeros(2, 4, 4, 2), zeros(2, 1, 1, 2)), "`y_pred`.*h=4"),
}


@pytest.mark.parametrize("name", WRONG)
def test_is_refused(name):
    call, words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        call()
