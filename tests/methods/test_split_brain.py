"""Split-brain autoencoders: classes, losses, targets, what is learned and how it is measured."""

import keras
import numpy as np
import pytest

from tfssl.errors import ConfigError, SourceError
from tfssl.methods import SplitBrain
from tfssl.methods.split_brain.data import to_example
from tfssl.methods.split_brain.evaluate import evaluate, values
from tfssl.methods.split_brain.loss import CrossChannelLoss, ab_class, lightness_class
from tfssl.ops.ab_bins import CENTERS, nearest_bin

SMALL = {"backbone": "small", "fc": 16, "resize": 40, "crop_size": 32}


def random_lab(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(0, 100, shape), *rng.uniform(-80, 80, (2, *shape))], axis=-1).astype(np.float32)


def test_lightness_classes():
    assert np.asarray(lightness_class(np.float32([0, 1.99, 2, 50, 99.9, 100]))).tolist() == [0, 0, 1, 25, 49, 49]


def test_ab_class_is_the_nearest_bin():
    colors = np.float32([[12, 7], [0, 0], *np.random.default_rng(0).uniform(-90, 90, (200, 2))])
    classes = np.asarray(ab_class(colors))
    assert CENTERS[classes[0]].tolist() == [10, 10] and classes[0] == 140
    np.testing.assert_array_equal(classes, nearest_bin(colors))


def test_loss_of_uniform_scores():
    loss = CrossChannelLoss("classification", "classification")
    lab = random_lab(2, 3, 3)
    parts = loss.parts(lab, np.zeros((2, 3, 3, 363), np.float32))
    np.testing.assert_allclose(parts["ab"], 5.746203, atol=1e-5)
    np.testing.assert_allclose(parts["lightness"], 3.912023, atol=1e-5)
    assert float(loss(lab, np.zeros((2, 3, 3, 363)))) == pytest.approx(9.658226, abs=1e-5)


def test_loss_of_regression_by_hand():
    loss = CrossChannelLoss("regression", "regression")
    lab, scores = np.float32([[[[75, 55, -110]]]]), np.float32([[[[0.5, 0.0, 0.0]]]])
    parts = loss.parts(lab, scores)
    assert float(parts["ab"][0, 0, 0]) == pytest.approx(0.5)  # (0, 1) of 110 units off
    assert float(parts["lightness"][0, 0, 0]) == pytest.approx(0.125)  # 0.5 of 50 units off
    assert float(loss(lab, scores)) == pytest.approx(0.625)


@pytest.mark.parametrize(("ab", "lightness"), [("bins", None), (None, None), ("regression", "l2")])
def test_loss_refuses(ab, lightness):
    with pytest.raises(ValueError, match=r"`ab`|`lightness`"):
        CrossChannelLoss(ab, lightness)


def test_weights_of_losses_by_hand():
    """200 for classes of ab; half the squared error of L in its own units; HHA in units of 127.5, weight 1."""
    loss = SplitBrain(**SMALL, task="rgbd", lightness="regression").loss()
    truth = np.float32([[[[60, 12, 7, 255, 127.5, 0]]]])
    scores = np.zeros((1, 1, 1, 313 + 1 + 3), np.float32)  # uniform; L 50; HHA 127.5
    parts = loss.parts(truth, scores)
    assert list(parts) == ["ab", "lightness", "hha"]
    assert float(parts["hha"][0, 0, 0]) == pytest.approx(0.5 * (1 + 0 + 1))
    assert float(loss(truth, scores)) == pytest.approx(200 * np.log(313) + 0.5 * 10**2 + 1.0, rel=1e-6)
    lighter = SplitBrain(**SMALL, task="rgbd", lightness="regression", ab_weight=20).loss()
    assert float(lighter(truth, scores)) == pytest.approx(20 * np.log(313) + 0.5 * 10**2 + 1.0, rel=1e-6)


