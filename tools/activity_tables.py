"""Table of benchmarks/activity.py."""

from tools.tables import figure, markdown, read

_ENCODERS = {
    "both": ("depth and motion learned together", "SAE-MD"),
    "average": ("depth and motion, kernels averaged", "SAE-MD(Av)"),
    "concatenate": ("depth and motion, words concatenated", "SAE-MD(Ct)"),
    "motion": ("motion alone", "SAE-M"),
    "depth": ("depth alone", "SAE-D"),
    "untrained": ("untrained, both", None),
    "untrained motion": ("untrained, motion", None),
    "untrained depth": ("untrained, depth", None),
    "chance": ("chance", None),
}


def activity(root):
    """Average precision of rendered motions, beside it what was printed for Hollywood 3D."""
    record = read(root, "benchmarks/results/activity.json")
    results, config = record["results"], record["config"]
    printed = read(root, "benchmarks/literature.json")["hollywood3d"]
    means = dict(zip(printed["columns"][1:], printed["printed_means"], strict=True))
    classes = [name for name in results if name.startswith("ap_")]
    rows = []
    for name, (what, theirs) in _ENCODERS.items():
        own = results["map"][name]
        text = figure(100 * own["mean"])
        text += "" if own["std"] is None or name == "chance" else f" ± {figure(100 * own['std'])}"
        by_class = (figure(100 * results[ap][name]["mean"]) if name in results[ap] else "-" for ap in classes)
        rows.append((what, text, *by_class, "-" if theirs is None else figure(means[theirs])))
    header = ["Told from", "mean AP (%)", *(ap.removeprefix("ap_") for ap in classes), "Hollywood 3D, printed"]
    seeds = "one seed" if config["seeds"] == 1 else f"{config['seeds']} seeds"
    table = markdown(header, rows) + (
        f"\n{config['clips']} clips of each motion for training and for the test, {seeds} of clips, learning, words; "
        f"{config['steps']} steps of learning without labels.\n"
    )
    theirs = [*printed["rows"], ["mean as printed", *printed["printed_means"]]]
    return table + f"\n{printed['title']}, {printed['source']}:\n\n" + markdown(printed["columns"], theirs)
