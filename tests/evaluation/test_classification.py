import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import tfssl
from tfssl.api import evaluate as measure
from tfssl.config import parse_config
from tfssl.errors import ConfigError
from tfssl.evaluation.tasks.classification import evaluate

OPTIONS = {"side": 16, "steps": 40, "batch_size": 8}


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
    numbers = evaluate(
        encoder(), root, strategy=strategy, out=tmp_path, progress=lambda *done: seen.append(done), **OPTIONS
    )
    assert numbers["accuracy"] >= 0.9 and numbers["chance"] == 0.5 and "pixels_accuracy" not in numbers
    assert numbers["gain"] == numbers["accuracy"] - numbers["untrained_accuracy"]
    assert seen[-1][:2] == (80, 80) and seen[-1][2].startswith("untrained loss")
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["protocol"]["strategy"] == strategy and written["protocol"]["tap"] == "conv2"
    assert Image.open(tmp_path / "loss.png").size == (640, 420)


def test_a_share_of_the_labels_is_drawn_evenly_and_anew_for_each_seed(root):
    from tfssl.data.examples import Skipped
    from tfssl.data.labeled import train_and_test
    from tfssl.evaluation.tasks.classification import _Plan

    folders = train_and_test(root)
    draws = [_Plan(folders, 16, 4, seed, 0.3, Skipped()).chosen() for seed in (0, 0, 1)]
    assert draws[0].tolist() == draws[1].tolist() != draws[2].tolist()
    assert np.bincount(np.asarray(folders[0].labels)[draws[0]]).tolist() == [3, 3]


def test_seeds_give_a_deviation_and_the_same_numbers_again(root):
    options = OPTIONS | {"steps": 2, "seeds": 2, "tap": "conv1", "strategy": "freeze"}
    first, again = evaluate(encoder(), root, **options), evaluate(encoder(), root, **options)
    assert first == again and first["accuracy_std"] >= 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"share": 0}, "`share`"), ({"tap": "conv7"}, "conv7"), ({"strategy": "x"}, "strategy"), ({"steps": 0}, "steps")],
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


def test_joint_training_goes_on_with_the_pretext_task(run, root, monkeypatch):
    """The encoder alone is trained beside the run's own task, on the trunk that both share."""
    from tfssl.evaluation.tasks import classification

    seen, train_head = [], classification.train_head

    def spy(model, *arguments, pretext, weight, **options):
        shared = pretext and {id(v) for v in model.trainable_variables} & {
            id(v) for v in pretext.model.trainable_variables
        }
        seen.append((pretext is not None, weight, bool(shared)))
        return train_head(model, *arguments, pretext=pretext, weight=weight, **options)

    monkeypatch.setattr(classification, "train_head", spy)
    options = {"task": "classification", "side": 32, "steps": 2, "batch_size": 4}
    joint = measure(run, root, strategy="joint", pretext_data="builtin", pretext_weight=0.5, **options)
    assert seen == [(True, 0.5, True), (False, 0.5, False)] and 0 <= joint["untrained_accuracy"] <= 1
    with pytest.raises(ConfigError, match="pretext_data=FOLDER"):
        measure(run, root, strategy="joint", **options)
