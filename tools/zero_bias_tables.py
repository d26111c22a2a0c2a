"""Tables of benchmarks/zero_bias.py and benchmarks/sparsity.py."""

from tools.learned_tables import spread
from tools.tables import markdown, read

_MEASURED = (
    ("linear probe (%)", "accuracy", 100),
    ("reconstruction error", "reconstruction_error", 1),
    ("codes above the threshold (%)", "codes_active", 100),
    ("units in use (%)", "units_used", 100),
    ("filters that are localized edges (%)", "filter_edges", 100),
)


def zero_bias(root):
    """What filters are worth in a linear probe, beside the patches that they start as."""
    record = read(root, "benchmarks/results/zero_bias.json")
    rows = []
    for variant in dict.fromkeys(row["variant"] for row in record["rows"]):
        found = [row for row in record["rows"] if row["variant"] == variant]
        cells = (spread([scale * row[key] for row in found if key in row]) for _, key, scale in _MEASURED)
        rows.append((variant, *cells, str(len(found))))
    return markdown(["Filters", *(what for what, _, _ in _MEASURED), "Runs"], rows)


def sparsity(root):
    """Zeros in each layer of supervised networks, at the start and after the last epoch."""
    record = read(root, "benchmarks/results/sparsity.json")
    rows = []
    for network, units in record["config"]["networks"].items():
        for variant in dict.fromkeys(run["variant"] for run in record["runs"]):
            runs = [run["rows"] for run in record["runs"] if (run["network"], run["variant"]) == (network, variant)]
            layers = [
                spread([100 * run[0]["zeros"][layer] for run in runs])
                + ", "
                + spread([100 * run[-1]["zeros"][layer] for run in runs])
                for layer in range(len(units))
            ]
            dead = spread([100 * run[-1]["dead"][-1] for run in runs])
            accuracy = spread([100 * run[-1]["accuracy"] for run in runs])
            rows.append((f"{network}, {'-'.join(map(str, units))}", variant, *layers, dead, accuracy, str(len(runs))))
    layers = [f"zeros in layer {number}: first, last (%)" for number in (1, 2, 3)]
    return markdown(
        ["Network", "Trained with", *layers, "units of layer 3 that are always 0 (%)", "test images told (%)", "Runs"],
        rows,
    )
