"""Networks of others as trunks."""

import pickle

import keras
import numpy as np
import pytest
import yaml
from keras import layers

import tfssl
from tfssl.backbones.adapter import strides, trunk
from tfssl.backbones.decoding import decode_maps
from tfssl.backbones.encoder import as_encoder
from tfssl.config import RunConfig, TrainSettings, parse_config
from tfssl.errors import ConfigError, ModelError
from tfssl.methods.opened import is_open

TINY = {
    "colorization": {"crop_size": 32, "resize": 32, "neighbors": 5},
    "context_encoder": {"crop_size": 32, "resize": 40, "overlap": 2, "mask": "blocks"},
    "context_prediction": {
        "area": (9000, 12000), "patch_size": 32, "gap": 8, "jitter": 2, "patches_per_image": 4, "downsample_size": 8,
        "embedding": 16, "head": (16, 16),
    },
    "denoising_autoencoder": {"crop_size": 32, "resize": 32},
    "jigsaw": {"crop_size": 105, "resize": 105, "tile": 32, "permutations": 4, "fc6": 16, "fc7": 16, "dropout": 0.0},
    "split_brain": {"crop_size": 32, "resize": 32, "fc": 8},
    "spot_artifacts": {"crop_size": 32, "fc6": 16, "dropout": 0.0},
}  # fmt: skip
"""Sizes at which a method trains in seconds."""


def network(input_shape=(None, None, 3)):
    """A small residual network of strides 2, 4 and 8, with a branch that ends deeper than the sum it joins."""
    x = images = layers.Input(input_shape)
    for number, filters in enumerate((4, 6, 8), start=1):
        x = layers.ZeroPadding2D(1)(x)
        x = layers.Conv2D(filters, 3, strides=2, activation="relu", name=f"down{number}")(x)
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x))
        x = layers.Add(name=f"sum{number}")([x, y])
    return keras.Model(images, x, name="foreign")


def method_of(name, backbone):
    field = "network" if name == "context_encoder" else "backbone"
    return tfssl.methods.get(name)(**{field: backbone}, **TINY[name])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 130, 130, 3), dtype=np.uint8)


def test_taps_are_the_last_maps_that_everything_passes():
    model = trunk(network)
    assert strides(model) == {"P1": 2, "P2": 4, "P3": 8}
    assert {tap: tensor.shape for tap, tensor in model.output.items()} == {
        "P1": (None, None, None, 4), "P2": (None, None, None, 6), "P3": (None, None, None, 8),
    }  # fmt: skip
    original = network()
    mine = trunk(original)
    x = np.random.default_rng(0).normal(size=(2, 30, 22, 3)).astype(np.float32)
    np.testing.assert_allclose(mine(x)["P3"], original(x), atol=1e-6)


def test_a_trunk_has_variables_of_its_own_with_the_same_names_in_each_build():
    original = network()
    first, second = trunk(original), trunk(network)
    assert not {id(v) for v in first.weights} & {id(v) for v in original.weights}
    assert [v.path for v in first.weights] == [v.path for v in second.weights]
    assert len({v.path for v in first.weights}) == len(first.weights)


def test_a_model_of_one_size_is_freed_of_it():
    assert trunk(network((64, 64, 3)))(np.zeros((1, 96, 32, 3), np.float32))["P3"].shape == (1, 12, 4, 8)


@pytest.mark.parametrize("channels", [1, 2])
def test_applications_take_any_channels(channels):
    model = trunk({"applications": "MobileNetV2", "alpha": 0.35}, channels)
    assert list(strides(model).values()) == [2, 4, 8, 16, 32]
    assert model.input_shape == (None, None, None, channels)


@pytest.mark.slow
def test_a_network_that_scales_its_input_gets_the_range_it_expects():
    """EfficientNet divides by 255 itself: standardized input must reach its first convolution as it is."""
    model = trunk("applications:EfficientNetB0")
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    first = inner.get_layer("trunk_stem_conv_pad")
    seen = keras.Model(inner.inputs, first.input)(model.get_layer("undo_rescaling")(np.ones((1, 8, 8, 3), np.float32)))
    np.testing.assert_allclose(seen, 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "DenseNet121"])
def test_pretrained_networks_get_the_preprocessing_of_their_library(name, tmp_path):
    """Weights come from a file here; standardized RGB becomes what `preprocess_input` makes of its levels."""
    from tfssl.backbones.adapter import DEVIATION, MEAN_COLOR, _levels_to

    module = __import__(getattr(keras.applications, name).__module__, fromlist=["preprocess_input"])
    levels = np.random.default_rng(0).uniform(0, 255, (1, 5, 4, 3)).astype(np.float32)
    x = (levels - np.float32(MEAN_COLOR)) / DEVIATION
    for layer in _levels_to(module.preprocess_input):
        x = layer(x)
    np.testing.assert_allclose(x, module.preprocess_input(levels.copy()), atol=2e-4)


