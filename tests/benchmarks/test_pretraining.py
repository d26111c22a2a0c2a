"""Every configuration that the pretraining benchmark names can be trained."""

import importlib

import pytest

from tfssl.config import load_config


@pytest.fixture
def pretraining(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))  # as when it is run as a script
    return importlib.import_module("pretraining")


def test_configurations_are_valid_and_variants_differ(pretraining):
    for entry in pretraining.ENTRIES:
        config = load_config(f"{entry.method}/cpu", list(entry.overrides))
        assert config.method.name() == entry.method
        assert bool(entry.variant) == (config.method != load_config(f"{entry.method}/cpu").method), entry.name


def test_names_are_distinct(pretraining):
    entries = (*pretraining.ENTRIES, *pretraining.BASELINES)
    assert len({entry.slug for entry in entries}) == len({entry.name for entry in entries}) == len(entries)


def test_measurements_name_tasks_with_the_options_they_take(pretraining):
    import inspect

    from tfssl.evaluation import get_task

    for title, measurement in pretraining.MEASUREMENTS.items():
        assert set(measurement.options) <= set(inspect.signature(get_task(measurement.task)).parameters), title
