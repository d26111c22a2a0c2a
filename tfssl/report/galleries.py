"""Section of the pictures that ``tfssl visualize`` left in folders."""

import json
from pathlib import Path

from tfssl.errors import SourceError
from tfssl.report.contestants import words
from tfssl.report.markup import PICTURES, details, paragraph, picture, section, table, tag


def find_galleries(runs, folders=()):
    """Folders that hold a page of pictures.

    Args:
        runs: list of :class:`~tfssl.report.run_record.RunRecord`, searched in their folders ``visualizations/``.
        folders: further folders, searched to the bottom.

    Returns:
        List of folders, those of the runs first.

    Raises:
        SourceError: if one of ``folders`` holds none.
    """
    found = {folder: None for run in runs for folder in _search(run.folder / "visualizations")}
    for folder in folders:
        here = _search(Path(folder).expanduser())
        if not here:
            raise SourceError(f"`visualizations` {str(folder)!r} holds no index.html with pictures beside it")
        found |= dict.fromkeys(here)
    return list(found)


def _search(folder):
    pages = (page.parent.resolve() for page in Path(folder).glob("**/index.html"))
    return sorted(page for page in pages if _pictures(page))


def _pictures(folder):
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)


def visualizations(runs, folders):
    """Their pictures, numbers and constants.

    Args:
        runs: list of :class:`~tfssl.report.run_record.RunRecord`.
        folders: what :func:`find_galleries` found.
    """
    parts = []
    if not folders:
        command = f"tfssl visualize {runs[0].folder} filters --out {runs[0].folder}/visualizations/filters"
        parts.append(paragraph("None were found. To have filters here: ", tag("code", command)))
    for folder in folders:
        record = _record(folder)
        numbers, protocol = record.get("numbers") or {}, record.get("protocol") or {}
        title = record.get("title") or words(folder.name)
        parts.append(tag("h3", title))
        settings = "; ".join(f"{words(key)} {_text(value)}" for key, value in protocol.items())
        shown = [picture(file, f"{title}: {file.stem} ({folder.name}/{file.name})") for file in _pictures(folder)]
        parts.append(tag("div", shown, class_="side"))
        if numbers:
            names = list(dict.fromkeys(name for column in numbers.values() for name in column))
            rows = [[words(name), *(column.get(name) for column in numbers.values())] for name in names]
            parts.append(table(["Figure", *numbers], rows, caption=f"Numbers of {title}"))
        made = f"Made with: {settings}." if settings else "How they were made is not recorded (no numbers.json)."
        parts.append(details("How these pictures were made", paragraph(made), paragraph(tag("code", folder))))
    return section("visualizations", "Pictures of what was learned", *parts)


def _record(folder):
    try:
        record = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)
