"""Posed sequences as clips: several at once, both cameras, and what goes wrong in one of them."""

import pickle

import numpy as np
import pytest
from PIL import Image

from tfssl.data import posed_clip_source
from tfssl.errors import SourceError


def rows(matrices):
    return "".join(" ".join(f"{v:.9e}" for v in np.asarray(m)[:3].ravel()) + "\n" for m in matrices)


def write_sequence(root, name, count, *, cameras=("image_2", "image_3"), poses=None, sizes=()):
    """A sequence in KITTI's layout, driving a meter a frame; the levels of its frames tell camera and number."""
    place = root / "sequences" / name
    for camera, folder in enumerate(cameras):
        (place / folder).mkdir(parents=True)
        for number in range(count):
            size = sizes[number] if sizes else (24, 16)
            Image.new("L", size, 100 * camera + number).save(place / folder / f"{number:06d}.png")
    moved = np.stack([np.eye(4)] * (count if poses is None else poses))
    moved[:, 2, 3] = np.arange(len(moved))
    (root / "poses").mkdir(exist_ok=True)
    (root / "poses" / f"{name}.txt").write_text(rows(moved))
    projections = [np.array([[300.0, 0, 12, 300 * x], [0, 300, 8, 0], [0, 0, 1, 0]]) for x in (0, 0, 0, -0.5)]
    (place / "calib.txt").write_text(rows(projections))
    return place


def test_every_frame_of_every_camera_is_an_item(tmp_path):
    write_sequence(tmp_path, "00", 5)
    write_sequence(tmp_path, "01", 3, cameras=("image_2",))
    source = posed_clip_source(tmp_path)
    assert len(source) == 2 * 5 + 3
    lengths = [len(source[index]["clip"]) for index in range(len(source))]
    assert lengths == [5] * 10 + [3] * 3
    left, right = source[0], source[7]
    frames = right["clip"].frames([4, 0, 4])
    assert frames.shape == (3, 16, 24, 3) and frames[:, 0, 0, 0].tolist() == [104, 100, 104]
    np.testing.assert_allclose(left["pose"][3, :3, 3], [0, 0, 3], atol=1e-6)
    np.testing.assert_allclose(right["pose"][3, :3, 3], [0.5, 0, 3], atol=1e-6)
    assert source.name(7).endswith("00/image_3/000002.png")
    assert posed_clip_source(source) is source and len(pickle.loads(pickle.dumps(source))) == 13
    assert len(posed_clip_source(tmp_path / "sequences" / "01")) == 3


def test_a_broken_sequence_is_named_and_the_others_go_on(tmp_path):
    write_sequence(tmp_path, "00", 4, poses=3)
    write_sequence(tmp_path, "01", 1)
    write_sequence(tmp_path, "02", 3)
    source = posed_clip_source(tmp_path)
    assert len(source) == 6 + 2
    for index, name, reason in ((6, "00", "`poses` has 3 rows for 4 frames"), (7, "01", "1 frame has no pairs")):
        assert source.name(index).endswith(name)
        for read in (source.example, source.check):
            with pytest.raises(ValueError, match=reason):
                read(index)


def test_turned_frames_are_refused(tmp_path):
    place, exif = write_sequence(tmp_path, "00", 3), Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (24, 16)).save(place / "image_2" / "000001.png", exif=exif)
    clip = posed_clip_source(tmp_path)[0]["clip"]
    assert len(clip.frames([0, 2])) == 2
    with pytest.raises(ValueError, match=r"'000001\.png' is stored turned"):
        clip.frames([0, 1])


def test_frames_of_unequal_size_are_named(tmp_path):
    write_sequence(tmp_path, "00", 3, sizes=((24, 16), (24, 16), (20, 16)))
    clip = posed_clip_source(tmp_path)[0]["clip"]
    assert len(clip.frames([0, 1])) == 2
    with pytest.raises(ValueError, match=r"sizes differ: 000001.png is 24x16, 000002.png is 20x16"):
        clip.frames([1, 2])


def test_nothing_to_take(tmp_path):
    with pytest.raises(SourceError, match="`data` must be a folder of posed sequences"):
        posed_clip_source(tmp_path / "none")
    with pytest.raises(SourceError, match="must hold sequences, folders with one of image_l/, image_2/, image_0/"):
        posed_clip_source(tmp_path)
    write_sequence(tmp_path, "00", 4, poses=3)
    with pytest.raises(SourceError, match=r"^`poses` has 3 rows for 4 frames"):
        posed_clip_source(tmp_path)
    write_sequence(tmp_path, "01", 1)
    with pytest.raises(SourceError, match=r"no sequence can be used, .*00: `poses` has 3 rows"):
        posed_clip_source(tmp_path)


def test_the_shared_excerpt_of_kitti(shared_data, tmp_path):
    import tarfile

    with tarfile.open(shared_data / "kitti_vo_seq1.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    source = posed_clip_source(tmp_path / "kitti_vo")
    assert len(source) == 102
    poses = source[60]["pose"]
    assert np.linalg.norm(poses[-1, :3, 3] - poses[0, :3, 3]) == pytest.approx(59.9, abs=0.5)
