"""Which files a folder, a glob or a list stands for, which of them belong together, and sources of them."""

import collections
import dataclasses
import glob
import logging
import os
import re
from pathlib import Path
from typing import ClassVar

from tfssl.data.decode import check_header
from tfssl.data.source import Source
from tfssl.errors import SourceError, counted
from tfssl.files import printable

log = logging.getLogger("tfssl")

_SHOWN, _SHOWN_KINDS = 3, 6

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""File names that count as images in folders, lower case: all that the formats which are read go by."""

_ENDING = re.compile(r"\.\w{1,12}", re.ASCII)
_told: set[tuple[str, str]] = set()


def short(data):
    """What to show of an argument in a message."""
    text = repr(data)
    return text if len(text) < 100 else text[:97] + "..."


def list_files(data, extensions, noun):
    """Paths of files of one kind, sorted; of a list in its order. SourceError if there are none.

    Args:
        data: a folder (with its folders; hidden ones left out), a glob, a file, or a list of files.
        extensions: endings that count in folders and globs, lower case.
        noun: what the files hold, for messages.
    """
    if isinstance(data, (list, tuple)) and all(isinstance(item, (str, os.PathLike)) for item in data):
        paths = tuple(os.fspath(item) for item in data)
    elif isinstance(data, (str, os.PathLike)):
        found = expand(os.fspath(data))
        paths = taken(found, lambda path: path.lower().endswith(extensions), data)
        if found and not paths:
            raise SourceError(
                f"`data` holds {counted(len(found), 'files')} but no {' '.join(extensions)}. "
                f"Received: data={short(data)}"
            )
    else:
        raise SourceError(
            f"`data` must be a folder, a glob, a file or a list of files. Received: data of type {type(data).__name__}"
        )
    if not paths:
        raise SourceError(f"`data` holds no {noun}. Received: data={short(data)}")
    return paths


def expand(text):
    """Files of a folder (with its folders; hidden ones left out), of a glob, or the file itself; sorted."""
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        return sorted(_walk(path, ()))
    if os.path.isfile(path):
        return [path]
    matches = sorted(glob.glob(path, recursive=True))
    files = [p for p in matches if os.path.isfile(p)]
    if matches and not files:
        raise SourceError(f"`data` matches folders only; end the glob with /*.jpg or /**. Received: data={text!r}")
    if not matches:
        raise SourceError(f"`data` is no folder, file or matching glob. Received: data={text!r}")
    return files


def common_folder(paths):
    """The folder that all files lie in; empty where some are given from the root and some are not."""
    folders = {os.path.dirname(path) for path in paths}
    return os.path.commonpath(folders) if len({os.path.isabs(folder) for folder in folders}) == 1 else ""


def ignored_kinds(folder):
    """How many files of a folder (or glob) are no images by their names: ``{ending: count}``, the most frequent first.

    Hidden files do not count. The ending is lower case, ``""`` where there is none.
    """
    return _kinds(path for path in expand(os.fspath(folder)) if not path.lower().endswith(EXTENSIONS))


def _kinds(paths):
    counts = collections.Counter(os.path.splitext(path)[1].lower() for path in paths)
    named = collections.Counter()
    for ending, count in counts.items():
        named[ending if _ENDING.fullmatch(ending) else ""] += count
    return dict(sorted(named.items(), key=lambda item: (-item[1], not item[0], item[0])))


def ignored_line(kinds):
    """What to tell of :func:`ignored_kinds`, one line; empty where there are none."""
    if not kinds:
        return ""
    total, shown = sum(kinds.values()), list(kinds.items())[:_SHOWN_KINDS]
    parts = [f"{ending or 'without ending'} {count}" for ending, count in shown]
    parts += [f"others {total - sum(count for _, count in shown)}"] if len(kinds) > len(shown) else []
    return f"{counted(total, 'files')} of other kinds ignored: {', '.join(parts)}"


def taken(found, wanted, data):
    """Those of the files ``found`` in ``data`` that are ``wanted`` (a function of a path); tells once of the others."""
    chosen = {path for path in found if wanted(path)}
    line = ignored_line(_kinds(path for path in found if path not in chosen)) if chosen else ""
    where = os.path.abspath(os.path.expanduser(os.fspath(data)))
    if line and (where, line) not in _told:
        _told.add((where, line))
        log.warning("%s: %s", printable(data), line)
    return tuple(path for path in found if path in chosen)


def _walk(folder, above):
    """Files below a folder. Follows symbolic links, a common way to make a subset, but not in circles."""
    try:
        status = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError as error:
        if not above:
            raise SourceError(f"`data` cannot be listed ({error.strerror}). Received: data={folder!r}") from None
        log.warning("left out folder %s: %s", printable(folder), error.strerror)
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        link = entry.is_symlink()
        if entry.is_dir(follow_symlinks=False) or (link and os.path.isdir(entry.path)):
            yield from _walk(entry.path, (*above, here))
        elif link or entry.is_file(follow_symlinks=False):  # a broken link is named among the unreadable files
            yield entry.path


def check_inside(name, what):
    """Refuse a name out of a list or an annotation that leads out of its folder: SourceError; ``what`` it is."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:", name) or name.startswith("~") or "\0" in name:
        raise SourceError(f"`data`: {what} leads out of the directory; give a name inside it. Received: {short(name)}")