@pytest.mark.parametrize(("given", "weight", "again"), [(None, 1 / 3, 1 / 3), (0.4, 0.4, 0.2)])
def test_mixture_weighs_three_losses(given, weight, again):
    """w L1 + w L2 + (1 - 2 w) L3; the autoencoder's prediction here is right, the others know nothing."""
    loss = SplitBrain(**SMALL, task="mixture", mixture_weight=given).loss()
    lab = np.float32([[[[50, 12, 7]]]])
    scores = np.zeros((1, 1, 1, 2 * 363), np.float32)
    assert float(loss(lab, scores)) == pytest.approx((weight + again) * (np.log(313) + np.log(50)), rel=1e-6)
    scores[..., 363 + 140] = scores[..., 363 + 313 + 25] = 100.0
    assert float(loss(lab, scores)) == pytest.approx(weight * (np.log(313) + np.log(50)), rel=1e-6)


@pytest.mark.parametrize(("first", "second"), [("classification", "regression"), ("regression", "classification")])
def test_ensemble_is_of_one_kind_each(first, second):
    loss = SplitBrain(**SMALL, task="ensemble", ab=first).loss()
    assert loss.kinds == {"ab": first, "ab_again": second} and set(loss.weights.values()) == {1.0}
    scores, lab = np.zeros((1, 1, 1, 315), np.float32), np.float32([[[[50, 55, -110]]]])
    assert float(loss(lab, scores)) == pytest.approx(np.log(313) + 0.5 * (0.5**2 + 1), rel=1e-6)


def test_loss_survives_its_configuration():
    for task in ("split", "l_to_ab", "ensemble", "mixture", "rgbd"):
        loss = SplitBrain(**SMALL, task=task, lightness="regression").loss()
        again = CrossChannelLoss.from_config(loss.get_config())
        assert (again.kinds, again.weights) == (loss.kinds, loss.weights)
    # As a run of an earlier version has it in its file.
    assert CrossChannelLoss.from_config({"ab": "regression", "lightness": None}).weights == {"ab": 1.0}


def test_loss_refuses_weights_and_classes_of_nothing():
    with pytest.raises(ValueError, match=r"`weights` must be of ab\. Received: weights of 'hha'"):
        CrossChannelLoss("regression", None, weights={"hha": 2.0})
    with pytest.raises(ValueError, match=r"`hha` must be one of .* Received: hha='classification'"):
        CrossChannelLoss("regression", None, hha="classification")


def test_perfect_scores_are_worth_nothing_and_have_the_truth_as_values():
    lab = random_lab(1, 4, 4)
    ab, lightness = np.asarray(ab_class(lab[..., 1:])), np.asarray(lightness_class(lab[..., 0]))
    scores = np.concatenate([100 * np.eye(313)[ab], 100 * np.eye(50)[lightness]], axis=-1).astype(np.float32)
    loss = CrossChannelLoss("classification", "classification")
    assert float(loss(lab, scores)) == pytest.approx(0, abs=1e-6)
    parts = loss.split_scores(scores)
    np.testing.assert_allclose(values("ab", "classification", parts["ab"]), CENTERS[ab], atol=1e-4)
    found = values("lightness", "classification", parts["lightness"])
    np.testing.assert_allclose(found, lab[..., :1], atol=1.0 + 1e-4)  # half a bin
    np.testing.assert_allclose(values("ab", "regression", lab[..., 1:] / 110), lab[..., 1:], atol=1e-4)
    np.testing.assert_allclose(values("lightness", "regression", lab[..., :1] / 50 - 1), lab[..., :1], atol=1e-4)


def test_targets_are_means_of_cells():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), np.uint8)
    lab, target = to_example(pixels, 4)
    np.testing.assert_allclose(target, lab.reshape(2, 4, 6, 4, 6, 3).mean(axis=(2, 4)), atol=1e-3)
    assert lab.dtype == target.dtype == np.float32
    hha = np.random.default_rng(1).integers(0, 256, (2, 24, 24, 3), np.uint8)
    both, means = to_example(np.concatenate([pixels, hha], axis=-1), 4)
    np.testing.assert_array_equal(both, np.concatenate([lab, hha.astype(np.float32)], axis=-1))
    np.testing.assert_allclose(means[..., 3:], hha.reshape(2, 4, 6, 4, 6, 3).mean(axis=(2, 4)), atol=1e-3)
    uneven = to_example(pixels, 5)[1]
    np.testing.assert_allclose(uneven.mean(axis=(1, 2)), lab.mean(axis=(1, 2)), atol=1e-3)


