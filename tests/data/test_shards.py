"""Writing shards, through the command line, read back by the library."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from tfssl.cli import main
from tfssl.data.builtin import builtin_photographs
from tfssl.data.images import image_source


def write(source, out, *options):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main(["prepare", "shards", str(source), "--out", str(out), *options])
    return stop.value.code


@pytest.fixture
def photos(tmp_path):
    """Two classes of photographs in several formats, and three files that cannot be read."""
    root = tmp_path / "photos"
    for folder in ("cat", "dog"):
        (root / folder).mkdir(parents=True)
    photograph = Image.open(builtin_photographs()[-1]).convert("RGB").resize((90, 60))
    photograph.save(root / "dog" / "1.jpg", quality=80)
    photograph.save(root / "dog" / "2.png")
    photograph.save(root / "cat" / "3.bmp")
    photograph.save(root / "cat" / "4.webp", lossless=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph.save(root / "cat" / "5.jpg", exif=exif)
    data = (root / "dog" / "1.jpg").read_bytes()
    (root / "dog" / "half.jpg").write_bytes(data[: len(data) // 2])
    (root / "cat" / "letter.jpg").write_text("Dear Sir or Madam")
    (root / "cat" / "empty.png").write_bytes(b"")
    return root


def read_back(out):
    source = image_source(out / "*.tfrecord")
    return {source.name(i): i for i in range(len(source))}, source


def test_folder_to_shards(photos, tmp_path, capsys):
    out = tmp_path / "shards"
    assert write(photos, out, "--shards", "3", "--labels") == 1
    assert sorted(os.listdir(out)) == [
        "photos-00000-of-00003.tfrecord",
        "photos-00001-of-00003.tfrecord",
        "photos-00002-of-00003.tfrecord",
        "photos-labels.txt",
        "photos-skipped.csv",
    ]
    where, source = read_back(out)
    assert sorted(where) == ["cat/3.bmp", "cat/4.webp", "cat/5.jpg", "dog/1.jpg", "dog/2.png"]
    for name, index in where.items():
        original = photos / name
        if original.suffix in (".jpg", ".png"):
            assert source.read(index) == original.read_bytes()
        np.testing.assert_array_equal(
            np.asarray(source.example(index)["image"]), np.asarray(image_source(original).example(0)["image"])
        )
        assert source.label(index) == ["cat", "dog"].index(original.parent.name)
    assert (out / "photos-labels.txt").read_text() == "cat\ndog\n"
    with open(out / "photos-skipped.csv", newline="") as file:
        skipped = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert sorted(skipped) == ["cat/empty.png", "cat/letter.jpg", "dog/half.jpg"]
    assert "truncated" in skipped["dog/half.jpg"]
    output = capsys.readouterr()
    assert "3 shards, 3 images left out" in output.out
    assert output.err.count("skipped ") == 3


def test_max_size_scales_upright_and_keeps_small_files(photos, tmp_path):
    out = tmp_path / "shards"
    Image.new("RGB", (40, 30), "red").save(photos / "dog" / "small.jpg")
    assert write(photos, out, "--shards", "1", "--max-size", "45", "--name", "tiny") == 1
    where, source = read_back(out)
    assert source.read(where["dog/small.jpg"]) == (photos / "dog" / "small.jpg").read_bytes()
    assert source.example(where["cat/5.jpg"])["image"].size == (30, 45)
    for name in ("dog/1.jpg", "dog/2.png", "cat/3.bmp"):
        image = source.example(where[name])["image"]
        assert image.size == (45, 30)
        full = np.asarray(image_source(photos / name).example(0)["image"].resize((45, 30), Image.Resampling.LANCZOS))
        assert np.abs(np.asarray(image).astype(int) - full).mean() < 3


def test_max_bytes_encodes_anew(photos, tmp_path):
    out = tmp_path / "shards"
    limit = (photos / "dog" / "1.jpg").stat().st_size
    write(photos, out, "--shards", "1", "--max-bytes", str(limit))
    where, source = read_back(out)
    assert source.read(where["dog/1.jpg"]) == (photos / "dog" / "1.jpg").read_bytes()
    assert source.read(where["dog/2.png"])[:3] == b"\xff\xd8\xff"


def test_shards_from_shards_and_arrays(photos, tmp_path):
    write(photos, tmp_path / "one", "--shards", "1")
    assert write(tmp_path / "one" / "*.tfrecord", tmp_path / "two", "--shards", "2") == 0
    first, one = read_back(tmp_path / "one")
    second, two = read_back(tmp_path / "two")
    assert {name: one.read(i) for name, i in first.items()} == {name: two.read(i) for name, i in second.items()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shards", "100"], "`shards` must lie in 1..8"),
        (["--name", "old"], "holds shards called 'old' already"),
    ],
)
def test_wrong_use(photos, tmp_path, capsys, options, message):
    out = tmp_path / "shards"
    out.mkdir()
    (out / "old-00000-of-00001.tfrecord").write_bytes(b"")
    assert write(photos, out, *options) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(out) == ["old-00000-of-00001.tfrecord"]


def test_labels_need_folders(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    write(tmp_path / "images", tmp_path / "out", "--shards", "1")
    assert write(tmp_path / "out" / "*.tfrecord", tmp_path / "two", "--shards", "1", "--labels") == 2
    assert "`labels` needs files in folders" in capsys.readouterr().err


def test_nothing_readable_leaves_nothing(tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    for number in range(3):
        (tmp_path / "bad" / f"{number}.jpg").write_text("text")
    out = tmp_path / "out"
    assert write(tmp_path / "bad", out, "--shards", "1") == 2
    assert "none of 3 images can be read" in capsys.readouterr().err
    assert os.listdir(out) == []
    assert write(tmp_path / "missing", out) == 2
    assert "no folder, file or matching glob" in capsys.readouterr().err
