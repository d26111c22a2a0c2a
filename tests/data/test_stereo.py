"""Stereo pairs: left is left, disparity is in pixels, and a missing partner is named."""

import logging

import numpy as np
import pytest
from PIL import Image

from tfssl.data.stereo import stereo_source
from tfssl.errors import SourceError


def save(path, size=(24, 16), level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 0, 0)).save(path)
    return path


def save_map(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pfm":
        header = f"Pf\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode()
        path.write_bytes(header + values[::-1].astype("<f4").tobytes())
    elif path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, values)
    else:
        Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left/1.png", "right/1.png"),
        ("image_l/000000.png", "image_r/000000.png"),
        ("image_2/000000_10.png", "image_3/000000_10.png"),
        ("image_0/7.png", "image_1/7.png"),
        ("scene/im0.png", "scene/im1.png"),
        ("a/b/im2.png", "a/b/im6.png"),
        ("view1.png", "view5.png"),
        ("cat_left.png", "cat_right.png"),
        ("catL.png", "catR.png"),
    ],
)
def test_layouts(tmp_path, left, right):
    save(tmp_path / left, level=10)
    save(tmp_path / right, level=200)
    source = stereo_source(tmp_path)
    assert len(source) == 1
    assert source.name(0) == str(tmp_path / left)
    assert [np.asarray(source[0][role])[0, 0, 0] for role in ("left", "right")] == [10, 200]
    assert source[0].keys() == {"left", "right"}
    assert len(stereo_source([(tmp_path / left, tmp_path / right)])) == 1
    (tmp_path / right).unlink()
    with pytest.raises(SourceError, match=r"holds no stereo pairs: the right of '.*' \(left\) is missing"):
        stereo_source(tmp_path)


TRUTH = np.linspace(1, 60, 24 * 16).reshape(16, 24)


@pytest.mark.parametrize(
    ("left", "right", "name", "values", "atol"),
    [
        ("image_2/7.png", "image_3/7.png", "disp_occ_0/7.png", np.rint(TRUTH * 256).astype(np.uint16), 1 / 256),
        ("im2.png", "im6.png", "disp2.png", np.rint(TRUTH * 4).astype(np.uint8), 1 / 4),
        ("view1.png", "view5.png", "disp1.png", np.rint(TRUTH).astype(np.uint8), 1),
        ("aL.png", "aR.png", "aGT.png", np.rint(TRUTH).astype(np.uint8), 1),
        ("im0.png", "im1.png", "disp0.pfm", TRUTH.astype(np.float32), 1e-5),
        ("a_left.png", "a_right.png", "a_disp.npz", TRUTH.astype(np.float32), 1e-5),
        ("left/a.png", "right/a.png", "disparity/a.npy", TRUTH, 1e-5),
    ],
)
def test_disparity_in_pixels(tmp_path, left, right, name, values, atol):
    values = values.copy()
    values[3, 5] = np.inf if values.dtype.kind == "f" else 0  # unknown
    save(tmp_path / left)
    save(tmp_path / right)
    save_map(tmp_path / name, values)
    found = stereo_source(tmp_path)[0]["disparity"]
    assert found.dtype == np.float32
    assert np.isnan(found[3, 5]) and np.isnan(found).sum() == 1
    np.testing.assert_allclose(found[4:], TRUTH[4:], atol=atol)
    doubled = stereo_source(tmp_path, scale=(256 if values.dtype == np.uint16 else 1) * 2, disparity=True)
    assert np.nanmax(doubled[0]["disparity"]) > 29
    assert stereo_source(tmp_path, disparity=False)[0].keys() == {"left", "right"}


def test_disparity_of_some_pairs_only(tmp_path):
    for name in ("1.png", "2.png"):
        save(tmp_path / "left" / name)
        save(tmp_path / "right" / name)
    with pytest.raises(SourceError, match="`disparity`: no pair has one"):
        stereo_source(tmp_path, disparity=True)
    save_map(tmp_path / "disparity" / "2.png", np.full((16, 24), 512, np.uint16))
    assert "disparity" not in stereo_source(tmp_path)[1]
    source = stereo_source(tmp_path, disparity=True)
    assert len(source) == 1
    assert (source[0]["disparity"] == 2).all()


