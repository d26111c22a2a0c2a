"""The stretch of lightness inside a network: what it undoes, and what it leaves."""

import keras
import numpy as np
import pytest

from tfssl.layers.color import StretchLightness


def scene(height=40, width=60):
    """Blocks of 4x4 equal pixels from 0 to 100, both ends in the middle."""
    blocks = np.random.default_rng(0).uniform(10, 90, (height // 4, width // 4))
    blocks[4, 6], blocks[5, 8] = 0, 100
    return np.repeat(np.repeat(blocks, 4, 0), 4, 1)[None, ..., None].astype(np.float32)


def stretch(light, **options):
    return np.asarray(StretchLightness(**options)(light))


def test_a_full_range_stays():
    np.testing.assert_allclose(stretch(scene()), scene(), atol=1e-4)


@pytest.mark.parametrize("gain, offset", [(0.5, 40), (0.4, 0), (0.3, 65)], ids=["faded", "dark", "light"])
def test_fading_and_exposure_are_undone(gain, offset):
    np.testing.assert_allclose(stretch(scene() * gain + offset), scene(), atol=1e-3)


def test_borders_and_specks_hardly_move_it():
    faded = scene() * 0.5 + 30
    expected = stretch(faded)
    spoiled = faded.copy()
    spoiled[:, :4], spoiled[:, :, -4:] = 100, 0  # a border of 10 and 7 %
    spoiled[0, 20, 20] = 100  # one white pixel
    inner = np.s_[:, 8:-8, 8:-8]
    assert np.abs(stretch(spoiled)[inner] - expected[inner]).mean() < 6
    assert stretch(spoiled).min() >= 0
    assert stretch(spoiled).max() <= 100


@pytest.mark.parametrize("level", [0, 7, 50, 98, 100])
def test_a_flat_image_stays_dark_or_light(level):
    flat = np.full((1, 16, 16, 1), level, np.float32)
    noisy = flat + np.random.default_rng(0).normal(0, 1, flat.shape).astype(np.float32)
    result = stretch(np.clip(noisy, 0, 100))
    assert result.std() < 100 / 25 * 1.1
    assert abs(result.mean() - level) < 40
    assert (result.mean() > 50) == (level > 50) or level == 50


def test_images_of_a_batch_do_not_see_each_other():
    batch = np.concatenate([scene() * 0.5, scene() * 0.2 + 10])
    np.testing.assert_allclose(stretch(batch)[1:], stretch(batch[1:]), atol=1e-5)


def test_it_is_kept_when_saved(tmp_path):
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, StretchLightness(least=40.0)(inputs))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    light = scene() * 0.1
    np.testing.assert_array_equal(loaded(light), model(light))
    with pytest.raises(ValueError, match=r"`least` must lie in \(0, 100\].*least=0"):
        StretchLightness(least=0)
