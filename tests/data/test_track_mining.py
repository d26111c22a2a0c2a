"""Tracks of clips as a folder: what is written, resumed, named and read back."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import write_clip
from tfssl.cli import main
from tfssl.data.moving import Miner
from tfssl.data.scenes import scene_clips
from tfssl.data.source import Source
from tfssl.data.track_crops import track_crop_source
from tfssl.data.track_mining import mine_tracks
from tfssl.errors import ConfigError, SourceError
from tfssl.files import read_table

MINER = Miner(length=5)


class Rendered(Source):
    """Rendered scenes, and one that cannot be read."""

    noun = "rendered clips"

    def __init__(self, count=6, broken=(2,)):
        self.scenes, self.broken, self.read = scene_clips("builtin", count=count, frames=6, seed=3), broken, []

    def __len__(self):
        return len(self.scenes)

    def example(self, index):
        self.read.append(index)
        if index in self.broken:
            raise ValueError(f"scene{index}: is broken")
        return self.scenes.example(index)

    def check(self, index):
        pass


@pytest.fixture(scope="module")
def mined(tmp_path_factory):
    out = tmp_path_factory.mktemp("tracks") / "out"
    return out, mine_tracks(Rendered(), out, miner=MINER, every=6)


def test_what_is_written(mined):
    out, found = mined
    rows = read_table(out / "tracks.csv")
    assert found.tracks == len(rows) == found.clips >= 3
    assert sum(found.rejected.values()) == 5 - len(rows)
    assert found.skipped == {"rendered clip 2": "scene2: is broken"}
    assert read_table(out / "skipped.csv") == [{"file": "rendered clip 2", "reason": "scene2: is broken"}]
    counts = {row["reason"]: int(row["frames"]) for row in read_table(out / "rejected.csv")}
    assert counts == found.rejected
    for row in rows:
        assert (int(row["start"]), int(row["end"])) == (0, 5)
        assert 0.25 <= float(row["moving"]) <= 0.75
        with Image.open(out / row["first"]) as crop:
            assert crop.size == (73, 73)


def test_they_are_read_back(mined):
    out, found = mined
    source = track_crop_source(out)
    assert len(source) == found.tracks
    example = source.example(1)
    assert example["clip"].frames([0, 1]).shape == (2, 73, 73, 3) and example["label"] == 1
    assert source.name(0).endswith("-first.jpg")
    source.check(0)
    assert len(track_crop_source(out.parent)) == found.tracks, "a folder of such folders"


def test_it_goes_on_where_it_was(mined, tmp_path):
    out, found = mined
    shutil.copytree(out, tmp_path / "out")
    (tmp_path / "out" / "tracks.csv").unlink()
    gone = sorted((tmp_path / "out" / "clips").iterdir())[-1]
    gone.unlink()
    source = Rendered()
    assert mine_tracks(source, tmp_path / "out", miner=MINER, every=6) == found
    assert len(source.read) == 1, "the others are done"
    for path in out.rglob("*.*"):
        assert (tmp_path / "out" / path.relative_to(out)).read_bytes() == path.read_bytes()
    more = mine_tracks(Rendered(8), tmp_path / "out", miner=MINER, every=6)
    assert more.tracks >= found.tracks, "clips that have joined are taken in"


def test_other_settings_are_refused(mined):
    out, _ = mined
    with pytest.raises(
        ConfigError, match=r"holds tracks found with every=6; choose another folder\. Received: every=3"
    ):
        mine_tracks(Rendered(), out, miner=MINER, every=3)
    with pytest.raises(ConfigError, match="length=5"):
        mine_tracks(Rendered(), out, miner=Miner(length=4), every=6)


def test_nothing_readable(tmp_path):
    with pytest.raises(SourceError, match=r"no readable clips among 2 \(rendered clip 0: scene0: is broken\)"):
        mine_tracks(Rendered(2, broken=(0, 1)), tmp_path, miner=MINER)


def test_tables_that_lie(tmp_path):
    (tmp_path / "tracks.csv").write_text("clip,first,last\na,../x.jpg,b.jpg\n")
    with pytest.raises(SourceError, match="leads out of the directory"):
        track_crop_source(tmp_path)
    (tmp_path / "tracks.csv").write_text("clip,first\na,b\n")
    with pytest.raises(SourceError, match="must have the columns"):
        track_crop_source(tmp_path)
    (tmp_path / "tracks.csv").write_text("clip,first,last\n")
    with pytest.raises(SourceError, match="holds no tracks"):
        track_crop_source(tmp_path)
    (tmp_path / "tracks.csv").write_text("clip,first,last\na,b.jpg,c.jpg\n")
    source = track_crop_source(tmp_path)
    with pytest.raises((ValueError, OSError), match="No such file"):
        source.example(0)["clip"].frames([0, 1])


def test_the_command(tmp_path, capsys):
    """A clip of a moving thing, one that is still, and one that is none."""
    av = pytest.importorskip("av")
    clips = tmp_path / "clips"
    clips.mkdir()
    scene = scene_clips("builtin", count=6, frames=8, seed=3).example(0)["clip"]
    with av.open(str(clips / "moving.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = *scene.shape, "yuv420p"
        for pixels in scene.frames(np.arange(8)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    write_clip(clips / "still.mp4", 8)
    (clips / "broken.mp4").write_bytes(b"no clip")
    with pytest.raises(SystemExit) as stopped:
        main(["prepare", "tracks", str(clips), "--out", str(tmp_path / "out"), "--length", "5", "--every", "6"])
    assert stopped.value.code == 1, "one is broken"
    told = capsys.readouterr()
    assert "1 tracks in 1 clips" in told.out and "too short 2, few points 1" in told.out
    assert "skipped broken.mp4" in told.err
    assert (tmp_path / "out" / "sheet.png").stat().st_size > 1000
    assert [row["clip"] for row in read_table(tmp_path / "out" / "tracks.csv")] == ["moving.mp4"]
