"""Which files, arrays and names become an image source, and which are refused with the mend."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

import tfssl.data
from tfssl.data.builtin import builtin_gray_photographs, builtin_photographs
from tfssl.data.images import ArraySource, FileSource, image_source
from tfssl.data.source import check_source
from tfssl.errors import SourceError


def save(path, color="red", size=(6, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return str(path)


def names(source, root):
    return [os.path.relpath(path, root) for path in image_source(source).paths]


def test_public_names():
    assert all(getattr(tfssl.data, name) is not None for name in tfssl.data.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tfssl.data.nothing  # noqa: B018


def test_builtin_photographs_are_there_and_in_color():
    source = image_source("builtin")
    assert len(source) == len(builtin_photographs()) == 8
    for index in range(len(source)):
        pixels = np.asarray(source[index]["image"]).astype(int)
        assert min(pixels.shape[:2]) >= 300
        assert np.ptp(pixels, axis=-1).mean() > 5
    for path in builtin_gray_photographs():
        with Image.open(path) as image:
            assert image.mode == "L"


def test_folder_nested_sorted_any_case(tmp_path):
    for name in ("b/2.JPG", "b/1.Jpeg", "a.png", "c/d/e/x.TIFF", "z.webp", "y.bmp", "w.gif"):
        save(tmp_path / name)
    for name in ("notes.txt", "b/Thumbs.db", ".hidden.png", ".cache/1.png", ".cache/deep/2.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    expected = ["a.png", "b/1.Jpeg", "b/2.JPG", "c/d/e/x.TIFF", "w.gif", "y.bmp", "z.webp"]
    assert names(str(tmp_path), tmp_path) == expected
    assert names(tmp_path, tmp_path) == expected


def test_hidden_or_current_folder_given_by_name(tmp_path, monkeypatch):
    save(tmp_path / ".photos" / "a.png")
    assert names(tmp_path / ".photos", tmp_path) == [".photos/a.png"]
    monkeypatch.chdir(tmp_path / ".photos")
    assert names(".", ".") == ["a.png"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names("~/.photos", tmp_path) == [".photos/a.png"]


def test_globs(tmp_path):
    for name in ("a.jpg", "one/b.jpg", "one/c.png", "one/two/d.jpg"):
        save(tmp_path / name)
    assert names(f"{tmp_path}/**/*.jpg", tmp_path) == ["a.jpg", "one/b.jpg", "one/two/d.jpg"]
    assert names(f"{tmp_path}/one/*", tmp_path) == ["one/b.jpg", "one/c.png"]
    assert names(f"{tmp_path}/a.jpg", tmp_path) == ["a.jpg"]
    with pytest.raises(SourceError, match="folders only"):
        image_source(f"{tmp_path}/on*")


def test_symbolic_links(tmp_path):
    save(tmp_path / "store" / "1.png")
    subset = tmp_path / "subset"
    subset.mkdir()
    (subset / "one.png").symlink_to(tmp_path / "store" / "1.png")
    (subset / "folder").symlink_to(tmp_path / "store")
    (subset / "circle").symlink_to(subset)
    (subset / "itself").symlink_to(subset / "itself")
    (subset / "broken.png").symlink_to(tmp_path / "gone.png")
    assert names(subset, subset) == ["broken.png", "folder/1.png", "one.png"]
    with pytest.raises(ValueError, match="No such file"):
        image_source(subset).example(0)["image"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_names_that_are_no_text(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        with open(raw, "wb") as file:
            Image.new("RGB", (3, 3)).save(file, "PNG")
    except OSError:
        pytest.skip("this file system refuses such names")
    source = image_source(tmp_path)
    assert source.example(0)["image"].size == (3, 3)
    assert source.name(0).endswith("caf\\udce9.png")
    source.name(0).encode("utf-8")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "missing", "no folder, file or matching glob"),
        (lambda root: "", "no folder, file or matching glob"),
        (lambda root: root / "empty", "holds no images"),
        (lambda root: root / "texts", r"holds 2 files but no \.jpg"),
        (lambda root: root / "texts" / "a.txt", r"holds 1 file but no \.jpg"),
        (lambda root: root / "mixed", r"mixes 1 \.tfrecord shards with 1 other"),
        (lambda root: [], "holds no images"),
        (lambda root: None, "data of type NoneType"),
        (lambda root: 7, "data of type int"),
        (lambda root: np.zeros((8, 8, 3), np.uint8), r"put \[None\].*shape=\(8, 8, 3\)"),
        (lambda root: np.zeros((8, 8), np.uint8), r"shape=\(8, 8\)"),
        (lambda root: np.zeros((0, 8, 8, 3), np.uint8), "holds no images"),
        (lambda root: np.zeros((2, 8, 8, 3), np.uint16), "dtype=uint16"),
    ],
)
def test_refused_sources(make, message, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    (tmp_path / "texts" / "b.doc").write_text("b")
    save(tmp_path / "mixed" / "a.png")
    (tmp_path / "mixed" / "a.tfrecord").write_bytes(b"")
    with pytest.raises(SourceError, match=message) as raised:
        image_source(make(tmp_path))
    assert "\n" not in str(raised.value)


def test_lists_and_arrays(tmp_path):
    paths = [save(tmp_path / "b.png"), save(tmp_path / "a.png")]
    assert image_source(paths) == FileSource(tuple(paths))
    assert image_source(np.array(paths)) == FileSource(tuple(paths))
    assert image_source(tuple(tmp_path / name for name in ("b.png", "a.png"))) == FileSource(tuple(paths))
    stack = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    for given in (stack, list(stack), stack / 255.0):
        source = image_source(given)
        assert isinstance(source, ArraySource)
        assert len(source) == 4
        np.testing.assert_array_equal(np.stack([np.asarray(example["image"]) for example in source]), stack)
    assert image_source(source) is source
    assert image_source(stack[..., 0]).example(2)["image"].size == (6, 5)


def test_read_gives_the_file(tmp_path):
    path = save(tmp_path / "a.png")
    with open(path, "rb") as file:
        assert image_source(path).read(0) == file.read()
    assert image_source(np.zeros((1, 4, 4), np.uint8)).read(0) is None


# --- check_source ----------------------------------------------------------------------------------------------


def spoil(folder, good, bad):
    for number in range(good):
        save(folder / f"good{number:03d}.png")
    for number in range(bad):
        (folder / f"bad{number:03d}.jpg").write_bytes(b"" if number % 2 else b"text")
    return folder


def test_half_readable_is_enough(tmp_path):
    check_source(image_source(spoil(tmp_path, 10, 10)))
    check_source(image_source("builtin"))
    check_source(image_source(np.zeros((3, 8, 8), np.uint8)))


def test_mostly_unreadable_is_refused_with_reasons(tmp_path):
    with pytest.raises(SourceError, match="mostly unreadable: 11 of 21 images tried") as raised:
        check_source(image_source(spoil(tmp_path, 10, 11)))
    message = str(raised.value)
    assert "\n" not in message
    assert message.count("bad0") == 3
    assert "the file is empty" in message
    assert "not a JPEG" in message
    with pytest.raises(SourceError, match="2 of 2 images tried"):
        check_source(image_source([np.full((4, 4), 200.0), np.full((4, 4), 255.0)]))
    with pytest.raises(SourceError, match="no folder"):
        check_source(image_source(tmp_path / "missing"))


def test_check_looks_at_a_sample_of_headers_only(tmp_path):
    opened = []

    class Source(FileSource):
        def check(self, index):
            opened.append(index)
            super().check(index)

        def example(self, index):
            raise AssertionError("decoded")

    source = Source((save(tmp_path / "a.png"),) * 1000)
    check_source(source, sample=50)
    first, opened = opened, []
    check_source(source, sample=50)
    assert opened == first
    assert len(set(first)) == 50
    assert max(first) > 800
    assert min(first) < 200