def test_missing_partners_and_sizes_are_named(tmp_path, caplog):
    for name in ("1.png", "2.png", "3.png"):
        save(tmp_path / "left" / name)
        save(tmp_path / "right" / name)
    (tmp_path / "right" / "2.png").unlink()
    save(tmp_path / "right" / "3.png", size=(25, 16))
    save(tmp_path / "right" / "4.png")
    with caplog.at_level(logging.WARNING, logger="tfssl"):
        source = stereo_source(tmp_path)
    assert "2 of 4 stereo pairs are not whole" in caplog.text
    assert len(source) == 4
    source.check(0)
    for index, message in (
        (1, r"the right of '2.png' \(left\) is missing"),
        (2, "sizes differ: left is 24x16, right is 25x16"),
        (3, r"the left of '4.png' \(right\) is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            source.example(index)
    with pytest.raises(ValueError, match="the right of"):
        source.check(1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1.npy", b"", "empty"),
        ("1.npy", b"\x93NUMPY rubbish", "damaged|magic|version|Invalid"),
        ("1.npz", b"PK\x03\x04 rubbish", "damaged|zip"),
        ("1.png", b"rubbish", "not a JPEG"),
        ("1.pfm", b"Pf\n24 16\n-1.0\nshort", "breaks off"),
        ("1.pgm", b"P2\n24 16\n255\n1 2 3", "no binary PGM"),
    ],
)
def test_bad_maps(tmp_path, name, content, message):
    save(tmp_path / "left" / "1.png")
    save(tmp_path / "right" / "1.png")
    (tmp_path / "disparity").mkdir()
    (tmp_path / "disparity" / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        stereo_source(tmp_path)[0]
    save_map(tmp_path / "disparity" / "1.npy", np.ones((8, 8), np.float32))
    for other in (tmp_path / "disparity").glob("1.[!n]*"):
        other.unlink()
    (tmp_path / "disparity" / "1.npz").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="sizes differ: left is 24x16, right is 24x16, disparity is 8x8"):
        stereo_source(tmp_path)[0]


def test_wrong_data(tmp_path):
    save(tmp_path / "left" / "1.png")
    with pytest.raises(SourceError, match="has left/ but no right/"):
        stereo_source(tmp_path)
    save(tmp_path / "right" / "9.png")
    with pytest.raises(SourceError, match=r"holds no stereo pairs: .*1.png.*; .*9.png"):
        stereo_source(tmp_path)
    save(tmp_path / "right" / "9.jpg")
    with pytest.raises(SourceError, match="two files of one name"):
        stereo_source(tmp_path)
    for data, message in (
        (tmp_path / "no", "must be a folder or a list"),
        ([("a",)], r"must list \(left, right"),
        (3, "folder"),
    ):
        with pytest.raises(SourceError, match=message):
            stereo_source(data)


def test_a_worker_reads_without_tensorflow(tmp_path, in_worker):
    save(tmp_path / "im2.png")
    save(tmp_path / "im6.png")
    save_map(tmp_path / "disp2.png", np.full((16, 24), 8, np.uint8))
    assert in_worker(stereo_source(tmp_path), "example['disparity'].sum()") == 2 * 16 * 24


def test_real_pairs(unpack):
    source = stereo_source(unpack("stereo_rgbd.tar", "L.jpg", "R.jpg", "GT.png", "im2.png", "im6.png", "disp2.png",
                                  "disp6.png", "left.png", "right.png", "disp.npz") / "stereo")  # fmt: skip
    assert len(source) == 3
    for example in source:
        left, right = (np.asarray(example[role].convert("L"), np.float32) for role in ("left", "right"))
        disparity = example["disparity"]
        rows, columns = np.nonzero(np.isfinite(disparity))
        matched = np.rint(columns - disparity[rows, columns]).astype(int)
        inside = matched >= 0
        error = np.abs(left[rows, columns] - right[rows, matched])[inside].mean()
        assert error < 0.3 * np.abs(left - right).mean()


def test_real_sequence(unpack):
    source = stereo_source(unpack("kitti_vo_seq1.tar", "00000.jpg", "00001.jpg") / "kitti_vo")
    assert len(source) == 2
    assert source[1]["left"].size == (613, 185)
