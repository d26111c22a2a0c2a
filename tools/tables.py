"""What every generated table is made of: results read, numbers in three digits, Markdown."""

import json


class TableError(Exception):
    """A block names no table, or the results that it needs are missing."""


def markdown(header, rows):
    """A Markdown table; every cell but the first column's is aligned right if it is a number."""
    numeric = [all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]
    lines = [header, ["---:" if number else "---" for number in numeric]]
    lines += [[figure(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def figure(value):
    """A number in three significant digits (whole numbers in full), anything else as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def number(record, name, baseline=None):
    """A number of a committed record, or that of something beside it, ``"gain"``: over the untrained network.

    None where it was not measured.
    """
    metric = record["metrics"].get(name)
    if metric is None or baseline is None:
        return None if metric is None else metric["value"]
    if baseline != "gain":
        return metric["baselines"].get(baseline)
    untrained = metric["baselines"].get("untrained")
    return None if untrained is None else metric["value"] - untrained


def read(root, path):
    file = root / path
    if not file.is_file():
        raise TableError(f"{path} is missing; run the script that writes it")
    return json.loads(file.read_text(encoding="utf-8"))


def machine_of(record):
    """The machine and the versions of a record, in words."""
    machine, versions = record["machine"], record["versions"]
    sets = ", ".join(machine["instruction_sets"])
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if name in ("tensorflow", "keras"))
    processor = f"{machine['cores']} cores of {machine['cpu']} ({sets}), {machine['memory_gib']:.0f} GiB"
    return f"Measured on {processor}, {packages}"
