"""The XML files of VOC directories: which objects an image shows, and where."""

import codecs
import contextlib
import dataclasses
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tfssl.data.listing import check_inside
from tfssl.errors import SourceError
from tfssl.files import printable

_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
_DECLARATION = re.compile(rb"\s*<\?xml[^>]*?\bencoding\s*=\s*[\"']([\w.:-]+)[\"'][^>]*\?>", re.ASCII)


@dataclasses.dataclass(frozen=True, eq=False)
class Annotation:
    """Objects of one image, ``boxes`` float32 (N, 4) as in :class:`tfssl.data.voc.BoxedImages`, but in the pixels that
    the annotation is made for, and ``size``, their (width, height) as ``<size>`` says; None without one.

    ``names`` are those of the classes, ``difficult`` is bool (N,).
    """

    boxes: np.ndarray
    names: tuple[str, ...]
    difficult: np.ndarray
    size: tuple[int, int] | None


def read_annotation(file):
    """Read an annotation; SourceError in one line that names the file and what is wrong with it."""
    root = _root(file)
    for tag in ("folder", "filename"):  # nobody opens them; but who writes such ones means no image of this directory
        if text := _text(root, tag):
            check_inside(text, f"<{tag}> of annotation {printable(file)!r}")
    size, boxes, names, difficult = _size(file, root), [], [], []
    for element in root.findall("object"):
        name = _text(element, "name")
        if not name:
            raise _wrong(file, "an object has no name")
        boxes.append(_box(file, element, name, size))
        names.append(name)
        flag = _text(element, "difficult").lower()
        if flag not in _FLAGS:
            raise _wrong(file, f"<difficult> of {name!r} must be 0 or 1, it is {flag[:40]!r}")
        difficult.append(_FLAGS[flag])
    return Annotation(np.array(boxes, np.float32).reshape(-1, 4), tuple(names), np.array(difficult, bool), size)


def _wrong(file, what):
    return SourceError(f"annotation {printable(file)!r}: {what}")


class _Builder(ElementTree.TreeBuilder):
    """Refuses document types: entities that they declare could fill the memory. Annotations need none."""

    def doctype(self, name, pubid, system):
        raise ValueError("it declares a document type (DOCTYPE); remove that line")


def _root(file):
    try:
        # Before the declaration nothing may stand, but editors leave empty lines there.
        content = Path(file).read_bytes().removeprefix(codecs.BOM_UTF8).lstrip()
        declared = _DECLARATION.match(content)
        if declared is not None:  # the parser itself knows few encodings
            content = content[declared.end() :].decode(declared[1].decode("ascii"))
        parser = ElementTree.XMLParser(target=_Builder())
        parser.feed(content)
        return parser.close()
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SourceError(f"annotation {printable(file)!r} cannot be read: {reason}") from None


def _text(element, path):
    """Text of an element without the spaces and line breaks around it and in it; empty if there is none."""
    return " ".join((element.findtext(path) or "").split())


def _size(file, root):
    if root.find("size") is None:
        return None
    try:
        size = tuple(int(float(_text(root, f"size/{side}"))) for side in ("width", "height"))
    except (ValueError, OverflowError):
        raise _wrong(file, "<size> must hold a width and a height in pixels") from None
    if min(size) < 0:
        raise _wrong(file, f"<size> is {size[0]}x{size[1]}")
    return size if min(size) > 0 else None  # tools that do not know it write 0


def _box(file, element, name, size):
    # VOC 2007 and 2012 have some coordinates with decimals.
    corners = None
    with contextlib.suppress(ValueError):
        corners = [float(_text(element, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")]
    if corners is None or not np.isfinite(corners).all():
        raise _wrong(file, f"an object {name!r} has no box of four numbers")
    box = [corners[0] - 1.0, corners[1] - 1.0, corners[2], corners[3]]
    if not (box[0] < box[2] and box[1] < box[3]):
        raise _wrong(file, f"a box of {name!r} has no area: {corners}")
    if size is not None:
        reason = outside([box], size)
        if reason:
            raise _wrong(file, reason)
    return box


def outside(boxes, size):
    """Why boxes (N, 4) do not fit an image of ``size``; None if they do. Some of VOC's reach over its edge a little."""
    for box in boxes:
        if box[0] >= size[0] or box[1] >= size[1] or box[2] <= 0 or box[3] <= 0:
            shown = ", ".join(f"{float(number):g}" for number in box)
            return f"a box lies outside the image of {size[0]}x{size[1]} pixels: {shown}"
    return None


def annotation_files(folder):
    """All annotations of a folder, sorted, without hidden files (macOS leaves ``._NAME.xml`` on other disks)."""
    entries = sorted(entry.path for entry in os.scandir(folder) if not entry.name.startswith("."))
    return [path for path in entries if path.lower().endswith(".xml")]
