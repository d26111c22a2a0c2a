"""Percepts: vectors of frames in files."""

import numpy as np
import pytest

from tfssl.data.percepts import percept_source
from tfssl.errors import SourceError


def test_only_what_is_asked_for(tmp_path):
    rows = np.random.default_rng(0).random((9, 4))
    np.save(tmp_path / "a.npy", rows)
    (clip,) = (example["clip"] for example in percept_source(tmp_path))
    assert len(clip) == 9
    found = clip.frames([7, 0, 7])
    np.testing.assert_array_equal(found, rows[[7, 0, 7]].astype(np.float32))
    assert percept_source(source := percept_source(str(tmp_path / "a.npy"))) is source


@pytest.mark.parametrize(
    "content, reason",
    [
        (np.ones((2, 3), int), r"must be float \(frames, numbers\), is int64 \(2, 3\)"),
        (np.ones(3), r"is float64 \(3,\)"),
        (np.ones((0, 3)), r"is float64 \(0, 3\)"),
        (np.array([{}]), "cannot be read as an array"),
        (b"", "cannot be read as an array"),
    ],
)
def test_others_are_named(tmp_path, content, reason):
    path = tmp_path / "a.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(ValueError, match="a.npy: .*" + reason):
        percept_source(tmp_path).check(0)


def test_what_is_not_finite_is_named(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1.0], [np.nan]]))
    clip = percept_source(tmp_path)[0]["clip"]
    assert clip.frames([0]).tolist() == [[1.0]]
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        clip.frames([0, 1])
    with pytest.raises(SourceError, match="no folder, file or matching glob"):
        percept_source(tmp_path / "none")
