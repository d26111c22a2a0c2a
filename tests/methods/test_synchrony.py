"""Synchrony: examples of its three forms, what it learns of shifted noise, and its encoder."""

import numpy as np
import pytest
from PIL import Image

from tfssl.backbones.synchrony import build_autoencoder
from tfssl.data.rendered import FrameClip, shifted_pairs, stereogram_source
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.methods import Synchrony
from tfssl.methods.synchrony import data as views_of
from tfssl.methods.synchrony.evaluate import filters_of
from tfssl.methods.synchrony.loss import SumOfSquares
from tfssl.methods.synchrony.network import build_kmeans

SMALL = {"units": 10, "components": 12, "patches": 8}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def image(rng, *shape):
    return Image.fromarray(rng.integers(0, 256, shape, np.uint8))


def read_out(codes, labels):
    """Accuracy on the second half of a regression fitted to the first."""
    half = len(codes) // 2
    rows = Rows(codes[:half])
    return accuracy(fit(rows, labels[:half], labels.max() + 1, 100.0), rows.project(codes[half:]), labels[half:])


def test_kmeans_learns_a_fixed_shift():
    x, y, _ = shifted_pairs(5000, 16, [3])
    model = build_kmeans(16, 8)
    model.compile(optimizer=None, jit_compile=False)
    model.fit((x, y), None, batch_size=50, epochs=4, verbose=0, shuffle=False)
    product = model.get_layer("product")
    shifted, found = np.roll(product.kernel_x, 3, axis=0), np.asarray(product.kernel_y)
    norms = [np.linalg.norm(kernel, axis=0) for kernel in (shifted, found)]
    assert ((shifted * found).sum(axis=0) / norms[0] / norms[1]).min() > 0.999
    np.testing.assert_allclose(norms[1], 1, atol=0.1)


def test_a_pair_that_never_wins_starts_anew_from_an_example():
    x, y, _ = shifted_pairs(20, 16, [3])
    model = build_kmeans(16, 4, restart_steps=3)
    model.compile(optimizer=None, jit_compile=False)
    product, winner = model.get_layer("product"), model.get_layer("codes")
    for kernel, rows, sign in ((product.kernel_x, x, 1), (product.kernel_y, y, -1)):
        filters = rows[[0, 1, 0, 2]].T  # three fit a row each, with products that are never negative; the other's
        kernel.assign(filters / np.linalg.norm(filters, axis=0) * [1, 1, sign, 1])  # are never positive
    model.fit((x[:5], y[:5]), None, batch_size=5, epochs=2, verbose=0, shuffle=False)
    assert winner.wins[2] == 0 and winner.steps == 2
    model.fit((x[:5], y[:5]), None, batch_size=5, epochs=1, verbose=0, shuffle=False)
    np.testing.assert_allclose(np.asarray(product.kernel_x)[:, 2], x[0] / np.linalg.norm(x[0]), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(product.kernel_y)[:, 2], y[0] / np.linalg.norm(y[0]), rtol=1e-5)
    assert winner.steps == 0 and not np.asarray(winner.wins).any()


def test_autoencoder_codes_tell_shifts_apart():
    import keras

    keras.utils.set_random_seed(0)
    x, y, shift = shifted_pairs(10_000, 16, range(-3, 4))
    model = build_autoencoder(16, 60)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), SumOfSquares(), jit_compile=False)
    losses = model.fit((x, y), np.hstack([x, y]), batch_size=100, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0] < 16
    product = model.get_layer("product")
    np.testing.assert_allclose(np.ptp(np.linalg.norm(product.kernel_x, axis=0)), 0, atol=1e-4)  # the constraint
    codes = 1 / (1 + np.exp(-np.asarray(product([x, y]))))
    assert read_out(codes, shift + 3) > 0.97
    assert read_out(np.hstack([x, y]), shift + 3) < 0.35


@pytest.mark.parametrize("form, frames, views", [("depth", 1, 2), ("motion", 3, 3), ("both", 2, 4)])
def test_forms_cut_one_place_of_all_views(rng, form, frames, views):
    method = Synchrony(form=form, frames=frames, **SMALL)
    pixels = rng.integers(0, 256, (5, 30, 40, 3), np.uint8)
    clip = FrameClip(np.repeat(pixels[:1], 5, axis=0))
    example = {"clip": clip, "left": clip, "right": clip}
    if form == "depth":
        example = {"left": Image.fromarray(pixels[0]), "right": Image.fromarray(pixels[0])}
    (cut,) = method.sample(example, rng, True)
    assert cut.shape == (8, views, 11, 11) and cut.dtype == np.uint8
    assert (cut == cut[:, :1]).all() and (cut[0] != cut[1]).any()
    (x, y), both = method.prepare(cut)
    assert x.shape == (8, 12)
    np.testing.assert_array_equal(both, np.hstack([x, y]))
    np.testing.assert_array_equal(x, y)


