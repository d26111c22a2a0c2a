"""Tables of what methods learned about relations between images: gated autoencoders, ego-motion."""

from tools.learned_tables import spread
from tools.tables import figure, markdown, read

_GATED = (
    ("transformations told (%)", "readout_accuracy", 100),
    ("from pixels (%)", "pixels_readout_accuracy", 100),
    ("the commonest always (%)", "chance_readout_accuracy", 100),
    ("analogies: error over that of copying c", "analogy_ratio", 1),
    ("error", "analogy_error", 1),
    ("of the constant 0", "constant_analogy_error", 1),
)


def gated(root):
    """What mapping units know of transformations, and how well they move other patches."""
    record = read(root, "benchmarks/results/gated.json")
    rows = []
    for variant in dict.fromkeys(row["variant"] for row in record["rows"]):
        found = [row for row in record["rows"] if row["variant"] == variant]
        cells = (spread([scale * row[key] for row in found]) for _, key, scale in _GATED)
        rows.append((variant, *cells, str(len(found))))
    return markdown(["Pairs", *(what for what, _, _ in _GATED), "Runs"], rows)


def egomotion_toy(root):
    """Shifts of textures told, beside logistic regression on their pixels."""
    record = read(root, "benchmarks/results/egomotion.json")
    rows = []
    for axis in ("x", "y"):
        cells = (spread([100 * row[key] for row in record["toy"]]) for key in (axis, f"pixels_{axis}"))
        rows.append((axis, *cells, figure(100 / 7), str(len(record["toy"]))))
    return markdown(["Shift along", "told (%)", "from pixels (%)", "chance (%)", "Seeds"], rows)
