"""What a run notes of itself."""

import csv
import time
from types import SimpleNamespace

import pytest

from tfssl.config import parse_config
from tfssl.data.examples import Skipped
from tfssl.interrupts import Deferred
from tfssl.training import callbacks
from tfssl.training.checkpoint import TrainingState


def test_waiting_adds_up_over_epochs(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks.checkpoint, "save", lambda *arguments: None)
    monkeypatch.setattr(callbacks, "learning_rate", lambda model: 0.0)
    config = parse_config({"method": "jigsaw", "epochs": 2})
    recorder = callbacks.Recorder(
        config=config, out=tmp_path, state=TrainingState(), steps_per_epoch=1, skipped=Skipped(), signals=Deferred()
    )
    recorder.begin(SimpleNamespace(phase=SimpleNamespace(baseline=1.0), first=0), 1)
    for epoch in range(2):
        recorder.clock = SimpleNamespace(seconds=1.0)
        recorder.on_epoch_begin(epoch)
        recorder._started = time.monotonic() - 10
        recorder.state.step += 1
        recorder.on_epoch_end(epoch)
        recorder.end_epoch(lambda: None)
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [float(row["wait_fraction"]) for row in rows] == pytest.approx([0.1, 0.2], rel=0.05)
