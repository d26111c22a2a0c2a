"""What an encoder says of itself, and that it says it after everything Keras does to models."""

import functools
import inspect

import keras
import numpy as np
import pytest

import tfssl
from tfssl import methods
from tfssl.backbones import BACKBONES, Encoder, build
from tfssl.backbones.encoder import as_encoder
from tfssl.config import load_config
from tfssl.errors import ConfigError, ModelError

LEVELS = np.random.default_rng(1).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)


def two_taps(**options):
    """A clip encoder with a map and a vector, and a network inside."""
    clip = keras.Input((None, None, None, 3), name="clip")
    pixels = keras.Input((None, None, 3))
    maps = keras.Model(pixels, keras.layers.Conv2D(4, 5, strides=2, name="conv")(pixels), name="trunk")
    frames = keras.layers.TimeDistributed(maps)(clip)
    vector = keras.layers.GlobalAveragePooling3D()(frames)
    return Encoder(clip, {"map": keras.ops.max(frames, axis=1), "vector": vector}, **options)


def about(encoder):
    return encoder.modality, encoder.taps, encoder.smallest, encoder.value_range


def test_what_it_says():
    encoder = two_taps(modality="clip")
    assert about(encoder) == ("clip", {"map": 4, "vector": 2}, 5, (0.0, 1.0))
    assert isinstance(encoder, keras.Model) and encoder.layers[0].name == "clip"
    assert two_taps(modality="clip", smallest=16).smallest == 16


@pytest.mark.parametrize("options", [{}, {"smallest": 16}, {"value_range": (-1.0, 1.0)}, {"value_range": None}])
def test_it_stays_what_it_is(tmp_path, options):
    encoder = two_taps(modality="clip", name="mine", **options)
    clip = np.random.default_rng(0).random((2, 3, 9, 8, 3), dtype=np.float32)
    wanted = encoder(clip)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    cloned = keras.models.clone_model(encoder)
    again = keras.models.clone_model(cloned)
    above = Encoder(loaded.input, loaded(loaded.input), name="mine")
    chosen = Encoder(loaded.input, dict(loaded.output), name="mine")
    for other in (loaded, cloned, again, above, chosen, Encoder.from_config(encoder.get_config())):
        assert type(other) is Encoder and other.name == "mine"
        assert about(other) == about(encoder)
    for other in (loaded, above, chosen):
        np.testing.assert_array_equal(other(clip)["vector"], wanted["vector"])
    assert not np.array_equal(cloned(clip)["vector"], wanted["vector"]), "a clone has weights of its own"


def test_fully_connected_layers_are_taps():
    encoder = build("alexnet_s", input_shape=(32, 32, 3), fc=(16, 8))
    assert {name: encoder.taps[name] for name in ("conv5", "fc6", "fc7")} == {"conv5": 4, "fc6": 2, "fc7": 2}
    assert encoder.smallest == 32, "the only size that it takes"


@pytest.mark.parametrize(("name", "smallest"), [("caffenet", 39), ("googlenet", 31), ("vgg_s", 1)])
def test_the_smallest_input_runs_and_a_smaller_one_does_not(name, smallest):
    encoder = build(name, input_shape=(None, None, 3), fc=False)
    assert encoder.smallest == smallest
    taps = encoder(np.zeros((1, smallest, smallest, 3), np.float32))
    assert all(tap.shape.num_elements() for tap in taps.values())
    if smallest > 1:
        with pytest.raises(Exception):  # noqa: B017 - whatever the backend says
            smaller = encoder(np.zeros((1, smallest - 1, smallest - 1, 3), np.float32))
            assert all(tap.shape.num_elements() for tap in smaller.values())


def test_a_model_of_another_library_becomes_one():
    rgb = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(2, 3, name="block1")(rgb)
    model = keras.Model(rgb, {"block1": maps, "pooled": keras.layers.GlobalAveragePooling2D()(maps)}, name="other")
    encoder = as_encoder(model)
    assert about(encoder) == ("image", {"block1": 4, "pooled": 2}, 3, (0.0, 1.0)) and encoder.name == "other"
    assert encoder.variables[0] is model.variables[0] and as_encoder(encoder) is encoder
    assert as_encoder(keras.Model(rgb, maps)).taps == {"features": 4}
    gray = keras.Input((None, None, 1))
    for wrong in (
        keras.Model(gray, {"conv1": keras.layers.Conv2D(2, 3)(gray)}),
        keras.Model(rgb, {"clip": maps[:, None]}),
        "runs/mine",
    ):
        with pytest.raises(ModelError, match="is no encoder"):
            as_encoder(wrong)


