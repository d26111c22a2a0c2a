"""Results of evaluations in one table, a row for each, from which tables of documents are made."""

import contextlib
import csv
import io
import json
import numbers
import os
import time
from pathlib import Path

from tfssl.errors import ConfigError
from tfssl.evaluation.record import now
from tfssl.files import cell, check_folder, read_json, write_json, write_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# First columns of every table, which tell it from another file: when, what was measured, by which task, on what.
IDENTITY = ("date", "model", "weights_sha256", "task", "data", "split", "seeds")
SECTIONS = ("protocol", "config", "versions")  # parts of a record whose entries become columns `PART.NAME`
_TEXT = IDENTITY[:-1]  # a fingerprint stays a text, be it 1e5...
_MISSING = "\u2013"
_POLL = 0.05  # seconds between two tries for the lock


def append_result(path, record):
    """Append an evaluation to a table, whole or not at all; processes that append at once wait for each other.

    Rows that are there are not touched; a record with new entries adds columns. Returns the row, see :func:`row_of`.

    Args:
        path: a .csv or .json file (of a list of rows), made if missing.
        record: :class:`~tfssl.evaluation.record.Record`.

    Raises:
        ConfigError: if the file is of another kind or no such table, or the record does not say what was measured.
    """
    path, row = _checked(path), row_of(record)
    with _exclusive(path):
        rows = [*(_read(path) if path.is_file() else []), row]
        if path.suffix == ".csv":
            write_text(path, _csv_text(rows))
        else:
            write_json(path, rows)
    return row


def check_table(path):
    """Refuse what :func:`append_result` would refuse, before there is a record."""
    path = _checked(path)
    check_folder(path.parent, "table")
    if path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        raise ConfigError(f"`table` must be a file that can be written to. Received: table={str(path)!r}")
    if path.is_file():
        _read(path)


def row_of(record):
    """One row: :data:`IDENTITY`, then every figure, then the constants of protocol, configuration and versions.

    ``data`` is the folder of the training images, ``split`` that of the test images or the name of the split. What is
    neither a number nor a text (skipped files, confusion matrices) stays in metrics.json; lists among the constants
    become JSON. A ConfigError tells if the record does not say which model was measured, or by what.
    """
    about, protocol = record.about, record.protocol
    if not about.get("model"):
        raise ConfigError("`record` does not say which model was measured; give `record.of(source)`")
    if not record.task:
        raise ConfigError("`record` names neither a task nor a method; give what an evaluation's metrics.json holds")
    identity = {
        "date": about.get("date") or now(),
        "model": about["model"],
        "weights_sha256": about.get("weights_sha256"),
        "task": record.task,
        "data": protocol.get("data", protocol.get("train", about.get("source"))),
        "split": protocol.get("split", protocol.get("test_split", protocol.get("test"))),
        "seeds": _flat(protocol.get("seeds", about.get("seed"))),
    }
    sections = record.to_dict()
    constants = {f"{part}.{name}": _flat(v) for part in SECTIONS for name, v in (sections.get(part) or {}).items()}
    return identity | {k: v for k, v in record.flat().items() if k not in identity} | constants


def read_results(path):
    """Read a table written by :func:`append_result`.

    Returns a ``pandas.DataFrame`` of nullable types, a row for each evaluation, oldest first; what one lacks is NA.
    """
    import pandas

    path = _checked(path)
    if not path.is_file():
        raise ConfigError(f"no table {str(path)!r}; append a result first")
    return pandas.read_csv(
        io.StringIO(_csv_text(_read(path))),
        dtype=dict.fromkeys(_TEXT, "string"),
        dtype_backend="numpy_nullable",
        keep_default_na=False,
        na_values=[""],
    )


def newest(table):
    """The last of all rows that measured the same: equal in everything but the date, the figures and the versions."""
    same = [c for c in table if c in IDENTITY[1:] or c.startswith(("protocol.", "config."))]
    return table[~table[same].astype(str).duplicated(keep="last")]


