"""Synchrony products, the winner, and the rule of synchrony k-means, against numbers worked by hand."""

import keras
import numpy as np
import pytest

from tfssl.layers.synchrony import EqualNorms, SynchronyProduct, Winner, synchrony_updates


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def with_filters(kernel_x, kernel_y, **options):
    layer = SynchronyProduct(np.shape(kernel_x)[1], kernel_initializer="zeros", dtype="float64", **options)
    layer.build([(None, len(kernel_x)), (None, len(kernel_y))])
    layer.kernel_x.assign(kernel_x)
    if not layer.tied:
        layer.kernel_y.assign(kernel_y)
    return layer


def test_responses_agree_under_the_filters_own_transformation(rng):
    """A cyclic shift of R^16, and the rotation of square patches by 90 degrees: both are orthogonal."""
    for x, turn in (
        (rng.normal(size=(5, 16)), lambda rows: np.roll(rows, 3, axis=1)),
        (rng.normal(size=(5, 16)), lambda rows: np.rot90(rows.reshape(-1, 4, 4), axes=(1, 2)).reshape(-1, 16)),
    ):
        filters = rng.normal(size=(7, 16))
        layer = with_filters(filters.T, turn(filters).T)
        of_x, of_y = layer.responses([x, turn(x)])
        np.testing.assert_allclose(of_y, of_x, rtol=0, atol=1e-12)


def test_quadrature_pair_finds_the_shift_at_any_phase(rng):
    size, frequency, shift = 16, 2, 3
    angle = 2 * np.pi * frequency * np.arange(size) / size
    phases = np.arange(8) * np.pi / 4
    pair = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # columns
    kernel_x = np.tile(pair, (1, 8))
    kernel_y = np.concatenate([np.stack([np.cos(angle - p), np.sin(angle - p)], axis=1) for p in phases], axis=1)
    x = rng.normal(size=(20, size))
    y = np.roll(x, shift, axis=1)
    products = np.asarray(with_filters(kernel_x, kernel_y)([x, y])).reshape(20, 8, 2).sum(axis=2)
    assert (phases[products.argmax(axis=1)] == 3 * np.pi / 4).all()
    a, b = (np.exp(-1j * angle) @ rows.T for rows in (x, y))
    np.testing.assert_allclose(np.abs(a), np.abs(b))
    np.testing.assert_allclose(np.angle(a / b), 2.356194, atol=1e-6)
    np.testing.assert_allclose(
        products, np.abs(a[:, None]) ** 2 * np.cos(frequency * shift * np.pi / 8 - phases), atol=1e-9
    )


def test_update_by_hand():
    x, y = np.array([[2.0, 1.0]]), np.array([[-1.0, 2.0]])
    kernel_x, kernel_y, won = np.array([[1.0], [0.0]]), np.array([[0.0], [0.5]]), np.ones((1, 1))
    assert float(with_filters(kernel_x, kernel_y)([x, y])[0, 0]) == 2.0
    of_x, of_y, losses = synchrony_updates(x, y, kernel_x, kernel_y, won)
    np.testing.assert_allclose(of_x[:, 0], [1, 1])
    np.testing.assert_allclose(of_y[:, 0], [-2, 2])
    assert float(losses[0]) == 2.0 + 2.0  # |(-1, 2) - (0, 0.5) 2|^2 and |(2, 1) - (1, 0) 1|^2
    kernel_y = kernel_y + 0.1 * np.asarray(of_y)
    np.testing.assert_allclose(kernel_y[:, 0], [-0.2, 0.7])
    assert float(np.square(y[0] - kernel_y[:, 0] * 2).sum()) == pytest.approx(0.72)


def test_update_is_minus_half_the_gradient_and_zero_at_the_fixed_point(rng):
    x, y = rng.normal(size=(2, 30, 6))
    u, v = rng.normal(size=(2, 6, 4))
    won = np.eye(4)[((x @ u) * (y @ v)).argmax(axis=1)]
    _, of_y, _ = synchrony_updates(x, y, u, v, won)

    def loss(v):
        return np.square(y - (x @ u * won) @ v.T).sum()

    numeric = np.zeros_like(v)
    for place in np.ndindex(v.shape):
        step = np.zeros_like(v)
        step[place] = 1e-6
        numeric[place] = (loss(v + step) - loss(v - step)) / 2e-6
    np.testing.assert_allclose(np.asarray(of_y) * np.maximum(won.sum(axis=0), 1), -0.5 * numeric, rtol=1e-5, atol=1e-5)
    a = x @ u * won
    best = y.T @ a / np.maximum(np.square(a).sum(axis=0), 1e-12)
    np.testing.assert_allclose(synchrony_updates(x, y, u, best, won)[1], 0, atol=1e-12)


def test_reconstructs_each_view_from_the_other(rng):
    u, v = rng.normal(size=(2, 5, 3))
    x, y = rng.normal(size=(2, 4, 5))
    h = rng.uniform(size=(4, 3))
    again_x, again_y = np.split(np.asarray(with_filters(u, v)([x, y], codes=h)), 2, axis=1)
    np.testing.assert_allclose(again_x, (h * (y @ v)) @ u.T)
    np.testing.assert_allclose(again_y, (h * (x @ u)) @ v.T)


@pytest.mark.parametrize("tied", [False, True])
def test_contraction_is_the_squared_jacobian(rng, tied):
    u, v = rng.normal(size=(2, 3, 2))
    x, y = rng.normal(size=(2, 1, 3))
    layer = with_filters(u, v, tied=tied, contraction=0.5)
    y, v = (x, u) if tied else (y, v)

    def codes(x, y):
        return 1 / (1 + np.exp(-(x @ u) * (y @ v)))[0]

    columns = []
    for step in 1e-6 * np.eye(3):
        if tied:
            columns.append((codes(x + step, x + step) - codes(x - step, x - step)) / 2e-6)
        else:
            columns.append((codes(x + step, y) - codes(x - step, y)) / 2e-6)
            columns.append((codes(x, y + step) - codes(x, y - step)) / 2e-6)
    layer([x, y], codes=keras.ops.sigmoid(layer([x, y])))
    assert float(sum(layer.losses)) == pytest.approx(0.5 * np.square(columns).sum(), rel=1e-5)


def test_initial_filters_have_norm_one_and_differ():
    layer = SynchronyProduct(6)
    layer.build([(None, 9), (None, 9)])
    kernels = [np.asarray(kernel) for kernel in (layer.kernel_x, layer.kernel_y)]
    np.testing.assert_allclose([np.linalg.norm(kernel, axis=0) for kernel in kernels], 1, rtol=1e-5)
    assert not np.allclose(*kernels)


def test_tied_filters_need_one_size():
    with pytest.raises(ValueError, match="`tied` filters need two views of one size"):
        SynchronyProduct(3, tied=True).build([(None, 4), (None, 5)])


def test_configuration_comes_back():
    layer = SynchronyProduct(3, contraction=0.1, kernel_constraint=EqualNorms())
    again = SynchronyProduct.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert isinstance(again.kernel_constraint, EqualNorms)


def test_winner_takes_all_and_agreeing_negatives_count():
    products = np.array([[-9.0, 0.5, 0.4], [4.0, 2.0, -8.0]])
    np.testing.assert_array_equal(Winner()(products), [[0, 1, 0], [1, 0, 0]])


def test_equal_norms(rng):
    kernel = rng.normal(size=(5, 3))
    norms = np.linalg.norm(kernel, axis=0)
    np.testing.assert_allclose(np.linalg.norm(EqualNorms()(kernel), axis=0), norms.mean())
