"""Images with their captions, in the layouts of Flickr8k and COCO."""

import csv
import dataclasses
import glob
import json
import os
from pathlib import Path

from tfssl.data.images import FileSource
from tfssl.data.listing import EXTENSIONS, check_inside, lines_of, log, short
from tfssl.errors import SourceError, counted
from tfssl.files import printable

_TABLES = ("captions.tsv", "captions.csv", "captions.txt", "captions.json", "Flickr8k.token.txt")
_FOLDERS = (".", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset")
_FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_name")
_CAPTION_COLUMNS = ("caption", "captions", "comment", "text")


@dataclasses.dataclass(frozen=True)
class CaptionedSource(FileSource):
    """Images with captions, ``{"image": PIL.Image, "captions": tuple of str}``, at least one caption each.

    An image whose captions are all empty cannot be read, so that it is named where others that are damaged are.
    """

    captions: tuple[tuple[str, ...], ...] = ()

    noun = "captioned images"

    def example(self, index):
        self._check_captions(index)
        return {**super().example(index), "captions": self.captions[index]}

    def check(self, index):
        self._check_captions(index)
        super().check(index)

    def _check_captions(self, index):
        if not self.captions[index]:
            raise ValueError("all of its captions are empty")


def captioned_source(data, *, images=None, split=None, min_size=None):
    """Images with their captions, as :class:`CaptionedSource` in the order of the file.

    Images of the folder that nobody captioned are told and left out; one that is missing, or has empty captions only,
    is named when it is read. A caption that an image has twice stays twice.

    Args:
        data: the file of captions, or the folder that holds it as captions.tsv, .csv, .txt or .json or
            Flickr8k.token.txt. Known are ``NAME.jpg#0<TAB>caption``; ``NAME.jpg<TAB>caption`` (quotes mean nothing)
            and ``NAME.jpg,caption`` (quotes around commas), with a header or without; and COCO's JSON. UTF-8.
            ``"DATA:SPLIT"`` stands for DATA and ``split``; ``"builtin"`` for rendered shapes, see
            :func:`tfssl.data.rendered_captions.captioned_shapes`.
        images: their folder; None looks beside the file of captions, in its ``images/`` and where COCO has them.
        split: a file of image names, one a line; or the name of a split, such as ``"train"``, in a ``split.tsv``
            (columns ``file`` and ``split``) or ``*.trainImages.txt`` beside the captions. None takes all.
        min_size: as in :func:`tfssl.data.decode.decode_image`.

    Raises:
        SourceError: in one line, if the file is damaged, not UTF-8 or of another layout, or no image is found.
    """
    if isinstance(data, (str, os.PathLike)):
        if os.fspath(data) == "builtin":
            from tfssl.data.rendered_captions import captioned_shapes

            return captioned_shapes()
        data, named = parted(os.fspath(data))
        split = named if split is None else split
    table = _table(data)
    rows = _read_json(table) if table.suffix.lower() == ".json" else _read_table(table)
    captions, empty = {}, 0
    for name, caption in rows:
        name, caption = name.strip(), caption.strip()
        check_inside(name, f"a file name in {printable(table)!r}")
        known = captions.setdefault(name, [])
        if caption:
            known.append(caption)
        else:
            empty += 1
    if split is not None:
        names = _split_names(table.parent, split)
        captions = {name: captions[name] for name in names if name in captions}
        if len(captions) < len(names):
            log.warning("split %s: %d of its %d images have no captions", split, len(names) - len(captions), len(names))
    if not any(captions.values()):
        raise SourceError(f"`data` holds no captions{f' of the split {split}' if split else ''}. {_received(table)}")
    folder = _image_folder(table, captions, images)
    if empty:
        log.warning("%s: %d empty captions are left out", printable(table), empty)
    if split is None:
        _tell_uncaptioned(folder, captions)
    paths = tuple(str(folder / name) for name in captions)
    return CaptionedSource(paths, min_size, tuple(map(tuple, captions.values())))


def parted(data):
    """``(data, split)`` of the text ``"DATA:SPLIT"``; the split is None where there is none, or a file is called so."""
    before, colon, split = data.rpartition(":")
    whole = not (colon and before and split) or os.path.exists(os.path.expanduser(data))
    return (data, None) if whole else (before, split)


def _tell_uncaptioned(folder, captions):
    """Say which images of the folder itself nobody captioned."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(EXTENSIONS))
    left = [name for name in names if name not in captions and not name.startswith(".")]
    if left:
        shown = ", ".join(map(printable, left[:3])) + (", ..." if len(left) > 3 else "")
        log.warning(
            "%s: left out for want of captions: %s (%s)", printable(folder), counted(len(left), "images"), shown
        )


def _received(data):
    return f"Received: data={short(os.fspath(data))}"


def _table(data):
    if not isinstance(data, (str, os.PathLike)):
        raise SourceError(f"`data` must be a file of captions or its folder. Received: data={short(data)}")
    path = Path(data).expanduser()
    found = [path / name for name in _TABLES if (path / name).is_file()] if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise SourceError(f"`data` must be a file of captions, or hold {', '.join(_TABLES)}. {_received(data)}")
    return found[0]


def _text(path):
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SourceError(f"`data` must be UTF-8, line {line} is not; save it as UTF-8. {_received(path)}") from None
    except OSError as error:
        raise SourceError(f"`data` cannot be read ({error.strerror}). {_received(path)}") from None


def _rows(path):
    """Line numbers and cells of a table: tabs where the first line has one, else commas."""
    lines = _text(path).splitlines(keepends=True)
    if not lines:
        raise SourceError(f"`data` is empty. {_received(path)}")
    if "\t" in lines[0]:
        yield from ((n, line.rstrip("\r\n").split("\t")) for n, line in enumerate(lines, 1) if line.strip())
        return
    reader = csv.reader(lines, strict=True)
    try:
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise SourceError(f"`data`: line {reader.line_num} is no CSV ({error}). {_received(path)}") from None


def _read_table(path):
    rows = _rows(path)
    number, first = next(rows)
    header = [cell.strip().lower() for cell in first]
    name_at, caption_at = 0, 1
    if header[0].partition("#")[0].endswith(EXTENSIONS):
        rows = [(number, first), *rows]
    else:
        name_at, caption_at = _column(header, _FILE_COLUMNS, path), _column(header, _CAPTION_COLUMNS, path)
    for number, cells in rows:
        if len(cells) != len(first):
            raise SourceError(
                f"`data`: line {number} has {len(cells)} columns, the first has {len(first)}; put captions that hold "
                f"commas in quotes. {_received(path)}"
            )
        yield cells[name_at].strip().partition("#")[0], cells[caption_at] if len(cells) > 1 else ""


def _column(header, known, path):
    for name in known:
        if name in header:
            return header.index(name)
    raise SourceError(f"`data` has no column {' or '.join(known)} but {', '.join(header)}. {_received(path)}")


def _read_json(path):
    try:
        content = json.loads(_text(path))
        names = {image["id"]: image["file_name"] for image in content["images"]}
        rows = [(names[entry["image_id"]], entry["caption"]) for entry in content["annotations"]]
    except ValueError as error:
        raise SourceError(f"`data` is no JSON ({error}). {_received(path)}") from None
    except (KeyError, TypeError) as error:
        raise SourceError(
            f"`data` must be COCO's captions: images with id and file_name, annotations with image_id and caption; "
            f"missing or unknown: {error}. {_received(path)}"
        ) from None
    except RecursionError:
        raise SourceError(f"`data` is nested too deeply. {_received(path)}") from None
    strange = next((text for row in rows for text in row if not isinstance(text, str)), None)
    if strange is not None:
        raise SourceError(f"`data`: file_name and caption must be text. Received: {short(strange)}; {_received(path)}")
    return rows


def _split_names(folder, split):
    path = Path(split).expanduser()
    if path.is_file():
        return list(dict.fromkeys(lines_of(path, "split")))
    found = [] if os.sep in str(split) else folder.glob(f"*{glob.escape(str(split))}Images.txt")
    listed = sorted(path for path in found if not path.name.startswith("."))
    if listed:
        return _split_names(folder, listed[0])
    if (folder / "split.tsv").is_file():
        rows = [cells for _, cells in _rows(folder / "split.tsv")]
        if {"file", "split"} <= set(rows[0]):
            name_at, split_at = rows[0].index("file"), rows[0].index("split")
            names = [row[name_at].strip() for row in rows[1:] if len(row) > split_at and row[split_at].strip() == split]
            if names:
                return names
    raise SourceError(f"`split` is neither a file nor a split beside the captions. Received: split={short(split)}")


def _image_folder(table, captions, images):
    if images is not None:
        candidates = [Path(images).expanduser()]
    else:
        candidates = [table.parent / name for name in _FOLDERS]
        candidates.append(table.parent.parent / table.stem.rpartition("_")[2])  # annotations/captions_val2017.json
    for folder in candidates:
        if any((folder / name).is_file() for name in captions):
            return folder
    raise SourceError(
        f"`images` must be the folder of the captioned images; there is no {next(iter(captions))!r} in "
        f"{printable(candidates[0])!r}. Received: images={images}"
    )
