"""The one kind of HTML page: it opens offline, holds its images, reads on a phone, in the dark and on paper.

A page is a list of :class:`Section` objects, which hold blocks: texts, tables, figures, subheadings, commands, and
details shown on demand. All of it is escaped by the template: what stands in a file name cannot become markup.
"""

import base64
import dataclasses
import io
import math
import numbers as number_types
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from PIL import Image

from tfssl.data.decode import open_image
from tfssl.files import write_json, write_text

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif"}
"""Endings of the image files that a page can hold."""

NOTHING = "\N{EN DASH}"  # what stands in a cell for which there is no value

_LARGE = 2**14  # bytes of a PNG from which on it becomes a WebP inside a page
_COLORS = 2**12  # an image of more colors than this is a photograph, or holds some: that WebP may lose a little
_QUALITY = 75  # of photographs
_PAGE = 1000  # pixels that a photograph is wide at most; the file beside the page has all of them
_WIDE = 700  # pixels from which on an image scrolls sideways on a phone, where its small print would vanish


class Cell(NamedTuple):
    """What stands in a table where a bare text or number is not enough.

    Args:
        value: a text, a number, or None.
        std: standard deviation, written behind the number.
        below: small print under it.
        style: ``"up"``, ``"down"``, ``"best"`` or ``"code"``.
        numeric: whether its column may be aligned at the right; None: if it is a number or nothing.
    """

    value: Any
    std: float | None = None
    below: str = ""
    style: str = ""
    numeric: bool | None = None

    @property
    def text(self):
        return format_cell(self.value) + (f" \N{PLUS-MINUS SIGN} {self.std:.2g}" if self.std else "")

    @property
    def right(self):
        bare = self.value is None or (isinstance(self.value, number_types.Real) and not isinstance(self.value, bool))
        return bare if self.numeric is None else self.numeric


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose first column holds the headings of its rows: texts, numbers, None and :class:`Cell` objects."""

    header: Sequence[str]
    rows: Sequence[Sequence]
    caption: str = ""

    def __post_init__(self):
        lengths = {len(self.header), *map(len, self.rows)}
        if len(lengths) != 1:
            raise ValueError(f"`table` must have rows of equal length. Received: lengths {sorted(lengths)}")

    @cached_property
    def cells(self):
        return [[value if isinstance(value, Cell) else Cell(value) for value in row] for row in self.rows]

    @cached_property
    def right(self):
        """For each column, whether it is aligned at the right."""
        return [all(row[i].right or row[i].text == NOTHING for row in self.cells) for i in range(len(self.header))]


@dataclasses.dataclass(frozen=True)
class Figure:
    """An image that the page holds itself.

    Args:
        image: path of a PNG, JPEG, WebP or GIF file; a ``PIL.Image``; or a Matplotlib figure.
        alt: what it shows, for those who cannot see it; empty for the caption.
        title: text that appears when pointing at it.
        photograph: whether a ``PIL.Image`` is one: held as JPEG.
    """

    image: Any
    caption: str = ""
    alt: str = ""
    title: str = ""
    photograph: bool = False

    @cached_property
    def encoded(self):
        """``(address, width, height)``, in pixels of the page: plots are drawn at a higher resolution."""
        data, kind = self._data()
        with open_image(data) as opened:
            scale = min(1.0, 96 / opened.info.get("dpi", (96,))[0]) if kind == "png" else 1.0
            size = [round(length * scale) for length in opened.size]
            if kind == "png" and len(data) > _LARGE:
                smaller, saves = _webp(opened)
                data, kind = (smaller, "webp") if len(smaller) < saves * len(data) else (data, kind)
        return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", *size

    @property
    def wide(self):
        """Whether small print on it is lost on a phone."""
        return self.encoded[1] > _WIDE

    def _data(self):
        buffer = io.BytesIO()
        if isinstance(self.image, Image.Image):
            kind = "jpeg" if self.photograph else "png"
            self.image.save(buffer, kind, **({"quality": 85} if self.photograph else {}))
            return buffer.getvalue(), kind
        if hasattr(self.image, "savefig"):
            self.image.savefig(buffer, format="png")
            return buffer.getvalue(), "png"
        path = Path(self.image)
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"`image` must be one of {', '.join(FORMATS)}. Received: image={str(path)!r}")
        return path.read_bytes(), FORMATS[path.suffix.lower()]


def _webp(image):
    """A PNG as WebP, and the fraction of its size below which that is worth it: drawings pixel for pixel, photographs
    with a little loss, which has to save a third."""
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    buffer, drawing = io.BytesIO(), image.getcolors(_COLORS) is not None
    if not drawing:
        image.thumbnail((_PAGE, image.height))
    image.save(buffer, "WEBP", method=2, **({"lossless": True} if drawing else {"quality": _QUALITY}))
    return buffer.getvalue(), 1.0 if drawing else 0.7


class Row(NamedTuple):
    """Figures side by side; ``small`` ones as a strip of thumbnails."""

    figures: Sequence[Figure]
    small: bool = False


class Heading(NamedTuple):
    """A heading within a section."""

    text: str


class Note(NamedTuple):
    """A faint paragraph."""

    text: str


class Code(NamedTuple):
    """Text in a fixed pitch, such as a command."""

    text: str


class Details(NamedTuple):
    """Blocks that are shown on demand, and always on paper."""

    summary: str
    blocks: Sequence


class Section(NamedTuple):
    """A part of a page.

    Args:
        blocks: texts (paragraphs, parted by empty lines) and blocks; None is left out.
        anchor, link: name that the contents link to, and what they call it; empty for none.
    """

    heading: str = ""
    blocks: Sequence = ()
    anchor: str = ""
    link: str = ""


def write_page(path, title, sections, *, text=""):
    """Write one HTML file, whole or not at all, and return its ``pathlib.Path``.

    Args:
        title: of the window and above everything.
        sections: :class:`Section` objects, from top to bottom; those with an anchor are listed above.
        text: paragraphs below the title, parted by empty lines.

    Raises:
        ValueError: for an image file of another kind.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfssl.visualization"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["paragraphs"] = lambda text: [part.strip() for part in text.split("\n\n") if part.strip()]
    environment.filters["kind"] = lambda block: type(block).__name__
    page = environment.get_template("page.html").render(title=title, sections=list(sections), text=text)
    write_text(path, page)
    return Path(path)


