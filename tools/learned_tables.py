"""Tables of what methods learned: benchmarks/results/pretraining and its neighbors."""

import json
import statistics

from tools import local_tables
from tools.tables import TableError, figure, markdown, number, read


def pretraining(root):
    """Linear probes of what each method learned without labels, beside their baselines."""
    entries = pretrained(root)
    rows, pixels = [], []
    for name, runs in entries.items():
        if any("probe" not in run for run in runs):
            continue
        probes = [run["probe"] for run in runs]
        pixels += [100 * number(probe, "best_on_test", "pixels") for probe in probes]
        keys = (*_PROBED, ("accuracy",))
        rows.append((entry_label(name), *(_spread_of(probes, key, 100) for key in keys), str(len(runs))))
    rows += local_tables.pretraining_rows(root)
    rows.sort(key=lambda row: -float(row[1].split()[0]))
    if labeled := entries.get("labels"):
        accuracy = spread([100 * run["accuracy"] for run in labeled])
        rows.append(("`jigsaw`'s trunk trained with the labels alone", accuracy, "-", "-", "-", str(len(labeled))))
    rows.append(("raw pixels", figure(statistics.mean(pixels)), "-", "-", "-", "-"))  # the same for every run
    header = [
        "Pretrained by", "Best tap (%)", "Untrained (%)", "Gain (points)", "Tap chosen without the test set (%)", "Runs"
    ]  # fmt: skip
    return markdown(header, rows)


_PROBED = (("best_on_test",), ("best_on_test", "untrained"), ("best_on_test", "gain"))

_BASELINES = {
    "labels": "the labels of the same pictures (`jigsaw`'s trunk)",
    "data-dependent": "nothing: data-dependent initialization (`jigsaw`'s trunk)",
}


def entry_label(name):
    """How tables call an entry of benchmarks/pretraining.py."""
    method, _, variant = name.partition(", ")
    return _BASELINES.get(name) or f"`{method}/cpu`" + (f", {variant}" if variant else "")


def transfer(root):
    """Every encoder on every task of benchmarks/transfer.py, each beside its untrained network."""
    columns, cells = [], {}
    for folder in sorted((root / "benchmarks" / "results" / "transfer").glob("*/")):
        records = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
        for key, heading in records[0]["figures"].items() if records else ():
            columns.append(heading)
            for name in dict.fromkeys(record["entry"] for record in records):
                found = [record["found"] for record in records if record["entry"] == name]
                both = (_spread_of(found, wanted, 100) for wanted in ((key,), (key, "untrained")))
                cells.setdefault(name, {})[heading] = "{} ({})".format(*both)
    if not columns:
        raise TableError("benchmarks/results/transfer is empty; run benchmarks/pretraining.py")
    rows = [(entry_label(name), *(found.get(heading, "-") for heading in columns)) for name, found in cells.items()]
    return markdown(["Pretrained by (the same network untrained)", *columns], rows)


