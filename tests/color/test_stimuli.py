"""Simple stimuli: changed lightness, the color chart, places of one lightness."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from tfssl.color.photographs import Photograph
from tfssl.color.stimuli import CHECKER, IsoluminantPairs, cell, checker, perturbed


def test_perturbed_photographs_are_gray_and_as_much_lighter_as_said():
    rgb = np.random.default_rng(0).integers(60, 190, (40, 30, 3)).astype(np.uint8)
    photograph = Photograph(0, "x", rgb, rgb2lab(rgb))
    found = perturbed(photograph)
    assert all(np.ptp(p.rgb, axis=-1).max() == 0 and p.rgb.shape == rgb.shape for p in found.values())
    levels = {name: p.rgb[..., 0].astype(float) for name, p in found.items()}
    assert levels["lighter"].mean() - levels["darker"].mean() == pytest.approx(102)
    assert levels["contrast"].std() == pytest.approx(levels["lighter"].std() / 2, rel=0.02)
    assert levels["blurred"].std() < levels["lighter"].std()


def test_the_chart_has_24_patches_and_six_are_gray():
    chart = checker()
    assert {tuple(color) for color in CHECKER.tolist()} <= {tuple(color) for color in chart.rgb.reshape(-1, 3).tolist()}
    assert len(CHECKER) == 24 and np.ptp(CHECKER[18:].astype(int), axis=1).max() <= 1
    assert chart.lab.shape == chart.rgb.shape


def image(lightness, ab, size=16):
    return np.concatenate([np.full((size, size, 1), float(lightness)), np.full((size, size, 2), ab, float)], axis=-1)


def test_how_much_of_the_true_differences_is_predicted():
    pairs = IsoluminantPairs()
    for number, lab in enumerate((image(50, (30, 0)), image(50.1, (-30, 0)))):
        true = lab[..., 1:]
        pairs.add(number, lab, {"": true, "half_": true / 2 + 7, "gray_": 0 * true, "wrong_": -true})
    found, count = pairs.result()
    assert count == 1  # only where one image's cells meet the other's
    assert found == {"": 1, "half_": pytest.approx(0.5), "gray_": 0, "wrong_": -1}
    assert pairs.widest(3) == [((0, 7, 7), (1, 0, 0))]


def test_alike_colors_make_no_pairs():
    pairs = IsoluminantPairs()
    pairs.add(0, image(50, (30, 0)), {"": np.zeros((16, 16, 2))})
    pairs.add(1, image(50, (30, 0))[:5], {"": np.zeros((5, 16, 2))})  # too small for cells
    found, count = pairs.result()
    assert count == 0 and np.isnan(found[""]) and pairs.widest(3) == []


def test_cells_of_a_size_that_eight_does_not_divide():
    pairs = IsoluminantPairs()
    rng = np.random.default_rng(0)
    lab = np.concatenate([rng.uniform(0, 100, (19, 29, 1)), rng.uniform(-90, 90, (19, 29, 2))], axis=-1)
    pairs.add(0, lab, {"": lab[..., 1:]})
    found, count = pairs.result()
    assert count > 5 and found[""] == pytest.approx(1)
    assert pairs.widest(3) == []  # all in one image
    assert sum(cell(lab, row, column).size for row in range(8) for column in range(8)) == lab.size
    assert cell(lab, 7, 7)[-1, -1].tolist() == lab[-1, -1].tolist()
