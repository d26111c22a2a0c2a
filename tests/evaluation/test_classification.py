import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

import tfssl
from tfssl.api import evaluate as measure
from tfssl.config import parse_config
from tfssl.errors import ConfigError
from tfssl.evaluation.tasks.classification import crop_and_mirror, draw_labeled, evaluate

OPTIONS = {"image_size": 16, "steps": 40, "batch_size": 8}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Blue and green noise."""
    folder, random = tmp_path_factory.mktemp("labeled"), np.random.default_rng(0)
    for part in ("train", "test"):
        for channel, name in ((2, "blue"), (1, "green")):
            (folder / part / name).mkdir(parents=True)
            for i in range(10):
                pixels = random.integers(0, 200, (20, 24, 3))
                pixels[..., channel] += 50
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.png")
    return folder


def encoder():
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = layers.Conv2D(6, 3, activation="relu", name="one")(rgb)
    return keras.Model(rgb, {"conv1": one, "conv2": layers.Conv2D(6, 3, activation="relu", name="two")(one)})


@pytest.mark.parametrize("strategy", ["fine_tune", "freeze", "augment"])
def test_each_strategy_learns_the_colors(root, tmp_path, strategy):
    seen = []
    record = evaluate(
        encoder(), root, strategy=strategy, out=tmp_path, progress=lambda *done: seen.append(done), **OPTIONS
    )
    assert record["accuracy"].value >= 0.9 and record["accuracy"].baselines.keys() == {"untrained", "chance"}
    assert record["accuracy"].baselines["chance"] == 0.5
    assert seen[-1][:2] == (80, 80) and seen[-1][2].startswith("untrained loss")
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["protocol"]["strategy"] == strategy and written["protocol"]["tap"] == "conv2"
    assert Image.open(tmp_path / "loss.png").size == (960, 630)


def test_a_fraction_of_the_labels_is_drawn_evenly_and_anew_for_each_seed():
    labels = np.repeat([0, 1], 10)
    draws = [draw_labeled(labels, 0.3, seed) for seed in (0, 0, 1)]
    assert draws[0].tolist() == draws[1].tolist() != draws[2].tolist()
    assert np.bincount(labels[draws[0]]).tolist() == [3, 3]


@pytest.mark.slow
def test_seeds_give_a_deviation_and_the_same_numbers_again(root):
    options = OPTIONS | {"steps": 2, "seeds": 2, "tap": "conv1", "strategy": "freeze"}
    first, again = evaluate(encoder(), root, **options), evaluate(encoder(), root, **options)
    assert first == again and first["accuracy"].std >= 0 and first["accuracy"].n == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0}, "`fraction`"),
        ({"tap": "conv7"}, "conv7"),
        ({"strategy": "x"}, "strategy"),
        ({"steps": 0}, "steps"),
    ],
)
def test_wrong_options_are_named(root, options, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(encoder(), root, **(OPTIONS | options))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of jigsaw, as small as can be, untrained."""
    folder = tmp_path_factory.mktemp("run")
    values = tfssl.load_config("jigsaw/cpu").to_dict() | {"batch_size": 4, "data": "builtin"}
    config = parse_config(values)
    config.save(folder / "config.yaml")
    config.method.model().save(folder / "model.keras")
    return folder


@pytest.mark.slow
def test_joint_training_goes_on_with_the_pretext_task(run, root, monkeypatch):
    """The encoder alone is trained beside the run's own task, on the trunk that both share."""
    from tfssl.evaluation import runner

    seen, train_head = [], runner.train_head

    def spy(model, *arguments, pretext, weight, **options):
        shared = pretext and {id(v) for v in model.trainable_variables} & {
            id(v) for v in pretext.model.trainable_variables
        }
        seen.append((pretext is not None, weight, bool(shared)))
        return train_head(model, *arguments, pretext=pretext, weight=weight, **options)

    monkeypatch.setattr(runner, "train_head", spy)
    options = {"task": "classification", "image_size": 32, "steps": 2, "batch_size": 4}
    joint = measure(run, root, strategy="joint", pretext_data="builtin", pretext_weight=0.5, **options)
    assert seen == [(True, 0.5, True), (False, 0.5, False)] and 0 <= joint["accuracy"].baselines["untrained"] <= 1
    with pytest.raises(ConfigError, match="pretext_data=FOLDER"):
        measure(run, root, strategy="joint", **options)


RAMP = np.broadcast_to(np.arange(33, dtype=np.float32)[None, None, :, None], (64, 33, 33, 1))


def test_parts_lie_inside_and_are_neither_too_small_nor_bent():
    """Of an image whose values are its columns, each row goes straight from one end of the part to the other."""
    parts = crop_and_mirror(RAMP, tf.constant([0, 1], tf.int64), area=(0.5, 1.0)).numpy()
    ends = np.sort(parts[:, 0, [0, -1], 0], axis=1)
    width = (ends[:, 1] - ends[:, 0]) / 32
    assert (ends >= 0).all() and (ends <= 32).all()
    assert (width >= np.sqrt(0.5 * 3 / 4) - 1e-5).all() and (width <= 1 + 1e-6).all() and np.ptp(width) > 0.1
    np.testing.assert_allclose(np.abs(np.diff(parts[:, 0, :, 0])), (32 * width / 32)[:, None].repeat(32, 1), atol=1e-4)
    mirrored = parts[:, 0, 0, 0] > parts[:, 0, -1, 0]
    assert 16 < mirrored.sum() < 48


def test_the_key_decides():
    first, again, other = (
        crop_and_mirror(RAMP, tf.constant(key, tf.int64), area=(0.5, 1.0)).numpy() for key in ((3, 4), (3, 4), (3, 5))
    )
    assert (first == again).all() and (first != other).any()