PRETEXT = {
    "jigsaw": (
        ("puzzles solved (%)", ("accuracy",), 100),
        ("chance (%)", ("accuracy", "chance"), 100),
        ("times chance", ("accuracy_over_chance",), 1),
        ("tiles in their place (%)", ("tile_accuracy",), 100),
    ),
    "context_prediction": (
        ("pairs placed right (%)", ("accuracy",), 100),
        ("chance (%)", ("accuracy", "chance"), 100),
        ("the commonest answer always (%)", ("accuracy", "constant"), 100),
    ),
    "context_encoder": (
        ("PSNR of the hole (dB)", ("psnr",), 1),
        ("mean color: PSNR (dB)", ("psnr", "mean_fill"), 1),
        ("mean of the surroundings: PSNR (dB)", ("psnr", "surround_fill"), 1),
        ("nearest neighbor by HOG: PSNR (dB)", ("psnr", "nn_hog"), 1),
        ("nearest neighbor by own features: PSNR (dB)", ("psnr", "nn_features"), 1),
        ("mean L1 (%)", ("l1",), 1),
        ("mean L2 (%)", ("l2",), 1),
        ("gradient energy, share of the truth's", ("sharpness",), 1),
    ),
    "split_brain": (
        ("ab from L: right one of 313 bins (%)", ("ab_accuracy",), 100),
        ("the commonest bin always (%)", ("ab_accuracy", "constant"), 100),
        ("ab from L: cross-entropy (nats)", ("ab_loss",), 1),
        ("the bins' frequencies always (nats)", ("ab_loss", "constant"), 1),
        ("ab from L: RMSE (units)", ("ab_rmse",), 1),
        ("the mean ab always: RMSE (units)", ("ab_rmse", "constant"), 1),
        ("L from ab: right one of 50 bins (%)", ("lightness_accuracy",), 100),
        ("the commonest of them always (%)", ("lightness_accuracy", "constant"), 100),
        ("L from ab: cross-entropy (nats)", ("lightness_loss",), 1),
        ("their frequencies always (nats)", ("lightness_loss", "constant"), 1),
        ("L from ab: RMSE (units)", ("lightness_rmse",), 1),
        ("the mean L always: RMSE (units)", ("lightness_rmse", "constant"), 1),
    ),
    "spot_artifacts": (
        ("real or corrupt, accuracy (%)", ("accuracy",), 100),
        ("AUC of the same", ("auc",), 1),
        ("AUC of the predicted damage", ("mask_auc",), 1),
        ("PSNR of the autoencoder (dB)", ("psnr_autoencoder",), 1),
        ("PSNR of damaged pictures (dB)", ("psnr_damaged",), 1),
        ("PSNR of repaired pictures (dB)", ("psnr_repaired",), 1),
    ),
    "denoising_autoencoder": (
        ("squared error of the noisy pictures", ("mse_denoised", "noisy"), 1),
        ("of the denoised ones", ("mse_denoised",), 1),
        ("share of the noise's error that is left (%)", ("mse_ratio",), 100),
        ("PSNR of the noisy pictures (dB)", ("psnr_denoised", "noisy"), 1),
        ("PSNR of the denoised ones (dB)", ("psnr_denoised",), 1),
    ),
}


def learned(root, method):
    """What the CPU configuration of one method learned, and its variants."""
    runs = {name: found for name, found in pretrained(root).items() if name.split(", ")[0] == method}
    if not runs:
        raise TableError(f"benchmarks/results/pretraining holds no run of {method}; run benchmarks/pretraining.py")
    first = next(iter(runs.values()))[0]
    names = PRETEXT[method]
    images = f"{number(first['pretext'], 'images'):.0f}"
    rows = [
        (what, *(_spread_of([run["pretext"] for run in found], key, scale) for found in runs.values()))
        for what, key, scale in names
        if number(first["pretext"], *key) is not None
    ]
    rows += [
        (f"linear probe, {what}", *(_spread_of([run["probe"] for run in found], key, 100) for found in runs.values()))
        for what, key in zip(("best tap (%)", "untrained (%)", "gain (points)"), _PROBED, strict=True)
    ]
    rows.append(("steps", *(f"{found[0]['training']['steps']:,}" for found in runs.values())))
    rows.append(("runs, each from another seed", *(str(len(found)) for found in runs.values())))
    header = [f"On {images} held-out photographs", *(f"`{method}/cpu`{name[len(method) :]}" for name in runs)]
    return markdown(header, rows)


_TARGETS = {
    "hue_chroma": "hue and chroma",
    "lab_histogram": "histograms of a and b",
    "lab_regression": "a and b, L2",
}
_COLOR_METRICS = (
    ("RMSE ab", "rmse_ab", 1),
    ("PSNR (dB)", "psnr", 1),
    ("AuC (%)", "auc_raw", 100),
    ("rebalanced AuC (%)", "auc_macro", 100),
    ("colorfulness", "colorfulness_ratio", 1),
)


