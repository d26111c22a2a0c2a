"""Augmentation of the source by Keras layers."""

import concurrent.futures
import multiprocessing
import pickle

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.data.augment import Augmentation
from tfssl.errors import ConfigError

SPEC = [
    {"RandomFlip": {"mode": "horizontal"}},
    {"RandomBrightness": {"factor": 0.2}},
    {"RandomRotation": {"factor": 0.1}},
]


@pytest.fixture(scope="module")
def example():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return {"image": Image.fromarray(pixels), "label": 3}


def pixels_of(augmentation, example, seed):
    return np.asarray(augmentation(example, np.random.default_rng(seed))["image"])


def bytes_of(spec, example, seed):
    return pixels_of(Augmentation(spec), example, seed).tobytes()


def test_a_layer_does_what_keras_says(example):
    changed = pixels_of(Augmentation([{"RandomCrop": {"height": 8, "width": 9}}]), example, 0)
    whole = np.asarray(example["image"])
    windows = np.lib.stride_tricks.sliding_window_view(whole, (8, 9, 3)).reshape(-1, 8, 9, 3)
    assert any(np.array_equal(changed, window) for window in windows)
    flips = {bytes_of(["RandomFlip"], example, seed) for seed in range(20)}
    assert flips <= {whole[::a, ::b].tobytes() for a in (1, -1) for b in (1, -1)}
    assert len(flips) > 1


def test_values_are_clipped_and_the_rest_of_the_example_is_kept(example):
    bright = Augmentation([{"RandomBrightness": {"factor": [0.9, 0.9]}}])(example, np.random.default_rng(0))
    assert bright["label"] == 3
    np.testing.assert_array_equal(
        bright["image"], np.minimum(np.asarray(example["image"]) + 229.5, 255).round().astype(np.uint8)
    )


def test_the_generator_alone_decides(example):
    augmentation = Augmentation(SPEC)
    first = [pixels_of(augmentation, example, seed) for seed in range(6)]
    again = [pixels_of(augmentation, example, seed) for seed in reversed(range(6))][::-1]
    np.testing.assert_array_equal(first, again)
    assert len({image.tobytes() for image in first}) == 6


def test_threads_draw_the_same(example):
    augmentation = Augmentation(SPEC)
    expected = [pixels_of(Augmentation(SPEC), example, seed) for seed in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: pixels_of(augmentation, example, seed % 8), range(24)))
    np.testing.assert_array_equal(found, expected * 3)


@pytest.mark.slow
def test_processes_draw_the_same(example):
    augmentation = pickle.loads(pickle.dumps(Augmentation(SPEC)))
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(pixels_of, augmentation, example, 5).result()
    np.testing.assert_array_equal(found, pixels_of(Augmentation(SPEC), example, 5))


def test_it_pickles_after_use(example):
    augmentation = Augmentation(SPEC)
    expected = pixels_of(augmentation, example, 1)
    again = pickle.loads(pickle.dumps(augmentation))
    np.testing.assert_array_equal(pixels_of(again, example, 1), expected)


def test_layers_become_names_and_arguments(example):
    layers = [keras.layers.RandomFlip("horizontal", seed=7), keras.layers.Resizing(12, 14)]
    augmentation = Augmentation(layers)
    assert [next(iter(entry)) for entry in augmentation.spec] == ["RandomFlip", "Resizing"]
    assert augmentation.spec[0]["RandomFlip"]["mode"] == "horizontal"
    assert Augmentation(augmentation.spec).spec == augmentation.spec
    assert pixels_of(augmentation, example, 0).shape == (12, 14, 3)


@keras.saving.register_keras_serializable(package="test")
class Invert(keras.layers.Layer):
    def call(self, inputs):
        return 255.0 - inputs


@keras.saving.register_keras_serializable(package="test")
class Uncontrolled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * np.random.default_rng().random()


def test_layers_of_ones_own_are_found_by_their_module(example):
    augmentation = Augmentation([Invert()])
    assert augmentation.spec == [{f"{__name__}:Invert": {}}]
    np.testing.assert_array_equal(pixels_of(augmentation, example, 0), 255 - np.asarray(example["image"]))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([{"RandomFlipp": {}}], "did you mean 'RandomFlip'"),
        ([{"RandomFlip": {"mod": "horizontal"}}], "did you mean 'mode'"),
        ([{"RandomBrightness": {"factor": 5}}], "RandomBrightness does not take"),
        ([{"RandomFlip": {"seed": 3}}], "leave `seed` out"),
        ([{"Rescaling": {"scale": 1 / 255}}], r"in \[0, 1\]"),
        (["MixUp"], "mixes the images of a batch"),
        (["Dense"], "Dense"),
        ([{"Flatten": {}}], r"image \(H, W, 3\)"),
        (["no_such_module:Layer"], "cannot be imported"),
        ([Uncontrolled()], "no seed"),
        ([], "hold a layer"),
        (3, "list of layers"),
        ([{"RandomFlip": {}, "RandomCrop": {}}], "a layer must be"),
        ([3], "layers are names"),
    ],
)
def test_what_is_no_augmentation_is_refused_in_one_line(spec, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Augmentation(spec).check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["mask", "boxes"])
def test_what_lies_on_the_image_is_not_left_behind(example, field):
    with pytest.raises(ConfigError, match=field):
        Augmentation(SPEC)({**example, field: np.zeros((20, 30))}, np.random.default_rng(0))
