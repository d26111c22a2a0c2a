"""Who takes part in an evaluation."""

import keras
import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.evaluation import get_task, tasks
from tfssl.evaluation.encoders import contestants, pixel_encoder, untrained


@pytest.fixture(scope="module")
def encoder():
    """A tower inside an encoder, with batch statistics that training has moved."""
    inside = keras.Input((None, None, 3))
    taps = {"conv1": keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, name="conv1")(inside))}
    taps["conv2"] = keras.layers.Conv2D(5, 3, name="conv2")(taps["conv1"])
    tower = keras.Model(inside, taps, name="tower")
    rgb = keras.Input((None, None, 3))
    encoder = keras.Model(rgb, tower(keras.layers.Rescaling(4.0, offset=-2.0)(rgb)), name="encoder")
    for variable in encoder.variables:
        variable.assign(np.random.default_rng(0).uniform(1, 2, variable.shape))
    return encoder


def values(model):
    return [np.asarray(v) for v in model.variables]


def test_an_untrained_network_shares_nothing(encoder):
    before = values(encoder)
    one, again, other = untrained(encoder, 0), untrained(encoder, 0), untrained(encoder, 1)
    assert [v.path for v in one.variables] == [v.path for v in encoder.variables]
    assert all((a == b).all() for a, b in zip(values(one), values(again), strict=True))
    assert any((a != b).any() for a, b in zip(values(one), values(other), strict=True))
    trained, fresh = (np.concatenate([v.ravel() for v in values(m) if v.ndim == 4]) for m in (encoder, one))
    assert trained.min() >= 1 > np.abs(fresh).max()
    for variable in one.variables:
        variable.assign(np.zeros(variable.shape))
    assert all((a == b).all() for a, b in zip(before, values(encoder), strict=True))


def test_baselines_stand_beside(encoder):
    found = contestants(encoder, taps=["conv2"], compare={"other": encoder})
    assert [c.name for c in found] == ["encoder", "untrained", "pixels", "other"]
    assert [c.taps for c in found] == [("conv2",), ("conv2",), ("pixels",), ("conv2",)]
    assert [c.redrawn for c in found] == [False, True, False, False]
    assert [seeds for _, seeds in found[0].runs(3)] == [[0, 1, 2]]
    assert [seeds for _, seeds in found[1].runs(3)] == [[0], [1], [2]]
    assert [c.name for c in contestants(encoder, trained=False)] == ["encoder", "pixels"]
    assert [c.name for c in contestants(pixel_encoder())] == ["encoder"]


def test_what_is_no_encoder_is_refused(encoder):
    rgb = keras.Input((None, None, 3))
    with pytest.raises(ConfigError, match="is no encoder"):
        contestants(keras.Model(rgb, keras.layers.Conv2D(2, 3)(rgb)))
    with pytest.raises(ConfigError, match="is taken"):
        contestants(encoder, compare={"untrained": encoder})


def test_tasks_are_found_by_name():
    assert {"knn", "linear_probe"} <= set(tasks())
    assert get_task("knn").__module__ == "tfssl.evaluation.tasks.knn"
    with pytest.raises(ConfigError, match="unknown task `linear_prob`: did you mean `linear_probe`"):
        get_task("linear_prob")
