"""Tables of what is learned from captions: words told, features, word vectors, and what few words of many cost."""

from tools.learned_tables import spread
from tools.tables import figure, markdown, read

_WAYS = {
    "sampled": "multi-class over 128 words of an image",
    "full": "multi-class over all words",
    "balanced": "128 words, images drawn by words",
    "one_vs_all": "one-versus-all",
}
_SETS = (("similarity_wordsim353", "WordSim-353", 1), ("similarity_simlex999", "SimLex-999", 1),
         ("analogies_questions_words", "analogies (%)", 100))  # fmt: skip


def words(root):
    """Precision at ten of each way to learn, beside telling frequent words, and without the frequencies."""
    rows = []
    for way, runs in _ways(root).items():
        told = [run["told"]["metrics"] for run in runs]
        plain = [metrics.get("precision_at_10_plain", metrics["precision_at_10"])["value"] for metrics in told]
        found = [metrics["precision_at_10"] for metrics in told]
        beside = [metric["baselines"]["frequency"] for metric in found]
        factor = [metric["value"] / base for metric, base in zip(found, beside, strict=True)]
        percents = ([100 * metric["value"] for metric in found], [100 * value for value in plain])
        rows.append((_WAYS[way], *map(spread, percents), spread(factor), str(len(runs))))
    rows.append(("the ten most frequent words, always", figure(100 * beside[0]), "-", "1", "-"))
    header = ["Learned by", "precision at 10 (%)", "scores as they are (%)", "over the frequent words", "Seeds"]
    return markdown(header, rows)


def features(root):
    """Linear probes of the convolutions, trained and untrained."""
    record = read(root, "benchmarks/results/captions.json")
    rows, names = [], {"trained": "`caption_bow/cpu`", "untrained": "untrained"}
    taps = sorted(record["probes"][0]["trained"]["taps"])
    for key, name in names.items():
        runs = [row[key] for row in record["probes"]]
        cells = (spread([100 * run["taps"][tap] for run in runs]) for tap in taps)
        rows.append((name, *cells, spread([100 * run["accuracy"] for run in runs]), str(len(runs))))
    header = ["Network", *(f"{tap} (%)" for tap in taps), "tap chosen on held-out images (%)", "Seeds"]
    return markdown(header, rows)


def vectors(root):
    """Word vectors against people's judgements, beside and with those of the captions' text."""
    rows = []
    for way, runs in _ways(root).items():
        metrics = [run["told"]["metrics"] for run in runs]
        for name, title, scale in _SETS:
            cells = (
                [scale * m[name]["value"] for m in metrics],
                [scale * m[name]["baselines"]["vectors"] for m in metrics],
                [scale * m[f"{name}_combined"]["value"] for m in metrics],
            )
            rows.append((_WAYS[way], title, *map(spread, cells), str(int(metrics[0][f"{name}_counted"]["value"]))))
    return markdown(["Learned by", "Test set", "from images", "from text", "combined", "Counted"], rows)


def _ways(root):
    record = read(root, "benchmarks/results/captions.json")
    found = {way: [row for row in record["rows"] if row["way"] == way] for way in _WAYS}
    return {way: rows for way, rows in found.items() if rows}
