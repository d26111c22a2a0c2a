"""The benchmark of co-occurrence: what was not measured this time stays, pairs of patches are told of photographs."""

import importlib
import json
import sys
from argparse import Namespace

import numpy as np
import pytest
from PIL import Image

from tfssl.methods import CoOccurrence


@pytest.fixture
def script(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("co_occurrence")


def test_parts_that_were_not_measured_stay(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    saved = {}
    monkeypatch.setattr(script, "save", lambda name, **parts: saved.update(parts))
    before = {"known": [1], "boundaries": [2], "patches": [3], "frames": [4], "seconds": {}}
    (tmp_path / "co_occurrence.json").write_text(json.dumps(before))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "patches-0.json").write_text("5")
    arguments = ["--only", "frames", "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", ["co_occurrence.py", *arguments])
    script.main()
    assert {part: saved[part] for part in script.PARTS} == {
        "known": [1],
        "boundaries": [2],
        "patches": [5],
        "frames": [4],
    }


def test_pairs_of_patches_are_told(script, tmp_path):
    """Photographs of one level each: what is of two is told by its level, what is of one by nothing."""
    learned = importlib.import_module("co_occurrence_frames")
    for folder in ("others", "bsds/images"):
        (tmp_path / folder).mkdir(parents=True)
        for level in range(10, 250, 40):
            Image.fromarray(np.full((40, 60, 3), level, np.uint8)).save(tmp_path / folder / f"{level}.png")
    method = CoOccurrence(crop_size=8, gap=2, jitter=1, channels=(4,), features=8, head=(16, 8))
    arguments = Namespace(others=tmp_path / "others", bsds=tmp_path / "bsds")
    found = learned.pairs_told(method, method.model(), arguments, 0)
    for folder in ("others", "bsds"):
        assert found[folder]["dataset"]["pixels_precision"] == found[folder]["dataset"]["colors_precision"] == 1
        assert found[folder]["image"]["colors_precision"] < found[folder]["image"]["chance_precision"], "all are equal"
        assert found[folder]["image"]["images"] == 6 and found[folder]["image"]["pairs"] >= learned.PATCH_PAIRS
