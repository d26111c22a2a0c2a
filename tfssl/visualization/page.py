"""Pages of pictures and tables that open offline: plain HTML without scripts, fonts or links to anywhere."""

import base64
import dataclasses
import html
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from PIL import Image

_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif"}

_LARGE = 2**18  # bytes of a PNG from which on it may become a JPEG inside a page

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --faint: #5c5c5c; --paper: #fff; --line: #d8d8d8; }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --faint: #aaa; --paper: #181818; --line: #444; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 2400px; padding: 0 1em;
       color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin: 2em 0 .3em; }
p { max-width: 60em; margin: .4em 0 .8em; } .note, figcaption { color: var(--faint); }
table { border-collapse: collapse; margin: .6em 0 1em; display: block; overflow-x: auto; }
th, td { padding: .15em 1.2em .15em 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr > * { font-variant-numeric: tabular-nums; }
.side { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.side figure { margin: 0; flex: 1 1 360px; max-width: max-content; min-width: 0; }
figure img { display: block; max-width: 100%; }
figcaption { font-size: 13px; margin-top: .2em; }
"""


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture on a page.

    Args:
        picture: path of a PNG, JPEG, WebP or GIF file, or a ``PIL.Image``, which the page then holds itself.
        caption: text below it.
        width: shown width in pixels; None for the picture's own.
    """

    picture: Path | str | Image.Image
    caption: str = ""
    width: int | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page: heading, text, a table, and figures side by side, in this order.

    Args:
        heading: text of the heading; empty for none.
        text: paragraphs, parted by empty lines.
        table: rows of equal length, the first one the header; floats are written with four digits. Empty for none.
        figures: :class:`Figure` objects.
    """

    heading: str = ""
    text: str = ""
    table: Sequence[Sequence] = ()
    figures: Sequence[Figure] = ()


def write_page(path, title, sections, *, text="", embed=True):
    """Write one HTML file, whole or not at all.

    All texts are escaped: what stands in a file name or a class name cannot become markup.

    Args:
        path: file to write; its folder is made.
        title: of the window and above everything.
        sections: :class:`Section` objects, from top to bottom.
        text: paragraphs below the title, parted by empty lines.
        embed: whether picture files become part of the page, which can then be moved and sent alone (photographs in
            large PNG files as JPEG); otherwise it refers to them by their place relative to it.

    Returns:
        The path, a ``pathlib.Path``.

    Raises:
        ValueError: for a table whose rows differ in length, or a picture of another kind.
        OSError: if a picture is not there.
    """
    path = Path(path)
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>',
        f"<h1>{html.escape(title)}</h1>",
        _paragraphs(text, "note"),
    ]
    for section in sections:
        parts += _section(section, path.parent, embed)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    try:
        unfinished.write_text("\n".join(filter(None, parts)) + "\n</body></html>\n", encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def format_cell(value):
    """A table's cell as text: floats with four digits, NaN, infinity and None as a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "\N{EN DASH}"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def _section(section, folder, embed):
    if section.heading:
        yield f"<h2>{html.escape(section.heading)}</h2>"
    yield _paragraphs(section.text)
    if section.table:
        yield _table(section.table)
    if section.figures:
        yield '<div class="side">'
        for figure in section.figures:
            yield _figure(figure, folder, embed)
        yield "</div>"


def _paragraphs(text, style=None):
    start = f'<p class="{style}">' if style else "<p>"
    return "\n".join(f"{start}{html.escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def _table(rows):
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"`table` must have rows of equal length. Received: lengths {[len(row) for row in rows]}")
    lines = ["<table>"]
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        lines.append("<tr>" + "".join(f"<{tag}>{html.escape(format_cell(v))}</{tag}>" for v in row) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _figure(figure, folder, embed):
    caption = html.escape(figure.caption)
    width = "" if figure.width is None else f' width="{int(figure.width)}"'
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    address = html.escape(_address(figure.picture, folder, embed))
    return f'<figure><img src="{address}" alt="{caption}"{width}>{below}</figure>'


def _address(picture, folder, embed):
    if isinstance(picture, Image.Image):
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        return _data_uri(buffer.getvalue(), "png")
    picture = Path(picture)
    kind = _KINDS.get(picture.suffix.lower())
    if kind is None:
        raise ValueError(f"`picture` must be one of {', '.join(_KINDS)}. Received: {str(picture)!r}")
    if embed:
        return _embedded(picture, kind)
    picture.stat()  # a page must not point to nothing
    return quote(Path(os.path.relpath(picture, folder)).as_posix())


def _embedded(picture, kind):
    data = picture.read_bytes()
    if kind == "png" and len(data) > _LARGE:
        buffer = io.BytesIO()
        with Image.open(picture) as image:
            image.convert("RGB").save(buffer, format="JPEG", quality=90, subsampling=0)
        if buffer.tell() < len(data) / 2:  # photographs; drawings stay as they are
            return _data_uri(buffer.getvalue(), "jpeg")
    return _data_uri(data, kind)


def _data_uri(data, kind):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
