"""Runs that differ in their seed are one row of the benchmark of hypercolumns."""

import importlib

import pytest


def test_seeds_become_a_mean_and_a_deviation(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))  # as when it is run as a script
    over_seeds = importlib.import_module("hypercolumns").over_seeds
    runs = [{"psnr": {"value": v, "std": None, "n": 1, "unit": "dB", "baselines": {"gray": 20.0}}} for v in (21, 23)]
    assert over_seeds(runs) == {
        "psnr": {"value": 22, "std": pytest.approx(2**0.5), "n": 2, "unit": "dB", "baselines": {"gray": 20.0}}
    }
    assert over_seeds(runs[:1])["psnr"] == runs[0]["psnr"]
