"""HTML from Python: every text is escaped unless it was made here."""

import base64
import html
import math
import numbers
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

_VOID = ("img", "meta", "br", "line", "rect", "circle", "polyline")
_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif"}

_WIDE = 700  # pixels

PICTURES = tuple(_KINDS)
"""Endings of files that a page can hold."""

NOTHING = "\N{EN DASH}"
"""What stands in a cell for which there is no value."""


class Html(str):
    """Finished markup, which is not escaped again."""

    __slots__ = ()


class Figure(Html):
    """Markup of a number, which tables align at the right."""

    __slots__ = ()


def tag(name, /, *children, **attributes):
    """An element.

    Args:
        name: of the element, HTML or SVG.
        *children: texts, which are escaped, :class:`Html`, lists and generators of such; None is left out.
        **attributes: values are escaped, None is left out; ``class_`` is class, ``_`` within a name becomes ``-``.

    Returns:
        :class:`Html`.
    """
    written = "".join(
        f' {key.strip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Html(f"<{name}{written}>" if name in ("img", "meta", "br") else f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children):
    """Texts and markup in a row; see :func:`tag`."""
    parts = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, Iterable) and not isinstance(child, str):
            parts.append(join(child))
        elif child is not None:
            parts.append(html.escape(str(child)))
    return Html("".join(parts))


def paragraph(*children, note=False):
    """A paragraph; notes are fainter."""
    return tag("p", *children, class_="note" if note else None)


def number(value, std=None, below=None):
    """A number as a cell: four significant digits, counts in full, a deviation after it, a word below it.

    Args:
        value: number; None and NaN become a dash.
        std: standard deviation; None for none.
        below: text under it, such as the layer.

    Returns:
        :class:`Figure`.
    """
    text = plain(value)
    if std:
        text = f"{text} \N{PLUS-MINUS SIGN} {float(std):.2g}"
    return Figure(join([text, tag("small", below) if below else None]))


def plain(value):
    """A number as text, see :func:`number`; other values as they are."""
    if value is None or (isinstance(value, numbers.Real) and not math.isfinite(value)):
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}" if 1e-4 <= abs(value) < 1e4 else f"{value:.3e}" if abs(value) < 1e-4 else f"{value:,.0f}"


def table(header, rows, *, caption):
    """A table that scrolls sideways where the screen is narrow; the first cell of each row is its heading.

    Args:
        header: texts.
        rows: lists as long as it, of texts, numbers and :class:`Html`.
        caption: what the table shows.

    Returns:
        :class:`Html`.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(isinstance(row[i], Figure) or row[i] == NOTHING for row in cells) for i in range(len(header))]
    head = [
        tag("th", text, scope="col", class_="n" if side else None) for text, side in zip(header, right, strict=True)
    ]
    body = [
        tag("tr", tag("th", row[0], scope="row"), [_data(value) for value in row[1:]])  # a heading for each row
        for row in cells
    ]
    inner = tag("table", tag("thead", tag("tr", head)), tag("tbody", body))
    # Outside of what scrolls, where a narrow screen does not cut it.
    scrolled = tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return tag("div", tag("p", caption, class_="caption"), scrolled)


def _cell(value):
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return number(value)
    return NOTHING if value is None else value


def _data(value):
    return tag("td", value, class_="n" if isinstance(value, Figure) or value == NOTHING else None)


def picture(path, caption, alt=None):
    """A figure that holds a picture file itself.

    Args:
        path: PNG, JPEG, WebP or GIF file.
        caption: text or markup below it.
        alt: what it shows, for those who cannot see it; None is the caption.

    Returns:
        :class:`Html`.
    """
    path = Path(path)
    with Image.open(path) as opened:
        width, height = opened.size
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    address = f"data:image/{_KINDS[path.suffix.lower()]};base64,{data}"
    words = caption if alt is None else alt
    image = tag("img", src=address, alt=words, width=width, height=height, loading="lazy")
    if width > _WIDE:  # small print stays readable on a phone, by moving it sideways
        image = tag("div", image, class_="wide", tabindex=0, role="region", aria_label=words)
    return tag("figure", image, tag("figcaption", caption))


def details(summary, *children, open_=False):
    """What is shown on demand, and always on paper."""
    return Html(f"<details{' open' if open_ else ''}>{tag('summary', summary)}{join(children)}</details>")


def section(anchor, heading, *children):
    """A part of the page that the contents lead to."""
    return tag("section", tag("h2", heading, id=anchor), *children)
