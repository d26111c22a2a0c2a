"""Table of benchmarks/ensembles.py: two methods together in a linear probe, and what they are together beside."""

from tools.learned_tables import spread
from tools.tables import markdown, read


def ensembles(root):
    """Accuracy of both methods together, of each, of two seeds of each, and of networks that learned nothing."""
    rows = [row["probe"]["metrics"]["accuracy"] for row in read(root, "benchmarks/results/ensembles.json")["rows"]]
    own = [100 * row["value"] for row in rows]
    found = [("both methods", spread(own), "-")]
    for name in sorted(rows[0]["baselines"], key=lambda name: -sum(row["baselines"][name] for row in rows)):
        beside = [100 * row["baselines"][name] for row in rows]
        found.append((_label(name), spread(beside), spread([a - b for a, b in zip(own, beside, strict=True)])))
    return markdown(["Features of", "Accuracy (%)", "both methods are better by (points)"], found) + (
        f"\n{len(rows)} seeds; the tap of each chosen on held-out training images.\n"
    )


def _label(name):
    known = {"untrained": "both networks, untrained (one seed)", "pixels": "raw pixels"}
    return known.get(name, f"`{name}` alone" if " " not in name and name != "chance" else name)
