"""Tables of what was synthesized: structure kept, symmetry imposed."""

from tools.learned_tables import spread
from tools.tables import figure, markdown, read

_RESULTS = "benchmarks/results/textures.json"
_TASKS = ("texture", "long-range")


def bricks(root):
    """Autocorrelation at the period, of the card's wall and of what random filters made of it."""
    rows = read(root, _RESULTS)["bricks"]
    names = {"reference": "the wall", "gram": "Gram matrices", "shifts": "and shifted ones"}
    table = [
        (what, *(spread([row[name][axis] for row in rows]) for axis in ("right", "down")), str(len(rows)))
        for name, what in names.items()
    ]
    return markdown(["", "to the right", "down", "Seeds"], table)


def textures(root):
    """Autocorrelation of textures of VGG-16 at the period of their references."""
    rows, table = read(root, _RESULTS)["textures"], []
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        for axis, first in own[0]["axes"].items():
            values = ([row["axes"][axis]["value"] for row in own if row["task"] == task] for task in _TASKS)
            cells = (first["lag"], first["reference"], *map(spread, values))
            seeds = len({row["seed"] for row in own})
            table.append((f"{name}, {axis}", *map(str, (cells[0], figure(cells[1]), *cells[2:], seeds))))
    header = ["Reference, axis", "period (pixels)", "its autocorrelation", "`texture`", "`long-range`", "Seeds"]
    return markdown(header, table)


def symmetric(root):
    """Mirror errors of textures that were made symmetric, and of one that was not."""
    rows, table = read(root, _RESULTS)["symmetric"], []
    for row in sorted(rows, key=lambda row: (row["name"], row["symmetry"] is not None)):
        errors = (figure(row["errors"][flip]) for flip in ("left-right", "up-down", "quarter-turn"))
        table.append((row["name"], f"`{row['symmetry']}`" if row["symmetry"] else "none", *errors))
    return markdown(["Reference", "Symmetry asked for", "left-right", "up-down", "quarter turn"], table)
