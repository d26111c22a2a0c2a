"""A stack as a run: one phase a layer, resumable at every step."""

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.config import parse_config
from tfssl.methods.denoising_autoencoder.network import UpperLayer
from tfssl.training.callbacks import Recorder
from tfssl.training.fit import fit
from tfssl.training.runs import load_run


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(9):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / f"{number}.png")
    return parse_config({
        "method": "denoising_autoencoder", "units": [20, 10, 6], "noise": [0.1, 0.2, 0.3], "crop_size": 12,
        "resize": 16, "data": str(folder), "batch_size": 3, "steps_per_epoch": 4, "epochs": 3, "checkpoint_steps": 2,
    })  # fmt: skip


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    fit(config, out)
    return out


def test_every_layer_has_learned(config, run):
    method, model = load_run(run)
    assert isinstance(model, UpperLayer) and model.depth == 3
    keras.utils.set_random_seed(config.settings.seed)
    for number in (1, 2, 3):
        bias = np.asarray(model.network.get_layer(f"layer{number}").transposed_bias)
        assert abs(bias).min() > 0, f"biases start at zero; layer {number} has moved"
    assert method.evaluate(model, config.settings.data)["images"].value == 9


@pytest.mark.parametrize("stop", [4, *(pytest.param(step, marks=pytest.mark.slow) for step in (6, 11))])
def test_resumes_bit_for_bit(config, run, tmp_path, monkeypatch, stop):
    """Stopped at the end of a phase, in the middle of the second one, and near the end of the last.

    Keras writes no states of generators into model files; those of the checkpoints decide about the weights.
    """
    original = Recorder.on_train_batch_end

    def stopping(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if self.state.step == stop:
            raise Stop

    monkeypatch.setattr(Recorder, "on_train_batch_end", stopping)
    with pytest.raises(Stop):
        fit(config, tmp_path / "run")
    monkeypatch.undo()
    fit(config, tmp_path / "run")
    ours, theirs = (load_run(folder)[1] for folder in (tmp_path / "run", run))
    for our, their in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(our, their, err_msg=our.path)
