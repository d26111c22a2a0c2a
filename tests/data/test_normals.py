"""Pictures with surface normals: layout and file formats."""

import numpy as np
import pytest
from PIL import Image

from tfssl.data.normals import normal_set, read_normals, write_normals
from tfssl.errors import SourceError


@pytest.fixture
def normals():
    vectors = np.random.default_rng(0).normal(size=(6, 9, 3))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[2, 3:6] = 0
    return vectors.astype(np.float32)


def test_sixteen_bits_keep_them(normals, tmp_path):
    write_normals(tmp_path / "n.png", normals)
    with Image.open(tmp_path / "n.png") as file:
        assert file.size == (9, 6)
    np.testing.assert_allclose(read_normals(tmp_path / "n.png"), normals, atol=3e-5)
    assert not (read_normals(tmp_path / "n.png")[2, 3:6]).any()


def test_eight_bits(normals, tmp_path):
    Image.fromarray(np.round((normals + 1) * 127.5).astype(np.uint8)).save(tmp_path / "n.png")
    found = read_normals(tmp_path / "n.png")
    np.testing.assert_allclose(found, normals, atol=0.008)
    known = normals.any(axis=-1)
    np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1, atol=1e-6)
    assert not found[~known].any()


def test_black_and_white_are_unknown(tmp_path):
    Image.fromarray(np.uint8([[[0, 0, 0], [255, 255, 255], [128, 128, 255]]])).save(tmp_path / "n.png")
    np.testing.assert_allclose(read_normals(tmp_path / "n.png"), [[[0, 0, 0], [0, 0, 0], [0, 0, 1]]], atol=0.005)


def test_arrays(normals, tmp_path):
    longer = normals * 1.2
    longer[0, 0] = np.nan
    np.save(tmp_path / "n.npy", longer)
    found = read_normals(tmp_path / "n.npy")
    assert not found[0, 0].any() and found.dtype == np.float32
    np.testing.assert_allclose(found[1:], normals[1:], atol=1e-6)


def test_layout(normals, tmp_path):
    for folder in ("train", "trainnormals"):
        (tmp_path / folder).mkdir()
    for name in ("b", "a"):
        Image.new("RGB", (9, 6)).save(tmp_path / "train" / f"{name}.jpg")
    np.save(tmp_path / "trainnormals" / "a.npy", normals)
    with pytest.raises(SourceError, match=r"has neither b.npy nor b.png"):
        normal_set(tmp_path, "train")
    write_normals(tmp_path / "trainnormals" / "b.png", -normals)
    found = normal_set(tmp_path, "train")
    assert [p.rsplit("/", 1)[1] for p in (*found.paths, *found.normals)] == ["a.jpg", "b.jpg", "a.npy", "b.png"]
    np.testing.assert_allclose(found.read_normals(1), -normals, atol=3e-5)


def test_what_is_no_map_of_normals_is_named(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((4, 4)))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for name, words in (("flat.npy", "must be floats"), ("bad.png", "cannot be read"), ("none.npy", "cannot be read")):
        with pytest.raises(SourceError, match=words) as caught:
            read_normals(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match="must hold test/ and testnormals/"):
        normal_set(tmp_path, "test")