def results_markdown(table, columns, *, where=None, order=None, digits=3, factor=1.0):
    """A Markdown table of some results.

    A column that has ``COLUMN_std`` beside it is written as mean ± standard deviation, unless that is 0.

    Args:
        table: from :func:`read_results`.
        columns: names of the columns to show, or ``{heading: name}``.
        where: ``{column: value or list of values}``; only such rows are shown. None for all.
        order: column whose largest value comes first; None for the order of the table.
        digits: after the decimal point.
        factor: of the numbers, 100 for per cent; columns of counts are left as they are.

    Raises:
        ConfigError: for a column that the table lacks, or if no row is left.
    """
    from pandas.api.types import is_numeric_dtype

    columns = columns if isinstance(columns, dict) else {name: name for name in columns}
    where = {name: value if isinstance(value, (list, tuple, set)) else [value] for name, value in (where or {}).items()}
    for name in [*columns.values(), *where, *([order] if order else [])]:
        if name not in table:
            raise ConfigError(f"there is no column {name!r}; the table has {', '.join(map(str, table))}")
    for name, values in where.items():
        table = table[table[name].isin(values)]
    if table.empty:
        raise ConfigError(f"`where` leaves no row. Received: where={where}")
    if order:
        table = table.sort_values(order, ascending=False, kind="stable")
    lines = [list(columns), ["---:" if is_numeric_dtype(table[name]) else "---" for name in columns.values()]]
    for row in table.to_dict("records"):
        lines.append([_cell(row, name, digits, factor) for name in columns.values()])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(row, name, digits, factor):
    import pandas

    value, std = row[name], row.get(f"{name}_std")
    if pandas.isna(value):
        return _MISSING
    if isinstance(value, (str, bool)):
        return str(value).replace("|", "\\|").replace("\n", " ")
    if isinstance(value, numbers.Integral):
        return f"{value:,}"
    text = f"{factor * value:.{digits}f}"
    return text if pandas.isna(std) or not std else f"{text} ± {factor * std:.{digits}f}"


def _flat(value):
    return value if value is None or isinstance(value, (int, float, str)) else json.dumps(value)


def _checked(path):
    path = Path(path).expanduser()
    if path.suffix not in (".csv", ".json"):
        raise ConfigError(f"a table of results is a .csv or .json file. Received: {str(path)!r}")
    return path


def _read(path):
    """The rows; of a .csv every cell is the text that stands there, so that writing it again changes none."""
    try:
        if path.suffix == ".json":
            rows = read_json(path)
            names = rows[0] if rows and isinstance(rows, list) else IDENTITY
        else:
            with open(path, newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file, strict=True)
                names, rows = reader.fieldnames or [], list(reader)
    except (csv.Error, ValueError) as error:
        raise ConfigError(f"{str(path)!r} is no table: {' '.join(str(error).split())}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{str(path)!r} is no table of results: it must hold a list of rows")
    missing = [name for name in IDENTITY if name not in names]
    if missing:
        raise ConfigError(f"{str(path)!r} is no table of results: it has no column {missing[0]!r}; choose another file")
    for number, row in enumerate(rows, 2):
        if path.suffix == ".csv" and (None in row or None in row.values()):
            raise ConfigError(f"{str(path)!r} is no table: row {number} has not as many cells as the first row")
    return rows


def _csv_text(rows):
    text, names = io.StringIO(), dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if v is None or v != v else cell(v) for name, v in row.items()} for row in rows)
    return text.getvalue()


@contextlib.contextmanager
def _exclusive(path):
    """Hold the lock ``.NAME.lock`` beside a file; gone after its last holder, and let go of by a process that dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _wait_for(descriptor)
            with contextlib.suppress(FileNotFoundError):
                if fcntl is None or os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                    break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        yield
    finally:
        if fcntl is not None:  # removed while held: who waits for this file sees that it is another one
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _wait_for(descriptor):
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    import msvcrt

    while True:
        try:
            return msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:  # held by another process
            time.sleep(_POLL)
