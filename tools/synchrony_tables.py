"""Tables of benchmarks/synchrony.py."""

from tools.tables import markdown, read

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
    results = read(root, "benchmarks/results/synchrony_shifts.json")["results"]
    table = markdown(["Told from", "right (%)"], [(what, 100 * results[key]) for what, key in _SHIFTS])
    energy, random = (results[f"{who}_energy_at_one_frequency"] for who in ("sae", "random"))
    return table + (
        f"\nFilters of the autoencoder: {100 * energy:.0f} % of the energy at one frequency in the median (random "
        f"ones: {100 * random:.0f} %), the same one in both of {100 * results['sae_same_frequency']:.0f} % of "
        "the pairs.\n"
    )


def stereo(root):
    """Bad pixels of disparity maps, beside the untrained network, a constant and OpenCV."""
    results = read(root, "benchmarks/results/synchrony_stereo.json")["results"]
    rows = []
    for name, record in results.items():
        bad, half = (record["metrics"][key] for key in ("bad", "bad_kept_half"))
        beside = bad["baselines"]
        options = record["options"]
        size = ", {width} pixels wide, {lowest} to {highest}".format_map(options) if options else ""
        right = record["metrics"]["right_interior"]["value"]
        figures = (bad["value"], half["value"], beside["untrained"], beside["constant"], beside.get("sgbm"), right)
        rows.append((name + size, *("-" if figure is None else 100 * figure for figure in figures)))
    header = [
        "Pairs", "bad (%)", "bad of the confident half (%)", "untrained (%)", "one disparity everywhere (%)",
        "SGBM (%)", "interior right (%)",
    ]  # fmt: skip
    return markdown(header, rows) + "\nBad: more than 1 pixel off, of the size stated.\n"
