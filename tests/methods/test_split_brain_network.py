"""Networks of split-brain autoencoders: the card's numbers, what the halves must not know of each other, encoders."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.backbones.rebuilding import fold_batch_normalization
from tfssl.config import load_config
from tfssl.evaluation.features import grid_size as probe_side
from tfssl.methods import SplitBrain
from tfssl.methods.split_brain.loss import CrossChannelLoss, output_channels
from tfssl.methods.split_brain.network import TAPS, build_network, streams, to_alexnet

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
        convolutions = sum(
            count(half.get_layer(f"{name}_{tap}_conv").variables) for name, half in halves.items() for tap in TAPS
        )
        assert convolutions == 1_874_288

    def test_shapes(self, paper):
        """180 -> 45, 23, 12, and 12x12 places of 313 and 50 classes."""
        shapes = streams(paper)["lightness"].compute_output_shape((1, 180, 180, 1))
        sizes = {name: shape[1] for name, shape in shapes.items()}
        assert sizes == {"conv1": 45, "conv2": 23, "conv3": 12, "conv4": 12, "conv5": 12, "fc7": 12}
        assert [shapes[tap][-1] for tap in TAPS] == [48, 128, 192, 192, 128]
        assert paper.compute_output_shape((2, 180, 180, 3)) == (2, 12, 12, 313 + 50)
        assert SplitBrain().grid_cells == 12 and load_config("split_brain/cpu").method.grid_cells == 8

    def test_configuration_is_the_default(self):
        config = load_config("split_brain/paper")
        assert config.method == SplitBrain()
        assert config.settings.batch_size == 80
        assert SplitBrain().baseline == pytest.approx(5.746203 + 3.912023, abs=2e-6)

    def test_probes_get_about_9000_numbers(self):
        assert [probe_side(width) ** 2 * width for width in (96, 256, 384, 384, 256)] == [9600, 9216, 9600, 9600, 9216]


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
    half = fold_batch_normalization(streams(model)["ab"])
    kernel, bias = half.get_layer("ab_conv2_conv").get_weights()
    before = keras.Model(alexnet.get_layer("center").output, alexnet.get_layer("conv2_conv").input)(lab)
    expected = tf.nn.relu(tf.nn.conv2d(np.asarray(before)[..., 48:], kernel, 1, "SAME") + bias)
    np.testing.assert_allclose(np.asarray(inner(lab)[names.index("conv2")])[..., 128:], expected, atol=1e-4)


def test_alexnet_needs_a_split_alexnet():
    with pytest.raises(ValueError, match="task 'split' and backbone 'alexnet'"):
        to_alexnet(network())
    with pytest.raises(ValueError, match="task 'split' and backbone 'alexnet'"):
        to_alexnet(network("l_to_ab", "alexnet"))