@pytest.mark.slow
def test_weights_of_a_file_are_loaded(tmp_path):
    options = {"applications": "MobileNetV2", "alpha": 0.35}
    saved = keras.applications.MobileNetV2((None, None, 3), alpha=0.35, include_top=False, weights=None)
    saved.save_weights(tmp_path / "mobile.weights.h5")
    model = trunk({**options, "weights": str(tmp_path / "mobile.weights.h5")})
    levels = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    expected = saved(levels / 127.5 - 1)
    found = model((levels - np.float32((123, 117, 104))) / 58)["P5"]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_decoding_gives_the_grid_of_a_stride_for_any_size():
    model = trunk("applications:InceptionV3")  # its convolutions lose the borders of maps
    images = layers.Input((None, None, 3))
    decoded = keras.Model(images, decode_maps(model(images), strides(model), images, 4, width=5))
    assert decoded(np.zeros((1, 90, 101, 3), np.float32)).shape == (1, 23, 26, 5)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("applications:MobilNetV2", "did you mean 'MobileNetV2'"),
        ({"applications": "MobileNetV2", "alhpa": 1}, "did you mean 'alpha'"),
        ({"applications": "MobileNetV2", "weights": "imagenet"}, "are for RGB"),
        pytest.param("applications:NASNetMobile", "NASNetMobile", marks=pytest.mark.slow),
        ("object:mine", "pass it again"),
        (lambda input_shape: 3, "must be a function that gives a keras.Model"),
        (lambda input_shape: keras.Sequential([layers.Input(input_shape), layers.Flatten()]), "backbone"),
        (network, "1 channel"),
        ("keras_hub:ResNetBackbone", "keras"),
    ],
)
def test_what_cannot_be_a_trunk_is_refused_in_one_line(backbone, message):
    if backbone == "keras_hub:ResNetBackbone" and __import__("importlib").util.find_spec("keras_hub"):
        pytest.skip("keras-hub is installed")
    if backbone is network:
        backbone = network()
    with pytest.raises(ConfigError, match=message) as caught:
        trunk(backbone, 1)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_too_small_images_are_refused_in_one_line():
    with pytest.raises(ConfigError, match="makes no maps of 40x40 pixels"):
        trunk("applications:InceptionV3", size=40)


@pytest.mark.parametrize("backbone", [network, {"applications": "MobileNetV2", "alpha": 0.35}])
@pytest.mark.parametrize("name", sorted(TINY))
@pytest.mark.slow
def test_every_method_trains_on_a_network_of_others(name, backbone, images, tmp_path):
    keras.utils.set_random_seed(0)
    method = method_of(name, backbone)
    batch = next(iter(method.dataset(images, batch_size=4, seed=1)))
    model = method.phases[-1].model(keras.optimizers.Adam(1e-3), None)
    losses = [model.train_on_batch(*batch, return_dict=True) for _ in range(6)]
    key = "loss" if "loss" in losses[0] else next(iter(losses[0]))
    assert losses[-1][key] < losses[0][key]
    encoder = method.encoder(model)
    levels = 3 if backbone is network else 5
    assert list(encoder.output) == [f"P{i}" for i in range(1, levels + 1)]
    rgb = np.random.default_rng(1).random((1, 64, 96, 3), dtype=np.float32)
    assert encoder(rgb)[f"P{levels}"].shape[1:3] == (64 // 2**levels, 96 // 2**levels)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(again(rgb)["P3"], encoder(rgb)["P3"], atol=1e-5)
    model.save(tmp_path / "model.keras")
    restored = method.encoder(keras.saving.load_model(tmp_path / "model.keras", compile=False))
    np.testing.assert_allclose(restored(rgb)["P3"], encoder(rgb)["P3"], atol=1e-5)


@pytest.mark.parametrize("backbone", ["applications:MobileNetV2", {"applications": "MobileNetV2", "alpha": 0.35}])
def test_names_and_options_come_back_from_yaml(backbone):
    config = RunConfig(method_of("jigsaw", backbone), TrainSettings())
    again = parse_config(yaml.safe_load(yaml.safe_dump(config.to_dict())))
    assert again.method.backbone == backbone
    assert is_open(again.method.backbone)


def test_an_object_is_known_by_name_in_yaml_and_in_workers():
    method = method_of("jigsaw", network())
    config = RunConfig(method, TrainSettings()).to_dict()
    assert config["backbone"] == "object:foreign"
    for again in (parse_config(config).method, pickle.loads(pickle.dumps(method))):
        with pytest.raises(ConfigError, match=r"'foreign' was a Python object.*pass it again"):
            again.model()
    encoder = parse_config(config).method.encoder(method.model())
    assert list(encoder.output) == ["P1", "P2", "P3"]


def test_a_wrong_backbone_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'alexnet'"):
        tfssl.methods.Jigsaw(backbone="alexnett")
    with pytest.raises(ConfigError, match="applications:NAME"):
        tfssl.methods.Jigsaw(backbone=3)


@pytest.mark.parametrize("kind", ["dict", "map", "vector", "list", "one size"])
def test_any_model_of_images_is_an_encoder(kind):
    images = layers.Input((32, 32, 3) if kind == "one size" else (None, None, 3))
    first = layers.Conv2D(4, 3, strides=2)(images)
    last = layers.GlobalAveragePooling2D()(first)
    outputs = {"dict": {"a": first, "b": last}, "vector": last, "list": [first, last]}.get(kind, first)
    encoder = as_encoder(keras.Model(images, outputs))
    taps = encoder(np.zeros((2, 40, 50, 3), np.float32))
    names = {"dict": ["a", "b"], "list": ["output1", "output2"]}.get(kind, ["features"])
    assert list(taps) == names
    assert all(tap.shape[0] == 2 for tap in taps.values())


def test_what_is_no_encoder_is_refused():
    gray = layers.Input((None, None, 1))
    with pytest.raises(ModelError, match="must take RGB"):
        as_encoder(keras.Model(gray, layers.Conv2D(4, 3)(gray)))
    rgb = layers.Input((None, None, 3))
    with pytest.raises(ModelError, match="no map"):
        as_encoder(keras.Model(rgb, layers.Conv2D(4, 3)(rgb)[..., 0]))
