"""Runs that are stopped and go on, and what they end with."""

import keras
import numpy as np
import pytest

from tfssl.training.callbacks import Recorder
from tfssl.training.fit import fit


def weights(run):
    """Those of a run, without the state of dropout, which a file does not keep."""
    model = keras.saving.load_model(run / "model.keras", compile=False)
    return [np.asarray(v) for v in model.variables if "seed" not in v.path]


class Stop(Exception):
    pass


def stopped_and_resumed(config, run, stop_after, before_resuming=lambda patch: None):
    """Train into ``run``, stop after a step, and start again."""
    original = Recorder.on_train_batch_end

    def stopping(self, batch, logs=None):
        original(self, batch, logs)
        if self.state.step == stop_after:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", stopping)
        with pytest.raises(Stop):
            fit(config, run)
    with pytest.MonkeyPatch.context() as patch:
        before_resuming(patch)
        fit(config, run)
