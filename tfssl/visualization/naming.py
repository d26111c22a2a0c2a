"""What people say that units respond to: a table to fill in beside the sheet, and how far several of them agree."""

import collections
import csv

from tfssl.errors import SourceError
from tfssl.files import cell, printable, writing

AGREEMENT = 0.6
"""Fraction of the people who must name the same for a unit to count (Owens et al.; recalled)."""

_COLUMNS = ("unit", "concept", "images")


def write_naming_table(path, units, index, images):
    """A CSV with a row for each unit: its number, a column ``concept`` to fill in, and the names of its top images.

    Args:
        units: numbers, in the order of the sheet.
        index: int (units of the tap, K), numbers of the top images of each.
        images: a :class:`tfssl.visualization.maps.ImageSet`.
    """
    with writing(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for unit in units:
            shown = (images.source.name(int(images.index[number])) for number in index[unit])
            rows.writerow([unit, "", cell("; ".join(shown))])


def read_names(path):
    """``{unit: concept}`` of a table that somebody has filled in; lower case, units left empty are not in it.

    Raises:
        SourceError: if it cannot be read, or lacks a column.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [
                (int(row["unit"]), " ".join((row["concept"] or "").lower().split())) for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise SourceError(
            f"`names`: {printable(str(path))!r} is no table with the columns unit and concept ({error})"
        ) from None
    return {unit: concept for unit, concept in rows if concept}


def count_named(tables):
    """Units for which at least :data:`AGREEMENT` of the people, one a table, wrote the same.

    Reference:
        A. Owens, J. Wu, J. McDermott, W. Freeman, A. Torralba: Ambient Sound Provides Supervision for Visual Learning.
        ECCV 2016.
    """
    words = collections.defaultdict(collections.Counter)
    for table in tables:
        for unit, concept in table.items():
            words[unit][concept] += 1
    return sum(max(found.values()) >= AGREEMENT * len(tables) - 1e-9 for found in words.values())