def lines_of(path, what="data"):
    """Lines of a text file without spaces around them, empty ones left out; UTF-8, with a byte-order mark or without.

    SourceError that names the file if it cannot be read, or is of another encoding.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SourceError(f"`{what}`: line {line} of {printable(path)!r} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise SourceError(f"`{what}`: {printable(path)!r} cannot be read ({error.strerror})") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def stem(path):
    """File name without folder and ending, as partners are compared: regardless of case."""
    return Path(path).stem.casefold()


def by_stem(folder, extensions):
    """``{stem: path}`` of the files directly in a folder, in the order of their numbers."""
    found = {}
    for entry in sorted(Path(folder).iterdir(), key=lambda path: natural(path.name)):
        if entry.name.startswith(".") or entry.suffix.lower() not in extensions:
            continue
        if stem(entry) in found:
            raise SourceError(
                f"`data` has two files of one name: {printable(found[stem(entry)])!r} and {entry.name!r}; remove one"
            )
        found[stem(entry)] = str(entry)
    return found


def natural(name):
    """A key that sorts frame_2 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def strip(files, ending):
    """Those of ``{stem: path}`` whose stem ends so, without the ending."""
    return {name.removesuffix(ending): path for name, path in files.items() if name.endswith(ending)}


def match(roles):
    """Put files of equal name together: ``{role: {stem: path}}`` becomes ``{stem: {role: path}}``.

    Each stem that any role has is there; a missing partner is None, see :func:`whole`.
    """
    stems = sorted(set().union(*roles.values()), key=natural)
    return {name: {role: files.get(name) for role, files in roles.items()} for name in stems}


def folder_pair(root, known):
    """The first of ``known`` pairs of folder names of which ``root`` has both; None where there is none."""
    for pair in known:
        if all((root / name).is_dir() for name in pair):
            return pair
    for first, second in known:
        if (root / first).is_dir():
            raise SourceError(f"`data` has {first}/ but no {second}/. Received: data={short(os.fspath(root))}")
    return None


def listed_groups(data, roles, required=2):
    """Groups of files that a caller lists, as ``[{role: path}]``; roles after ``required`` may be left out."""
    groups = []
    for item in data:
        if not isinstance(item, (list, tuple)) or not required <= len(item) <= len(roles):
            raise SourceError(f"`data` must list ({', '.join(roles)}). Received: {short(item)}")
        groups.append(dict(zip(roles, map(os.fspath, item), strict=False)))
    return groups


def folder(data, or_list):
    """``data`` as the path of a folder; ``or_list`` says what else it may be."""
    if not isinstance(data, (str, os.PathLike)) or not Path(data).expanduser().is_dir():
        raise SourceError(f"`data` must be a folder{or_list}. Received: data={short(data)}")
    return Path(data).expanduser()


def refuse_options(**options):
    """Refuse what is given beside a source that is open already: it would be ignored."""
    for name, value in options.items():
        if value is not None:
            raise SourceError(
                f"`{name}` has no effect on a source that is open; give it when opening that. Received: "
                f"{name}={short(value)}"
            )


def folders_below(root):
    """All folders that hold files, sorted."""
    return sorted({os.path.dirname(path) for path in expand(os.fspath(root))})


def whole(group):
    """Raise ValueError if a group of :func:`match` lacks a partner."""
    for role, path in group.items():
        if path is None:
            other = next(role for role, path in group.items() if path is not None)
            raise ValueError(f"the {role} of {os.path.basename(printable(group[other]))!r} ({other}) is missing")


def check_groups(groups, data, noun):
    """Warn of the groups that lack a partner; SourceError if there are no groups, or none is whole."""
    missing = []
    for group in groups:
        try:
            whole(group)
        except ValueError as error:
            missing.append(str(error))
    few = "; ".join(missing[:_SHOWN])
    if not groups or len(missing) == len(groups):
        raise SourceError(
            f"`data` holds no {noun}{f': {few}' if few else ''}. Received: data={short(data)}; see docs/data.md for "
            f"the layouts that are known"
        )
    if missing:
        log.warning("%d of %d %s are not whole and will be skipped: %s", len(missing), len(groups), noun, few)


class PathSource(Source):
    """A source of files, at ``paths``."""

    def __len__(self):
        return len(self.paths)

    def name(self, index):
        return printable(self.paths[index])


@dataclasses.dataclass(frozen=True, eq=False)
class GroupSource(Source):
    """A source of files that belong together: ``groups`` as :func:`match` gives them, ``scale`` of files of maps."""

    groups: tuple[dict, ...]
    scale: float | None = None

    roles: ClassVar[tuple[str, ...]] = ("image",)
    """Of the images in a group."""

    def __len__(self):
        return len(self.groups)

    def name(self, index):
        return printable(next(path for path in self.groups[index].values() if path is not None))

    def check(self, index):
        whole(self.groups[index])
        for role in self.roles:
            check_header(self.groups[index][role])
