"""What every kind of picture leaves in its folder: a page that sets networks side by side, and the numbers."""

import json
import os
import re
from pathlib import Path

import numpy as np

from tfssl.visualization.page import Figure, Section, write_page


def file_stem(*parts):
    """A file name of a kind and a network's name: what is neither letter, digit, dot nor dash becomes a dash."""
    return "-".join(re.sub(r"[^\w.-]+", "-", str(part)).strip("-.") or "network" for part in parts)


def write_gallery(out, title, *, text, pictures, numbers, protocol, sections=()):
    """Write ``index.html`` and ``numbers.json``.

    Args:
        out: folder that holds the pictures.
        title: of the page.
        text: what the pictures show and how they were made; paragraphs parted by empty lines.
        pictures: ``{heading: {network: path}}``; one row of figures under each heading.
        numbers: ``{network: {name: number}}``; a column of the table each.
        protocol: every constant it takes to make the same pictures again.
        sections: further :class:`~tfssl.visualization.page.Section` objects, below.

    Returns:
        ``numbers``, as plain floats.
    """
    out = Path(out)
    numbers = {name: {key: _plain(value) for key, value in column.items()} for name, column in numbers.items()}
    rows = list(dict.fromkeys(key for column in numbers.values() for key in column))
    table = [["", *numbers], *([key.replace("_", " "), *(c.get(key) for c in numbers.values())] for key in rows)]
    parts = [
        Section(heading, figures=[Figure(path, name) for name, path in row.items()])
        for heading, row in pictures.items()
    ]
    parts.append(Section("Numbers", table=table if rows else ()))
    settings = [["setting", "value"], *([key.replace("_", " "), _text(value)] for key, value in protocol.items())]
    parts += [*sections, Section("How it was made", table=settings)]
    write_page(out / "index.html", title, parts, text=text)
    _write_json(out / "numbers.json", {"title": title, "numbers": numbers, "protocol": protocol})
    return numbers


def _plain(value):
    value = float(value)
    return value if np.isfinite(value) else None


def _text(value):
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _write_json(path, content):
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(unfinished, path)