def format_cell(value):
    """A value as text: numbers with four digits, counts in full, NaN, infinity and None as a dash."""
    if isinstance(value, bool) or not isinstance(value, (number_types.Real, type(None))):
        return str(value)
    if value is None or not math.isfinite(value):
        return NOTHING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def words(name):
    """A name from a record to be read: ``best_on_test`` -> "best on test"."""
    return str(name).replace("_", " ")


def file_stem(*parts):
    """A file name of a kind and a network's name: what is neither letter, digit, dot nor dash becomes a dash."""
    return "-".join(re.sub(r"[^\w.-]+", "-", str(part)).strip("-.") or "network" for part in parts)


def write_gallery(out, title, *, text, images, numbers, protocol, blocks=()):
    """What every kind of drawing leaves in its folder: ``index.html``, networks side by side, and ``numbers.json``.

    Args:
        text: what the images show and how they were made; paragraphs parted by empty lines.
        images: ``{heading: {network: path}}``; one row of figures under each heading.
        numbers: ``{network: {name: number}}``; a column of the table each.
        protocol: every constant it takes to make the same images again.
        blocks: further blocks, below the numbers.

    Returns:
        ``numbers``, as plain floats; None for those that are not finite.
    """
    numbers = {
        name: {key: float(value) if math.isfinite(value) else None for key, value in column.items()}
        for name, column in numbers.items()
    }
    rows = {heading: Row([Figure(path, name) for name, path in row.items()]) for heading, row in images.items()}
    sections = [
        *(Section(heading, [row]) for heading, row in rows.items()),
        Section("Numbers", [numbers_table(numbers), *blocks]),
        Section("How it was made", [Table(["Setting", "Value"], [[words(k), value] for k, value in protocol.items()])]),
    ]
    write_page(Path(out) / "index.html", title, sections, text=text)
    write_json(Path(out) / "numbers.json", {"title": title, "numbers": numbers, "protocol": protocol})
    return numbers


def numbers_table(numbers, caption=""):
    """``{network: {name: number}}`` as a table with a column for each network; None if there are none."""
    names = list(dict.fromkeys(name for column in numbers.values() for name in column))
    rows = [[words(name), *(column.get(name) for column in numbers.values())] for name in names]
    return Table(["", *numbers], rows, caption) if names else None
