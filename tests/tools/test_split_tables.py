"""Tables of split-brain autoencoders: means and deviations over seeds, by hand."""

import json

import pytest

from tools import split_tables
from tools.tables import TableError


def write(root, folder, records):
    path = root / "benchmarks" / "results" / folder
    path.mkdir(parents=True)
    for number, record in enumerate(records):
        (path / f"{number}.json").write_text(json.dumps(record))


def control(name, accuracy):
    taps = {tap: {"accuracy": accuracy} for tap in split_tables._TAPS}
    probe = {"accuracy": accuracy, "chance": 0.25, "images_test": 8, "classes": 4}
    trained = {"training": {"steps": 600}} if name == "split" else {}
    return {"control": name, "taps": taps, "probe": probe, "config": {"batch_size": 16}, **trained}


def test_controls(tmp_path):
    with pytest.raises(TableError, match=r"controls is empty; run benchmarks/controls\.py"):
        split_tables.controls(tmp_path)
    pixels = {**control("pixels", 0.25), "taps": {"pixels": {"accuracy": 0.25}}}
    write(tmp_path, "controls", [control("split", 0.5), control("split", 0.54), pixels])
    table = split_tables.controls(tmp_path)
    assert "| 52 ± 2.83 | 52 ± 2.83 | 2 |" in table and "| the pixels | - | - | - | - | - | 25 | 1 |" in table
    assert "`shared`" not in table and "after 600 steps of 16; chance is 25." in table


def test_color_and_depth(tmp_path):
    def run(value):
        metric = {"value": value, "baselines": {"constant": 2 * value}}
        gradients = {"ab": {"unweighted": value, "weighted": 200 * value}, "lightness": {"weighted": 100.0}}
        probe = {"color": 0.5, "hha": 0.25, "both": 0.75, "chance": 0.25}
        return {
            "pretext": {"metrics": dict.fromkeys((key for _, key in split_tables._ERRORS), metric)},
            "rooms": {"held_out": 10, "learned_from": 20, "tested": 30},
            "training": {"steps": 5},
            "probe": {"trained": probe, "untrained": probe},
            "gradients_at_conv5": {"trained": gradients},
        }

    write(tmp_path, "rgbd", [run(1.0), run(3.0)])
    assert "| HHA from color: RMSE (bytes) | 2 ± 1.41 | 4 ± 2.83 |" in split_tables.rgbd(tmp_path)
    assert "| both, probabilities averaged | 75 ± 0 | 75 ± 0 |" in split_tables.rgbd_fusion(tmp_path)
    assert "| 0.02 ± 0.0141 | 4 ± 2.83 |" in split_tables.rgbd_gradients(tmp_path)