def test_motion_sets_each_frame_against_the_next(rng):
    views = rng.integers(0, 256, (2, 3, 11, 11), np.uint8)
    first, second = views_of.standardized(Synchrony(form="motion", frames=3, **SMALL), views)
    np.testing.assert_allclose(
        first.reshape(2, 121, 2)[..., 1].argsort(axis=1), second.reshape(2, 121, 2)[..., 0].argsort(axis=1)
    )
    tied = views_of.standardized(Synchrony(form="motion", frames=3, tied=True, **SMALL), views)
    np.testing.assert_array_equal(*tied)
    assert tied[0].shape == (2, 363)


def test_offset_takes_the_right_patch_from_further_left(rng):
    method = Synchrony(offset=6, **SMALL)
    pixels = rng.integers(0, 256, (30, 60), np.uint8)
    example = {"left": Image.fromarray(pixels), "right": Image.fromarray(np.roll(pixels, -6, axis=1))}
    (cut,) = method.sample(example, rng, True)
    np.testing.assert_array_equal(cut[:, 0], cut[:, 1])
    encoder = method.encoder(method.model())
    pair = np.stack([np.stack([np.asarray(example[side].convert("RGB"))]) for side in ("left", "right")], axis=1)
    products = np.asarray(encoder(pair)["products"])
    assert products.shape == (1, 20, 44, 10)


def test_what_does_not_serve_is_named(rng):
    motion = Synchrony(form="motion", frames=3, **SMALL)
    with pytest.raises(ValueError, match="a clip of 2 frames is shorter than frames: 3"):
        motion.sample({"clip": FrameClip(np.zeros((2, 20, 20, 3), np.uint8))}, rng, True)
    with pytest.raises(ValueError, match="8x8 pixels hold no patch of 11"):
        Synchrony(**SMALL).sample({"left": image(rng, 8, 8), "right": image(rng, 8, 8)}, rng, True)
    assert "equal" in motion.blank(np.full((8, 3, 11, 11), 7, np.uint8))
    assert motion.blank(rng.integers(0, 256, (8, 3, 11, 11))) is None


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"frames": 2}, "`frames` must be 1 for form: depth"),
        ({"form": "motion"}, "`frames` must be at least 2 for form: motion"),
        ({"tied": True}, "`tied` is for form: motion"),
        ({"form": "motion", "frames": 2, "offset": 3}, "`offset` is for two cameras"),
        ({"patch_size": 5, "components": 25}, "`components` must be below the 25 pixels"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Synchrony(**fields)


@pytest.mark.parametrize("fields", [{}, {"learner": "kmeans"}, {"form": "motion", "frames": 3, "tied": True}])
def test_encoder_says_of_each_patch_what_the_model_says(rng, fields):
    method = Synchrony(**SMALL, **fields)
    matrix = rng.normal(size=(np.prod(method.view_shape), 12))
    method = method.adapted({"mean": rng.normal(size=len(matrix)), "matrix": matrix - matrix.mean(axis=0)})
    model = method.model()
    gray = rng.integers(0, 256, (1, method.views, 20, 24), np.uint8)
    taps = method.encoder(model)(np.repeat(gray[..., None], 3, axis=-1))
    x, y = views_of.whitened(method, gray[:, :, 4:15, 5:16])
    np.testing.assert_allclose(taps["products"][:, 4, 5], model.get_layer("product")([x, y]), rtol=1e-4, atol=1e-3)
    assert taps["products"].shape == taps["codes"].shape == (1, 10, 14, 10)


def test_adapt_whitens_both_sides():
    method = Synchrony(units=4, components=15, patches=50)
    source = stereogram_source("builtin", count=60, size=(64, 64))
    statistics = method.adapt(source)
    assert 0.5 < statistics["kept"] < 1
    views = np.concatenate([method.sample(source.example(i), np.random.default_rng(i), True)[0] for i in range(60)])
    sides = views_of.whitened(method.adapted(statistics), views)
    np.testing.assert_allclose(np.cov(np.concatenate(sides).T), np.eye(15), atol=0.25)


def test_filters_are_shown_as_patches():
    method = Synchrony(**SMALL)
    sides = filters_of(method, method.model())
    assert [side.shape for side in sides] == [(10, 11, 11, 1)] * 2


def test_pairs_without_anything_to_learn_from_and_too_few_of_them_are_refused(tmp_path):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        Image.new("RGB", (60, 40), (90, 90, 90)).save(tmp_path / side / "flat.png")
    method = Synchrony(units=8, components=10, patches=4)
    with pytest.raises(SourceError, match="holds nothing to learn from: none of the 1 stereo pairs tried"):
        method.dataset(tmp_path, batch_size=2)
    with pytest.raises(SourceError, match="holds 4 examples, fewer than batch_size 32"):
        method.dataset(tmp_path, batch_size=32)
