"""Layers and networks of Keras, keras-cv and keras-hub, used as they are."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfssl
from tfssl.backbones.adapter import strides, trunk
from tfssl.data.augment import Augmentation


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed; pip install 'tfssl[interop]' to run this")


AUGMENTATIONS = [
    pytest.param([{"RandomFlip": {"mode": "horizontal"}}, {"RandAugment": {"num_ops": 1}}], id="keras"),
    pytest.param(
        [{"keras_cv:RandomShear": {"x_factor": 0.2}}, {"keras_cv:RandomHue": {"factor": 0.1, "value_range": [0, 255]}}],
        id="keras-cv", marks=needs("keras_cv"),
    ),
    pytest.param(
        ["RandomFlip", {"keras_hub:ImageConverter": {"image_size": [24, 24]}}],
        id="keras-hub", marks=needs("keras_hub"),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("spec", AUGMENTATIONS)
def test_layers_augment_the_source_by_position_alone(spec, images):
    examples = [{"image": Image.fromarray(pixels)} for pixels in images]
    first, second = Augmentation(spec), Augmentation(spec)
    there = [np.asarray(first(example, np.random.default_rng(i))["image"]) for i, example in enumerate(examples)]
    back = [np.asarray(second(examples[i], np.random.default_rng(i))["image"]) for i in reversed(range(len(examples)))][
        ::-1
    ]
    assert all(np.array_equal(*pair) and pair[0].dtype == np.uint8 for pair in zip(there, back, strict=True))
    assert any(not np.array_equal(*pair) for pair in zip(there, images, strict=True))


def tiny_network(input_shape):
    """Two convolutions: XLA takes its time over each."""
    images = keras.Input(input_shape)
    x = keras.layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")(images)
    return keras.Model(images, keras.layers.Conv2D(8, 3, strides=2, padding="same")(x))


@pytest.mark.parametrize("way", ["mixed precision", "compiled by XLA"])
@pytest.mark.slow
def test_a_user_script_trains_in_the_ways_of_keras(way, images):
    """`model.fit` of a model that is built under a dtype policy, or asked to be compiled.

    Two devices are in test_fit.py: TensorFlow takes the collectives of two strategies in one process for the same ones.
    """
    method = tfssl.methods.SplitBrain(backbone=tiny_network, crop_size=32, resize=32, fc=8)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if way == "mixed precision" else before)
    try:
        model = method.model(keras.optimizers.Adam(1e-3))
    finally:
        keras.config.set_dtype_policy(before)
    model.jit_compile = way == "compiled by XLA"
    batch = next(iter(method.dataset(images, batch_size=4)))
    data = tf.data.Dataset.from_tensors(batch).repeat(4)
    losses = [model.fit(data, verbose=0).history["loss"][0] for _ in range(2)]
    assert losses[1] < losses[0]
    assert (way == "mixed precision") == ("bfloat16" in {layer.compute_dtype for layer in model._flatten_layers()})


RESNET = {
    "input_conv_filters": [64], "input_conv_kernel_sizes": [7], "stackwise_num_filters": [64, 8, 12],
    "stackwise_num_blocks": [1, 1, 1], "stackwise_num_strides": [1, 2, 2], "block_type": "basic_block",
}  # fmt: skip


def hub_network(input_shape):
    import keras_hub

    return keras_hub.models.ResNetBackbone(image_shape=input_shape, **RESNET)


@needs("keras_hub")
@pytest.mark.parametrize("form", ["object", "function", "name", "preset"])
def test_a_network_of_keras_hub_is_a_backbone(form, images, tmp_path):
    original = hub_network((None, None, 3))
    if form == "preset":
        original.save_to_preset(str(tmp_path / "preset"))
    backbone = {
        "object": original, "function": hub_network, "name": {"keras_hub": "ResNetBackbone", **RESNET},
        "preset": f"keras_hub:{tmp_path / 'preset'}",
    }[form]  # fmt: skip
    network = trunk(backbone)
    assert strides(network) == {tap: 2 ** int(tap[1:]) for tap in original.pyramid_outputs}
    method = tfssl.methods.SplitBrain(
        backbone=hub_network if form == "object" else backbone, crop_size=32, resize=32, fc=8
    )
    model = method.model(keras.optimizers.Adam(1e-3))
    batch = next(iter(method.dataset(images, batch_size=4)))
    losses = [model.train_on_batch(*batch) for _ in range(5)]
    assert losses[-1] < losses[0]


@needs("keras_hub")
def test_weights_of_a_preset_come_with_its_scaling(tmp_path):
    import keras_hub

    original = hub_network((None, None, 3))
    original.save_to_preset(str(tmp_path))
    keras_hub.layers.ResNetImageConverter(scale=[0.01, 0.02, 0.03], offset=[-1.0, 0.0, 1.0]).save_to_preset(
        str(tmp_path)
    )
    network = trunk({"keras_hub": str(tmp_path), "weights": True})
    levels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    found = network((levels - np.float32((123, 117, 104))) / 58)
    expected = original(levels * np.float32([0.01, 0.02, 0.03]) + np.float32([-1, 0, 1]))
    np.testing.assert_allclose(found[list(found)[-1]], expected, atol=1e-3)
