"""Textures, styles, symmetries and holes: what the objective asks for is what the image gets."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image
from scipy.ndimage import gaussian_filter

from tfssl.backbones.registry import build
from tfssl.errors import ConfigError, TrainingError
from tfssl.ops.gram import gram
from tfssl.synthesis.features import Features, choose_taps
from tfssl.synthesis.minimize import minimize
from tfssl.synthesis.objective import Objective, content_term, default_shifts, gram_term, shift_term
from tfssl.synthesis.recipe import STYLE_TAPS, TEXTURE_TAPS, Recipe
from tfssl.synthesis.structure import mirror_error
from tfssl.synthesis.synthesize import Synthesizer


@pytest.fixture(scope="module")
def encoder():
    """RGB -> conv1 and its average pooling, conv2 and its: random filters."""
    keras.utils.set_random_seed(3)
    rgb = layers.Input((None, None, 3))
    conv1 = layers.Conv2D(16, 5, padding="same", activation="relu", name="conv1")(
        layers.Rescaling(2.0, offset=-1.0)(rgb)
    )
    pool1 = layers.AveragePooling2D(2, name="pool1")(conv1)
    conv2 = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2")(pool1)
    pool2 = layers.AveragePooling2D(2, name="pool2")(conv2)
    return keras.Model(rgb, {"conv1": conv1, "pool1": pool1, "conv2": conv2, "pool2": pool2}, name="encoder")


@pytest.fixture(scope="module")
def blobs():
    """A smooth texture in color, 48 x 40."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(40, 48, 3)), (1.5, 1.5, 0))
    return Image.fromarray(np.uint8(np.clip(128 + 60 * noise / noise.std(), 0, 255)))


