"""The file of a table of results: rows in CSV or JSON."""

import csv
import io
import json
import math
import os
from pathlib import Path

from tfssl.errors import ConfigError

REQUIRED = ("date", "model", "weights_sha256", "task", "data", "split", "seeds")
"""Columns that tell a table of results from another file."""


def read_rows(path):
    """The rows of a table.

    Args:
        path: the .csv or .json file.

    Returns:
        ``(names of the columns, list of rows)``: a row is ``{column: value}``; in a .csv file every value is the text
        that stands there, in a .json file a row lacks the columns that it has no value for.

    Raises:
        ConfigError: if the file is no table, or lacks a column of :data:`REQUIRED`.
    """
    return _csv_rows(path) if path.suffix == ".csv" else _json_rows(path)


def add_row(path, row):
    """Write the table with a row more, whole or not at all; made if missing.

    Args:
        path: the .csv or .json file.
        row: ``{column: number, text, bool or None}``.

    Raises:
        ConfigError: as :func:`read_rows`.
    """
    names, rows = read_rows(path) if path.is_file() else ([], [])
    if path.suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys([*names, *row])), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, {name: _text(value) for name, value in row.items()}])
        text = text.getvalue()
    else:
        row = {name: None if _is_nan(value) else value for name, value in row.items()}
        text = json.dumps([*rows, row], indent=1, allow_nan=False) + "\n"
    _write_whole(path, text)


def checked(path):
    """The path, if a table can be kept there.

    Raises:
        ConfigError: if it is neither .csv nor .json.
    """
    path = Path(path).expanduser()
    if path.suffix not in (".csv", ".json"):
        raise ConfigError(f"a table of results is a .csv or .json file. Received: {str(path)!r}")
    return path


def _csv_rows(path):
    """Column names and rows, every cell as the text that it is, so that writing it again changes none."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            names, rows = list(reader.fieldnames or []), list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(path)!r} is no table: {' '.join(str(error).split())}") from None
    uneven = next((number for number, row in enumerate(rows, 2) if None in row or None in row.values()), None)
    if uneven is not None:
        raise ConfigError(f"{str(path)!r} is no table: row {uneven} has not as many cells as the first row")
    return _known(names, path), rows


def _json_rows(path):
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} is no table: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{str(path)!r} is no table of results: it must hold a list of rows")
    for row in rows:
        _known(row, path)
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _known(table, path):
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise ConfigError(f"{str(path)!r} is no table of results: it has no column {missing[0]!r}; choose another file")
    return table


def _text(value):
    return "" if value is None or _is_nan(value) else repr(value) if isinstance(value, float) else str(value)


def _is_nan(value):
    return isinstance(value, float) and math.isnan(value)


def _write_whole(path, text):
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
