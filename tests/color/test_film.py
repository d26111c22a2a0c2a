"""Films: colors in place of their own, all else as it was; stopped and gone on with; what cannot be done."""

import hashlib
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.color.films import COLOR, blue, run, write_film, write_sound
from tfssl.cli import main
from tfssl.color import film
from tfssl.color.colorize import colorize_paths
from tfssl.color.film import FilmColorizer, put_colors
from tfssl.color.hints import open_hints
from tfssl.data.clips import Clip
from tfssl.data.job import Job
from tfssl.data.recode import Layout
from tfssl.errors import ConfigError, SourceError
from tfssl.ops.bytes_lab import ab

av = pytest.importorskip("av", reason="films need the extra `video`")


def packets(path, kind):
    """``[(seconds, digest of the bytes)]`` of the packets of a kind of stream, in order of their times."""
    with av.open(str(path)) as opened:
        found = [p for p in opened.demux() if p.stream.type == kind and p.size]
        return sorted((p.pts * p.time_base, hashlib.sha256(bytes(p)).hexdigest()) for p in found)


def about(path):
    with av.open(str(path)) as opened:
        video = opened.streams.video[0]
        return video.sample_aspect_ratio, video.average_rate, next(opened.decode(video)).rotation


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", [1, 6])
def test_brightness_stays_and_players_see_the_color(pixels, matrix):
    """FFmpeg's own conversion to RGB, by the matrix and range that the file names, gives the colors asked for."""
    slope = np.linspace(40, 200, 64 * 48).reshape(48, 64)
    frame = av.VideoFrame.from_ndarray(np.repeat(slope[..., None], 3, 2).astype(np.uint8), "rgb24")
    full = "j" in pixels
    frame = frame.reformat(format=pixels, dst_color_range=2 if full else 1)
    depth = 10 if "10" in pixels else 8
    layout = Layout((64, 48), Fraction(1), 0, pixels, depth, full, matrix, Fraction(25), Fraction(1, 25), 2, 2, None)
    before = bytes(frame.planes[0])
    put_colors(frame, blue(np.zeros((1, 32, 43)))[0], layout, (43, 32), 4)
    assert bytes(frame.planes[0]) == before
    rgb = frame.reformat(
        format="rgb24", src_colorspace="ITU709" if matrix == 1 else "ITU601", src_color_range=2 if full else 1
    )
    np.testing.assert_allclose(ab(rgb.to_ndarray()).mean((0, 1)), COLOR, atol=1.5)


@pytest.mark.parametrize("ending, sound", [(".mp4", "aac"), (".mkv", "libopus"), (".mov", "aac"), (".webm", "libopus")])
def test_all_but_the_colors_is_kept(tmp_path, ending, sound):
    codec = "libvpx-vp9" if ending == ".webm" else "libx264"
    times = None if ending == ".webm" else [0, 10, 300] + [400 + 40 * i for i in range(17)]
    source = write_film(
        tmp_path / f"in{ending}", sound=sound, codec=codec, times=times, sample_aspect_ratio=Fraction(4, 3)
    )
    out = tmp_path / f"out{ending}"
    report = run(source, out)
    assert report.done == {str(source): str(out)}
    assert packets(out, "audio") == packets(source, "audio")
    assert [when for when, _ in packets(out, "video")] == [when for when, _ in packets(source, "video")]
    assert about(out)[0] == about(source)[0]
    assert Clip(str(out)).seconds == pytest.approx(Clip(str(source)).seconds, abs=1e-6)
    frames, before = Clip(str(out)).frames(range(20)), Clip(str(source)).frames(range(20))
    np.testing.assert_allclose(ab(frames).mean((0, 1, 2)), COLOR, atol=3)
    assert np.abs(frames.mean(-1) - before.mean(-1)).mean() < 12
    assert sorted(os.listdir(tmp_path)) == sorted([source.name, out.name])
    assert run(source, out).skipped == {str(source): str(out)}, "it says itself what it was made of"