def encoders():
    """The encoder of every method and every backbone of the registry, untrained."""
    for name in methods.names():
        method = load_config(f"{name}/cpu", ["classes=3"] if name == "slow_steady" else []).method  # else from its data
        yield name, lambda method=method: method.encoder(method.model(keras.optimizers.SGD(0.1)))
    for name in BACKBONES:
        options = {"fc": False} if "fc" in inspect.signature(BACKBONES[name]).parameters else {}
        yield name, functools.partial(build, name, input_shape=(None, None, 3), value_range=(0, 1), **options)
    yield "random", lambda: tfssl.load_encoder("random:alexnet_s")
    yield "pixels", lambda: tfssl.load_encoder("pixels")


@pytest.mark.parametrize(("name", "make"), [pytest.param(*pair, id=pair[0]) for pair in encoders()])
def test_levels_are_scaled_exactly_or_refused(name, make):
    encoder = make()
    given = LEVELS if encoder.modality == "image" else np.stack([LEVELS] * encoder.input.shape[1], axis=1)
    height, width = encoder.input.shape[-3:-1]
    given = given[..., :height, :width, :]  # None: all
    pixels = given.astype(np.float32) / np.float32(255)
    wanted = encoder(pixels)
    for levels in (given, keras.ops.convert_to_tensor(given)):
        found = encoder(levels)
        for tap in wanted:
            np.testing.assert_array_equal(found[tap], wanted[tap])
    wrong = {
        "floats of 0 to 255": given.astype(np.float32),
        "in [-1, 1]": 2 * pixels - 1,
        "int32": given.astype(np.int32),
        "uint16": given.astype(np.uint16) * 257,
        "NaN": np.full_like(pixels, np.nan),
    }
    for what, values in wrong.items():
        with pytest.raises(ConfigError, match=r"in \[0, 1\].*Received: ") as caught:
            encoder(values)
        assert "\n" not in str(caught.value), what
    assert "float in [0, 1] or uint8" in repr(encoder)


def test_levels_are_scaled_or_refused_however_an_encoder_is_called():
    encoder = build("alexnet_s", input_shape=(None, None, 3), value_range=(0, 1), fc=False)
    pixels = LEVELS.astype(np.float32) / np.float32(255)
    lines = []
    encoder.summary(print_fn=lambda line, **kwargs: lines.append(line))
    assert lines[-1] == " Takes: image (None, None, None, 3), float in [0, 1] or uint8"
    np.testing.assert_array_equal(
        encoder.predict(LEVELS, verbose=0)["conv5"], encoder.predict(pixels, verbose=0)["conv5"]
    )
    np.testing.assert_array_equal(encoder.predict_on_batch(LEVELS)["conv1"], encoder.predict_on_batch(pixels)["conv1"])
    np.testing.assert_array_equal(encoder(pixels.tolist())["conv1"], encoder(pixels)["conv1"])
    for call in (encoder.predict, encoder.predict_on_batch, lambda x: encoder(x.tolist())):
        with pytest.raises(ConfigError, match="divide levels of 0 to 255 by 255"):
            call(LEVELS.astype(np.float32))
    bytes_in = keras.Input((None, None, 3), dtype="uint8")
    served = keras.Model(bytes_in, encoder(bytes_in))
    np.testing.assert_allclose(served(LEVELS)["conv5"], encoder(pixels)["conv5"], atol=1e-6)


def test_another_range():
    rgb = keras.Input((None, None, 3))
    taps = {"same": keras.layers.Identity()(rgb)}
    for low, high in ((-1.0, 1.0), (0.0, 255.0)):
        encoder = Encoder(rgb, taps, value_range=(low, high))
        np.testing.assert_allclose(encoder(LEVELS)["same"], low + (high - low) * (LEVELS / 255.0), atol=1e-5)
    encoder = Encoder(rgb, taps, value_range=None)
    assert encoder(300 + LEVELS.astype(np.float32))["same"].shape == LEVELS.shape
    for any_range in (encoder, build("alexnet_s", input_shape=(None, None, 3), fc=False)):
        with pytest.raises(ConfigError, match=r"value_range.*uint8"):
            any_range(LEVELS)
    behind = Encoder(rgb, Encoder(rgb, taps, value_range=(0, 255))(keras.layers.Rescaling(255.0)(rgb)))
    assert behind.value_range == (0.0, 1.0), "what is before an encoder decides"
    for wrong in ((1, 0), "0", (0, np.nan), 3):
        with pytest.raises(ValueError, match="`value_range`"):
            Encoder(rgb, taps, value_range=wrong)


def test_wrong_use():
    rgb = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="Received: modality='film'"):
        Encoder(rgb, {"pixels": rgb}, modality="film")
    with pytest.raises(ValueError, match="must be a dict of taps"):
        Encoder(rgb, keras.layers.Flatten()(rgb))
