"""The page: nothing escapes into markup, nothing is fetched from elsewhere, every tag is closed."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure as Plot
from PIL import Image

from tfssl.data.builtin import builtin_photographs
from tfssl.visualization.page import (
    Cell,
    Code,
    Details,
    Figure,
    Heading,
    Note,
    Row,
    Section,
    Table,
    format_cell,
    write_gallery,
    write_page,
)
from tfssl.visualization.sheet import picture_sheet

VOID = {"img", "meta", "br"}


class Reader(html.parser.HTMLParser):
    """Fails on tags that do not match, scripts and what is fetched; collects texts, anchors, links and images."""

    def __init__(self, path):
        super().__init__()
        page = path.read_text(encoding="utf-8")
        assert "http:" not in page and "https:" not in page and "url(" not in page
        self.open, self.tags, self.anchors, self.links, self.sources, self.texts = [], [], [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert not any(name.startswith("on") for name in attrs) and tag not in ("script", "link", "iframe")
        self.tags.append(tag)
        self.anchors += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        if tag == "img":
            assert attrs["src"].startswith("data:image/")
            self.sources.append(attrs["src"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data.strip())

    @property
    def text(self):
        """All that is read."""
        return " ".join(" ".join(self.texts).split())

    @property
    def images(self):
        """All images, decoded."""
        return [Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))) for source in self.sources]


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "images" / "a b.png"
    path.parent.mkdir()
    Image.new("RGB", (3, 2), "red").save(path)
    return path


def test_images_of_all_kinds_are_held(tmp_path, image):
    plot = Plot((2, 1), dpi=200)
    figures = [Figure(image, "a"), Figure(Image.new("RGB", (8, 8)), photograph=True), Figure(plot, alt="plot")]
    page = write_page(tmp_path / "deep" / "index.html", "T", [Section("S", [Row(figures, small=True), figures[0]])])
    reader = Reader(page)
    assert [(found.format, found.size) for found in reader.images] == [
        ("PNG", (3, 2)), ("JPEG", (8, 8)), ("PNG", (400, 200)), ("PNG", (3, 2)),
    ]  # fmt: skip
    assert figures[2].encoded[1:] == (192, 96), "a plot is shown at its own size, whatever its resolution"
    assert base64.b64decode(reader.sources[0].partition(",")[2]) == image.read_bytes()
    assert [p.name for p in page.parent.iterdir()] == ["index.html"]


def test_every_text_is_escaped_and_shown(tmp_path, image):
    evil = '<script>alert("x")</script> & "quoted"'
    table = Table(["a", evil], [[Cell(evil, below=evil, style="code"), Cell(0.123456, 0.01, evil, "up")]], evil)
    inner = Details(evil, [evil, Code(evil), Note(evil), Heading(evil)])
    section = Section(evil, [f"{evil}\n\nsecond", None, table, Figure(image, evil, title=evil), inner], "anchor", evil)
    reader = Reader(write_page(tmp_path / "index.html", evil, [section], text=evil))
    # title, h1, note, contents, h2, paragraph, caption, header, cell and 2 below it, figure, summary, 4 in the details
    assert reader.texts.count(evil) == 17
    assert "0.1235 \N{PLUS-MINUS SIGN} 0.01" in reader.texts and "second" in reader.texts
    assert reader.anchors == ["anchor"] and reader.links == ["#anchor"]


def test_numbers_stand_at_the_right_and_texts_do_not(tmp_path):
    rows = [["a", 1.0, "x", Cell("+1 better", numeric=True)], ["b", None, 2, Cell(None)]]
    text = write_page(tmp_path / "p.html", "T", [Section("", [Table("nabc", rows)])]).read_text(encoding="utf-8")
    assert re.findall(r'<th scope="col"( class="n")?>(\w)', text) == [
        ("", "n"), (' class="n"', "a"), ("", "b"), (' class="n"', "c"),
    ]  # fmt: skip
    assert text.count('<td class="n">') == 4


def test_large_photographs_become_smaller(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(photo).resize((600, 600), Image.Resampling.BICUBIC).save(path)
    (source,) = Reader(write_page(tmp_path / "index.html", "T", [Section("", [Figure(path)])])).sources
    assert source.startswith("data:image/webp") and len(source) < path.stat().st_size / 4


def test_large_drawings_become_smaller_and_keep_every_pixel(tmp_path):
    drawing = np.kron(
        np.random.default_rng(0).integers(0, 2, (200, 200, 1), np.uint8) * 255, np.ones((3, 3, 3), np.uint8)
    )
    path = tmp_path / "drawing.png"
    Image.fromarray(drawing).save(path, compress_level=0, dpi=(192, 192))
    figure = Figure(path)
    (image,) = Reader(write_page(tmp_path / "index.html", "T", [Section("", [figure])])).images
    np.testing.assert_array_equal(np.asarray(image), drawing)
    assert figure.encoded[1:] == (300, 300) and len(figure.encoded[0]) < path.stat().st_size / 4


def test_a_sheet_of_photographs_takes_a_fifth_of_its_png(tmp_path):
    """What makes reports of several runs small: such sheets are most of them."""
    photos = [Image.open(path) for path in builtin_photographs()[:8]]
    picture_sheet([photos[:4], photos[4:]], tmp_path / "sheet.png", titles=list("abcd"))
    assert len(Figure(tmp_path / "sheet.png").encoded[0]) < (tmp_path / "sheet.png").stat().st_size / 5


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="equal length"):
        Table(["a"], [[1, 2]])
    with pytest.raises(ValueError, match=r"`image` must be one of \.png.*Received"):
        write_page(tmp_path / "a.html", "T", [Section("", [Figure(tmp_path / "a.txt")])])
    with pytest.raises(OSError):
        write_page(tmp_path / "a.html", "T", [Section("", [Figure(tmp_path / "none.png")])])
    assert not (tmp_path / "a.html").exists()


def test_cells():
    dash = "\N{EN DASH}"
    values = (3.0, 0.000123456, float("nan"), None, "x", 7, 12345.6, True)
    assert [format_cell(value) for value in values] == ["3", "0.0001235", dash, dash, "x", "7", "12,346", "True"]


def test_a_gallery_shows_networks_side_by_side(tmp_path, image):
    numbers = {"run": {"gain": np.float32(2), "change": float("nan")}, "untrained": {"gain": 1}}
    found = write_gallery(
        tmp_path, "Dreams", text="a\n\nb", images={"conv1": {"run": image, "untrained": image}}, numbers=numbers,
        protocol={"seed": 0, "size": [3, 2], "start": "noise"},
    )  # fmt: skip
    assert found == {"run": {"gain": 2.0, "change": None}, "untrained": {"gain": 1.0}}
    reader = Reader(tmp_path / "index.html")
    assert len(reader.images) == 2 and "gain 2 1" in reader.text and "size [3, 2] start noise" in reader.text
