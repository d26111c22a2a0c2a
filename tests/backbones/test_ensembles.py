"""Several encoders as one: the taps of all of them, side by side, in a network that Keras can do anything with."""

import keras
import numpy as np
import pytest

from tfssl.backbones import Encoder, ensemble
from tfssl.errors import ConfigError
from tfssl.evaluation.baselines import untrained
from tfssl.transfer import transfer

IMAGES = np.random.default_rng(0).random((2, 12, 9, 3), dtype=np.float32)


def member(filters, strides=1, name="encoder", **options):
    rgb = keras.Input((None, None, 3), name="rgb")
    one = keras.layers.Conv2D(filters, 3, strides, padding="same", name="conv")(rgb)
    two = keras.layers.Conv2D(filters, 3, padding="same", name="second")(one)
    taps = {"conv1": one, "conv2": two, "fc": keras.layers.GlobalAveragePooling2D()(two)}
    return Encoder(rgb, taps, name=name, **options)


def test_taps_side_by_side():
    first, second = member(4), member(5)
    both = ensemble({"runs/a": first, "runs/b": second})
    found, one, two = both(IMAGES), first(IMAGES), second(IMAGES)
    assert list(found) == list(both.taps) == ["conv1", "conv2", "fc"]
    for tap in found:
        np.testing.assert_allclose(found[tap], np.concatenate([one[tap], two[tap]], axis=-1), atol=1e-6)
    assert (both.modality, both.value_range) == ("image", (0.0, 1.0))


def test_a_coarser_map_is_brought_to_the_first():
    first, second = member(4), member(5, strides=3)
    found = np.asarray(ensemble({"a": first, "b": second}, ["conv1"])(IMAGES)["conv1"])
    assert found.shape == (2, 12, 9, 9)
    # Cell i of the coarse map lies at 3 i + 1 of the fine one, by the convention of half pixels.
    np.testing.assert_allclose(found[:, 1::3, 1::3, 4:], second(IMAGES)["conv1"], atol=1e-5)


def test_pairs_of_taps():
    first, second = member(4), member(5)
    both = ensemble({"a": first, "b": second}, ["conv1+conv2", "fc"])
    found = both(IMAGES)
    assert list(found) == ["conv1+conv2", "fc"]
    np.testing.assert_allclose(found["conv1+conv2"][..., 4:], second(IMAGES)["conv2"], atol=1e-6)


def test_members_get_the_range_that_they_are_meant_for():
    first, second = member(4), member(4, value_range=(-1.0, 1.0))
    second.set_weights(first.get_weights())
    found = ensemble({"a": first, "b": second})((IMAGES * 255).astype(np.uint8))["conv1"]
    levels = np.float32(1 / 255) * (IMAGES * 255).astype(np.uint8)
    np.testing.assert_allclose(found[..., 4:], second(2 * levels - 1)["conv1"], atol=1e-5)


def test_it_is_saved_cloned_and_transferred(tmp_path):
    both = ensemble({"a": member(4), "b": member(5)})
    both.save(tmp_path / "both.keras")
    loaded = keras.saving.load_model(tmp_path / "both.keras")
    np.testing.assert_allclose(loaded(IMAGES)["conv2"], both(IMAGES)["conv2"], atol=1e-6)
    assert isinstance(loaded, Encoder) and loaded.smallest == both.smallest
    assert not np.allclose(untrained(both, 0)(IMAGES)["conv2"], both(IMAGES)["conv2"])

    def head(maps):
        return keras.layers.GlobalAveragePooling2D()(maps["conv2"])

    assert not transfer(both, head, "freeze").trainable_variables
    assert len(transfer(both, head).trainable_variables) == 8
    assert len(transfer(both, head, train_from="conv2").trainable_variables) == 4


def test_untrained_members_keep_what_describes_data():
    @keras.saving.register_keras_serializable(package="test_ensembles")
    class Whitening(keras.layers.Dense):
        keeps_weights = True

    rgb = keras.Input((None, None, 3))
    white = Whitening(3, name="whitening")(rgb)
    whitened = Encoder(
        rgb, {"conv1": white, "conv2": keras.layers.Conv2D(4, 3, padding="same")(white)}, name="whitened"
    )
    both = untrained(ensemble({"a": member(4), "b": whitened}), 0)
    kept, drawn = both(IMAGES)["conv1"][..., 4:], both(IMAGES)["conv2"][..., 4:]
    np.testing.assert_allclose(kept, whitened(IMAGES)["conv1"], atol=1e-6)
    assert not np.allclose(drawn, whitened(IMAGES)["conv2"])


@pytest.mark.parametrize(
    ("encoders", "taps", "words"),
    [
        ({"a": member(4)}, None, "at least two encoders"),
        ({"a": member(4), "b": member(4)}, ["conv9"], "a has no 'conv9', it has conv1, conv2, fc"),
        ({"a": member(4), "b": member(4)}, ["conv1+conv2+fc"], "names 3 taps, there are 2 encoders"),
        ({"a": member(4), "b": member(4)}, ["conv1+fc"], "joins maps and vectors"),
        ({"a": member(4), "b": member(4, value_range=None)}, None, "no value_range"),
        ({"a": member(4), "b": keras.Model((x := keras.Input((None, None, 3))), x)}, None, "taps=fc.features"),
        ({"a": member(4), "b": Encoder(c := keras.Input((9, 2)), {"fc": c}, modality="sound")}, None, "different"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined(encoders, taps, words):
    with pytest.raises(ConfigError, match=words):
        ensemble(encoders, taps)
