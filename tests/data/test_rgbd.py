"""RGB-D: depth in meters from every encoding, NaN where nobody knows it."""

import numpy as np
import pytest
from PIL import Image

from tfssl.data.hha import encode_hha
from tfssl.data.rgbd import hha_source, read_depth, rgbd_source, write_hha
from tfssl.errors import SourceError

METERS = np.linspace(0.5, 9, 24 * 16).reshape(16, 24)


def save(path, size=(24, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(path)


def save_depth(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("image", "depth"),
    [
        ("color/1.jpg", "depth/1.png"),
        ("rgb/1.png", "depth/1.png"),
        ("scene/a_color.png", "scene/A_depth.png"),
        ("1rgb.png", "1depth.png"),
    ],
)
def test_layouts(tmp_path, image, depth):
    save(tmp_path / image)
    values = np.rint(METERS * 1000).astype(np.uint16)
    values[2, 3] = 0
    save_depth(tmp_path / depth, values)
    for data in (tmp_path, [(tmp_path / image, tmp_path / depth)]):
        example = rgbd_source(data)[0]
        assert example["image"].size == (24, 16)
        assert example["depth"].dtype == np.float32
        assert np.isnan(example["depth"][2, 3]) and np.isnan(example["depth"]).sum() == 1
        np.testing.assert_allclose(example["depth"][3:], METERS[3:], atol=1e-3)


def test_encodings(tmp_path):
    save_depth(tmp_path / "tum.png", np.rint(METERS * 5000).astype(np.uint16))
    np.testing.assert_allclose(read_depth(str(tmp_path / "tum.png"), 5000), METERS, atol=1e-3)
    values = METERS.astype(np.float32)
    values[0, :3] = (np.nan, np.inf, -1)
    save_depth(tmp_path / "a.npy", values)
    found = read_depth(str(tmp_path / "a.npy"))
    assert np.isnan(found[0, :3]).all()
    np.testing.assert_allclose(found[1:], METERS[1:], rtol=1e-6)
    raw = np.full((4, 6), 840, "<u2")  # bytes swapped: PGM has the high one first
    raw[0, :2] = (2047, 1080)
    (tmp_path / "nyu.pgm").write_bytes(b"P5 6 4 65535\n" + raw.tobytes())
    found = read_depth(str(tmp_path / "nyu.pgm"))
    assert np.isnan(found[0, :2]).all()  # no answer; more than 10 m
    np.testing.assert_allclose(found[1:], 351.3 / 252.5, rtol=1e-6)
    (tmp_path / "plain.pgm").write_bytes(b"P5\n# mm\n6 4\n4095\n" + np.full((4, 6), 1500, ">u2").tobytes())
    assert (read_depth(str(tmp_path / "plain.pgm"), 1000) == 1.5).all()
    with pytest.raises(ValueError, match="Kinect's raw values, at most 2047, not"):
        read_depth(str(tmp_path / "plain.pgm"))


def test_bad_data(tmp_path):
    save(tmp_path / "color" / "1.png")
    with pytest.raises(SourceError, match="has color/ but no depth/"):
        rgbd_source(tmp_path)
    save(tmp_path / "color" / "2.png")
    save_depth(tmp_path / "depth" / "1.png", np.ones((16, 25), np.uint16))
    save_depth(tmp_path / "depth" / "3.png", np.ones((16, 24), np.uint16))
    source = rgbd_source(tmp_path)
    for index, message in (
        (0, "sizes differ: image is 24x16, depth is 25x16"),
        (1, r"the depth of '2.png' \(image\) is missing"),
        (2, r"the image of '3.png' \(depth\) is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            source.example(index)
    save(tmp_path / "depth" / "1.png")
    with pytest.raises(ValueError, match=r"one channel of numbers. Received: shape=\(16, 24, 3\)"):
        source.example(0)
    (tmp_path / "depth" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        source.example(0)
    with pytest.raises(SourceError, match="holds no images with depth"):
        rgbd_source(tmp_path / "color")


def test_a_worker_reads_without_tensorflow(tmp_path, in_worker):
    save(tmp_path / "color" / "1.png")
    save_depth(tmp_path / "depth" / "1.png", np.full((16, 24), 2000, np.uint16))
    assert in_worker(rgbd_source(tmp_path), "example['depth'].mean()") == 2


def test_real_frames(unpack):
    folder = unpack("stereo_rgbd.tar", "0.jpg", "0.png", "nyu_color.png", "NYU_depth.pgm") / "rgbd"
    example = rgbd_source(folder)[0]
    assert example["image"].size == (640, 480)
    assert 0.5 < np.nanmin(example["depth"]) < np.nanmax(example["depth"]) < 4
    depth = rgbd_source([(folder / "nyu_color.png", folder / "NYU_depth.pgm")])[0]["depth"]
    assert np.nanmin(depth) == pytest.approx(351.3 / (1092.5 - 839))
    assert np.nanmax(depth) == pytest.approx(351.3 / (1092.5 - 1040))
    assert np.isnan(depth).mean() == pytest.approx(0.0723, abs=1e-3)


CAMERA = {"fx": 20.0, "fy": 20.0, "cx": 11.5, "cy": 7.5}


def scene(folder, count=2):
    for i in range(count):
        save(folder / "color" / f"{i}.png")
        save_depth(folder / "depth" / f"{i}.png", np.rint(METERS * 1000).astype(np.uint16))
    return folder


def test_hha_is_written_once_and_read(tmp_path):
    assert write_hha(scene(tmp_path / "scene"), tmp_path / "out", **CAMERA) == {}
    source = hha_source(tmp_path / "out")
    expected = encode_hha(rgbd_source(tmp_path / "scene")[1]["depth"], **CAMERA)
    np.testing.assert_array_equal(np.asarray(source[1]["hha"]), expected)
    assert len(source) == 2 and source[1]["image"].getpixel((0, 0)) == (255, 0, 0)
    first, second = (tmp_path / "out" / "hha" / f"00000{i}.png" for i in range(2))
    before = first.stat().st_mtime_ns
    second.unlink()
    write_hha(tmp_path / "scene", tmp_path / "out", **CAMERA)
    assert second.exists() and first.stat().st_mtime_ns == before


def test_hha_leaves_out_what_it_cannot_encode(tmp_path):
    folder = scene(tmp_path / "scene")
    save_depth(folder / "depth" / "0.png", np.zeros((16, 24), np.uint16))
    save(folder / "color" / "2.png", (20, 16))
    save_depth(folder / "depth" / "2.png", np.rint(METERS * 1000).astype(np.uint16))
    skipped = write_hha(folder, tmp_path / "out", **CAMERA)
    reasons = {name.rpartition("/")[2]: reason for name, reason in skipped.items()}
    assert list(reasons) == ["0.png", "2.png"] and "known distance" in reasons["0.png"]
    assert [path.name for path in (tmp_path / "out" / "color").iterdir()] == ["000001.png"]
    with pytest.raises(SourceError, match="no readable images with depth"):
        write_hha([(folder / "color" / "0.png", folder / "depth" / "0.png")], tmp_path / "none", **CAMERA)


def test_hha_source_names_what_does_not_fit(tmp_path):
    save(tmp_path / "rgb" / "1.png")
    save(tmp_path / "hha" / "1.png", (24, 15))
    save(tmp_path / "rgb" / "2.png")
    source = hha_source(tmp_path)
    with pytest.raises(ValueError, match="must have one size, not image 24x16 and hha 24x15"):
        source.example(0)
    with pytest.raises(ValueError, match=r"the hha of '2\.png'"):
        source.example(1)
    with pytest.raises(SourceError, match="rgb/ but no hha/"):
        (tmp_path / "other" / "rgb").mkdir(parents=True)
        hha_source(tmp_path / "other")
    assert hha_source(source) is source and len(hha_source([(tmp_path / "a.png", tmp_path / "b.png")])) == 1