# --- the method ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"crop_size": 20},
        {"crop_size": 180, "resize": 100},
        {"crop_area": (0.5, 0.2)},
        {"input_dropout": 0.5},
        {"fc": 7},
        {"task": "both"},
        {"mixture_weight": 0.4},
        {"task": "mixture", "mixture_weight": 0.5},
        {"ab_weight": 200.0},
        {"lightness": "classification", "task": "rgbd"},
    ],
    ids=str,
)
def test_refuses(fields):
    with pytest.raises(ConfigError, match=f"`({'|'.join(fields)})`"):
        SplitBrain(**fields)


def test_baselines():
    assert SplitBrain(task="l_to_ab").baseline == pytest.approx(np.log(313))
    assert SplitBrain(task="ab_to_l").baseline == pytest.approx(np.log(50))
    uniform = (np.linspace(-1, 1, 200_001) ** 2).mean() / 2
    assert SplitBrain(task="ab_to_l", lightness="regression").baseline == pytest.approx(uniform, rel=1e-4)
    assert SplitBrain(task="mixture").baseline == pytest.approx(2 / 3 * (np.log(313) + np.log(50)))
    guessed = SplitBrain(task="rgbd", lightness="regression").baseline
    assert guessed == pytest.approx(200 * np.log(313) + 2500 * uniform + 3 * uniform, rel=1e-5)
    scale = SplitBrain(task="l_to_ab", ab="regression").baseline
    assert scale == pytest.approx(0.5 * np.var(CENTERS / 110, axis=0).sum(), rel=1e-5)


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    """Images in which color follows from lightness, and lightness from color: dark blue beside bright yellow."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("colors")
    rng = np.random.default_rng(0)
    palette = np.uint8([[20, 20, 90], [240, 220, 60]])
    for i in range(24):
        cells = rng.integers(0, 2, (2, 2))
        Image.fromarray(palette[np.kron(cells, np.ones((20, 20), int))]).save(folder / f"{i:02d}.png")
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_learns_both_directions(colors, kind):
    keras.utils.set_random_seed(0)
    method = SplitBrain(**SMALL, ab=kind, lightness=kind)
    model = method.model(keras.optimizers.Adam(3e-3))
    before = method.evaluate(model, colors).flat()
    model.fit(method.dataset(colors, batch_size=8, start=0, count=250), verbose=0)
    after = method.evaluate(model, colors).flat()
    for name in ("ab", "lightness"):
        assert after[f"{name}_rmse"] < 0.5 * after[f"constant_{name}_rmse"] < before[f"{name}_rmse"]
        if kind == "classification":
            assert after[f"{name}_loss"] < after[f"constant_{name}_loss"]
            assert after[f"{name}_accuracy"] > after[f"constant_{name}_accuracy"]
    assert after["loss"] == pytest.approx(after["ab_loss"] + after["lightness_loss"])
    assert after["images"] == 24


def test_constants_are_the_best_ones(colors):
    """By hand: the mean of all places, and the frequencies of their bins."""
    method = SplitBrain(**SMALL)
    metrics = method.evaluate(method.model(), colors).flat()
    truth = np.concatenate([t for _, t in method.dataset(colors, batch_size=8, training=False).as_numpy_iterator()])
    flat = truth.reshape(-1, 3).astype(np.float64)
    assert metrics["constant_lightness_rmse"] == pytest.approx(flat[:, 0].std(), rel=1e-6)
    assert metrics["constant_ab_rmse"] == pytest.approx(np.sqrt(flat[:, 1:].var(axis=0).mean()), rel=1e-6)
    shares = np.bincount(nearest_bin(truth[..., 1:]).ravel()) / len(flat)
    shares = shares[shares > 0]
    assert metrics["constant_ab_loss"] == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-6)
    assert metrics["constant_ab_accuracy"] == pytest.approx(shares.max())


@pytest.mark.parametrize("task", ["l_to_ab", "ab_to_l", "ensemble", "mixture", "autoencoder"])
def test_every_task_measures_what_it_predicts(colors, tmp_path, task):
    method = SplitBrain(**SMALL, task=task)
    seen = []
    metrics = method.evaluate(
        method.model(), colors, out=tmp_path, limit=5, progress=lambda done, total: seen.append((done, total))
    )
    assert ("ab_rmse" in metrics) == (task != "ab_to_l")
    assert ("lightness_rmse" in metrics) == (task not in ("l_to_ab", "ensemble"))
    assert ("ab_again_rmse" in metrics) == (task in ("ensemble", "mixture"))
    assert ("lightness_again_rmse" in metrics) == (task == "mixture")
    assert metrics["images"].value == 5 and seen[-1] == (5, 5)
    assert (tmp_path / "metrics.json").is_file() and (tmp_path / "sheet.png").stat().st_size > 1000


def test_evaluate_refuses(colors, tmp_path):
    method = SplitBrain(**SMALL)
    model = method.model()
    with pytest.raises(ConfigError, match=r"`limit` must be at least 1\. Received: limit=0"):
        evaluate(method, model, colors, limit=0)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match="mostly unreadable"):
        evaluate(method, model, str(tmp_path))


# --- color and depth -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Images with HHA in which either follows from the other: what is yellow is near, what is blue far."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    palettes = {"color": np.uint8([[20, 20, 90], [240, 220, 60]]), "hha": np.uint8([[40, 200, 128], [220, 20, 38]])}
    for i in range(12):
        cells = np.kron(rng.integers(0, 2, (2, 2)), np.ones((20, 20), int))
        for name, palette in palettes.items():
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(palette[cells]).save(folder / name / f"{i:02d}.png")
    return str(folder)


def test_image_and_hha_are_cropped_and_mirrored_alike(pairs):
    method = SplitBrain(**SMALL, task="rgbd", lightness="regression")
    source, near = method.open(pairs), 220 - 40
    for i in range(6):
        (pixels,) = method.sample(source[i], np.random.default_rng(i), True)
        blue, disparity = pixels[..., 2].astype(float), pixels[..., 3].astype(float)
        assert pixels.shape == (32, 32, 6) and np.abs((90 - blue) / 30 - (disparity - 40) / near).max() < 0.1
    (center,) = method.sample(source[0], np.random.default_rng(0), False)
    np.testing.assert_array_equal(center, method.sample(source[0], np.random.default_rng(1), False)[0])


def test_measures_color_and_depth(pairs, tmp_path):
    method = SplitBrain(**SMALL, task="rgbd", lightness="regression")
    metrics = method.evaluate(method.model(), pairs, out=tmp_path)
    truth = np.concatenate([t for _, t in method.dataset(pairs, batch_size=4, training=False).as_numpy_iterator()])
    deviation = np.sqrt(truth[..., 3:].reshape(-1, 3).astype(np.float64).var(axis=0).mean())
    assert metrics["hha_rmse"].baselines["constant"] == pytest.approx(deviation, rel=1e-6)
    parts = {name: metrics[f"{name}_loss"].value for name in ("ab", "lightness", "hha")}
    assert metrics["loss"].value == pytest.approx(200 * parts["ab"] + 2500 * parts["lightness"] + parts["hha"])
    assert (tmp_path / "sheet.png").stat().st_size > 1000


@pytest.mark.slow
def test_learns_color_and_depth_from_each_other(pairs):
    keras.utils.set_random_seed(0)
    method = SplitBrain(**SMALL | {"fc": 128}, task="rgbd", lightness="regression")
    model = method.model(keras.optimizers.Adam(3e-3))
    model.fit(method.dataset(pairs, batch_size=6, start=0, count=250), verbose=0)
    metrics = method.evaluate(model, pairs)
    for name in ("ab_rmse", "lightness_rmse", "hha_rmse"):
        assert metrics[name].value < 0.5 * metrics[name].baselines["constant"], name
