"""Images with one or several labels each: a CSV file, class folders, or renderings of photographs in styles."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np

from tfssl.data.images import FileSource
from tfssl.data.labeled import LabeledImages, labeled_images, train_and_test
from tfssl.data.listing import common_folder, short
from tfssl.data.source import check_source
from tfssl.errors import SourceError

STYLES = "styles:"
"""What data begin with that stand for photographs to be rendered: ``styles:photos/``."""

BUILTIN_WINDOWS = 12  # parts of each builtin photograph that are rendered: there are only eight

_GROUP, _CONTENT = "group", "content"  # optional columns


@dataclasses.dataclass(frozen=True, eq=False)
class TaggedImages(LabeledImages):
    """Images with labels: ``{"image": PIL.Image, "label": int32 (classes,)}``, 1 for those that it has, else 0.

    ``groups``, a number for each image, tell which belong together, as renderings of one photograph: a split never
    parts them. ``content``, the numbers of ``contents``, is what an image shows, where that is known beside its labels.
    ``tested`` says which images a benchmark tests on, where it says so; ``folder`` is where the files lie.
    """

    groups: tuple[int, ...] = ()
    content: tuple[int, ...] | None = None
    contents: tuple[str, ...] = ()
    tested: tuple[bool, ...] | None = None
    folder: str = ""

    def take(self, indices):
        names = [name for name in ("groups", "content", "tested") if getattr(self, name) is not None]
        return dataclasses.replace(
            super().take(indices), **{name: tuple(getattr(self, name)[i] for i in indices) for name in names}
        )

    def key(self, index):
        """The name of an image in tables: of a file, its path from ``folder``."""
        return self.name(index).removeprefix(os.path.join(self.folder, "")).replace(os.sep, "/")


def tagged_images(data, test=None):
    """Open images with labels.

    Args:
        data: one of

            - a CSV file with a header: ``image``, paths from the folder of the file; and ``labels``, names parted by
              ``;``, or a column for each label with 1 or 0. Columns ``group`` (what belongs together, as a
              photographer's images) and ``content`` (what is seen) may be there;
            - a folder of class folders, one label each; or one that holds ``train/`` and ``test/``, see
              :func:`tfssl.data.labeled.train_and_test`;
            - ``"styles:PHOTOS"``: the images PHOTOS, see :func:`tfssl.data.images.image_source`, rendered in all
              styles, and ``"builtin"``: parts of the builtin photographs, see
              :func:`tfssl.data.styles.rendered_styles`;
            - a :class:`TaggedImages`.
        test: folder of the test images, with class folders only.

    Raises:
        SourceError: in one line, if it is something else, a row lacks a label or its image, one comes twice, there are
            fewer than two labels, or most images cannot be read.
    """
    if isinstance(data, TaggedImages):
        found = data
    elif not isinstance(data, (str, os.PathLike)):
        raise SourceError(f"`data` must be a CSV file, class folders or {STYLES}PHOTOS. Received: data={short(data)}")
    elif os.fspath(data) == "builtin" or os.fspath(data).startswith(STYLES):
        from tfssl.data.styles import rendered_styles

        builtin = os.fspath(data) == "builtin"
        found = rendered_styles(
            "builtin" if builtin else os.fspath(data).removeprefix(STYLES), windows=BUILTIN_WINDOWS if builtin else 1
        )
    elif Path(data).expanduser().is_file():
        found = _from_csv(Path(data).expanduser())
    else:
        return _from_folders(data, test)
    if test is not None:
        raise SourceError(f"`test` belongs to class folders; {short(data)} is split. Received: test={test!r}")
    return found


def _from_folders(data, test):
    inner = all((Path(data).expanduser() / part).is_dir() for part in ("train", "test"))
    if test is None and not inner and not os.fspath(data).startswith("tfds:"):
        only = labeled_images(data)
        return _one_label(only.root, only.images, only.labels, only.classes, folder=only.root)
    parts = train_and_test(data, test)
    if not all(isinstance(part.images, FileSource) for part in parts):
        raise SourceError(f"`data` must be folders of files here. Received: data={short(data)}")
    tested = tuple(number == 1 for number, part in enumerate(parts) for _ in part.labels)
    files = FileSource(tuple(path for part in parts for path in part.images.paths))
    labels = [label for part in parts for label in part.labels]
    root = common_folder(files.paths)
    return _one_label(root, files, labels, parts[0].classes, tested=tested, folder=root)


def _one_label(root, images, labels, classes, **options):
    rows = np.eye(len(classes), dtype=np.int32)[np.asarray(labels, int)]
    return TaggedImages(root, images, tuple(rows), tuple(classes), groups=tuple(range(len(rows))), **options)


def _from_csv(path):
    rows, names = _rows(path)
    extra = [name for name in (_GROUP, _CONTENT) if name in names]
    tags = [_tags(path, row, names, extra) for row in rows]
    found = sorted(set().union(*tags))
    if len(found) < 2:
        raise SourceError(f"`data` {str(path)!r} must hold at least two labels, it holds {len(found)}")
    labels = tuple(np.array([name in own for name in found], np.int32) for own in tags)
    files = FileSource(tuple(os.fspath(path.parent / row["image"]) for row in rows))
    check_source(files)
    groups = [row[_GROUP] if row.get(_GROUP) else (number,) for number, row in enumerate(rows)]  # empty: alone
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    content, contents = None, ()
    if _CONTENT in extra:
        contents = tuple(sorted({row[_CONTENT] for row in rows}))
        if "" in contents:
            row = next(row for row in rows if not row[_CONTENT])
            raise SourceError(f"`data` {str(path)!r}: image {row['image']!r} has no content; fill the column")
        content = tuple(contents.index(row[_CONTENT]) for row in rows)
    options = {"content": content, "contents": contents, "folder": os.fspath(path.parent)}
    options["groups"] = tuple(numbers[name] for name in groups)
    return TaggedImages(os.fspath(path), files, labels, tuple(found), **options)


def _rows(path):
    """Rows of the file as dicts, their cells stripped, and its columns."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise SourceError(f"`data` {str(path)!r} cannot be read as a CSV file in UTF-8: {error}") from None
    lines = [line for line in lines if any(line)]
    names = lines[0] if lines else []
    if "image" not in names or len(set(names)) < len(names) or len(names) < 2:
        raise SourceError(
            f"`data` {str(path)!r} must begin with a header such as image,labels. Received: {short(','.join(names))}"
        )
    if len(lines) == 1:
        raise SourceError(f"`data` {str(path)!r} holds no images, only a header; add rows")
    uneven = next((number for number, line in enumerate(lines, start=1) if len(line) != len(names)), None)
    if uneven is not None:
        raise SourceError(f"`data` {str(path)!r}: row {uneven} does not have the {len(names)} cells of the header")
    rows = [dict(zip(names, line, strict=True)) for line in lines[1:]]
    seen = set()
    for row in rows:
        if not row["image"] or row["image"] in seen:
            what = f"names {row['image']!r} twice; join its labels by ;" if row["image"] else "has a row without image"
            raise SourceError(f"`data` {str(path)!r} {what}")
        seen.add(row["image"])
    return rows, names


def _tags(path, row, names, extra):
    """The labels of a row."""
    if "labels" in names:
        found = {name.strip() for name in row["labels"].split(";")} - {""}
    else:
        columns = [name for name in names if name not in ("image", *extra)]
        odd = next((name for name in columns if row[name] not in ("0", "1")), None)
        if odd is not None:
            raise SourceError(
                f"`data` {str(path)!r}: column {odd!r} must be 1 or 0, or give a column `labels`. "
                f"Received: {short(row[odd])} for image {row['image']!r}"
            )
        found = {name for name in columns if row[name] == "1"}
    if not found:
        raise SourceError(f"`data` {str(path)!r}: image {row['image']!r} has no label; add one or remove the row")
    return found
