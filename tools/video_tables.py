"""Tables of benchmarks/video_triplet.py: boxes that the miner finds, triplets told, what the features are worth."""

from tools.learned_tables import spread
from tools.tables import TableError, markdown, read


def boxes(root):
    """How well the miner's boxes cover the moving thing of rendered scenes."""
    found = _part(root, "scenes")
    rows = [
        (name, spread([100 * row[end] for row in found]), spread([row[f"mean_{end}"] for row in found]))
        for name, end in (("first", "first"), ("last", "last"))
    ]
    tracks, scenes = (sum(row[key] for row in found) for key in ("tracks", "scenes"))
    reasons = {reason: sum(row["rejected"][reason] for row in found) for reason in found[0]["rejected"]}
    told = ", ".join(f"`{reason}` {count}" for reason, count in reasons.items() if count)
    table = markdown(["Box of the frame", "IoU above 0.5 (%)", "mean IoU"], rows)
    return table + f"\n{tracks} tracks of {scenes} scenes, {len(found)} seeds; rejected: {told}.\n"


def mined(root):
    """Tracks that were found to learn from and to measure on."""
    rows = []
    for row in _part(root, "tracks"):
        told = ", ".join(f"{reason} {count}" for reason, count in row["rejected"].items() if count)
        part = "to learn from" if row["part"] == "train" else "held out"
        rows.append((f"{row['source']}, {part}", row["tracks"], row["clips"], told))
    return markdown(["Clips", "Tracks", "in clips", "Frames without one"], rows)


def triplets(root):
    """Triplets of held-out tracks told, beside the same network untrained and beside pixels."""
    found, rows = _part(root, "trained"), []
    for source in found[0]["pretext"]:
        for name, what in (("triplets", "D+ < D-"), ("nearest", "own track nearest")):
            metrics = [row["pretext"][source]["metrics"][name] for row in found]
            own = spread([100 * metric["value"] for metric in metrics])
            beside = (spread([100 * m["baselines"][b] for m in metrics]) for b in ("untrained", "pixels"))
            rows.append((source, what, own, *beside, str(len(found))))
    return markdown(["Held-out clips", "Told", "learned (%)", "untrained (%)", "pixels (%)", "Seeds"], rows)


def probes(root):
    """Linear probes of all taps, trained and untrained, and of the one that held-out images of all seeds choose."""
    rows = []
    for name in ("trained", "untrained"):
        found = [row["probe"] for row in _part(root, name)]
        taps = {tap: spread([100 * row["taps"][tap] for row in found]) for tap in sorted(found[0]["taps"])}
        chosen = max(taps, key=lambda tap: sum(row["held_out"][tap] for row in found))
        own = spread([100 * row["accuracy"] for row in found])
        rows.append((name, *taps.values(), chosen, own, str(len(found))))
    header = [
        "Network",
        *(f"{tap} (%)" for tap in taps),
        "chosen on held-out images",
        "each seed's own choice (%)",
        "Seeds",
    ]
    return markdown(header, rows)


def _part(root, name):
    found = read(root, "benchmarks/results/video_triplet.json")[name]
    if not found:
        raise TableError(f"benchmarks/results/video_triplet.json holds no {name}; run benchmarks/video_triplet.py")
    return found
