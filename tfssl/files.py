"""Files that appear whole or not at all, and their fingerprints."""

import contextlib
import csv
import errno
import functools
import hashlib
import io
import json
import logging
import math
import os
import re
import secrets
import socket
import time
import zipfile
from pathlib import Path

from tfssl.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, nothing abandoned removed
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
"""In a folder that :func:`locked` holds."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
log = logging.getLogger("tfssl")

_YOUNG = 5.0  # seconds
_INFLATED = 2**28  # bytes that any archive may hold,
_EXPANSION = 20  # and a larger one so many times its own size: Keras and NumPy store arrays as they are
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf", re.IGNORECASE)
_MAX_NAME = 255  # bytes, of all common file systems


@contextlib.contextmanager
def writing(path, mode="wb", *, replace=True, **options):
    """Open a file that takes the place of ``path`` when the block ends, and is gone if it fails.

    Missing folders are made. ``mode`` is ``"wb"`` or ``"w"`` (text is UTF-8); further options are those of ``open``.
    Several processes may write the same file at once: the last to end wins, or with ``replace=False`` the first, the
    others get FileExistsError. OSError names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"  # short: path's own name may have 255 bytes
    ending = path.suffix if len(path.suffix) <= 16 else ""  # Keras goes by it
    _remove_abandoned(path.parent, stem)
    unfinished = path.with_name(f"{stem}{secrets.token_hex(6)}{ending}")
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    try:
        with open(unfinished, mode.replace("w", "x"), **options) as file:  # new, or an error: no link is followed
            _lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace or not _linked(unfinished, path):
            os.replace(unfinished, path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(unfinished)):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


@contextlib.contextmanager
def disk_errors(path):
    """What TensorFlow or a library says of a disk that takes no more, as the OSError that it is; it names ``path``."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        code = next((code for code in _DISK if os.strerror(code) in str(error)), None)
        if code is None:
            raise
        raise OSError(code, os.strerror(code), str(path)) from error


def _linked(unfinished, path):
    """Give a file its name unless somebody has it: a link is atomic. False where the file system has none."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    except OSError:  # FAT and some network drives: two that write it within this instant are not told apart
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        return False
    os.unlink(unfinished)
    return True


def fitting(stem, ending):
    """The file name ``stem + ending``, its stem cut where it would have more than 255 bytes."""
    while len(os.fsencode(stem + ending)) > _MAX_NAME:
        stem = stem[:-1]
    return stem + ending


def _lock(descriptor):
    """Take the lock of an open file; False if another process has it. Locks end with the process that holds them."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def locked(folder, what):
    """Hold a folder alone, made if it is missing. Locks end with their process.

    ConfigError that names the process which has it; ``what`` says there what the folder is.
    """
    if fcntl is None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield
        return
    file = Path(folder) / LOCK
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except FileNotFoundError:  # its last holder removed the folder meanwhile
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode("utf-8", "replace") or "another process"
            os.close(descriptor)
            raise ConfigError(f"{what} is in use by {holder}; wait for it or choose another") from None
        except OSError:  # a file system without locks
            break
        with contextlib.suppress(OSError):
            if os.stat(file).st_ino == os.fstat(descriptor).st_ino:
                break
        os.close(descriptor)  # its holder removed it meanwhile
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(file)
        os.close(descriptor)


def _remove_abandoned(folder, stem):
    """Remove what a killed process left of a file: whoever still writes holds its lock."""
    for name in [name for name in os.listdir(folder) if name.startswith(stem)]:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                # One just opened may not be locked yet.
                if time.time() - os.fstat(descriptor).st_mtime > _YOUNG and _lock(descriptor):
                    os.unlink(folder / name)
            finally:
                os.close(descriptor)


def printable(text):
    """A path or text as it goes to terminals, logs and tables: on one line, without what steers them.

    File names may hold anything: control characters (line breaks, ESC), marks that turn the direction of writing and
    bytes that are no UTF-8 become escapes.
    """
    text = os.fsdecode(text) if isinstance(text, (bytes, os.PathLike)) else str(text)
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class OneLine(logging.Formatter):
    """Log messages as :func:`printable`: they hold names of files."""

    def formatMessage(self, record):
        record.message = printable(record.message)
        return super().formatMessage(record)


def cell(value):
    """A value for a CSV file: a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    value = printable(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@")) and not _NUMBER.fullmatch(value) else value


def check_folder(path, name="out"):
    """Refuse a folder of results that cannot be written to, before the work whose results it is for."""
    place = Path(path).expanduser()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ConfigError(f"`{name}` must be a folder; {str(place)!r} is none. Received: {name}={str(path)!r}")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"`{name}`: {str(place)!r} cannot be written to. Received: {name}={str(path)!r}")


def write_text(path, text):
    """Write a text file, whole or not at all."""
    with writing(path, "w") as file:
        file.write(text)


def write_json(path, value):
    """Write JSON, whole or not at all; NaN and infinity, which it does not have, become null."""
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def read_json(path):
    """The content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def check_zip(path):
    """Refuse a zip archive (.keras, .npz) by its directory alone; nothing is unpacked.

    Raises:
        ValueError: a few megabytes claim gigabytes, a name leads elsewhere, or one comes twice.
        zipfile.BadZipFile: it is no zip archive.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    names = [member.filename for member in members]
    odd = [n for n in names if n.startswith("/") or ".." in n.split("/") or "\\" in n]
    odd += [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if odd:
        raise ValueError(f"its member {odd[0]!r} leads elsewhere or comes twice")
    refuse_inflated(sum(member.file_size for member in members), os.path.getsize(path), "it unpacks to")


def refuse_inflated(inflated, size, what):
    """ValueError if something of ``size`` bytes becomes ``inflated``, far more than arrays can be packed."""
    if inflated > max(_INFLATED, _EXPANSION * size):
        raise ValueError(f"{what} {inflated / 1e6:.0f} MB from {size / 1e6:.1f} MB: refused unread")


def read_table(path):
    """Rows of a CSV file as dicts, as far as they are whole: others, which a crash may leave, are left out and told of.

    Empty if there is no such file.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    reader, rows = csv.reader(io.StringIO(text, newline="")), []
    while True:
        try:
            rows.append(next(reader))
        except StopIteration:
            break
        except csv.Error:
            rows.append([])
    names = rows[0] if rows else []
    whole = [row for row in rows if row and len(row) == len(names) and not any("\0" in cell for cell in row)]
    if len(whole) < len(rows):
        _tell_damaged(str(path), len(rows) - len(whole))
    return [dict(zip(names, row, strict=True)) for row in whole[1:]] if whole[:1] == [names] else []


@functools.lru_cache(maxsize=256)  # once for each
def _tell_damaged(path, count):
    log.warning("%s: %d damaged line%s left out", path, count, "s are" if count > 1 else " is")


def sha256(path):
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
