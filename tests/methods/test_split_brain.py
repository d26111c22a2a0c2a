"""Split-brain autoencoders: numbers of the card, what the halves must not know of each other, and what they learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.config import load_config
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import grid_side as probe_side
from tfssl.methods import SplitBrain
from tfssl.methods.split_brain.data import to_example
from tfssl.methods.split_brain.evaluate import evaluate, values
from tfssl.methods.split_brain.loss import CrossChannelLoss, ab_class, lightness_class, output_channels
from tfssl.methods.split_brain.network import TAPS, build_network, streams, to_alexnet
from tfssl.ops.ab_bins import CENTERS, nearest_bin

SMALL = {"backbone": "small", "fc": 16, "resize": 40, "crop_size": 32}


def network(task="split", backbone="small", fc=16, **options):
    outputs = output_channels(options.pop("ab", "classification"), options.pop("lightness", "classification"))
    return build_network(task, backbone, fc=fc, outputs=outputs, **options)


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


def random_lab(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(0, 100, shape), *rng.uniform(-80, 80, (2, *shape))], axis=-1).astype(np.float32)


def fill(model, seed=0):
    """Weights and statistics that make all outputs differ."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "seed" in variable.path:
            continue
        value = rng.normal(0, 0.05, variable.shape)
        variable.assign(np.abs(value) + 0.5 if "variance" in variable.path else value)
    return model


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper():
    return network(backbone="alexnet", fc=4096)


class TestPaper:
    def test_parameters(self, paper):
        halves = streams(paper)
        assert list(halves) == ["lightness", "ab"]
        trunks = {name: count(half.trainable_variables) for name, half in halves.items()}
        assert trunks == {"lightness": 14_569_824, "ab": 14_575_632}
        of_ab, of_lightness = (count(paper.get_layer(f"{name}_scores").variables) for name in ("ab", "lightness"))
        assert (of_ab, of_lightness) == (641_337, 102_450)
        assert trunks["lightness"] + of_ab == 15_211_161 and trunks["ab"] + of_lightness == 14_678_082
        assert count(paper.trainable_variables) == 29_889_243
        convolutions = sum(count(half.get_layer(f"{tap}_conv").variables) for half in halves.values() for tap in TAPS)
        assert convolutions == 1_874_288

    def test_shapes(self, paper):
        """180 -> 45, 23, 12, and 12x12 places of 313 and 50 classes."""
        shapes = streams(paper)["lightness"].compute_output_shape((1, 180, 180, 1))
        sizes = {name: shape[1] for name, shape in shapes.items()}
        assert sizes == {"conv1": 45, "conv2": 23, "conv3": 12, "conv4": 12, "conv5": 12, "fc7": 12}
        assert [shapes[tap][-1] for tap in TAPS] == [48, 128, 192, 192, 128]
        assert paper.compute_output_shape((2, 180, 180, 3)) == (2, 12, 12, 313 + 50)
        assert SplitBrain().places == 12 and load_config("split_brain/cpu").method.places == 8

    def test_configuration_is_the_default(self):
        config = load_config("split_brain/paper")
        assert config.method == SplitBrain()
        assert config.settings.batch_size == 80
        assert SplitBrain().baseline == pytest.approx(5.746203 + 3.912023, abs=2e-6)

    def test_probes_get_about_9000_numbers(self):
        assert [probe_side(width) ** 2 * width for width in (96, 256, 384, 384, 256)] == [9600, 9216, 9600, 9600, 9216]


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
    uneven = to_example(pixels, 5)[1]
    np.testing.assert_allclose(uneven.mean(axis=(1, 2)), lab.mean(axis=(1, 2)), atol=1e-3)


# --- what the halves must not know of each other ---------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["small", "alexnet"])
def test_a_half_sees_its_own_channels_only(backbone):
    model = fill(network(backbone=backbone))
    lab, other = random_lab(1, 48, 48), random_lab(1, 48, 48, seed=1)
    scores = np.asarray(model(lab))
    gray = np.asarray(model(np.concatenate([lab[..., :1], other[..., 1:]], axis=-1)))
    bright = np.asarray(model(np.concatenate([other[..., :1], lab[..., 1:]], axis=-1)))
    np.testing.assert_array_equal(gray[..., :313], scores[..., :313])
    np.testing.assert_array_equal(bright[..., 313:], scores[..., 313:])
    assert (gray[..., 313:] != scores[..., 313:]).any() and (bright[..., :313] != scores[..., :313]).any()


