"""The probe for chromatic aberration: it sees what is there, and does not see what color dropping removes."""

import importlib

import numpy as np
import pytest
from PIL import Image

from tfssl.errors import SourceError


@pytest.fixture
def aberration(root, monkeypatch):
    """benchmarks/aberration.py, which finds its neighbors as a script does."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    return importlib.import_module("aberration")


def test_magnified_green_moves_toward_the_corners(aberration):
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[:, 150:] = 255
    image = Image.fromarray(pixels)
    moved = np.asarray(aberration.magnify_green(image, 0.05))
    np.testing.assert_array_equal(moved[..., [0, 2]], pixels[..., [0, 2]])
    # The edge, 50 pixels from the center, comes to lie 52.5 pixels from it.
    assert moved[100, :, 1].astype(int).sum() / 255 == pytest.approx(200 - 152.5, abs=0.1)
    assert aberration.magnify_green(image, 0) is image


def test_rmse_by_hand(aberration):
    positions = np.zeros((40, 2), np.float32)
    patches = aberration.Patches(np.zeros((40, 1, 1, 3)), positions, np.repeat(np.arange(20), 2))
    wrong = positions + np.array([0.3, 0.4])
    wrong[:4] = [0.06, 0.08]  # the two images that are located best
    best, everywhere = aberration.rmse(wrong, patches)
    assert best == pytest.approx(0.1) and everywhere == pytest.approx(np.sqrt((18 * 0.25 + 2 * 0.01) / 20))


def noise(count):
    """Flat gray noise, which tells nothing but its aberration."""
    gray = np.random.default_rng(0).integers(0, 256, (count, 20, 20), np.uint8)
    return [np.asarray(Image.fromarray(g).resize((80, 80), Image.Resampling.BICUBIC).convert("RGB")) for g in gray]


def test_patches_know_where_they_were(aberration):
    patches = aberration.cut_patches(noise(25), 16, images=20, per_image=200)
    assert patches.pixels.shape == (20 * 200, 16, 16, 3) and np.unique(patches.images).tolist() == list(range(20))
    assert patches.positions.min() == pytest.approx(0.1) and patches.positions.max() == pytest.approx(0.9)
    with pytest.raises(SourceError, match="at least 20"):
        aberration.cut_patches(noise(5), 16, images=60)


@pytest.mark.slow
def test_probe_finds_aberration_and_dropping_hides_it(aberration):
    """The network needs a strong aberration to see it in seconds."""
    patches = aberration.cut_patches(noise(300), 16, images=300, per_image=24, magnification=0.08)
    seen = aberration.locate(patches, color="none", steps=120, batch=64)
    hidden = aberration.locate(patches, color="dropping", steps=40, batch=64)
    assert seen["rmse"] < 0.7 * seen["center"]
    assert hidden["rmse"] > 0.95 * hidden["center"]
