"""The card's experiment with bricks: structure comes with shifted Gram matrices, and not without."""

import importlib

import pytest


@pytest.fixture
def textures(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("textures")


def test_bricks_of_the_card(textures):
    # Card, section 9: autocorrelation at lag 8, right and down: reference 1.00 and .39; Gram alone .06 and .05; with
    # shifts .99 and .39. Which filters and which noise it had is not known.
    found = textures.bricks(0)
    assert found["reference"] == pytest.approx({"right": 1.0, "down": 0.39}, abs=0.005)
    assert found["shifts"] == pytest.approx({"right": 0.99, "down": 0.39}, abs=0.05)
    assert max(found["gram"].values()) < 0.3
