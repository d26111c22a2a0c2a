"""Posed sequences: frames, poses and cameras that belong together."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tfssl.data.posed import posed_source
from tfssl.errors import SourceError


def pose(angle, forward):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin, 0.5], [0, 1, 0, 0], [-sin, 0, cos, forward], [0, 0, 0, 1]])


POSES = [pose(0.1 * i, 2.0 * i) for i in range(12)]


def rows(matrices):
    return "".join(" ".join(f"{v:.9e}" for v in np.asarray(m)[:3].ravel()) + "\n" for m in matrices)


def projection(shift):
    return np.array([[350.0, 0, 12, 350 * shift], [0, 350, 8, 0], [0, 0, 1, 0]])


@pytest.fixture
def sequence(tmp_path):
    for number in range(12):  # 10 comes after 9, though not by name
        for folder, level in (("image_l", number), ("image_r", 100 + number)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("L", (24, 16), level).save(tmp_path / folder / f"frame_{number}.png")
    (tmp_path / "poses.txt").write_text(rows(POSES))
    (tmp_path / "calib.txt").write_text(rows([projection(0), projection(-0.54)]))
    return tmp_path


def test_examples(sequence):
    source = posed_source(sequence)
    assert len(source) == 12
    for index in (2, 10):
        example = source[index]
        assert example.keys() == {"left", "right", "pose"}
        assert [np.asarray(example[role])[0, 0, 0] for role in ("left", "right")] == [index, 100 + index]
        assert example["pose"].dtype == np.float64
        np.testing.assert_allclose(example["pose"], POSES[index], atol=1e-8)
    np.testing.assert_array_equal(source.intrinsics, projection(0)[:, :3])
    assert source.baseline == pytest.approx(0.54)
    example["pose"][:] = 0  # is the caller's own
    assert source[10]["pose"].any()


def test_relative_pose(sequence):
    source = posed_source(sequence)
    point = np.array([0.3, -0.2, 4.0, 1.0])  # as camera 7 sees it
    world = POSES[7] @ point
    np.testing.assert_allclose(POSES[2] @ source.relative_pose(2, 7) @ point, world, atol=1e-7)
    np.testing.assert_allclose(source.relative_pose(5, 5), np.eye(4), atol=1e-12)


def test_one_camera(sequence):
    source = posed_source(sequence, stereo=False)
    assert source[3].keys() == {"image", "pose"}
    assert source.baseline is None
    shutil.rmtree(sequence / "image_r")
    assert posed_source(sequence)[3].keys() == {"image", "pose"}
    with pytest.raises(SourceError, match="`stereo` needs image_r/"):
        posed_source(sequence, stereo=True)


def test_the_layout_of_the_benchmark(sequence, tmp_path_factory):
    root = tmp_path_factory.mktemp("kitti")
    folder = root / "sequences" / "07"
    folder.mkdir(parents=True)
    (root / "poses").mkdir()
    shutil.copytree(sequence / "image_l", folder / "image_2")
    shutil.copytree(sequence / "image_r", folder / "image_3")
    (root / "poses" / "07.txt").write_text(rows(POSES))
    lines = rows([projection(s) for s in (0, -0.5, 0.06, -0.47)]).splitlines()
    text = "".join(f"P{i}: {line}\n" for i, line in enumerate(lines))
    (folder / "calib.txt").write_text(text + f"Tr: {lines[0]}\nR_rect 00: 1 2 3\n")
    source = posed_source(folder)
    assert source.baseline == pytest.approx(0.53)
    assert len(source) == 12


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "poses.txt").unlink(), "`poses` is missing"),
        (lambda d: (d / "calib.txt").unlink(), r"calib.txt cannot be read"),
        (lambda d: (d / "poses.txt").write_text(rows(POSES[:-1])), "`poses` has 11 rows for 12 frames in image_l/"),
        (lambda d: (d / "poses.txt").write_text("1 2 3\n"), "line 1 of .*poses.txt must hold 12 numbers"),
        (lambda d: (d / "poses.txt").write_text(rows([2 * p for p in POSES])), "row 1 of poses.txt is no rotation"),
        (lambda d: (d / "calib.txt").write_text(rows([projection(0)])), "calib.txt has 1 rows, too few"),
        (lambda d: (d / "image_r" / "frame_3.png").unlink(), "1 frames are in image_l/ or image_r/ only.*'frame_3'"),
        (lambda d: shutil.rmtree(d / "image_l"), "must hold one of image_l/, image_2/, image_0/"),
    ],
)
def test_bad_sequences(sequence, damage, message):
    damage(sequence)
    with pytest.raises(SourceError, match=message) as caught:
        posed_source(sequence)
    assert "\n" not in str(caught.value)


def test_bad_frames_are_named(sequence):
    (sequence / "image_r" / "frame_3.png").write_bytes(b"")
    Image.new("L", (25, 16)).save(sequence / "image_r" / "frame_4.png")
    source = posed_source(sequence)
    with pytest.raises(ValueError, match="the file is empty"):
        source.check(3)
    with pytest.raises(ValueError, match="sizes differ"):
        source.example(4)
    with pytest.raises(SourceError, match="must be a folder of a sequence"):
        posed_source(sequence / "poses.txt")


def test_a_worker_reads_without_tensorflow(sequence, in_worker):
    np.testing.assert_allclose(in_worker(posed_source(sequence), "example['pose']"), POSES[0], atol=1e-8)


def test_real_sequence(unpack):
    source = posed_source(unpack("kitti_vo_seq1.tar") / "kitti_vo")
    assert len(source) == 51
    assert source[50]["left"].size == source[50]["right"].size == (613, 185)
    steps = [np.linalg.norm(source.relative_pose(i, i + 1)[:3, 3]) for i in range(50)]
    assert sum(steps) == pytest.approx(59.9, abs=0.1)
    assert source.baseline == pytest.approx(0.537, abs=1e-3)
    # The rotation of a car that drives forward is small, and forward is z.
    assert source.relative_pose(0, 50)[2, 3] > 55
