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
from tfssl.methods.split_brain.network import TAPS, build_depth_encoder, build_network, streams, to_alexnet

SMALL = {"backbone": "small", "fc": 16, "resize": 40, "crop_size": 32}


def network(task="split", backbone="small", fc=16, **options):
    kinds = {name: options.pop(name, "classification") for name in ("ab", "lightness")}
    outputs = output_channels(**kinds, hha="regression")
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
    assert_moved(
        model,
        loss,
        random_lab(2, 32, 32),
        random_lab(2, 4, 4, seed=2),
        {"ab": ("lightness_stream", "ab_scores"), "lightness": ("ab_stream", "lightness_scores")},
    )


def assert_moved(model, loss, maps, truth, own):
    """Every prediction's loss has a gradient for the layers that ``own`` gives it, and for no others of these."""
    layers = [model.get_layer(name) for names in own.values() for name in names]
    layers += [layer for layer in model.layers if layer.trainable_variables and layer not in layers]
    variables = [[v.value for v in layer.trainable_variables] for layer in layers]
    for part, names in own.items():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss.parts(truth, model(maps, training=True))[part])
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


def test_ensemble_is_two_halves_that_see_lightness():
    """One predicts classes, the other values; each has half the width, as the halves of the split."""
    model = fill(SplitBrain(**SMALL, task="ensemble").model())
    halves = streams(model)
    assert list(halves) == ["lightness", "lightness_again"] and model.output_shape[-1] == 313 + 2
    assert not {id(v) for v in halves["lightness"].variables} & {id(v) for v in halves["lightness_again"].variables}
    half = count(streams(network())["lightness"].variables)
    assert [count(stream.variables) for stream in halves.values()] == [half, half]
    lab, other = random_lab(1, 32, 32), random_lab(1, 32, 32, seed=1)
    gray = np.concatenate([lab[..., :1], other[..., 1:]], axis=-1)
    np.testing.assert_array_equal(model(gray), model(lab))
    taps = SplitBrain(**SMALL, task="ensemble").encoder(model)(np.zeros((1, 32, 32, 3), np.float32))
    assert [taps[tap].shape[-1] for tap in TAPS] == [32, 64, 96, 96, 96]


def test_losses_of_an_ensemble_move_their_own_half_only():
    method = SplitBrain(**SMALL, task="ensemble")
    assert_moved(
        fill(method.model()),
        method.loss(),
        random_lab(2, 32, 32),
        random_lab(2, 4, 4, seed=2),
        {"ab": ("lightness_stream", "ab_scores"), "ab_again": ("lightness_again_stream", "ab_again_scores")},
    )


def test_mixture_is_the_shared_network_and_sees_everything_once_more():
    shared, method = fill(network("shared")), SplitBrain(**SMALL, task="mixture")
    model = fill(method.model())
    model.set_weights(shared.get_weights() + model.get_weights()[len(shared.get_weights()) :])
    lab, black = random_lab(1, 32, 32), random_lab(1, 32, 32)
    assert model.output_shape[-1] == 2 * 363
    np.testing.assert_allclose(np.asarray(model(lab))[..., :363], shared(lab), atol=1e-4)
    black[..., :1] = 50.0  # the zero of L: what predicts ab again is what saw it
    changed = (np.asarray(model(black)) != np.asarray(model(lab))).any(axis=(0, 1, 2))
    assert changed[:313].any() and not changed[313:363].any() and changed[363:676].any() and changed[676:].any()


# --- color and depth -------------------------------------------------------------------------------------------------


def rgbd_network(backbone="small", fc=128):  # of which each branch has an eighth
    return network("rgbd", backbone, fc, lightness="regression")


def random_pair(*shape, seed=0):
    hha = np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.float32)
    return np.concatenate([random_lab(*shape, seed=seed), hha], axis=-1)


