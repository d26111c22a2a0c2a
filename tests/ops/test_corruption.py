"""Corruption of pictures and codes."""

import keras
import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.layers.corrupt import Corrupt
from tfssl.ops.corruption import KINDS, Corruption


def apply(x, seed=0, xp=np, **options):
    rng = np.random.default_rng(seed)
    x = np.asarray(x, np.float32)
    results = Corruption(**options).apply(
        x,
        uniform=lambda shape: rng.random(tuple(shape), np.float32),
        normal=lambda shape: rng.standard_normal(tuple(shape), np.float32),
        xp=xp,
    )
    return [np.asarray(r) for r in results]


ONES = np.ones((200, 28, 28, 1))


class TestMasking:
    def test_exact_number(self):
        """Card, test 3: nu = 0.25 of 784 components are exactly 196."""
        noisy, mask = apply(ONES, kind="masking", amount=0.25)
        assert ((noisy == 0).sum(axis=(1, 2, 3)) == 196).all()
        np.testing.assert_array_equal(mask, noisy == 0)
        assert (noisy[mask == 0] == 1).all(), "no rescaling"
        assert np.ptp(mask.sum(axis=0)) < 200, "no place is always hit"

    def test_bernoulli_number(self):
        """Mean 196, standard deviation 12.12."""
        noisy, _ = apply(np.ones((2000, 784)), kind="masking", amount=0.25, exact=False)
        counts = (noisy == 0).sum(axis=1)
        assert counts.mean() == pytest.approx(196, abs=4 * 12.12 / np.sqrt(2000))
        assert counts.std() == pytest.approx(12.12, rel=0.08)

    def test_fill_value(self):
        noisy, mask = apply(-ONES, kind="masking", amount=0.5, fill=0.3)
        np.testing.assert_allclose(noisy[mask == 1], 0.3)


def test_salt_and_pepper():
    """Card, test 4: fractions .2, .6, .2."""
    noisy, mask = apply(0.5 * ONES, kind="salt_and_pepper", amount=0.4)
    assert set(np.unique(noisy).tolist()) == {0.0, 0.5, 1.0}
    for value, fraction in ((0.0, 0.2), (0.5, 0.6), (1.0, 0.2)):
        assert np.mean(noisy == value) == pytest.approx(fraction, abs=0.005)
    np.testing.assert_array_equal(mask == 1, noisy != 0.5)
    wide, _ = apply(0.0 * ONES, kind="salt_and_pepper", amount=0.4, low=-2.0, high=2.0)
    assert set(np.unique(wide).tolist()) == {-2.0, 0.0, 2.0}


def test_gaussian():
    """Card, test 5."""
    noisy, mask = apply(0.5 * ONES, kind="gaussian", amount=0.3)
    difference = noisy - 0.5
    assert difference.mean() == pytest.approx(0, abs=4 * 0.3 / np.sqrt(difference.size))
    assert difference.std() == pytest.approx(0.3, rel=0.01)
    assert noisy.min() < 0 and noisy.max() > 1, "not clipped unless asked"
    assert (mask == 1).all()
    clipped, _ = apply(0.5 * ONES, kind="gaussian", amount=0.3, clip=True)
    np.testing.assert_array_equal(clipped, np.clip(noisy, 0, 1))


def test_pixels_go_with_all_their_channels():
    noisy, mask = apply(np.ones((50, 16, 16, 3)), kind="pixel", amount=0.25)
    assert (mask == mask[..., :1]).all()
    assert ((noisy[..., 0] == 0).sum(axis=(1, 2)) == 64).all()


def test_blocks_are_squares_of_eight():
    noisy, mask = apply(np.ones((50, 32, 40, 3)), kind="block", amount=0.25)
    cells = mask.reshape(50, 4, 8, 5, 8, 3)
    assert (cells == cells[:, :, :1, :, :1, :1]).all()
    assert (cells[:, :, 0, :, 0, 0].sum(axis=(1, 2)) == 5).all()
    assert (noisy[mask == 1] == 0).all() and (noisy[mask == 0] == 1).all()
    odd, _ = apply(np.ones((2, 20, 20, 1)), kind="block", amount=1.0)
    assert odd.shape == (2, 20, 20, 1) and (odd == 0).all()


def test_none_is_the_identity():
    noisy, mask = apply(0.3 * ONES, kind="none")
    np.testing.assert_array_equal(noisy, np.float32(0.3 * ONES))
    assert not mask.any()


@pytest.mark.parametrize("kind, fraction", [("none", 0), ("gaussian", 1), ("block", 0.4)])
def test_fraction_of_corrupted_components(kind, fraction):
    assert Corruption(kind, 0.4).fraction == fraction


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exact", [True, False])
def test_numpy_and_keras_give_the_same(kind, exact):
    x = np.random.default_rng(1).random((3, 12, 10, 2))
    options = {"kind": kind, "amount": 0.3, "exact": exact, "block": 4, "clip": True}
    for ours, theirs in zip(apply(x, xp=np, **options), apply(x, xp=keras.ops, **options), strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "options, name",
    [({"kind": "snow"}, "corruption"), ({"amount": 1.5}, "noise"), ({"amount": -1, "kind": "gaussian"}, "noise"),
     ({"block": 0}, "block")],
)  # fmt: skip
def test_wrong_values(options, name):
    with pytest.raises(ConfigError, match=f"`{name}`") as error:
        Corruption(**options)
    assert "\n" not in str(error.value)


class TestLayer:
    def test_off_in_inference(self):
        """Card, test 6."""
        layer, x = Corrupt("masking", 0.5, seed=1), np.random.default_rng(0).random((4, 50)).astype(np.float32)
        first, second = (np.asarray(layer(x, training=True)[0]) for _ in range(2))
        assert (first != second).any()
        for _ in range(2):
            same, mask = layer(x, training=False)
            np.testing.assert_array_equal(same, x)
            assert not np.asarray(mask).any()

    @pytest.mark.parametrize("kind", ["none", "masking", "salt_and_pepper", "gaussian"])
    def test_does_what_the_rule_says(self, kind):
        x = np.full((500, 40), 0.25, np.float32)
        noisy, mask = (np.asarray(r) for r in Corrupt(kind, 0.4, seed=0)(x, training=True))
        assert mask.mean() == pytest.approx(Corruption(kind, 0.4).fraction)
        np.testing.assert_array_equal(noisy[mask == 0], 0.25)
        if kind == "gaussian":
            assert noisy.std() == pytest.approx(0.4, rel=0.03)

    def test_state_decides_what_follows(self):
        x = np.ones((3, 30), np.float32)
        layer = Corrupt("masking", 0.5, seed=3)
        layer(x, training=True)
        state = np.asarray(layer.variables[0])
        expected = np.asarray(layer(x, training=True)[0])
        layer.variables[0].assign(state)
        np.testing.assert_array_equal(layer(x, training=True)[0], expected)

    def test_config(self):
        layer = Corrupt("gaussian", 0.2, exact=False, fill=0.5, seed=4)
        assert Corrupt.from_config(layer.get_config()).get_config() == layer.get_config()
        assert keras.saving.get_registered_name(Corrupt) == "tfssl>Corrupt"
        assert layer.compute_output_shape((2, 7)) == ((2, 7), (2, 7))
