"""Pages of pictures: nothing escapes into markup, nothing is fetched from elsewhere."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tfssl.visualization.page import Figure, Section, format_cell, write_page


class _Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "pictures" / "a b.png"
    path.parent.mkdir()
    Image.new("RGB", (3, 2), "red").save(path)
    return path


def test_embedded_pictures_are_the_files(tmp_path, picture):
    page = write_page(tmp_path / "deep" / "index.html", "T", [Section("S", figures=[Figure(picture, "red")])])
    reader = _Reader(page.read_text(encoding="utf-8"))
    (source,) = reader.sources
    assert source.startswith("data:image/png;base64,")
    assert base64.b64decode(source.partition(",")[2]) == picture.read_bytes()
    assert [p.name for p in page.parent.iterdir()] == ["index.html"]


def test_linked_pictures_are_relative(tmp_path, picture):
    page = write_page(tmp_path / "index.html", "T", [Section(figures=[Figure(picture)])], embed=False)
    assert _Reader(page.read_text(encoding="utf-8")).sources == ["pictures/a%20b.png"]
    with pytest.raises(OSError):
        write_page(tmp_path / "b.html", "T", [Section(figures=[Figure(tmp_path / "none.png")])], embed=False)
    assert not (tmp_path / "b.html").exists()


def test_texts_are_escaped_and_shown(tmp_path, picture):
    evil = '<script>alert("x")</script> & "quoted"'
    section = Section(
        evil, text=f"{evil}\n\nsecond", table=[["a", evil], [1.0, 0.123456]], figures=[Figure(picture, evil)]
    )
    text = write_page(tmp_path / "index.html", evil, [section], text=evil).read_text(encoding="utf-8")
    reader = _Reader(text)
    assert "script" not in reader.tags and "link" not in reader.tags
    assert reader.texts.count(evil) == 7  # title, top, note, heading, paragraph, table, caption
    assert "0.1235" in reader.texts and "1" in reader.texts and "second" in reader.texts
    assert not re.search(r"https?:", text)


def test_large_photographs_become_smaller(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(photo).resize((600, 600), Image.Resampling.BICUBIC).save(path)
    (source,) = _Reader(
        write_page(tmp_path / "index.html", "T", [Section(figures=[Figure(path)])]).read_text(encoding="utf-8")
    ).sources
    assert source.startswith("data:image/jpeg") and len(source) < path.stat().st_size


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="equal length"):
        write_page(tmp_path / "a.html", "T", [Section(table=[["a"], [1, 2]])])
    with pytest.raises(ValueError, match="`picture`"):
        write_page(tmp_path / "a.html", "T", [Section(figures=[Figure(tmp_path / "a.txt")])])


def test_cells():
    dash = "\N{EN DASH}"
    values = (3.0, 0.000123456, float("nan"), None, "x", 7)
    assert [format_cell(value) for value in values] == ["3", "0.0001235", dash, dash, "x", "7"]
