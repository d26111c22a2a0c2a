"""Statistics of angles between directions."""

import numpy as np
import pytest

from tfssl.evaluation.dense.normal_angles import NormalAngles


def turned(degrees):
    radians = np.radians(np.asarray(degrees, np.float64))
    return np.stack([np.sin(radians), np.zeros_like(radians), np.cos(radians)], axis=-1).astype(np.float32)


def measured(*pictures):
    angles = NormalAngles()
    for truth, answer in pictures:
        angles.add(truth, answer)
    return angles.metrics()


def test_worked_example():
    truth = np.broadcast_to(np.float32([0, 0, 1]), (2, 2, 3))
    numbers = measured((truth, turned([[5, 15], [25, 60]])))
    assert numbers["mean_angle"] == pytest.approx(26.25, abs=1e-4)
    assert numbers["median_angle"] == pytest.approx(20, abs=0.0051)
    assert [numbers[f"within_{n}"] for n in ("11_25", "22_5", "30")] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize("pixels", [400, 401])
def test_over_several_pictures_as_over_all_of_them(pixels):
    random = np.random.default_rng(pixels)
    truth, answer = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in random.normal(size=(2, pixels, 1, 3)))
    truth[::7] = 0.0
    known = np.any(truth != 0, axis=-1)
    wanted = np.degrees([np.arccos(float(t @ a)) for t, a in zip(truth[known], answer[known], strict=True)])
    numbers = measured((truth[:90], answer[:90]), (truth[90:], answer[90:]))
    assert numbers["mean_angle"] == pytest.approx(wanted.mean())
    assert numbers["median_angle"] == pytest.approx(np.median(wanted), abs=0.0051)
    assert numbers["within_30"] == pytest.approx(np.mean(wanted < 30))


def test_ends_of_the_scale():
    same = turned([[0.0, 40.0]])
    assert measured((same, same))["mean_angle"] == pytest.approx(0, abs=0.05)
    assert measured((same, -same))["median_angle"] == pytest.approx(180, abs=0.05)
    assert all(np.isnan(v) for v in measured((0 * same, same)).values())
