"""VOC directories as other programs and people write them, and as nobody should."""

import codecs

import numpy as np
import pytest
from PIL import Image

from tfssl.data.normals import normals_images
from tfssl.data.voc import boxed_images, masked_images
from tfssl.errors import SourceError

OBJECT = (
    "<object><name>dog</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
    "<ymax>9</ymax></bndbox></object>"
)
SIZE = "<size><width>20</width><height>10</height></size>"


@pytest.fixture
def voc(tmp_path):
    """A function of the content of an annotation (text or bytes) that writes a directory with it and opens it."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(tmp_path / "JPEGImages/a.jpg")
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\n")

    def write(content, **options):
        content = content if isinstance(content, bytes) else f"<annotation>{content}</annotation>".encode()
        (tmp_path / "Annotations/a.xml").write_bytes(content)
        return boxed_images(tmp_path, "train", **options)

    return write


def test_hidden_files_are_none(voc, tmp_path):
    for name in ("Annotations/._a.xml", "Annotations/.DS_Store", "ImageSets/Main/._train.txt"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert voc(OBJECT).classes == ("dog",)
    with pytest.raises(SourceError, match=r"it has train$"):
        boxed_images(tmp_path, "val")
    for folder in ("val", "valannot", "valnormals"):
        (tmp_path / folder).mkdir()
    (tmp_path / "classes.txt").write_text("one\n")
    Image.new("L", (2, 2)).save(tmp_path / "valannot/a.png")
    np.save(tmp_path / "valnormals/a.npy", np.ones((2, 2, 3), np.float32))
    Image.new("RGB", (2, 2)).save(tmp_path / "val/a.png")
    (tmp_path / "val/._a.png").write_bytes(b"\0\5\x16\7")
    assert len(masked_images(tmp_path, "val")) == len(normals_images(tmp_path, "val")) == 1


def test_spaces_and_line_breaks_around_names_do_not_count(voc, tmp_path):
    (tmp_path / "ImageSets/Main/train.txt").write_bytes(b"\xef\xbb\xbf  a \r\n\r\n")
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfdog\r\n")
    found = voc(OBJECT.replace("dog", "\n  dog\t\n").replace("<xmin>1", "<xmin> 1\n"))
    assert found.example(0)["label"].tolist() == [0]
    (tmp_path / "classes.txt").unlink()
    assert voc(OBJECT.replace("dog", "\n  dog\t\n")).classes == ("dog",)


@pytest.mark.parametrize(("lines", "count"), [("a  1\n", 1), ("a -1\n", 1), ("a b\na\n", 2), ("a b 1\na 0\n", 2)])
def test_names_may_hold_spaces_and_lists_of_a_class_flags(voc, tmp_path, lines, count):
    Image.new("RGB", (20, 10)).save(tmp_path / "JPEGImages/a b.jpg")
    (tmp_path / "Annotations/a b.xml").write_text("<annotation/>")
    (tmp_path / "ImageSets/Main/train.txt").write_text(lines)
    assert len(voc(OBJECT)) == count


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        *[("utf-8", codecs.BOM_UTF8), ("utf-8", b"\n\n"), ("latin-1", b""), ("iso-8859-15", b""), ("gbk", b"")],
        *[("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE)],
    ],
)
def test_declared_encodings(voc, encoding, mark):
    name = "\u72d7" if encoding == "gbk" else "b\xeate"
    declared = "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else encoding
    text = f"<?xml version='1.0' encoding='{declared}'?>\n<annotation>{OBJECT.replace('dog', name)}</annotation>"
    assert voc(mark + text.encode(encoding)).classes == (name,)


@pytest.mark.parametrize(
    ("flag", "wanted"), [("1", True), (" true\n", True), ("Yes", True), ("False", False), ("no", False), ("", False)]
)
def test_difficult_in_words(voc, flag, wanted):
    found = voc(OBJECT.replace("<difficult>0", f"<difficult>{flag}"))
    assert found.example(0)["difficult"].tolist() == [wanted]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<object><bndbox/></object>", "an object has no name"),
        ("<object><name> </name></object>", "an object has no name"),
        ("<object><name>dog</name></object>", "no box of four numbers"),
        (OBJECT.replace("<xmax>9", "<xmax>inf"), "no box of four numbers"),
        (OBJECT.replace("<ymax>9", "<ymax>0"), "has no area"),
        (OBJECT.replace("<difficult>0", "<difficult>maybe"), "<difficult> of 'dog' must be 0 or 1, it is 'maybe'"),
        (SIZE + OBJECT.replace("<xmin>1", "<xmin>30").replace("<xmax>9", "<xmax>40"), "outside the image of 20x10"),
        (SIZE.replace("20", "wide") + OBJECT, "<size> must hold"),
        (SIZE.replace("20", "1e999") + OBJECT, "<size> must hold"),
        ("<filename>../b.jpg</filename>" + OBJECT, "<filename> of annotation .* leads out"),
        ("<folder>/etc</folder>" + OBJECT, "<folder> of annotation .* leads out"),
        (b"<?xml version='1.0' encoding='klingon'?><annotation/>", "cannot be read: unknown encoding"),
        (b"<annotation>\xff</annotation>", "cannot be read"),
        (b"", "cannot be read"),
        (
            b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>',
            "document type",
        ),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "document type"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_said_in_one_line(voc, content, message):
    with pytest.raises(SourceError, match=message) as raised:
        voc(content)
    assert "a.xml" in str(raised.value) and "\n" not in str(raised.value)


def test_a_box_outside_an_image_of_no_declared_size_is_named_when_it_is_read(voc):
    found = voc(OBJECT.replace("<xmin>1", "<xmin>30").replace("<xmax>9", "<xmax>40"))
    with pytest.raises(ValueError, match="outside the image of 20x10"):
        found.example(0)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "..\\a", "C:\\a", "~/a", "b/../../a"])
def test_names_that_lead_out_of_the_directory_are_refused(voc, tmp_path, name):
    with pytest.raises(SourceError, match="leads out of the directory"):
        boxed_images(tmp_path, name)
    for read in (masked_images, normals_images):
        with pytest.raises(SourceError, match="leads out of the directory"):
            read(tmp_path, name)
    (tmp_path / "ImageSets/Main/train.txt").write_text(f"a\n{name}\n")
    with pytest.raises(SourceError, match=r"train.txt' leads out of the directory"):
        voc(OBJECT)


def test_a_class_that_is_listed_twice_is_named(voc, tmp_path):
    (tmp_path / "classes.txt").write_text("dog\ncat\ndog\n")
    with pytest.raises(SourceError, match="names the class 'dog' twice"):
        voc(OBJECT)


def test_lists_that_are_not_utf_8_are_named(voc, tmp_path):
    (tmp_path / "ImageSets/Main/train.txt").write_bytes(b"a\n\xe9\n")
    with pytest.raises(SourceError, match=r"line 2 of .*train.txt' is not UTF-8"):
        voc(OBJECT)
