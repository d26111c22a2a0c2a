"""Tables of what methods learned about relations between images: gated autoencoders, ego-motion, odometry, slowness."""

from tools.learned_tables import spread
from tools.tables import figure, markdown, read

_GATED = (
    ("transformations told (%)", "readout_accuracy", 100),
    ("from pixels (%)", "pixels_readout_accuracy", 100),
    ("the commonest always (%)", "chance_readout_accuracy", 100),
    ("analogies: error over that of copying c", "analogy_ratio", 1),
    ("error", "analogy_error", 1),
    ("of the constant 0", "constant_analogy_error", 1),
)


def gated(root):
    """What mapping units know of transformations, and how well they move other patches."""
    record = read(root, "benchmarks/results/gated.json")
    rows = []
    for variant in dict.fromkeys(row["variant"] for row in record["rows"]):
        found = [row for row in record["rows"] if row["variant"] == variant]
        cells = (spread([scale * row[key] for row in found]) for _, key, scale in _GATED)
        rows.append((variant, *cells, str(len(found))))
    return markdown(["Pairs", *(what for what, _, _ in _GATED), "Runs"], rows)


_ODOMETRY = (
    ("drift (%)", "drift", 100),
    ("heading (degrees / 100 m)", "heading_error", 1),
    ("KITTI: translation (%)", "translation_error", 100),
    ("KITTI: rotation (degrees / 100 m)", "rotation_error", 1),
)
_DRIVERS = {"synchrony": "filters learned by synchrony", "random": "random filters", "untrained": "untrained"}


def odometry(root):
    """Where paths driven by sight end, beside those of constant velocity and of the true classes."""
    record = read(root, "benchmarks/results/odometry.json")
    rows = []
    for data, name in (("rendered", "rendered drives"), ("kitti", "KITTI excerpt")):
        own = [row for row in record["rows"] if row["data"] == data]
        for variant in dict.fromkeys(row["variant"] for row in own):
            found = [row for row in own if row["variant"] == variant]
            cells = (spread([scale * row[key] for row in found]) for _, key, scale in _ODOMETRY)
            rows.append((name, _DRIVERS[variant], *cells, str(len(found))))
        for prefix, what in (("constant_velocity", "constant velocity"), ("classes", "the true classes")):
            if own:
                rows.append((name, what, *(spread([s * own[0][f"{prefix}_{key}"]]) for _, key, s in _ODOMETRY), ""))
    return markdown(["Data", "Driven by", *(what for what, _, _ in _ODOMETRY), "Runs"], rows)


def egomotion_toy(root):
    """Shifts of textures told, beside logistic regression on their pixels."""
    record = read(root, "benchmarks/results/egomotion.json")
    rows = []
    for axis in ("x", "y"):
        cells = (spread([100 * row[key] for row in record["toy"]]) for key in (axis, f"pixels_{axis}"))
        rows.append((axis, *cells, figure(100 / 7), str(len(record["toy"]))))
    return markdown(["Shift along", "told (%)", "from pixels (%)", "chance (%)", "Seeds"], rows)


def egomotion(root):
    """What ego-motion and slowness learned from photographs, and what their features are worth."""
    record = read(root, "benchmarks/results/egomotion.json")
    rows = []
    for objective in dict.fromkeys(row["objective"] for row in record["rows"]):
        found = [row for row in record["rows"] if row["objective"] == objective]
        told = (_told(found, name) for name in ("accuracy_x", "accuracy_y", "accuracy_angle", "near_first"))
        taps = sorted(found[0]["probe"]["taps"])
        probes = (spread([100 * row["probe"]["taps"][tap] for row in found]) for tap in taps)
        chosen = spread([100 * row["probe"]["accuracy"] for row in found])
        rows.append((objective, *told, *probes, chosen, str(len(found))))
    told = ("x (%)", "y (%)", "angle (%)", "near pairs nearer (%)")
    probed = (*(f"probe of {tap} (%)" for tap in taps), "of the better on held-out images (%)")
    return markdown(["Objective", *told, *probed, "Seeds"], rows)


def _told(rows, name):
    values = [row["pretext"]["metrics"].get(name, {}).get("value") for row in rows if "pretext" in row]
    return spread([100 * value for value in values]) if values and None not in values else "-"


_SLOW_STEADY = {
    "accuracy": "labels told (%)",
    "near_first": "near pairs nearer (%)",
    "steady_first": "steady triples steadier (%)",
    "completed": "sequences completed (%)",
}
_BESIDE = {"chance": "chance", "commonest": "the commonest always", "pixels": "pixels", "untrained": "untrained"}


def slow_steady(root):
    """What clips add to two labels a class, and how slow and steady features are, beside pixels and no training."""
    record = read(root, "benchmarks/results/slow_steady.json")
    rows = []
    for data in dict.fromkeys(row["data"] for row in record["rows"]):
        own = [row for row in record["rows"] if row["data"] == data]
        for variant in dict.fromkeys(row["variant"] for row in own):
            found = [row["pretext"]["metrics"] for row in own if row["variant"] == variant]
            cells = (spread([100 * metrics[key]["value"] for metrics in found]) for key in _SLOW_STEADY)
            rows.append((data, variant, *cells, str(len(found))))
        for name, what in _BESIDE.items():
            first = own[0]["variant"]  # what stands beside is the same for all
            metrics = [row["pretext"]["metrics"] for row in own if row["variant"] == first]
            values = (
                [100 * m[key]["baselines"][name] for m in metrics if name in m[key]["baselines"]]
                for key in _SLOW_STEADY
            )
            rows.append((data, what, *map(spread, values), str(len(metrics))))
    return markdown(["Data", "Features", *_SLOW_STEADY.values(), "Seeds"], rows)