def test_losses_move_their_own_half_only():
    model, loss = fill(network()), CrossChannelLoss("classification", "classification")
    lab, truth = random_lab(2, 32, 32), random_lab(2, 4, 4, seed=2)
    own = {"ab": ("lightness_stream", "ab_scores"), "lightness": ("ab_stream", "lightness_scores")}
    layers = [model.get_layer(name) for names in own.values() for name in names]
    variables = [[v.value for v in layer.trainable_variables] for layer in layers]
    for part, names in own.items():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss.parts(truth, model(lab, training=True))[part])
        for layer, gradients in zip(layers, tape.gradient(value, variables), strict=True):
            moved = [gradient is not None and bool(np.any(gradient)) for gradient in gradients]
            assert all(moved) if layer.name in names else not any(moved), (part, layer.name)


def test_no_statistics_are_shared():
    model = network()
    ours = [{id(v) for v in stream.variables} for stream in streams(model).values()]
    assert not ours[0] & ours[1]
    assert sum(map(len, ours)) == sum(len(stream.variables) for stream in streams(model).values())


def test_shared_network_sees_zeros_instead():
    model = fill(network("shared"))
    assert list(streams(model)) == ["lab"]
    lab = random_lab(1, 32, 32)
    no_color, no_light = lab.copy(), lab.copy()
    no_color[..., 1:], no_light[..., :1] = 0.0, 50.0  # 50 is the zero of L
    scores = np.asarray(model(lab))
    np.testing.assert_array_equal(np.asarray(model(no_color))[..., :313], scores[..., :313])
    np.testing.assert_array_equal(np.asarray(model(no_light))[..., 313:], scores[..., 313:])


@pytest.mark.parametrize(
    ("task", "channels", "sees"),
    [("l_to_ab", 313, ["lightness"]), ("ab_to_l", 50, ["ab"]), ("shared", 363, ["lab"]), ("autoencoder", 363, ["lab"])],
)
def test_controls_have_the_full_width(task, channels, sees):
    model = network(task)
    assert list(streams(model)) == sees and model.output_shape[-1] == channels
    encoder = SplitBrain(**SMALL, task=task).encoder(model)
    taps = encoder(np.zeros((1, 32, 32, 3), np.float32))
    assert [taps[tap].shape[-1] for tap in TAPS] == [32, 64, 96, 96, 96]


def test_input_dropout_is_for_training():
    model = fill(network("autoencoder", input_dropout=0.5))
    lab = random_lab(1, 32, 32)
    np.testing.assert_array_equal(model(lab, training=False), model(lab, training=False))
    assert (np.asarray(model(lab, training=True)) != np.asarray(model(lab, training=False))).any()


# --- encoders --------------------------------------------------------------------------------------------------------


def test_encoder_joins_the_halves():
    from tfssl.ops.color import rgb_to_lab

    model = fill(network())
    rgb = np.random.default_rng(0).random((1, 40, 48, 3), dtype=np.float32)
    taps = SplitBrain(**SMALL).encoder(model)(rgb)
    lab = np.asarray(rgb_to_lab(rgb)) - np.float32([50, 0, 0])
    halves = streams(model)
    for tap in TAPS:
        expected = [halves["lightness"](lab[..., :1])[tap], halves["ab"](lab[..., 1:])[tap]]
        np.testing.assert_allclose(taps[tap], np.concatenate(expected, axis=-1), atol=1e-4)


def test_alexnet_of_both_halves():
    """With the geometry of pretraining it equals the halves; conv1 without padding has the sizes of the paper."""
    model = fill(network(backbone="alexnet"))
    network_, encoder = to_alexnet(model, conv1_padding=5), SplitBrain(fc=16).encoder(model)
    # Poolings are padded in pretraining and not in AlexNet: only what lies before the first one is the same everywhere.
    rgb = np.random.default_rng(0).random((1, 67, 67, 3), dtype=np.float32)
    ours, theirs = network_(rgb), encoder(rgb)
    np.testing.assert_allclose(ours["conv1"], theirs["conv1"], rtol=1e-4, atol=1e-3)
    sizes = {tap: shape[1] for tap, shape in to_alexnet(model).compute_output_shape((1, 227, 227, 3)).items()}
    assert sizes == {"conv1": 55, "conv2": 27, "conv3": 13, "conv4": 13, "conv5": 13}
    assert count(network_.variables) == 2_334_080


