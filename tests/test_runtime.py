"""Whatever a user's Keras is set to, and after a fork: the same results, or one line that says what to do."""

import json
import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

import tfssl
from tfssl import runtime
from tfssl.config import load_config
from tfssl.errors import ConfigError


@pytest.fixture
def settings():
    """Keras' settings; what a test changes is taken back."""
    config = keras.config
    before = config.floatx(), config.dtype_policy(), config.image_data_format()
    yield config
    config.set_floatx(before[0])
    config.set_dtype_policy(before[1])
    config.set_image_data_format(before[2])


@pytest.mark.slow
def test_a_command_does_not_depend_on_the_users_keras(tmp_path, root):
    settings = {"backend": "torch", "image_data_format": "channels_first", "floatx": "float64", "epsilon": 0.1}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    code = (
        "import contextlib, sys\n"
        "from tfssl.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['methods'])\n"
        "assert 'keras' not in sys.modules\n"
        "import keras; c = keras.config\n"
        "print(c.backend(), c.image_data_format(), c.floatx(), c.epsilon(), c.dtype_policy().name)\n"
    )
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].split() == ["tensorflow", "channels_last", "float32", "1e-07", "float32"]


def test_models_are_loaded_in_float32(settings):
    for floatx, policy in (("float16", "mixed_float16"), ("float64", "float64")):
        settings.set_floatx(floatx)
        settings.set_dtype_policy(policy)
        encoder = tfssl.load_encoder("random:alexnet")
        assert {layer.compute_dtype for layer in encoder.layers} == {"float32"}
        assert (settings.floatx(), settings.dtype_policy().name) == (floatx, policy)


def test_evaluations_and_drawings_compute_in_float32(settings, tmp_path, monkeypatch):
    """What `tfssl.evaluate` and `tfssl.api.visualize` call, also where it is called directly."""
    seen = []

    def note(*arguments, **options):
        seen.append((settings.floatx(), settings.dtype_policy().name))
        return {}

    monkeypatch.setattr("tfssl.evaluation.tasks.knn.evaluate", note)
    monkeypatch.setattr("tfssl.visualization.filters.filters", note)

    class Own(tfssl.methods.Jigsaw):
        evaluate = note

    settings.set_floatx("float64")
    settings.set_dtype_policy("mixed_bfloat16")
    tfssl.evaluation.get_task("knn")(None, None)
    Own().evaluate(None, None)
    tfssl.api.visualize("pixels", "filters", out=tmp_path)
    assert seen == [("float32", "float32")] * 3
    assert (settings.floatx(), settings.dtype_policy().name) == ("float64", "mixed_bfloat16")


CALLS = {
    "model": lambda method: method.model(),
    "dataset": lambda method: method.dataset("builtin", batch_size=2),
    "load": lambda method: tfssl.load("colorizer"),
    "load_encoder": lambda method: tfssl.load_encoder("random:alexnet"),
    "train": lambda method: tfssl.train("jigsaw/cpu", out="nowhere"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_channels_first_is_refused(settings, call):
    settings.set_image_data_format("channels_first")
    with pytest.raises(ConfigError, match=r"set_image_data_format\('channels_last'\).*'channels_first'"):
        call(load_config("jigsaw/cpu").method)


def test_all_that_runs_networks_needs_tensorflow(monkeypatch):
    from tfssl.color.predict import compiled_predictor

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for call in (
        lambda: tfssl.train("jigsaw/cpu", out="nowhere"),
        lambda: compiled_predictor(None, None),
        lambda: tfssl.evaluate("colorizer", "builtin"),
        lambda: tfssl.evaluate("pixels", "builtin", task="knn"),
        lambda: tfssl.api.visualize("pixels", "filters", out="nowhere"),
        lambda: load_config("jigsaw/cpu").method.evaluate(None, "builtin"),
    ):
        with pytest.raises(ConfigError, match=r"set KERAS_BACKEND=tensorflow .*KERAS_BACKEND=jax"):
            call()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_after_tensorflow_ran_is_told():
    tf.zeros(1).numpy()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            runtime.check()
        except ConfigError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as text:
        assert "forked after TensorFlow ran" in (line := text.read()) and "spawn" in line
    runtime.check()