def hypercolumns(root):
    """Forms and decoders of hypercolumn_colorization on two sets of kept-out photographs, beside the gray image."""
    runs = read(root, "benchmarks/results/hypercolumns.json")["runs"]
    blocks = []
    for name, metrics in runs[0]["metrics"].items():
        gray = (_color(metrics, key, scale, "gray") for _, key, scale in _COLOR_METRICS)
        rows = [("the gray image", *gray, "-")]
        for run in runs:
            decoding = run["decoding"]
            target = "one histogram of pairs of a and b" if run.get("joint") else _TARGETS[run["target"]]
            words = [target, decoding.get("decoder", "").replace("_", " ")]
            words.append("no fading" if decoding.get("fading") == 0 else "faded" if "fading" in decoding else "")
            found = (_color(run["metrics"][name], key, scale) for _, key, scale in _COLOR_METRICS)
            rows.append((", ".join(filter(None, words)), *found, str(run["metrics"][name]["rmse_ab"]["n"])))
        columns = [*(what for what, *_ in _COLOR_METRICS), "runs"]
        blocks.append(markdown([f"{metrics['images']['value']:.0f} photographs, {name}", *columns], rows))
    return "\n".join(blocks)


def _color(metrics, key, scale, baseline=None):
    if baseline is not None:
        return f"{scale * metrics[key]['baselines'][baseline]:.2f}"
    value, std = (metrics[key][part] for part in ("value", "std"))
    return f"{scale * value:.2f}" + ("" if std is None else f" ± {scale * std:.2f}")


_COMPARED = (("auc_raw_gain", 100), ("auc_macro_gain", 100), ("rmse_ab", 1), ("colorfulness_ratio", 1))


