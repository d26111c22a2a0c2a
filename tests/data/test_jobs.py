"""Which files a job works on, and where their results go."""

import os
from pathlib import Path

import pytest

from tfssl.data.jobs import plan_jobs
from tfssl.errors import SourceError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """in/{a.jpg, b.JPEG, sub/{c.png, deep/d.tif}, .hidden/e.jpg, notes.txt}; the current folder is its parent."""
    for name in ("a.jpg", "b.JPEG", "sub/c.png", "sub/deep/d.tif", ".hidden/e.jpg", "notes.txt"):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def targets(inputs, out="out", **options):
    return [str(job.target.relative_to(out)) for job in plan_jobs(inputs, out, **options)[0]]


def test_folder_keeps_its_structure(tree):
    assert targets(["in"]) == ["a.jpg", "b.JPEG", "sub/c.png", "sub/deep/d.png"]


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("in/*.jpg", ["a.jpg"]),
        ("in/*", ["a.jpg", "b.JPEG", "sub/c.png", "sub/deep/d.png"]),
        ("in/**/*.[pt]*", ["sub/c.png", "sub/deep/d.png"]),
    ],
)
def test_globs_keep_the_structure_below_their_fixed_part(tree, pattern, expected):
    assert targets([pattern]) == expected


def test_formats(tree):
    assert targets(["in"], format="jpg") == ["a.jpg", "b.JPEG", "sub/c.jpg", "sub/deep/d.jpg"]
    assert targets(["in"], format="png") == ["a.png", "b.png", "sub/c.png", "sub/deep/d.png"]


def test_own_outputs_are_no_inputs(tree):
    done = tree / "in" / "out"
    done.mkdir()
    (done / "a.jpg").touch()
    for pattern in ("in", "in/**/*.jpg", "in/*"):
        assert all("out" not in job.source.parts for job in plan_jobs([pattern], "in/out")[0])
    assert len(targets(["in"], "in/out")) == 4


def test_out_above_the_inputs_is_fine(tree):
    assert targets(["in/sub/*.png"], ".") == ["c.png"]
    assert targets(["in/sub"], ".") == ["c.png", "deep/d.png"]


@pytest.mark.parametrize("pattern", ["in", "in/*.jpg", "in/a.jpg"])
def test_inputs_are_never_replaced(tree, pattern):
    with pytest.raises(SourceError, match="would replace the input"):
        plan_jobs([pattern], "in")


def test_colliding_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x/a.bmp", "x/a.png", "x/a.tif", "y/a.png", "z/A.PNG", "z/a.tif"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    found = targets(["x", "y", "z"])
    assert found == ["a.bmp.png", "a.png", "a.tif.png", "a-2.png", "A-3.PNG", "a.tif-2.png"]
    assert len({name.casefold() for name in found}) == 6


def test_the_same_file_twice_is_one_job(tree):
    assert targets(["in/a.jpg", "in/*.jpg", "in/a.jpg"]) == ["a.jpg"]


def test_links_in_a_circle_end(tree):
    os.symlink(tree / "in", tree / "in" / "sub" / "up")
    assert targets(["in"]) == ["a.jpg", "b.JPEG", "sub/c.png", "sub/deep/d.png"]


def test_brackets_in_a_name_are_no_pattern(tree):
    (tree / "scan [1].jpg").touch()
    assert targets(["scan [1].jpg"]) == ["scan [1].jpg"]


def test_named_files_are_tried_whatever_they_are_called(tree):
    assert targets(["in/notes.txt"]) == ["notes.png"]


def test_what_is_missing_is_named(tree):
    jobs, failed = plan_jobs(["gone.jpg", "in/a.jpg"], "out")
    assert len(jobs) == 1 and list(failed) == ["gone.jpg"]
    with pytest.raises(SourceError, match=r"no images .*gone\.jpg: no such file"):
        plan_jobs(["gone.jpg"], "out")
