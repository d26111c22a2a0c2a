"""Films whose making was stopped and goes on, and several commands at work on one."""

import os

import numpy as np
import pytest

from tests.color.films import COLOR, blue, run, wavering, write_film
from tfssl.color import film
from tfssl.color.colorize import Painter
from tfssl.color.film import FilmColorizer
from tfssl.data.clips import Clip
from tfssl.data.job import Job
from tfssl.ops.bytes_lab import ab

pytest.importorskip("av", reason="films need the extra `video`")


def test_stopped_and_gone_on_with_gives_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "SEGMENT", 16)
    source = write_film(tmp_path / "in.mp4", 70, sound="aac")
    run(source, tmp_path / "whole.mp4", wavering)
    whole, out = (tmp_path / "whole.mp4").read_bytes(), tmp_path / "out.mp4"

    parts = stop(source, out, wavering)
    assert not out.exists() and sorted(os.listdir(parts)) == ["000000.mp4", "000001.mp4", "origin.txt"]
    (parts / ".0123-unfinished.mp4").write_bytes(b"of a command that was killed")
    (parts / "000003.mp4").write_bytes(b"of one whose second file somebody has deleted")
    seen = []
    report = run(source, out, lambda L, T=None: seen.append(len(L)) or wavering(L))
    assert report.done and out.read_bytes() == whole
    assert sum(seen) == 70 - 32 + 8, "frames of whole segments are not colored again, but for the last ones"
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4", "whole.mp4"]


@pytest.mark.parametrize("change", ["settings", "film", "the removal of its segments was stopped"])
def test_segments_of_another_call_are_made_anew(tmp_path, monkeypatch, change):
    monkeypatch.setattr(film, "SEGMENT", 16)
    source, out = write_film(tmp_path / "in.mp4", 48), tmp_path / "out.mp4"
    parts, options = stop(source, out, wavering), {}
    if change == "film":
        write_film(source, 44)
    elif change == "settings":
        options = {"model": "another"}
    else:
        (parts / "origin.txt").unlink()
        (parts / "000000.mp4").rename(parts / "000001.mp4")
    assert run(source, out, **options).done
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]
    frames = Clip(str(out)).frames(range(len(Clip(str(source)))))
    np.testing.assert_allclose(ab(frames).mean((1, 2)), np.tile(COLOR, (len(frames), 1)), atol=3)


def test_a_film_in_work_is_left_to_the_command_that_has_it(tmp_path):
    source, other, out = (
        write_film(tmp_path / "in.mp4", 20),
        write_film(tmp_path / "other.mp4", 9),
        tmp_path / "out.mp4",
    )
    found = {}

    def meanwhile(done, total, note):
        if "1/20" in note:
            for film in (source, other):
                found.update(run(film, out).failed)

    assert run(source, out, progress=meanwhile).done
    words = f"`out` '{out}' is in use by process {os.getpid()} on "
    assert list(found) == [str(source), str(other)] and all(text.startswith(words) for text in found.values())
    assert all(text.endswith("; wait for it or choose another") for text in found.values())
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "other.mp4", "out.mp4"] and len(Clip(str(out))) == 20


@pytest.mark.parametrize("other", [False, True])
def test_a_film_that_another_command_has_made_meanwhile(tmp_path, other):
    """Both had found nothing there; the slower one begins when the faster one has ended."""
    source, out, seen = write_film(tmp_path / "in.mp4", 9), tmp_path / "out.mp4", []
    colors = FilmColorizer(lambda L: seen.append(len(L)) or blue(np.stack(L)), 32, 4)
    run(source, out, model="another" if other else "")
    first = out.read_bytes()
    job = Job(source, out, Painter(blue, 32, 4).settings(""))
    ((job, error, _),) = [entry for entry in colors.run([job]) if entry[0]]
    assert out.read_bytes() == first and sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]
    if other:
        assert "another command has just made" in str(error) and "made with other settings" in str(error)
    else:
        assert error is None and not seen


class Killed(BaseException):
    pass


def stop(source, out, predict):
    """Have a film colorized up to its 40th frame; the folder that is left."""

    def kill(done, total, note):
        if "40/" in note:
            raise Killed

    with pytest.raises(Killed):
        run(source, out, predict, progress=kill)
    (parts,) = out.parent.glob(f".{out.name}*")
    return parts
