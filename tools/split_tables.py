"""Tables of split-brain autoencoders: benchmarks/results/controls and benchmarks/results/rgbd."""

import json

from tools.learned_tables import spread
from tools.tables import TableError, figure, markdown, number

_CONTROLS = {
    "split": "`split`: two halves, L to ab and ab to L",
    "ensemble": "`ensemble`: two halves, both L to ab",
    "l_to_ab": "`l_to_ab`",
    "ab_to_l": "`ab_to_l`",
    "shared": "`shared`: one network for both",
    "mixture": "`mixture`: that, and Lab from Lab",
    "autoencoder": "`autoencoder`: Lab from Lab alone",
    "untrained split": "two halves, untrained",
    "untrained l_to_ab": "one network that sees L, untrained",
    "pixels": "the pixels",
}
_TAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def controls(root):
    """Linear probes of the split and of the paper's controls, tap by tap."""
    found = _by_name(_records(root, "controls"))
    rows = []
    for name, label in _CONTROLS.items():
        runs = found[name]
        if runs:
            taps = (
                spread([100 * run["taps"][tap]["accuracy"] for run in runs]) if tap in runs[0]["taps"] else "-"
                for tap in _TAPS
            )
            rows.append((label, *taps, spread([100 * run["probe"]["accuracy"] for run in runs]), str(len(runs))))
    run = next(run for runs in found.values() for run in runs if "training" in run)
    chance = 100 * run["probe"]["chance"]
    text = (
        f"Accuracy in percent of {run['probe']['images_test']} images of {run['probe']['classes']} classes, after "
        f"{run['training']['steps']:,} steps of {run['config']['batch_size']}; chance is {figure(chance)}."
    )
    return markdown(["Task", *_TAPS, "Tap chosen without the test set", "Runs"], rows) + f"\n{text}\n"


_ERRORS = (
    ("HHA from color: RMSE (bytes)", "hha_rmse"),
    ("ab from HHA: cross-entropy (nats)", "ab_loss"),
    ("ab from HHA: RMSE (units)", "ab_rmse"),
    ("L from HHA: RMSE (units)", "lightness_rmse"),
)


def rgbd(root):
    """What color and depth predict of each other in rooms not seen, beside constants."""
    runs = _records(root, "rgbd")
    rows = [
        (
            what,
            *(spread([number(run["pretext"], key, of) for run in runs]) for of in (None, "constant")),
        )
        for what, key in _ERRORS
    ]
    rooms, steps = runs[0]["rooms"], runs[0]["training"]["steps"]
    text = f"{rooms['held_out']} rooms, after {steps:,} steps on {rooms['learned_from']} others; runs: {len(runs)}."
    return markdown(["Predicted", "Error", "Always the constant"], rows) + f"\n{text}\n"


def rgbd_fusion(root):
    """Probes of color, of depth, and of both by late fusion, trained and untrained."""
    runs = _records(root, "rgbd")
    rows = [
        (name, *(spread([100 * run["probe"][kind][what] for run in runs]) for kind in ("trained", "untrained")))
        for name, what in (("color", "color"), ("depth (HHA)", "hha"), ("both, probabilities averaged", "both"))
    ]
    tested, chance = runs[0]["rooms"]["tested"], 100 * runs[0]["probe"]["trained"]["chance"]
    text = f"{tested} rooms; chance is {chance:g}; runs: {len(runs)}."
    return markdown(["Linear probe of", "Trained (%)", "Untrained (%)"], rows) + f"\n{text}\n"


def rgbd_gradients(root):
    """Gradients of both branches at conv5 of the trained depth network, without the weights and with them."""
    runs = [run["gradients_at_conv5"]["trained"] for run in _records(root, "rgbd")]
    ratios = [[run["ab"][kind] / run["lightness"]["weighted"] for run in runs] for kind in ("unweighted", "weighted")]
    return markdown(["ab against L, each loss once", "ab 200 times"], [tuple(spread(values) for values in ratios)])


def _records(root, folder):
    files = sorted((root / "benchmarks" / "results" / folder).glob("*.json"))
    if not files:
        raise TableError(f"benchmarks/results/{folder} is empty; run benchmarks/{folder}.py")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _by_name(records):
    return {name: [record for record in records if record["control"] == name] for name in _CONTROLS}
