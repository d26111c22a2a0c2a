"""Which files count, and what is told of the others."""

import pytest
from PIL import Image

from tfssl.data.images import image_source
from tfssl.data.labeled import labeled_images
from tfssl.data.listing import EXTENSIONS, ignored_kinds, ignored_line

LINE = "4 files of other kinds ignored: .heic 2, .pdf 1, without ending 1"


@pytest.fixture
def mixed(tmp_path):
    for name in ("a.jpg", "b.JFIF", "c.jpe"):
        Image.new("RGB", (16, 16), "red").save(tmp_path / name, "JPEG")
    for name in ("d.heic", "e.HEIC", "f.pdf", "README", ".hidden.mov"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_every_name_of_a_format_that_is_read_counts_as_an_image():
    from tfssl.data.decode import FORMATS

    Image.init()
    known = {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS}
    assert known <= set(EXTENSIONS)


def test_files_of_other_kinds_are_counted(mixed):
    assert ignored_kinds(mixed) == {".heic": 2, ".pdf": 1, "": 1}
    assert ignored_line(ignored_kinds(mixed)) == LINE
    assert ignored_line({}) == ""


def test_files_of_other_kinds_are_named_once(mixed, caplog):
    assert len(image_source(mixed)) == len(image_source(mixed)) == 3
    assert [record.getMessage() for record in caplog.records] == [f"{mixed}: {LINE}"]


def test_files_of_other_kinds_in_class_folders_are_named_in_one_line(mixed, caplog):
    for label in ("cat", "dog"):
        (mixed / "classes" / label).mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(mixed / "classes" / label / "a.jfif", "JPEG")
        (mixed / "classes" / label / "a.heic").write_bytes(b"x")
    assert len(labeled_images(mixed / "classes")) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{mixed / 'classes'}: 2 files of other kinds ignored: .heic 2"
    ]


def test_endings_that_are_none_are_not_repeated(tmp_path):
    (tmp_path / "a.\x1b[31m").write_bytes(b"x")
    assert ignored_kinds(tmp_path) == {"": 1}
