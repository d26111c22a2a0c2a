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


def test_a_stop_is_told_in_the_log_file_and_left_to_the_command_line_to_say(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(callbacks.Recorder, "save", lambda self: None)
    said, signals = [], Deferred()
    recorder = callbacks.Recorder(
        config=parse_config({"method": "jigsaw", "epochs": 2}), out=tmp_path, state=TrainingState(),
        steps_per_epoch=3, skipped=Skipped(), signals=signals, reporter=SimpleNamespace(message=said.append),
    )  # fmt: skip
    signals.received = 15
    monkeypatch.setattr(signals, "check", lambda: None)
    with caplog.at_level("INFO", "tfssl"):
        recorder.stop_if_asked()
    assert "stopped at step 0 of 6, saved" in caplog.text and said == []