def test_alexnet_keeps_the_halves_apart():
    """Deeper taps by convolutions of the halves themselves, in AlexNet's geometry; changing L changes its half only."""
    model = fill(network(backbone="alexnet"))
    alexnet = to_alexnet(model)
    inner = keras.Model(alexnet.get_layer("center").output, alexnet.outputs)
    lab = random_lab(1, 99, 99) - np.float32([50, 0, 0])
    other = lab.copy()
    other[..., 0] = random_lab(1, 99, 99, seed=1)[..., 0]
    names = list(alexnet.output)
    for name, one, two in zip(names, inner(lab), inner(other), strict=True):
        one, two, half = np.asarray(one), np.asarray(two), one.shape[-1] // 2
        np.testing.assert_array_equal(one[..., half:], two[..., half:], err_msg=name)
        assert (one[..., :half] != two[..., :half]).any(), name
    # conv2 of the ab half, by its own kernel.
    from tfssl.backbones.fold import fold_batch_normalization

    half = fold_batch_normalization(streams(model)["ab"])
    kernel, bias = half.get_layer("conv2_conv").get_weights()
    before = keras.Model(alexnet.get_layer("center").output, alexnet.get_layer("conv2_conv").input)(lab)
    expected = tf.nn.relu(tf.nn.conv2d(np.asarray(before)[..., 48:], kernel, 1, "SAME") + bias)
    np.testing.assert_allclose(np.asarray(inner(lab)[names.index("conv2")])[..., 128:], expected, atol=1e-4)


def test_alexnet_needs_a_split_alexnet():
    with pytest.raises(ValueError, match="task 'split' and backbone 'alexnet'"):
        to_alexnet(network())
    with pytest.raises(ValueError, match="task 'split' and backbone 'alexnet'"):
        to_alexnet(network("l_to_ab", "alexnet"))


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
    scale = SplitBrain(task="l_to_ab", ab="regression").baseline
    assert scale == pytest.approx(0.5 * np.var(CENTERS / 110, axis=0).sum(), rel=1e-5)


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    """Pictures in which colour follows from lightness, and lightness from colour: dark blue beside bright yellow."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("colors")
    rng = np.random.default_rng(0)
    palette = np.uint8([[20, 20, 90], [240, 220, 60]])
    for i in range(24):
        cells = rng.integers(0, 2, (2, 2))
        Image.fromarray(palette[np.kron(cells, np.ones((20, 20), int))]).save(folder / f"{i:02d}.png")
    return str(folder)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_learns_both_directions(colors, kind):
    keras.utils.set_random_seed(0)
    method = SplitBrain(**SMALL, ab=kind, lightness=kind)
    model = method.model(keras.optimizers.Adam(3e-3))
    before = method.evaluate(model, colors)
    model.fit(method.dataset(colors, batch_size=8, start=0, count=250), verbose=0)
    after = method.evaluate(model, colors)
    for name in ("ab", "lightness"):
        assert after[f"{name}_rmse"] < 0.5 * after[f"{name}_rmse_constant"] < before[f"{name}_rmse"]
        if kind == "classification":
            assert after[f"{name}_loss"] < after[f"{name}_loss_constant"]
            assert after[f"{name}_accuracy"] > after[f"{name}_accuracy_constant"]
    assert after["loss"] == pytest.approx(after["ab_loss"] + after["lightness_loss"])
    assert after["images"] == 24


def test_constants_are_the_best_ones(colors):
    """By hand: the mean of all places, and the frequencies of their bins."""
    method = SplitBrain(**SMALL)
    metrics = method.evaluate(method.model(), colors)
    truth = np.concatenate([t for _, t in method.dataset(colors, batch_size=8, training=False).as_numpy_iterator()])
    flat = truth.reshape(-1, 3).astype(np.float64)
    assert metrics["lightness_rmse_constant"] == pytest.approx(flat[:, 0].std(), rel=1e-6)
    assert metrics["ab_rmse_constant"] == pytest.approx(np.sqrt(flat[:, 1:].var(axis=0).mean()), rel=1e-6)
    shares = np.bincount(nearest_bin(truth[..., 1:]).ravel()) / len(flat)
    shares = shares[shares > 0]
    assert metrics["ab_loss_constant"] == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-6)
    assert metrics["ab_accuracy_constant"] == pytest.approx(shares.max())


@pytest.mark.parametrize("task", ["l_to_ab", "ab_to_l", "autoencoder"])
def test_every_task_measures_what_it_predicts(colors, tmp_path, task):
    method = SplitBrain(**SMALL, task=task)
    seen = []
    metrics = method.evaluate(
        method.model(), colors, out=tmp_path, limit=5, progress=lambda done, total: seen.append((done, total))
    )
    assert ("ab_rmse" in metrics) == (task != "ab_to_l") and ("lightness_rmse" in metrics) == (task != "l_to_ab")
    assert metrics["images"] == 5 and seen[-1] == (5, 5)
    assert (tmp_path / "metrics.json").is_file() and (tmp_path / "sheet.png").stat().st_size > 1000


def test_evaluate_refuses(colors, tmp_path):
    method = SplitBrain(**SMALL)
    model = method.model()
    with pytest.raises(ConfigError, match=r"`limit` must be at least 1\. Received: limit=0"):
        evaluate(method, model, colors, limit=0)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="mostly unreadable"):
        evaluate(method, model, str(tmp_path))
