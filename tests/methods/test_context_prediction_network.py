"""Networks and losses of context prediction."""

import keras
import numpy as np
import pytest

from tfssl.backbones.rebuilding import fold_batch_normalization
from tfssl.methods import ContextPrediction
from tfssl.methods.context_prediction.loss import NeighborAccuracy, NeighborCrossEntropy
from tfssl.methods.context_prediction.network import build_network, build_tower

RNG = np.random.default_rng(0)


def tiny(**fields):
    small = {"area": (9_400, 28_000), "patch_size": 24, "gap": 12, "jitter": 2, "patches_per_image": 6}
    network = {"downsample_size": 3, "backbone": "small", "embedding": 16, "head": (24, 20)}
    return ContextPrediction(**{**small, **network, **fields})


def settle(model):
    """Statistics of batch normalization as training would leave them, not 0 and 1."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(RNG.normal(size=layer.moving_mean.shape))
            layer.moving_variance.assign(RNG.uniform(0.5, 2, layer.moving_variance.shape))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = tiny().model()
    settle(model)
    return model


@pytest.fixture(scope="module")
def inputs():
    patches = RNG.normal(size=(2, 6, 24, 24, 3), scale=50).astype(np.float32)
    patches[:, 5] = patches[:, 0]
    pairs = np.array([[0, 1], [5, 1], [1, 0], [1, 5], [2, 3], [4, 4]], np.int32)
    return {"patches": patches, "pairs": np.stack([pairs, pairs[::-1]])}


@pytest.mark.parametrize(
    "backbone, total, sizes",
    [
        ("alexnet", 63_561_096, [24, 12, 6, 6, 6, 3, 1]),
        ("figure", 55_922_184, [24, 6, 3, 3, 3, 1, 1]),
        ("vgg", 83_965_768, [96, 48, 24, 12, 6, 3, 1]),
    ],
)
def test_parameters_and_sizes(backbone, total, sizes):
    network = build_network(backbone, patch_size=96, patches=4, embedding=4096, head=(4096, 4096))
    assert sum(np.prod(v.shape, dtype=int) for v in network.trainable_variables) == total
    tower = network.get_layer("tower")
    shapes = tower.compute_output_shape((None, 96, 96, 3))
    names = ("conv1", "conv2", "conv3", "conv4", "conv5", "pool5", "fc6")
    assert [shapes[name][1] for name in names] == sizes
    assert shapes["fc6"] == (None, 1, 1, 4096)


def test_layers_of_the_released_network():
    network = build_network("alexnet", patch_size=96, patches=2, embedding=4096, head=(4096, 4096))
    tower = network.get_layer("tower")
    counts = {x.name: sum(int(np.prod(v.shape)) for v in x.trainable_variables) for x in tower.layers}
    expected = [34_944, 614_656, 885_120, 1_327_488, 884_992, 9_441_280]
    names = [f"conv{i}_conv" for i in range(1, 6)] + ["fc6_conv"]
    assert [counts[name] for name in names] == expected
    assert [network.get_layer(n).count_params() for n in ("fc7_dense", "fc8", "fc9")] == [
        33_558_528,
        16_781_312,
        32_776,
    ]
    normalized = {x.name for x in tower.layers if isinstance(x, keras.layers.BatchNormalization)}
    assert normalized == {"conv3_bn", "conv4_bn", "conv5_bn", "fc6_bn"}
    assert {x.name for x in tower.layers if "norm" in x.name} == {"norm1", "norm2"}
    kernel = np.asarray(tower.get_layer("fc6_conv").kernel)
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(3 / 2304), rel=1e-3)  # Caffe's xavier


def test_equals_two_towers_on_every_pair(model, inputs):
    """The straightforward network: both patches of each pair through the tower, concatenated, fc7, fc8, fc9."""
    logits = np.asarray(model(inputs, training=False))
    tower = model.get_layer("tower")
    for picture in range(2):
        first, second = (inputs["patches"][picture][inputs["pairs"][picture][:, i]] for i in (0, 1))
        both = [np.asarray(tower(x, training=False)["fc6"]).reshape(len(x), -1) for x in (first, second)]
        kernel, bias = model.get_layer("fc7_dense").get_weights()
        x = (np.concatenate(both, axis=1) @ kernel + bias)[None]
        for name in ("fc7_bn", "fc7", "fc8", "fc9"):
            x = model.get_layer(name)(x)
        np.testing.assert_allclose(logits[picture], x[0], atol=1e-4)


def test_towers_are_tied(model, inputs):
    logits = np.asarray(model(inputs, training=False))
    np.testing.assert_allclose(logits[0, 0], logits[0, 1], atol=1e-5)  # patch 5 is patch 0, as the first
    np.testing.assert_allclose(logits[0, 2], logits[0, 3], atol=1e-5)  # and as the second
    assert np.abs(logits[0, 0] - logits[0, 2]).max() > 1e-3


def test_normalization_learns_nothing_and_normalizes(model, inputs):
    found = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    assert len(found) == 7 and not any(layer.trainable_variables for layer in found)
    tower = model.get_layer("tower")
    patches = inputs["patches"].reshape(-1, 24, 24, 3)
    for name in ("conv1_bn", "conv3_bn", "conv5_bn"):
        layer = tower.get_layer(name)
        before = keras.Model(tower.input, layer.input)(patches, training=True)
        statistics = layer.get_weights()
        normalized = np.asarray(layer(before, training=True)).reshape(-1, layer.output.shape[-1])
        layer.set_weights(statistics)
        np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-3)
        np.testing.assert_allclose(normalized.var(axis=0), 1, atol=0.01)
    settle(model)


def test_folding_the_normalization_keeps_the_function(model, inputs):
    tower = model.get_layer("tower")
    folded = fold_batch_normalization(tower)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    patches = inputs["patches"].reshape(-1, 24, 24, 3)
    ours, theirs = folded(patches, training=False), tower(patches, training=False)
    for tap in theirs:
        scale = np.abs(theirs[tap]).max()
        np.testing.assert_allclose(ours[tap], theirs[tap], atol=1e-4 * max(1.0, scale))


def test_folding_the_released_tower():
    tower = build_tower("alexnet", patch_size=32, embedding=64)
    settle(tower)
    patches = RNG.normal(size=(2, 32, 32, 3), scale=50).astype(np.float32)
    ours, theirs = fold_batch_normalization(tower)(patches)["fc6"], tower(patches, training=False)["fc6"]
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("color, strength", [("dropping", 50 / 3**0.5), ("projection", 50.0), ("none", 50.0)])
def test_encoder_prepares_whole_images(color, strength):
    method = tiny(color=color)
    model = method.model()
    encoder = method.encoder(model)
    pictures = RNG.uniform(0, 1, (2, 40, 56, 3)).astype(np.float32)
    taps = encoder(pictures)
    assert list(taps) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    prepared = np.asarray(encoder.get_layer("normalize")(255 * pictures))
    np.testing.assert_allclose(np.sqrt(np.mean(prepared**2, axis=(1, 2, 3))), strength, atol=1e-2)
    np.testing.assert_allclose(taps["conv5"], model.get_layer("tower")(prepared)["conv5"], atol=1e-4)
    shared = {id(v) for v in model.get_layer("tower").variables}
    assert all(id(v) in shared for v in encoder.variables)


def test_encoder_of_a_dropping_network_sees_the_mean_of_what_it_was_trained_on():
    """conv1 is linear: the mean of its answers to a gray patch with each channel kept is that to the prepared one."""
    method = tiny(rms=50.0)
    encoder = method.encoder(method.model())
    gray = np.repeat(RNG.uniform(0, 1, (1, 24, 24, 1)), 3, axis=-1).astype(np.float32)
    prepared = np.asarray(encoder.get_layer("normalize")(255 * gray))[0]
    kept = [np.eye(3)[c] * (gray[0] - gray.mean()) for c in range(3)]
    expected = np.mean([50 * x / np.sqrt(np.mean(x**2)) for x in kept], axis=0)
    np.testing.assert_allclose(prepared, expected, atol=1e-2)


def test_embedder_gives_fc6_of_patches(model):
    patches = RNG.uniform(0, 1, (3, 24, 24, 3)).astype(np.float32)
    assert tiny().embedder(model)(patches).shape == (3, 16)


def test_loss_of_equal_answers():
    labels = np.array([[0, 3, 7, -1], [5, -1, -1, -1]])
    zeros = np.zeros((2, 4, 8), np.float32)
    assert float(NeighborCrossEntropy("sum")(labels, zeros)) == pytest.approx(2.0794415 * 4)
    assert float(NeighborCrossEntropy("mean")(labels, zeros)) == pytest.approx(2.0794415)


def test_loss_and_accuracy_leave_out_what_is_no_pair():
    logits = RNG.normal(size=(2, 4, 8)).astype(np.float32)
    labels = np.array([[0, 3, 7, -1], [5, 2, -1, -1]])
    losses = -(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))
    each = [[losses[0, i, n] for i, n in enumerate((0, 3, 7))], [losses[1, i, n] for i, n in enumerate((5, 2))]]
    assert float(NeighborCrossEntropy("sum")(labels, logits)) == pytest.approx(
        np.sum(each[0]) + np.sum(each[1]), rel=1e-5
    )
    mean = (np.mean(each[0]) + np.mean(each[1])) / 2
    assert float(NeighborCrossEntropy("mean")(labels, logits)) == pytest.approx(mean, rel=1e-5)
    changed = logits.copy()
    changed[labels == -1] = 100 * RNG.normal(size=(3, 8))
    assert float(NeighborCrossEntropy("sum")(labels, changed)) == float(NeighborCrossEntropy("sum")(labels, logits))
    metric = NeighborAccuracy()
    right = np.full((2, 4, 8), -1.0)
    np.put_along_axis(right, np.maximum(labels, 0)[..., None], 1.0, axis=-1)
    right[0, 0] = -right[0, 0]
    metric.update_state(labels, right)
    assert float(metric.result()) == pytest.approx(4 / 5)
    assert float(NeighborCrossEntropy("mean")(np.full((1, 3), -1), np.zeros((1, 3, 8)))) == 0.0


def test_loss_is_saved_with_its_configuration():
    loss = NeighborCrossEntropy("sum")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (again.pairs, again.reduction) == ("sum", "sum")
    with pytest.raises(ValueError, match="pairs"):
        NeighborCrossEntropy("median")


@pytest.mark.parametrize("reduction, rate", [("sum", 1e-5), ("mean", 2e-2)])
def test_optimizer_of_the_released_code(reduction, rate):
    optimizer = tiny(loss_reduction=reduction).model().optimizer
    assert type(optimizer).__name__ == "SGD" and optimizer.momentum == 0
    assert float(optimizer.learning_rate) == pytest.approx(rate)
