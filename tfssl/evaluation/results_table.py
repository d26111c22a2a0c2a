"""Results of evaluations in one table, a row for each, from which tables of documents are made."""

import json
import math
import numbers

from tfssl.errors import ConfigError
from tfssl.evaluation.exclusive import exclusive
from tfssl.evaluation.provenance import model_of, now
from tfssl.evaluation.results_file import REQUIRED, add_row, checked, read_rows

IDENTITY = REQUIRED
"""First columns of every table: when, what was measured, by which task, on which pictures."""

SECTIONS = ("protocol", "config", "versions")
"""Parts of a record whose entries become columns ``PART.NAME``."""

_TEXT = ("date", "model", "weights_sha256", "task", "data", "split")
_MISSING = "\u2013"


def append_result(path, record, *, source=None):
    """Append an evaluation to a table, whole or not at all; processes that append at once wait for each other.

    Rows that are there are not touched; a record with new entries adds columns.

    Args:
        path: a .csv or .json file (of a list of rows), made if missing.
        record: the content of an evaluation's ``metrics.json``.
        source: what was evaluated, see :func:`tfssl.evaluation.provenance.model_of`; None if the record says it.

    Returns:
        The row, see :func:`row_of`.

    Raises:
        ConfigError: if the file is of another kind or no such table, or nothing says what was evaluated.
    """
    path = checked(path)
    row = row_of(record, source=source)
    with exclusive(path):
        add_row(path, row)
    return row


def row_of(record, *, source=None):
    """One row: :data:`IDENTITY`, then every figure, then the constants of protocol, configuration and versions.

    ``data`` is the folder of the training pictures, ``split`` that of the test pictures or the name of the split; of
    a method's own metrics ``task`` is the method's name. What is neither a number nor a text (skipped files, confusion
    matrices) stays in metrics.json; lists among the constants become JSON.

    Args:
        record: the content of a ``metrics.json``.
        source: what was evaluated; None if the record says it.

    Returns:
        ``{column: number, text, bool or None}``.

    Raises:
        ConfigError: if nothing says what was evaluated, or by what.
    """
    about = record if source is None else {**record, **model_of(source)}
    if not about.get("model"):
        raise ConfigError("`record` does not say which model was measured; give `source`")
    protocol, config = record.get("protocol") or {}, record.get("config") or {}
    task = record.get("task") or config.get("method")
    if not task:
        raise ConfigError("`record` names neither a task nor a method; give what an evaluation's metrics.json holds")
    identity = {
        "date": about.get("date") or now(),
        "model": about["model"],
        "weights_sha256": about.get("weights_sha256"),
        "task": task,
        "data": protocol.get("data", protocol.get("train", record.get("source"))),
        "split": protocol.get("split", protocol.get("test")),
        "seeds": _flat(protocol.get("seeds", record.get("seed"))),
    }
    figures = {
        name: value
        for name, value in record.items()
        if name not in (*IDENTITY, *SECTIONS, "source") and (value is None or isinstance(value, (int, float, str)))
    }
    constants = {
        f"{section}.{name}": _flat(value) for section in SECTIONS for name, value in (record.get(section) or {}).items()
    }
    return {**identity, **figures, **constants}


def read_results(path):
    """Read a table written by :func:`append_result`.

    Args:
        path: the .csv or .json file.

    Returns:
        ``pandas.DataFrame``, a row for each evaluation, oldest first; what a record lacks is missing (NaN, None or NA).

    Raises:
        ConfigError: if there is no such file, or it is no such table.
    """
    path = checked(path)
    if not path.is_file():
        raise ConfigError(f"no table {str(path)!r}; append a result first")
    names, rows = read_rows(path)
    columns = {name: [row.get(name) for row in rows] for name in names}
    if path.suffix == ".csv":
        columns = {name: _values(name, cells) for name, cells in columns.items()}
    pandas = _pandas()
    return pandas.DataFrame({name: pandas.Series(values, dtype=_dtype(values)) for name, values in columns.items()})


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

    Returns:
        The table as text, with a newline at its end.

    Raises:
        ConfigError: for a column that the table lacks, or if no row is left.
    """
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
    numeric = [all(_is_number(value) or _absent(value) for value in table[name]) for name in columns.values()]
    lines = [list(columns), ["---:" if number else "---" for number in numeric]]
    for row in table.to_dict("records"):
        lines.append([_cell(row, name, digits, factor) for name in columns.values()])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(row, name, digits, factor):
    value = row[name]
    if _absent(value):
        return _MISSING
    if not _is_number(value):
        return str(value).replace("|", "\\|").replace("\n", " ")
    if isinstance(value, numbers.Integral):
        return f"{value:,}"
    text, std = f"{factor * value:.{digits}f}", row.get(f"{name}_std")
    return text if _absent(std) or not std else f"{text} ± {factor * std:.{digits}f}"


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _absent(value):
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))


def _flat(value):
    return value if value is None or isinstance(value, (int, float, str)) else json.dumps(value)


def _values(name, cells):
    """The values of a column of texts: all of one kind, None where there is nothing."""
    # A fingerprint stays a text, be it 1e5... .
    for kind in () if name in _TEXT else (int, float, {"True": True, "False": False}.__getitem__):
        try:
            return [None if cell == "" else kind(cell) for cell in cells]
        except (ValueError, KeyError):
            continue
    return [cell or None for cell in cells]


def _dtype(values):
    """Counts stay counts where some are missing; texts are left as they are."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return "Int64" if None in values else "int64"
    return "float64" if kinds and kinds <= {int, float} else "object"


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ConfigError("reading a table of results needs pandas; pip install pandas (or tfssl[tables])") from None
    return pandas
