"""Tables of groups from co-occurrence: boundaries of photographs, patches, frames of clips, a joint that is known."""

from tools.learned_tables import spread
from tools.tables import figure, markdown, read

_RESULTS = "benchmarks/results/co_occurrence.json"


def boundaries(root):
    """F-measures of `tfssl group`, and of gradients and Canny's detector at their best width."""
    rows = read(root, _RESULTS)["boundaries"]
    ours = [row for row in rows if row["method"].startswith("co-occurrence")]
    kinds = {"gray gradient": [], "Lab gradient": [], "Canny": []}
    for row in rows:
        for kind in kinds:
            if row["method"].startswith(kind):
                kinds[kind].append(row)
    best = [max(found, key=lambda row: row["ods"]) for found in kinds.values() if found]
    table = [
        (
            row["method"],
            *(figure(row[key]) for key in ("ods", "ods_precision", "ods_recall", "ois")),
            str(row["images"]),
        )
        for row in ours + best
    ]
    return markdown(["Method", "F (ODS)", "precision", "recall", "F (OIS)", "Images"], table)


_FOLDERS = {"others": "{} photographs of objects", "bsds": "{} photographs of BSDS500"}
_NEGATIVES = {"dataset": "from two photographs", "image": "from one"}
_PRECISIONS = (
    ("trained", "average_precision"),
    ("untrained", "average_precision"),
    ("trained", "colors_precision"),
    ("trained", "pixels_precision"),
    ("trained", "chance_precision"),
)


def patches(root):
    """Average precision of pairs of patches that lie beside each other, by the network and by plain distances."""
    rows, table = read(root, _RESULTS)["patches"], []
    for folder, what in _FOLDERS.items():
        for negatives, others in _NEGATIVES.items():
            parts = [{model: row[model][folder][negatives] for model in ("trained", "untrained")} for row in rows]
            cells = (spread([100 * part[model][key] for part in parts]) for model, key in _PRECISIONS)
            images = f"{parts[0]['trained']['images']}"
            table.append((what.format(images), others, *cells, str(len(rows))))
    header = ["Pairs of patches of", "the others are", "trained (%)", "untrained", "mean colors", "pixels", "chance"]
    return markdown([*header, "Seeds"], table)


_PARTS = {"later": ("later_frames", "later frames of learned clips"), "others": ("other_clips", "other clips")}


def frames(root):
    """Pairs of frames of one clip and of different clips, told by the network, untrained, and by pixels."""
    rows, table = read(root, _RESULTS)["frames"], []
    for part, (key, what) in _PARTS.items():
        for name, found in (
            ("trained", [row[key] for row in rows]),
            ("untrained", [row["untrained"][part] for row in rows]),
            ("pixels", [row["pixels"][part] for row in rows]),
        ):
            cells = (
                spread([100 * one[number] for one in found if number in one])
                for number in ("separated", "different_told", "same_told")
            )
            table.append((what, name, *cells, str(len(rows))))
    header = ["Frames", "Affinity", "separated (%)", "different told (%)", "same told (%)", "Seeds"]
    return markdown(header, table)


def known(root):
    """Logits of a joint of two symbols, beside what they are to be."""
    rows, table = read(root, _RESULTS)["known"], []
    for positives in dict.fromkeys(row["positives"] for row in rows):
        own = [row for row in rows if row["positives"] == positives]
        for pair, name in ((0, "equal symbols"), (1, "different symbols")):
            logits = spread([row["logits"][pair] for row in own])
            table.append((figure(positives), name, figure(own[0]["pmi"][pair]), logits, str(len(own))))
    return markdown(["Positives", "Pair", "PMI + log odds of positives", "logit", "Seeds"], table)
