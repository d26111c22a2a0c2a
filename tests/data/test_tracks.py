"""Windows of stereo sequences: their order, and sequences that cannot be used."""

import shutil

import numpy as np
import pytest

from tfssl.data.corridors import corridor_source
from tfssl.data.posed import posed_source, write_sequence
from tfssl.data.source import check_source
from tfssl.data.tracks import track_source
from tfssl.errors import SourceError

TEXTURES = [np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)]


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drive")
    write_sequence(corridor_source(TEXTURES, frames=7, seed=3), folder)
    return folder


@pytest.fixture
def drives(drive, tmp_path):
    for name in ("a", "b", "c"):
        shutil.copytree(drive, tmp_path / name)
    return tmp_path


def test_windows_of_several_sequences(drives):
    source = track_source(drives, frames=5)
    assert len(source) == 9 and source.names == ("a", "b", "c")
    assert source.place(4) == (1, 1) and source.name(4) == "b, frame 1"
    example, frames = source.example(4), posed_source(drives / "b")
    assert example.keys() == {"left", "right", "pose"} and example["pose"].shape == (5, 4, 4)
    for number in range(5):
        one = frames.example(number + 1)
        np.testing.assert_array_equal(example["pose"][number], one["pose"])
        for side in ("left", "right"):
            np.testing.assert_array_equal(example[side][number], one[side])
    check_source(source)


def test_one_sequence_and_sequences_in_memory(drive):
    assert len(track_source(drive, frames=3)) == 5
    two = [corridor_source(TEXTURES, frames=6, seed=seed) for seed in (0, 1)]
    source = track_source(two)
    assert len(source) == 4 and track_source(source) is source
    assert len(track_source(two[0])) == 2


def test_the_layout_of_kitti(drive, tmp_path):
    folder = tmp_path / "sequences" / "07"
    folder.mkdir(parents=True)
    (tmp_path / "poses").mkdir()
    shutil.copytree(drive / "image_l", folder / "image_0")
    shutil.copytree(drive / "image_r", folder / "image_1")
    shutil.copy(drive / "calib.txt", folder / "calib.txt")
    shutil.copy(drive / "poses.txt", tmp_path / "poses" / "07.txt")
    source = track_source(tmp_path)
    assert source.names == ("07",) and len(source) == 3


def remove_a_pose(folder):
    rows = (folder / "poses.txt").read_text().splitlines(keepends=True)
    (folder / "poses.txt").write_text("".join(rows[:-1]))


def remove_right_frames(folder):
    (folder / "image_r" / "000002.png").unlink()


def remove_the_right_camera(folder):
    shutil.rmtree(folder / "image_r")


def leave_one_frame(folder):
    for path in folder.glob("image_*/*.png"):
        if path.stem != "000000":
            path.unlink()
    (folder / "poses.txt").write_text((folder / "poses.txt").read_text().splitlines()[0])


@pytest.mark.parametrize(
    "damage, reason",
    [
        (remove_a_pose, "`poses` has 6 rows for 7 frames"),
        (remove_right_frames, "1 frames are in image_l/ or image_r/ only, the first '000002'"),
        (remove_the_right_camera, "`stereo` needs image_r/ beside image_l/"),
        (leave_one_frame, "a sequence of 1 frames has no window of 5"),
    ],
)
def test_a_faulty_sequence_is_told_and_the_rest_goes_on(drives, damage, reason, caplog):
    damage(drives / "b")
    source = track_source(drives)
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("b is left out: ") and reason in told and "\n" not in told
    assert len(source) == 7 and source.names == ("a", "c")
    with pytest.raises(ValueError, match=r"rows|only|stereo|window"):
        source.example(6)
    assert source.name(6) == "b"
    with pytest.raises(SourceError, match=reason.split("'")[0]):
        track_source(drives / "b")


def test_a_sequence_of_one_camera_is_told(drive):
    with pytest.raises(SourceError, match="one camera"):
        track_source(posed_source(drive, stereo=False))


@pytest.mark.parametrize("data", [5, [], [3], np.zeros((2, 2))])
def test_what_is_no_sequence(data):
    with pytest.raises(SourceError, match="`data` must be a folder of sequences"):
        track_source(data)
