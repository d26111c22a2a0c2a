"""Tables of benchmarks/local_features.py: local features of before 2012 in linear probes."""

from tools.tables import figure, markdown, number, read

NAMES = {
    "sift-bow": "SIFT, bag of words and pyramid",
    "sift-vlad": "SIFT, VLAD",
    "sift-fisher": "SIFT, Fisher vector",
    "hog": "HOG",
    "lbp": "local binary patterns",
    "patches-kmeans": "patches, k-means",
}
PATH = "benchmarks/results/local_features.json"


def shapes(root):
    """Rendered shapes: the accuracy of the tap chosen on held-out images, beside pixels and chance."""
    return _table(read(root, PATH), "shapes")


def photographs(root):
    """Caltech-101 likewise."""
    return _table(read(root, PATH), "photographs")


def pretraining_rows(root):
    """Rows for the table of what methods learned without labels; none where the benchmark was not run."""
    if not (root / PATH).is_file():
        return []
    rows = []
    for row in read(root, PATH)["photographs"]:
        best, chosen = (_percent(row["probe"], key) for key in ("best_on_test", "accuracy"))
        runs = str(row["probe"]["metrics"]["accuracy"]["n"])
        rows.append((f"nothing: `local:{row['name']}` ({NAMES[row['name']]})", best, "-", "-", chosen, runs))
    return rows


def _table(record, kind):
    rows = []
    for row in record[kind]:
        metrics = row["probe"]["metrics"]
        taps = ", ".join(
            f"{name} {figure(100 * metrics[f'tap_{name}']['value'])}"
            for name in row["numbers"]
            if len(row["numbers"]) > 1
        )
        gain = 100 * (metrics["accuracy"]["value"] - number(row["probe"], "accuracy", "pixels"))
        tap = row["probe"]["details"]["tap"]
        chosen = f"{tap} ({figure(row['numbers'][tap])})"
        rows.append((f"`local:{row['name']}`", chosen, _percent(row["probe"], "accuracy"), figure(gain), taps or "-"))
    first = record[kind][0]["probe"]
    pixels = number(first, "accuracy", "pixels")
    spread = first["details"]["encoders"]["pixels"].get("accuracy_std")
    beside = figure(100 * pixels) + (f" ± {figure(100 * spread)}" if spread else "")
    rows.append(("raw pixels", "pixels", beside, "-", "-"))
    rows.append(("chance", "-", figure(100 * number(first, "accuracy", "chance")), "-", "-"))
    header = ["Features", "Tap chosen (numbers)", "Accuracy (%)", "Over pixels (points)", "Every tap (%)"]
    return markdown(header, rows)


def _percent(record, key):
    metric = record["metrics"][key]
    return figure(100 * metric["value"]) + (f" ± {figure(100 * metric['std'])}" if metric["std"] else "")
