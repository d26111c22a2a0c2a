"""Rendered rooms: their depth is that of the surfaces, and HHA finds the floor and what stands on it."""

import importlib

import numpy as np
import pytest
from PIL import Image

from tfssl.data.hha import encode_hha


@pytest.fixture
def rooms(root, monkeypatch):
    """benchmarks/rooms.py, which is a script."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    return importlib.import_module("rooms")


def test_surfaces_by_hand(rooms):
    rays = np.array([[0.0, 0.5, 1.0], [0.0, -0.5, 1.0], [0.2, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert rooms._plane(rays, 1, 1.5)[0].tolist() == [3.0, np.inf, np.inf, np.inf]
    center = np.array([0.0, 0.0, 4.0])
    np.testing.assert_allclose(rooms._ball(rays, center, 0.5)[0], [np.inf, np.inf, np.inf, 3.5])
    box, normals = rooms._box(rays, center, np.array([1.0, 0.5, 0.5]), np.eye(3))
    np.testing.assert_allclose(box, [np.inf, np.inf, 3.5, 3.5])
    assert np.abs(normals[3]).tolist() == [0, 0, 1]
    side, _ = rooms._column(np.array([[0.0, 0.0, 1.0], [0.0, 0.25, 1.0]]), np.array([0.0, 1.5, 4.0]), 0.5, 0.5)
    np.testing.assert_allclose(side, [np.inf, 4.0])  # over it; onto its top, 1 m below the eye
    assert rooms._color(np.random.default_rng(0), (120, 120), (1, 1), (0.5, 0.5)).tolist() == [0, 0.5, 0]


@pytest.mark.parametrize("kind", ["ball", "table"])
def test_floor_of_a_room_is_the_floor_of_its_hha(rooms, kind):
    rgb, depth = rooms.render(kind, np.random.default_rng(3))
    again, _ = rooms.render(kind, np.random.default_rng(3))
    np.testing.assert_array_equal(rgb, again)
    hha = encode_hha(depth, **rooms.CAMERA).astype(int)
    assert np.median(np.abs(hha[-8:-4, 4:-4, 2] - 38)) <= 2 and np.median(hha[-8:-4, 4:-4, 1]) <= 10  # cm
    assert np.isfinite(depth).all() and depth.min() > 0.5


def test_files(rooms, tmp_path):
    rooms.write(tmp_path, 5, 0, labels=True)
    assert len(list((tmp_path / "ball" / "color").iterdir())) == 2
    millimeters = np.asarray(Image.open(tmp_path / "table" / "depth" / "00003.png"))
    _, depth = rooms.render("table", np.random.default_rng((0, 3)))
    np.testing.assert_allclose(millimeters / 1000, depth, atol=0.0006)