def test_statistics_and_sizes_of_vgg19():
    network = build("vgg19", input_shape=(None, None, 3), fc=False, pooling="average")
    shapes = network.compute_output_shape((1, 224, 224, 3))
    assert [shapes[tap][1] for tap in TEXTURE_TAPS] == [224, 112, 56, 28, 14]
    assert sum(n * (n + 1) // 2 for n in (shapes[tap][-1] for tap in TEXTURE_TAPS)) == 176_640
    assert choose_taps(network, TEXTURE_TAPS) == TEXTURE_TAPS
    untapped = keras.Model(network.input, {t: x for t, x in network.output.items() if t.startswith("conv")})
    assert choose_taps(untapped, TEXTURE_TAPS) == ("conv1", "conv2", "conv3", "conv4", "conv5")
    assert choose_taps(untapped, STYLE_TAPS) == STYLE_TAPS


def test_shifts_are_those_of_third_party_code():
    # Of a map of 256, 128, 64 and 32 positions; there the finest has 4 too.
    assert [default_shifts(n) for n in (256, 128, 64, 32)] == [
        (8, 16, 32, 64),
        (4, 8, 16, 32),
        (2, 4, 8, 16),
        (2, 4, 8),
    ]
    assert [default_shifts(n) for n in (16, 8, 4)] == [(2, 4), (2,), (1,)]


def test_features_have_the_unit_of_the_rescaled_network(encoder):
    photographs = np.random.default_rng(0).random((4, 16, 16, 3)).astype(np.float32)
    features = Features(encoder, ["conv1", "pool2"], photographs)
    means = [tf.reduce_mean(tf.abs(features(photographs)[tap]), axis=(0, 1, 2)).numpy() for tap in ("conv1", "pool2")]
    for mean in means:
        np.testing.assert_allclose(mean[mean > 0.5], 1, rtol=1e-4)
        assert (mean > 0.5).mean() > 0.5 and mean.max() < 1.001  # some random filters hardly answer
    with pytest.raises(ConfigError, match="did you mean `conv1`"):
        Features(encoder, ["conf1"])


def test_gram_does_not_know_positions_but_shifts_do():
    maps = np.random.default_rng(0).random((1, 6, 6, 3)).astype(np.float32)
    shuffled = np.random.default_rng(1).permutation(maps.reshape(36, 3)).reshape(maps.shape)
    reference, other = {"a": maps}, {"a": shuffled}
    assert float(gram_term("a", reference)(other)) == pytest.approx(0, abs=1e-10)
    assert float(shift_term("a", reference, 1, (1, 2))(other)) > 1e-6
    assert float(shift_term("a", reference, 1, (1, 2))(reference)) == 0


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_texture_is_reproducible_within_bounds(encoder, blobs, optimizer):
    steps = []
    recipe = Recipe(size=48, iterations=30, optimizer=optimizer)
    make = Synthesizer(encoder, recipe)
    first = make(blobs, seed=123, progress=lambda *done: steps.append(done))
    factor = {"lbfgs": 2, "adam": 1}[optimizer]  # Adam's steps are those of thousands
    assert first.image.size == (48, 40) and first.history[0]["gram conv1"] > factor * first.history[-1]["gram conv1"]
    assert len(steps) == len(first.history) and steps[-1][1] == 30 and set(steps[-1][2]) == {"gram"}
    pixels, reference = np.asarray(first.image), np.asarray(blobs)
    assert (pixels.min(axis=(0, 1)) >= reference.min(axis=(0, 1))).all()
    assert (pixels.max(axis=(0, 1)) <= reference.max(axis=(0, 1))).all()
    np.testing.assert_array_equal(pixels, make(blobs, seed=123).image)
    assert np.abs(np.int16(pixels) - make(blobs, seed=123456).image).mean() > 10


def test_any_size_from_any_reference_in_octaves(encoder, blobs):
    recipe = Recipe("long-range", size=144, octaves=2, iterations=3)
    larger = Synthesizer(encoder, recipe)(blobs.resize((96, 80)))
    assert larger.image.size == (144, 120) and larger.reference.size == (96, 80) and len(larger.history) == 6
    assert set(larger.terms) == {"gram", "shift"}
    reduced = Synthesizer(encoder, Recipe(size=40, reference_size=38, iterations=1))(blobs)
    assert reduced.reference.size == (38, 32) and reduced.image.size == (40, 33)


def test_gray_references_give_gray_images(encoder, blobs):
    result = Synthesizer(encoder, Recipe(size=48, iterations=3))(blobs.convert("L").convert("RGB"))
    pixels = np.asarray(result.image)
    assert pixels.shape == (40, 48, 3) and (pixels == pixels[..., :1]).all() and pixels.std() > 1


SYMMETRIC = {"size": 32, "iterations": 200, "taps": ("conv1",)}


@pytest.fixture(scope="module")
def plain(encoder, blobs):
    """What is symmetric in no way: the reference, and the texture of it."""
    gray = blobs.convert("L").crop((0, 0, 32, 32))
    return gray, np.asarray(Synthesizer(encoder, Recipe("texture", **SYMMETRIC))(gray).image) / 255


@pytest.mark.parametrize("symmetry", ["left-right", "up-down", "both", "quarter-turn"])
def test_symmetric_textures(encoder, plain, symmetry):
    gray, texture = plain
    result = Synthesizer(encoder, Recipe("symmetric", symmetry=symmetry, **SYMMETRIC))(gray)
    assert set(result.terms) == {"gram", "flip"}
    for flip in {"both": ("left-right", "up-down")}.get(symmetry, (symmetry,)):
        assert mirror_error(np.asarray(result.image) / 255, flip) < mirror_error(texture, flip) / 2


def test_known_pixels_stay_bit_for_bit(encoder, blobs):
    reference, damaged = blobs, blobs.transpose(Image.Transpose.ROTATE_180)
    hole = np.zeros((40, 48), bool)
    hole[10:25, 8:30] = True
    for optimizer in ("lbfgs", "adam"):
        recipe = Recipe("inpaint", size=48, iterations=10, optimizer=optimizer)
        filled = Synthesizer(encoder, recipe)(reference, content=damaged, mask=hole)
        before, after = np.asarray(damaged), np.asarray(filled.image)
        np.testing.assert_array_equal(after[~hole], before[~hole])
        assert (after[hole] != before[hole]).mean() > 0.9
    band = np.asarray(Synthesizer(encoder, Recipe("inpaint", size=48, iterations=1))(reference, content=damaged).image)
    same = (band == before).all(axis=-1)
    assert same[:4].all() and same[-4:].all() and same[:, :5].all() and same[:, -5:].all() and same.mean() < 0.6
    with pytest.raises(ConfigError, match="something known"):
        Synthesizer(encoder, Recipe("inpaint", size=48))(reference, content=damaged, mask=np.ones_like(hole))


def test_style_of_itself_is_reached_at_the_start(encoder, blobs):
    result = Synthesizer(encoder, Recipe("season", size=48, iterations=1))(blobs, content=blobs)
    assert set(result.terms) == {"gram", "shift", "content"} and max(result.history[0].values()) < 1e-10
    np.testing.assert_array_equal(result.image, blobs)


def test_style_keeps_the_content(encoder, blobs):
    stripes = Image.fromarray(np.uint8(np.tile([[[250, 120, 30]], [[20, 60, 200]]], (20, 48, 1))))
    results = [
        Synthesizer(encoder, Recipe("style", size=48, iterations=20, content_weight=weight))(stripes, content=blobs)
        for weight in (1.0, 100.0)
    ]
    assert results[0].terms["content"] > results[1].terms["content"]
    assert results[0].terms["gram"] < results[1].terms["gram"]
    assert all(one.content.size == one.image.size == (48, 40) for one in results)


def test_content_alone_brings_the_image_back(encoder, blobs):
    features = Features(encoder, ["conv1"])
    wanted = np.asarray(blobs, np.float32) / 255
    objective = Objective(features, [content_term("conv1", features(wanted[None]))], wanted.shape)
    image, _ = minimize(objective, np.random.default_rng(0).uniform(size=wanted.shape), 0, 1, iterations=200)
    assert -10 * np.log10(np.square(image - wanted).mean()) > 30


def test_gradient_of_the_objective():
    keras.utils.set_random_seed(3)
    rgb = layers.Input((None, None, 3))
    smooth = layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv1")(rgb)  # differences cross no kinks
    pool = layers.AveragePooling2D(2, name="pool1")(smooth)
    rng = np.random.default_rng(0)
    features = Features(
        keras.Model(rgb, {"conv1": smooth, "pool1": pool}), ["conv1", "pool1"], rng.random((2, 12, 12, 3), np.float32)
    )
    reference, image = features(rng.random((1, 12, 12, 3), np.float32)), rng.random((12, 12, 1))
    terms = [gram_term("conv1", reference), shift_term("pool1", reference, 5.0, (1,))]
    objective = Objective(features, terms, image.shape)
    value, gradient, values = objective(image)
    assert value == pytest.approx(values["gram conv1"] + 5 * values["shift pool1"], rel=1e-5)
    for direction in (gradient, rng.normal(size=image.shape)):
        step = 1e-2 * direction / np.abs(direction).max()
        ends = [objective(image + sign * step)[0] for sign in (1, -1)]
        assert (ends[0] - ends[1]) / 2 == pytest.approx((gradient * step).sum(), rel=1e-2)


def test_broken_objectives_are_told():
    with pytest.raises(TrainingError, match="became nan at iteration 1"):
        minimize(lambda image: (np.nan, image, {}), np.zeros((4, 4, 1)), 0, 1)


def test_images_that_are_too_small(encoder, blobs):
    with pytest.raises(ConfigError, match="fewer octaves"):
        Synthesizer(encoder, Recipe(size=60, octaves=2))(blobs)
    with pytest.raises(ConfigError, match="`reference` is too small"):
        Synthesizer(encoder, Recipe(size=64, reference_size=33))(blobs)


def test_gram_term_is_the_paper_s(encoder):
    rng = np.random.default_rng(5)
    first, second = ({"a": rng.random((1, 3, 4, 2)).astype(np.float32)} for _ in range(2))
    flat = [one["a"].reshape(12, 2) for one in (first, second)]
    g, other = (one.T @ one for one in flat)  # not divided: equation 4 has 1 / (4 N^2 M^2)
    assert float(gram_term("a", first)(second)) == pytest.approx(np.square(g - other).sum() / (4 * 4 * 144), rel=1e-5)
    np.testing.assert_allclose(gram(second["a"])[0], other / 12, rtol=1e-5)
