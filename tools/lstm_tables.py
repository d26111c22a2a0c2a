"""Tables of video LSTMs: how well clips are told, and what the states after them are worth."""

from tools.learned_tables import spread
from tools.tables import TableError, markdown, read

_FILE = "benchmarks/results/video_lstm.json"
_TOLD = ("future_loss", "future_loss_1", "future_loss_5", "reconstruction_loss")
_BESIDE = {
    "copying": "copying the last frame, at its best",
    "mean frame": "the mean frame",
    "truth": "the truth itself",
}
_QUESTIONS = ("digit", "direction")


def told(root):
    """Cross-entropies of each variant on clips of other digits, and of what stands beside them."""
    rows, found = [], read(root, _FILE)["rows"]
    for variant in dict.fromkeys(row["variant"] for row in found):
        own = [row["measured"]["metrics"] for row in found if row["variant"] == variant]
        rows.append((variant, *(_cell(own, name) for name in _TOLD), str(len(own))))
    whole = next((row["measured"]["metrics"] for row in found if row["variant"] == "composite"), None)
    if whole is None:
        raise TableError(f"{_FILE} holds no composite; run benchmarks/video_lstm.py")
    rows += [(text, *(spread([whole[name]["baselines"][key]]) for name in _TOLD), "") for key, text in _BESIDE.items()]
    names = ("future (nats a frame)", "its first frame", "its last", "reconstruction")
    return markdown(["Decoders", *names, "Seeds"], rows)


def states(root):
    """Linear probes of states, beside those of an untrained network, of pixels, and chance."""
    found, rows = read(root, _FILE)["probes"], []
    for variant in dict.fromkeys(row["variant"] for row in found):
        own = [row for row in found if row["variant"] == variant]
        cells = (spread([100 * row[question]["accuracy"] for row in own]) for question in _QUESTIONS)
        rows.append((variant, *cells, str(len(own))))
    rows += [("chance", *(spread([100 * row[question]["chance"]]) for question in _QUESTIONS), "") for row in found[:1]]
    return markdown(["From the state of", *(f"{question} (%)" for question in _QUESTIONS), "Seeds"], rows)


def clips(root):
    """Half squared errors on patches of other videos."""
    rows = []
    for part in ("future", "reconstruction"):
        own = [row["measured"]["metrics"][f"{part}_loss"] for row in read(root, _FILE)["clips"]]
        beside = (spread([own[0]["baselines"][name]]) for name in ("copying", "mean frame"))
        rows.append((part, spread([metric["value"] for metric in own]), *beside, str(len(own))))
    return markdown(["Half squared error a frame", "told", *list(_BESIDE.values())[:2], "Seeds"], rows)


def _cell(records, name):
    return spread([record[name]["value"] for record in records]) if name in records[0] else "-"