def colorizers(root):
    """Every colorizer of benchmarks/colorizers.py on the same photographs, the best by rebalanced AuC first."""
    rows = []
    for file in sorted((root / "benchmarks" / "results" / "colorizers").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        found = record["found"]
        figures = [f"{scale * found['varied']['metrics'][key]['value']:.2f}" for key, scale in _COMPARED]
        figures += [f"{scale * found['nature']['metrics'][key]['value']:.2f}" for key, scale in _COMPARED[:2]]
        minutes = record["training"].get("seconds", 0) / 60
        numbers = (f"{record['parameters']:,}", f"{record['milliseconds_an_image']:.0f}", f"{minutes:.0f}")
        rows.append((file.stem.replace("_", " "), *figures, *numbers))
    if not rows:
        raise TableError("benchmarks/results/colorizers is empty; run benchmarks/colorizers.py")
    rows.sort(key=lambda row: -float(row[2]))
    header = ["Model", "raw, varied", "rebalanced", "RMSE in ab", "colorfulness", "raw, nature", "rebalanced"]
    header += ["Parameters", "ms an image", "Minutes of training"]
    limit = record["config"]["limit"]
    text = f"AuC in points over the gray image; at most {limit} photographs of each set; the network at 256x256 pixels."
    return markdown(header, rows) + f"\n{text}\n"


def aberration(root):
    """How well a patch's colors tell its place in photographs, before and after each treatment."""
    record = read(root, "benchmarks/results/aberration.json")
    rows = [
        (
            "as they are" if row["magnification"] == 0 else f"green magnified by {100 * row['magnification']:g} %",
            row["color"],
            *(f"{row[key]:.3f}" for key in ("rmse_best", "center_best", "rmse", "center")),
        )
        for row in record["results"]
    ]
    header = ["Photographs", "`color`", "Best tenth", "Always the center", "All", "Always the center"]
    return markdown(header, rows)


def discovery(root):
    """Clusters that the trained network finds, beside what finds less."""
    found = read(root, "benchmarks/results/discovery.json")["found"]
    rows = [
        (
            what,
            figure(found.get(f"{prefix}clusters", "-")),
            *(figure(found[f"{prefix}{key}"]) for key in ("purity", "coverage", "area")),
        )
        for what, prefix in (
            ("the trained network", ""),
            ("the same network untrained", "untrained_"),
            ("raw pixels", "pixels_"),
            ("random sets of pictures", "random_"),
        )
    ]
    return markdown(["Found with", "Clusters", "Purity", "Coverage", "Area under the curve"], rows)


def context_planted(root):
    """Where a planted object ranks, and how its mask fits, for both variances of a place."""
    found, rows = read(root, "benchmarks/results/context_mining.json"), []
    for name, (variance, growth) in found["config"]["locations"].items():
        keys = [f"planted-{name}-{seed}" for seed in found["config"]["seeds"]]
        parts = [found["found"][key] for key in keys if key in found["found"]]
        if not parts:
            continue
        ranks = ", ".join(str(part["first_object_rank"] or "-") for part in parts)
        means = [_mean_of(part["mean_score"].get(kind) for part in parts) for kind in ("object", "noise", "texture")]
        overlaps = [_mean_of(part["iou"][key] for part in parts) for key in ("mask", "box")]
        rows.append((f"{variance:g}, {growth:g} a cell", ranks, *means, *overlaps))
    header = ["Variance", "Rank of the object", "Score: object", "noise", "texture", "IoU: mask", "IoU: box"]
    return markdown(header, rows)


def _mean_of(values):
    values = [value for value in values if value is not None]
    return figure(sum(values) / len(values)) if values else "-"


def context_mining(root):
    """Clusters in photographs by context, beside those without it."""
    found, rows = read(root, "benchmarks/results/context_mining.json")["found"], []
    for name, title in (("voc", "vocstyle_mini"), ("caltech", "caltech101_96")):
        parts = [part for key, part in found.items() if key.startswith(f"{name}-")]
        for way, prefix in (
            ("context", ""),
            ("same seeds", "same_seeds_"),
            ("HOG neighbors", "hog_neighbors_"),
            ("random sets", "random_"),
        ):
            figures = [_mean_of(part[f"{prefix}{key}"] for part in parts) for key in ("purity", "coverage", "area")]
            if parts:
                images, clusters = (_mean_of(part[key] for part in parts) for key in ("images", "clusters"))
                rows.append((f"{title}, {images} images", way, clusters, *figures))
    return markdown(["Photographs", "Found by", "Clusters", "Purity", "Coverage", "Area under the curve"], rows)


def filters(root):
    """Shape of the first filters of a dense autoencoder, with noise and without."""
    record = read(root, "benchmarks/results/filters.json")
    columns = (
        ("localized edges (%)", "filter_edges", 100),
        ("selectivity, median", "filter_selectivity", 1),
        ("spread, median", "filter_spread", 1),
        ("error after denoising, share of the noise's", "mse_ratio", 1),
    )
    rows = []
    for variant in dict.fromkeys(row["variant"] for row in record["rows"]):
        found = [row for row in record["rows"] if row["variant"] == variant]
        cells = (spread([scale * row[key] for row in found]) if key in found[0] else "-" for _, key, scale in columns)
        rows.append((variant, *cells, str(len(found))))
    return markdown(["Trained with", *(what for what, _, _ in columns), "Runs"], rows)


def pretrained(root):
    """Records of benchmarks/pretraining.py, ``{name: [one for each seed]}``, variants after what they vary."""
    found = {}
    for file in sorted((root / "benchmarks" / "results" / "pretraining").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        found.setdefault(record["entry"], []).append(record)
    return dict(sorted(found.items()))


def literature(root):
    """What others print for the same tasks, on full-size data."""
    found = read(root, "benchmarks/literature.json")
    blocks = []
    for name in ("voc", "imagenet_linear"):
        table = found[name]
        rows = [["-" if cell is None else cell for cell in row] for row in table["rows"]]
        blocks.append(f"{table['title']} ({table['source']}):\n\n" + markdown(table["columns"], rows))
    return "\n".join(blocks)


def _spread_of(records, key, scale):
    """Spread over records of one number, see :func:`tools.tables.number`."""
    values = [number(record, *key) for record in records]
    return spread([scale * value for value in values if value is not None])


def spread(values):
    """Mean, and the standard deviation over seeds where there are several."""
    if not values:  # what one variant measures another may not have
        return "-"
    mean = figure(statistics.mean(values))
    return f"{mean} ± {figure(statistics.stdev(values))}" if len(values) > 1 else mean


def shortcuts(root):
    """Accuracy on pictures without content, with each guard off and on."""
    rows = [
        (
            f"`{row['method']}`",
            row["shortcut"],
            row["guard"],
            f"{100 * row['accuracy']:.1f} ({100 * row['low']:.1f} to {100 * row['high']:.1f})",
            f"{100 * row['chance']:.1f}",
        )
        for row in read(root, "benchmarks/results/shortcuts.json")["rows"]
    ]
    header = ["Method", "All that is left in the pictures", "Guard", "Accuracy (%), 95 % interval", "Chance (%)"]
    return markdown(header, rows)
