"""Tables of benchmarks/synchrony.py."""

import statistics

from tools.learned_tables import spread
from tools.tables import figure, markdown, read

_SHIFTS = (
    ("k-means: the pair that won", "kmeans_winner"),
    ("k-means: logistic regression on the products", "kmeans_products"),
    ("autoencoder: logistic regression on the codes", "sae_codes"),
    ("random pairs of filters, the same regression", "random_codes"),
    ("the rows themselves, the same regression", "raw"),
    ("chance", "chance"),
)


def shifts(root):
    """How often the shift of noise is told from what was learned without it."""
    runs = read(root, "benchmarks/results/synchrony_shifts.json")["rows"]
    rows = [(what, spread([100 * row[key] for row in runs])) for what, key in _SHIFTS[:-1]]
    table = markdown(["Told from", "right (%)", "Runs"], [(*row, str(len(runs))) for row in rows] + [_chance(runs)])
    mean = {key: 100 * statistics.mean(row[key] for row in runs) for key in runs[0]}
    return table + (
        f"\nFilters of the autoencoder: {mean['sae_energy_at_one_frequency']:.0f} % of the energy at one frequency in "
        f"the median (random ones: {mean['random_energy_at_one_frequency']:.0f} %), the same one in both of "
        f"{mean['sae_same_frequency']:.0f} % of the pairs.\n"
    )


def _chance(runs):
    what, key = _SHIFTS[-1]
    return what, figure(100 * runs[0][key]), "-"


def stereo(root):
    """Bad pixels of disparity maps, beside the untrained network, a constant and OpenCV."""
    results = read(root, "benchmarks/results/synchrony_stereo.json")["results"]
    rows = []
    for name, found in results.items():
        options = found["options"]
        size = ", {width} pixels wide, {lowest} to {highest}".format_map(options) if options else ""
        cells = []
        for read_out, key, baseline in _STEREO:
            metrics = [record["metrics"][key] for record in found[read_out]]
            values = [metric["baselines"].get(baseline) if baseline else metric["value"] for metric in metrics]
            values = values[:1] if baseline else values  # the same for every run
            cells.append("-" if None in values else spread([100 * value for value in values]))
        rows.append((name + size, *cells))
    header = [
        "Pairs", "bad (%)", "bad of the confident half (%)", "untrained (%)", "filters alone (%)",
        "filters alone, untrained (%)", "one disparity everywhere (%)", "SGBM (%)", "interior right (%)",
    ]  # fmt: skip
    runs = len(next(iter(results.values()))["regression"])
    return markdown(header, rows) + f"\nBad: more than 1 pixel off, of the size stated. {runs} runs.\n"


_STEREO = (
    ("regression", "bad", None),
    ("regression", "bad_kept_half", None),
    ("regression", "bad", "untrained"),
    ("filters", "bad", None),
    ("filters", "bad", "untrained"),
    ("regression", "bad", "constant"),
    ("regression", "bad", "sgbm"),
    ("regression", "right_interior", None),
)
"""Read-out, metric and baseline of the columns."""