def test_rotation_is_kept_and_the_network_sees_it_upright(tmp_path):
    source = write_film(tmp_path / "in.mp4", rotation=90, size=(64, 32))
    seen = []

    def upright(L, temperature=None):
        seen.append(L.shape[1:3])
        return blue(L) * (np.arange(-(-L.shape[1] // 4)) < 4)[:, None, None]  # the upper part

    run(source, tmp_path / "out.mp4", upright)
    assert set(seen) == {(64, 32)} and about(tmp_path / "out.mp4") == about(source) == (None, 25, 90)
    frame = Clip(str(tmp_path / "out.mp4")).frames(5)[0]
    assert frame.shape == (64, 32, 3)
    colors = ab(frame)[..., 0].mean(1)
    assert colors[:10].mean() > 15 and abs(colors[-30:].mean()) < 4


@pytest.mark.parametrize(
    "name, options",
    [
        ("in.avi", {"codec": "rawvideo", "pixels": "rgb24"}),
        ("in.mkv", {"codec": "ffv1", "pixels": "gray", "size": (49, 33)}),
        ("in.mp4", {"pixels": "yuv420p10le"}),
        ("in.mkv", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    ],
)
def test_every_kind_of_pixels(tmp_path, name, options):
    source = write_film(tmp_path / name, 5, **options)
    report = run(tmp_path / "*.*", tmp_path / "out")
    assert not report.failed
    out = Path(report.done[str(source)])
    assert out.suffix == (".mkv" if name.endswith(".avi") else source.suffix)
    frames, before = Clip(str(out)).frames(range(5)), Clip(str(source)).frames(range(5))
    assert frames.shape == before.shape
    np.testing.assert_allclose(ab(frames).mean((0, 1, 2)), COLOR, atol=3)


def test_a_folder_of_images_and_films(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("L", (40, 40), 120).save(folder / "a.png")
    write_film(folder / "b.mp4", 5)
    (folder / "damaged.mp4").write_bytes(b"no film")
    (folder / "notes.txt").touch()
    notes = []
    report = run(folder, tmp_path / "out", progress=lambda done, total, note: notes.append(note))
    assert sorted(os.listdir(tmp_path / "out")) == ["a.png", "b.mp4"]
    assert report.ignored == {".txt": 1} and list(report.failed) == [str(folder / "damaged.mp4")]
    assert "damaged.mp4: not a video" in report.failed[str(folder / "damaged.mp4")]
    assert any(note.startswith("b.mp4: 5/5 frames, ") for note in notes)
    again = run(folder, tmp_path / "out")
    assert len(again.skipped) == 2 and not again.done and not again.outdated
    assert list(run(folder, tmp_path / "out", temperature=0.9).outdated.values()) == ["made with other settings"] * 2


def test_films_have_neither_variants_nor_hints(tmp_path):
    """Whether they are named, or lie in a folder, or fit a glob."""
    source, out = write_film(tmp_path / "in.mp4", 3), tmp_path / "out"
    for given in (source, tmp_path, tmp_path / "*.mp4"):
        report = run(given, out, variant=1)
        assert report.left_out == {str(source): "films have no variants"} and not report.done and not report.ignored
    hints = tmp_path / "hints.json"
    hints.write_text('{"in.mp4": [{"x": 3, "y": 3, "color": "teal"}]}')
    with pytest.raises(ConfigError, match=r"no image is called 'in\.mp4'"):
        run(source, out, hints=open_hints(hints))
    Image.new("RGB", (9, 9)).save(tmp_path / "in.png")  # a painted copy of another image
    Image.new("RGB", (9, 9)).save(tmp_path / "out" / "in.png")
    hints.unlink()
    assert run(tmp_path, out, hints=open_hints(out)).done.get(str(source)) == str(out / "in.mp4")
    assert run(source, out).skipped, "it is as without hints"


def test_what_cannot_be_done_is_said_before_anything_is_written(tmp_path):
    source = write_film(tmp_path / "in.mp4", 5, sound="aac")
    (tmp_path / "sound.mp4").write_bytes(b"")
    with av.open(str(tmp_path / "sound.mkv"), "w") as out:
        write_sound(out, out.add_stream("aac", rate=48000, layout="mono"))
    foreign = tmp_path / "foreign.mp4"
    shutil.copy(source, foreign)
    before = sorted(os.listdir(tmp_path))
    for inputs, out, words in [
        ([source, source], "out.mp4", "is a film: give the one film"),
        ([tmp_path], "out.mp4", "is a film: give the one film"),
        ([source], "in.mp4", "is the film itself"),
        ([source], "out.avi", "a film is written as .mp4, .m4v, .mov, .mkv, .webm. Received: out.avi"),
        ([source], "out.webm", r"out.webm: .webm cannot hold the sound of in.mp4 \(aac\); give it the ending .mkv"),
        ([source], "foreign.mp4", "is there already, of unknown origin; --overwrite replaces it"),
    ]:
        with pytest.raises(SourceError, match=words):
            colorize_paths([str(i) for i in inputs], tmp_path / out, blue, image_size=32, stride=4)
    for name, words in (("sound.mp4", "the file is empty"), ("sound.mkv", "has no video track")):
        assert words in str(run_or_error(tmp_path / name, tmp_path / "out.mkv"))
    assert sorted(os.listdir(tmp_path)) == before
    assert run(source, foreign, overwrite=True).done and packets(foreign, "audio") == packets(source, "audio")


def run_or_error(source, out):
    try:
        return run(source, out).failed
    except ValueError as error:
        return error


def test_a_film_that_is_cut_off_is_done_as_far_as_it_goes(tmp_path):
    whole = write_film(tmp_path / "whole.mkv", 60, sound="aac")
    data = whole.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: int(len(data) * 0.7)])
    report = run(tmp_path / "cut.mkv", tmp_path / "out.mkv")
    assert not report.failed
    assert 10 < len(Clip(str(tmp_path / "out.mkv"))) < 60


def test_without_the_extra(tmp_path, monkeypatch):
    source = write_film(tmp_path / "in.mp4", 5)
    Image.new("L", (40, 40), 120).save(tmp_path / "a.png")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(SourceError, match=r"pip install 'tfssl\[video\]'"):
        run(source, tmp_path / "out.mp4")
    report = run(tmp_path, tmp_path / "out")
    assert len(report.done) == 1 and "pip install 'tfssl[video]'" in report.failed[str(source)]


def test_frames_in_memory_stay_few(tmp_path, monkeypatch):
    """However long a film is: a batch in work, one ahead."""
    source, alive, most = write_film(tmp_path / "in.mp4", 100), [0], [0]
    read = film.read_frames

    def counting(*arguments):
        for frame in read(*arguments):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield frame

    monkeypatch.setattr(film, "read_frames", counting)
    colors = FilmColorizer(lambda seen: blue(np.stack(seen)), 32, 4)
    for _ in colors.colorize(Job(source, tmp_path / "out.mp4")):
        alive[0] -= 1
    assert most[0] <= 3 * film.RADIUS and alive[0] == 0


def test_sound_and_subtitles_of_a_real_film(tmp_path, shared_data):
    import tarfile

    with tarfile.open(shared_data / "videos.tar") as tar:
        tar.extract("videos/nasa_13013.mp4", tmp_path, filter="data")
    source, out = tmp_path / "videos" / "nasa_13013.mp4", tmp_path / "out.mp4"
    assert run(source, out).done
    for kind in ("audio", "subtitle"):
        assert packets(source, kind) and packets(out, kind) == packets(source, kind)


def test_the_command_colorizes_a_film_with_the_shipped_model(tiny_data, tmp_path, capsys):
    import av

    clip = sorted(Path(tiny_data("clips")).glob("*.mp4"))[0]
    with pytest.raises(SystemExit) as ended:
        main(["colorize", str(clip), "--out", str(tmp_path / "color.mp4")])
    assert ended.value.code in (0, None), capsys.readouterr().err
    with av.open(str(clip)) as before, av.open(str(tmp_path / "color.mp4")) as after:
        ours, theirs = (list(film.decode(video=0)) for film in (after, before))
    assert [frame.pts * frame.time_base for frame in ours] == [frame.pts * frame.time_base for frame in theirs]
    assert [p.name for p in tmp_path.iterdir()] == ["color.mp4"]
