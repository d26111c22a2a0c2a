"""What the backbones compute: groups, receptive fields, normalization, options, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.backbones import BACKBONES, build
from tfssl.errors import ConfigError

NARROW = (4, 8, 8, 8, 8)


def test_groups_do_not_see_each_other():
    pictures = keras.Input((5, 5, 96))
    layer = build("caffenet", input_shape=(227, 227, 3), fc=False).get_layer("conv2_conv")
    conv2 = keras.Model(pictures, layer(pictures))
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 96)).astype(np.float32)
    changed = x.copy()
    changed[..., 0] += 1
    difference = np.abs(conv2(changed) - conv2(x)).max((0, 1, 2))
    assert (difference[128:] == 0).all()
    assert (difference[:128] > 0).all()


def fields(model, taps, size):
    """Rows and columns of the input that a unit in the middle of each tap depends on, over several images."""
    encoder = keras.Model(model.input, [model.output[tap] for tap in taps])
    x = tf.random.stateless_normal((8, size, size, 3), (0, 1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        units = [tf.reduce_sum(y[:, y.shape[1] // 2, y.shape[1] // 2]) for y in encoder(x)]
    found = {}
    for tap, unit in zip(taps, units, strict=True):
        used = np.abs(tape.gradient(unit, x)).sum((0, 3)) > 0
        rows, columns = (np.flatnonzero(used.any(axis)) for axis in (1, 0))
        found[tap] = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    return found


def test_receptive_fields_of_alexnet():
    model = build("caffenet", input_shape=(227, 227, 3), widths=NARROW, fc=False, initializer="he_normal", bias=0.1)
    expected = {"conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99, "conv4": 131, "conv5": 163}
    assert fields(model, list(expected), 227) == {tap: (n, n) for tap, n in expected.items()}


def test_receptive_fields_of_vgg(monkeypatch):
    monkeypatch.setattr("tfssl.backbones.vgg.WIDTHS", NARROW)
    model = build("vgg16", input_shape=(256, 256, 3), fc=False, initializer="he_normal", bias=0.1)
    expected = {"conv1_2": 5, "conv2_2": 14, "conv3_3": 40, "conv4_3": 92, "conv5_3": 196}
    assert fields(model, list(expected), 256) == {tap: (n, n) for tap, n in expected.items()}


def layers_in_order(model):
    return [layer.name for layer in model.layers][1:]


def test_orders_of_pooling_and_normalization():
    alexnet = layers_in_order(build("alexnet", input_shape=(67, 67, 3), widths=NARROW, fc=False))
    caffenet = layers_in_order(build("caffenet", input_shape=(67, 67, 3), widths=NARROW, fc=False))
    assert alexnet[:6] == ["conv1_conv", "conv1", "norm1", "pool1", "conv2_conv", "conv2"]
    assert caffenet[:6] == ["conv1_conv", "conv1", "pool1", "norm1", "conv2_conv", "conv2"]


def test_initial_values_are_caffes():
    for name, bias in (("caffenet", 1.0), ("alexnet", np.float32(0.1))):
        model = build(name, input_shape=(67, 67, 3), classes=10, fc=(256, 128))
        biases = {layer.name: layer.bias.numpy() for layer in model.layers if hasattr(layer, "kernel")}
        for layer in ("conv2_conv", "conv4_conv", "conv5_conv", "fc6_dense", "fc7_dense"):
            assert (biases[layer] == bias).all()
        for layer in ("conv1_conv", "conv3_conv", "fc8"):
            assert (biases[layer] == 0).all()
    deviations = {"conv1_conv": 0.01, "conv2_conv": 0.01, "conv5_conv": 0.01, "fc6_dense": 0.005, "fc7_dense": 0.005}
    for layer, deviation in deviations.items():
        np.testing.assert_allclose(model.get_layer(layer).kernel.numpy().std(), deviation, rtol=0.05)
    # Kernels of equal shape must not be copies of each other.
    tower = build(
        "alexnet_s", input_shape=(32, 32, 3), widths=(8, 8, 8, 8, 8), initializer=keras.initializers.HeNormal()
    )
    assert np.abs(tower.get_layer("conv3_conv").kernel - tower.get_layer("conv4_conv").kernel).max() > 0.1


DOERSCH = {
    "groups": 1,
    "conv1_padding": 5,
    "normalization": "lrn_batch",
    "fc": (4096,),
    "dropout": 0,
    "initializer": "glorot_uniform",
    "bias": 0.0,
}


def test_context_prediction_tower():
    model = build("caffenet", input_shape=(96, 96, 3), **DOERSCH)
    assert sum(w.numpy().size for w in model.trainable_weights) == 3_747_200 + 9_441_280
    normalized = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert [layer.name for layer in normalized] == ["conv3_bn", "conv4_bn", "conv5_bn", "fc6_bn"]
    assert not any(layer.trainable_weights for layer in normalized)
    assert model.output["pool5"].shape == (None, 3, 3, 256)
    # conv -> BN -> ReLU: in training every channel before the ReLU has mean 0 and variance 1 over the batch.
    before = keras.Model(model.input, [layer.output for layer in normalized])
    for y in before(np.random.default_rng(0).normal(0, 50, (8, 96, 96, 3)).astype(np.float32), training=True):
        axes = tuple(range(len(y.shape) - 1))
        np.testing.assert_allclose(np.mean(y, axes), 0, atol=1e-3)
        np.testing.assert_allclose(np.median(np.var(y, axes)), 1, atol=0.05)


def test_artifact_discriminator_trunk():
    kinds = {"conv1": "lrn", "conv2": "lrn", "conv5": "batch_without_scale"}
    model = build("caffenet", input_shape=(96, 96, 3), fc=False, padding="same", normalization=kinds, bias=0.1)
    assert sum(w.numpy().size for w in model.trainable_weights) == 2_334_080  # conv5's bias is the offset of its BN
    assert model.output["conv5"].shape == (None, 6, 6, 256)


def test_inception_module_is_its_branches():
    model = build("googlenet", input_shape=(64, 64, 3))
    ends = [f"inception_4c_{end}" for end in ("1x1", "3x3", "5x5", "pool_proj")]
    branches = keras.Model(model.input, [*(model.get_layer(end).output for end in ends), model.output["inception_4c"]])
    *parts, whole = branches(np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32))
    assert [p.shape[-1] for p in parts] == [128, 256, 64, 64]
    np.testing.assert_array_equal(np.concatenate(parts, -1), whole)


@pytest.mark.parametrize(
    "name", ["alexnet_s", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vgg_s", "inception_s"))]
)
def test_learns_saves_and_loads(name, tmp_path):
    model = build(name, input_shape=(32, 32, 3), classes=2)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = np.arange(16) % 2
    x = np.random.default_rng(0).normal(labels[:, None, None, None] - 0.5, 1, (16, 32, 32, 3)).astype(np.float32)
    model.fit(x, labels, epochs=15, verbose=0)
    assert model.evaluate(x, labels, verbose=0) < 0.3  # chance: 0.693
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(x), model(x), atol=1e-6)


def test_encoder_with_every_block_saves_and_loads(tmp_path):
    model = build("caffenet", input_shape=(None, None, 3), widths=NARROW, fc=False, normalization="lrn_batch")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 71, 80, 3)).astype(np.float32)
    for tap, value in model(x).items():
        np.testing.assert_allclose(loaded(x)[tap], value, atol=1e-6)


def test_prefix_lets_two_towers_live_in_one_model():
    pictures = keras.Input((64, 64, 3))
    ends = [
        BACKBONES[name](pictures, name_prefix=f"{side}_", fc=())["conv5"]
        for name, side in (("alexnet_s", "left"), ("vgg_s", "right"))
    ]
    model = keras.Model(pictures, ends)
    assert all(layer.name.startswith(("left_", "right_")) for layer in model.layers[1:])


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("cafenet", {}, "did you mean 'caffenet'"),
        ("caffenet", {"group": 1}, "no option 'group', did you mean 'groups'"),
        ("caffenet", {"order": "norm"}, "order='norm' is not known"),
        ("caffenet", {"normalization": "layer"}, "normalization='layer' is not known"),
        ("caffenet", {"normalization": {"conv3": "lrn"}}, "normalization='lrn' is not known"),
        ("caffenet", {"normalization": {"conv9": "batch"}}, "'conv9' is not known"),
        ("caffenet", {"widths": (1, 2)}, "one number for each"),
        ("caffenet", {"groups": 5}, "cannot be built .* divisible"),
        ("caffenet", {"input_shape": (20, 20, 3)}, "cannot be built .* as large as a window"),
        ("caffenet", {"input_shape": (None, None, 3)}, "fc=False"),
        ("caffenet", {"input_shape": (227, 227)}, "input_shape"),
        ("googlenet", {"input_shape": (None, None, 3), "auxiliary": True}, "auxiliary=False"),
        ("vgg_s", {"normalization": "lrn"}, "normalization='lrn'"),
        ("alexnet_s", {"pools": (0,)}, "pools"),
    ],
)
def test_errors_are_one_line_that_names_the_argument(name, options, message):
    options = {"input_shape": (67, 67, 3)} | options
    with pytest.raises(ConfigError, match=message) as error:
        build(name, **options)
    assert "\n" not in str(error.value)
