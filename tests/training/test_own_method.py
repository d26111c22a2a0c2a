"""A method in a module of its own: statistics of the data, patches of an image, learning without gradients."""

import csv

import numpy as np
import pytest

from tests.training.prototypes import Prototypes
from tests.training.stopping import stopped_and_resumed, weights
from tfssl.config import parse_config
from tfssl.training.fit import fit
from tfssl.training.runs import load_run

OWN = {"method": "tests.training.prototypes:Prototypes", "batch_size": 4, "epochs": 2, "checkpoint_steps": 3}


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("own") / "run"
    fit(parse_config({**OWN, "data": str(photos)}), out)
    return out


def test_steps_follow_from_examples(whole):
    rows = list(csv.DictReader((whole / "history.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [6, 12]  # 8 images, 3 patches each, batches of 4
    assert float(rows[1]["loss"]) < float(rows[0]["loss"]) < float(rows[0]["baseline"])
    assert {row["learning_rate"] for row in rows} == {"0.0"}


def test_statistics_are_learned_once_and_kept(whole, photos, tmp_path):
    config = parse_config({**OWN, "data": str(photos)})

    def forbid_learning(patch):
        patch.setattr(Prototypes, "adapt", lambda self, source: pytest.fail("learned again"))

    stopped_and_resumed(config, tmp_path / "run", 8, before_resuming=forbid_learning)
    for ours, theirs in zip(weights(tmp_path / "run"), weights(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    method, model = load_run(tmp_path / "run")
    assert method.statistics["mean"].shape == (3,)
    np.testing.assert_allclose(np.ravel(model.get_layer("centered").mean), method.statistics["mean"], rtol=1e-6)