@pytest.mark.parametrize("backbone", ["small", "alexnet"])
def test_color_and_depth_see_each_other_in_the_loss_only(backbone):
    model = fill(rgbd_network(backbone))
    assert list(streams(model)) == ["lab", "hha"] and model.output_shape[-1] == 313 + 1 + 3
    one, other = random_pair(1, 48, 48), random_pair(1, 48, 48, seed=1)
    other_color = np.concatenate([other[..., :3], one[..., 3:]], axis=-1)
    other_depth = np.concatenate([one[..., :3], other[..., 3:]], axis=-1)
    scores, recolored, elsewhere = (np.asarray(model(maps)) for maps in (one, other_color, other_depth))
    np.testing.assert_array_equal(recolored[..., :314], scores[..., :314])
    np.testing.assert_array_equal(elsewhere[..., 314:], scores[..., 314:])
    for changed in (recolored[..., 314:] != scores[..., 314:], elsewhere[..., :313] != scores[..., :313]):
        assert changed.any()
    assert (elsewhere[..., 313] != scores[..., 313]).any()


def test_branches_of_depth_have_their_own_top_and_share_the_convolutions():
    method = SplitBrain(**SMALL | {"fc": 128}, task="rgbd", lightness="regression")
    model = fill(method.model())
    maps, truth = random_pair(2, 32, 32), random_pair(2, 4, 4, seed=2)
    assert_moved(model, method.loss(), maps, truth, {"hha": ("lab_stream", "hha_scores")})
    depth = streams(model)["hha"]
    names = [layer.name for layer in depth.layers if layer.trainable_variables]
    for branch, other in (("ab", "lightness"), ("lightness", "ab")):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(method.loss().parts(truth, model(maps, training=True))[branch])
        variables = {name: [v.value for v in depth.get_layer(name).trainable_variables] for name in names}
        gradients = tape.gradient(value, variables)
        moved = {name for name in names if any(g is not None and np.any(g) for g in gradients[name])}
        assert moved == {name for name in names if f"hha_{other}_" not in name}, branch


def test_parameters_of_color_and_depth():
    """AlexNet's convolutions twice; behind them fc6 and fc7 of 64, and twice of an eighth of it."""
    model = rgbd_network("alexnet", fc=64)
    convolutions = 34_944 + 307_456 + 885_120 + 663_936 + 442_624
    found = {name: count(stream.trainable_variables) for name, stream in streams(model).items()}
    assert found["lab"] == convolutions + (6 * 6 * 256 * 64 + 64) + (64 * 64 + 64)
    assert found["hha"] == convolutions + 2 * ((6 * 6 * 256 * 8 + 8) + (8 * 8 + 8))


@pytest.mark.slow  # half a gigabyte
def test_parameters_of_the_papers_color_and_depth():
    """6x6x256 -> 4096 -> 4096 -> 3, and twice 6x6x256 -> 512 -> 512 -> 313 or 1, behind AlexNet's convolutions."""
    color = 2_334_080 + (9216 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 3 + 3)
    depth = 2_334_080 + 2 * ((9216 * 512 + 512) + (512 * 512 + 512)) + (512 * 313 + 313) + (512 + 1)
    model = load_config("split_brain/paper", ["task=rgbd", "lightness=regression"]).method.model()
    assert count(model.trainable_variables) == color + depth == 69_339_197


def test_encoders_of_color_and_of_depth():
    model, method = fill(rgbd_network()), SplitBrain(**SMALL, task="rgbd", lightness="regression")
    hha = np.random.default_rng(0).integers(0, 256, (1, 40, 48, 3), np.uint8)
    depth = build_depth_encoder(model)
    assert list(depth.output) == list(method.encoder(model).output) == list(TAPS)
    found, expected = depth(hha), streams(model)["hha"](hha.astype(np.float32) - 127.5)
    for tap in TAPS:
        np.testing.assert_allclose(found[tap], expected[tap], rtol=1e-4, atol=1e-3)
    rgb = np.random.default_rng(0).random((1, 32, 32, 3), dtype=np.float32)
    assert [method.encoder(model)(rgb)[tap].shape[-1] for tap in TAPS] == [32, 64, 96, 96, 96]
    with pytest.raises(ValueError, match=r"task 'rgbd'\. Received: streams of lightness, ab"):
        build_depth_encoder(network())


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
    with pytest.raises(ValueError, match="task 'split' and backbone 'alexnet'"):
        to_alexnet(SplitBrain(task="ensemble", fc=16).model())  # two halves as well, and both of L
