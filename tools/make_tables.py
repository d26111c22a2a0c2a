"""Fill the generated tables of README.md and docs/*.md from committed results, so that no figure is typed by hand.

A table goes between two marks, on lines of their own:

    <!-- table:speed -->
    <!-- end -->

    python tools/make_tables.py            rewrites the blocks
    python tools/make_tables.py --check    changes nothing; exit 1 if a block differs from its source
"""

import argparse
import functools
import json
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- table:([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


class TableError(Exception):
    """A block names no table, or the results that it needs are missing."""


def markdown(header, rows):
    """A Markdown table; every cell but the first column's is aligned right if it is a number."""
    numeric = [all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]
    lines = [header, ["---:" if number else "---" for number in numeric]]
    lines += [[figure(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def figure(value):
    """A number in three significant digits (whole numbers in full), anything else as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def read(root, path):
    file = root / path
    if not file.is_file():
        raise TableError(f"{path} is missing; run the script that writes it")
    return json.loads(file.read_text(encoding="utf-8"))


def speed(root):
    """Every comparison of benchmarks/results/*.json, and the machines they ran on."""
    rows, machines = [], {}
    for file in sorted((root / "benchmarks" / "results").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        for row in record.get("comparisons", ()):
            limit, unit = "at most" if row["at_most"] else "at least", row["unit"]
            measured, promised = f"{row['measured']:.3g}{unit}", f"{limit} {row['required']:g}{unit}"
            rows.append((row["what"], row["against"], measured, promised))
        if record.get("comparisons"):
            machines.setdefault(_machine(record), []).append(f"`{file.stem}`")
    if not rows:
        raise TableError("benchmarks/results/ holds no comparisons; run `make bench`")
    table = markdown(["What", "Against", "Measured", "Promised"], rows)
    return table + "\n" + "\n".join(f"{text} ({', '.join(names)})." for text, names in machines.items()) + "\n"


def _machine(record):
    machine, versions = record["machine"], record["versions"]
    sets = ", ".join(machine["instruction_sets"])
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if name in ("tensorflow", "keras"))
    processor = f"{machine['cores']} cores of {machine['cpu']} ({sets}), {machine['memory_gib']:.0f} GiB"
    return f"Measured on {processor}, {packages}"


def encoding_error(root):
    """How far the two lookups of the soft encoding lie from the float64 reference."""
    errors = read(root, "benchmarks/results/soft_encoding.json")["error_against_float64"]
    names = list(next(iter(errors.values())))
    rows = [(name.replace("_", " "), *(values[name] for values in errors.values())) for name in names]
    return markdown(["Difference", *errors], rows)


def bfloat16(root):
    """How far the loss curve of mixed_bfloat16 lies from that of float32."""
    agreement = read(root, "benchmarks/results/train_step.json")["agreement_of_loss_curves"]
    return markdown(["Loss curves", "Value"], [(name.replace("_", " "), value) for name, value in agreement.items()])


_QUALITY = (
    ("AuC, raw (%)", "auc_raw", 100),
    ("AuC, class-rebalanced: mean over bins of at least 100 pixels (%)", "auc_macro", 100),
    ("AuC, class-rebalanced: weights 1/p (%)", "auc_inverse_frequency", 100),
    ("RMSE in ab (units)", "rmse_ab", 1),
    ("PSNR (dB)", "psnr", 1),
    ("SSIM", "ssim", 1),
    ("CIEDE2000", "ciede2000", 1),
    ("Colourfulness, share of the truth's", "colourfulness_ratio", 1),
)


def colorizer(root):
    """Quality of the shipped colorizer on the kept-out photographs, beside the grey picture, from its MANIFEST."""
    manifest = read(root, "savedmodels/colorizer/MANIFEST.json")
    parts = manifest["metrics"], manifest["metrics_untouched_half"]
    rows = [
        (name, *(round(part[prefix + key] * scale, 3) for part in parts for prefix in ("grey_", "")))
        for name, key, scale in _QUALITY
    ]
    counts = [f"{part['images']:.0f}" for part in parts]
    header = [
        f"{who}, {count}" for count in (f"all {counts[0]}", f"the untouched {counts[1]}") for who in ("Grey", "Ours")
    ]
    pixels = " and ".join(f"{part['pixels']:,.0f} pixels in {part['bins']:.0f} bins" for part in parts)
    return markdown(["Metric", *header], rows) + f"\nT = {parts[0]['temperature']:g}; {pixels}.\n"


def methods(root):
    """The methods that the library holds: paper, year, what they learn from."""
    import tfssl.methods

    found = [tfssl.methods.get(name) for name in tfssl.methods.names()]
    rows = [
        (f"`{m.name()}`", m.paper.title, m.paper.authors, f"{m.paper.venue} {m.paper.year}", m.inputs) for m in found
    ]
    return markdown(["Method", "Paper", "Authors", "Where", "Learns from"], rows)


def pretraining(root):
    """Linear probes of what each method learned without labels, beside their baselines."""
    entries = _pretrained(root)
    rows, pixels = [], []
    for name, runs in entries.items():
        if name == "labels":
            continue
        probes = [run["probe"] for run in runs]
        pixels += [100 * probe["pixels_best_on_test"] for probe in probes]
        keys = ("best_on_test", "untrained_best_on_test", "gain_on_test", "accuracy")
        method, _, variant = name.partition(", ")
        label = f"`{method}/cpu`" + (f", {variant}" if variant else "")
        rows.append((label, *(_spread([100 * probe[key] for probe in probes]) for key in keys), str(len(runs))))
    rows.sort(key=lambda row: -float(row[1].split()[0]))
    if labelled := entries.get("labels"):
        spread = _spread([100 * run["accuracy"] for run in labelled])
        rows.append(("`jigsaw`'s trunk trained with the labels alone", spread, "-", "-", "-", str(len(labelled))))
    rows.append(("raw pixels", figure(statistics.mean(pixels)), "-", "-", "-", "-"))  # the same for every run
    header = [
        "Pretrained by", "Best tap (%)", "Untrained (%)", "Gain (points)", "Tap chosen without the test set (%)", "Runs"
    ]  # fmt: skip
    return markdown(header, rows)


_PRETEXT = {
    "jigsaw": (
        ("puzzles solved (%)", "accuracy", 100),
        ("chance (%)", "chance", 100),
        ("times chance", "accuracy_over_chance", 1),
        ("tiles in their place (%)", "tile_accuracy", 100),
    ),
    "context_prediction": (
        ("pairs placed right (%)", "accuracy", 100),
        ("chance (%)", "accuracy_chance", 100),
        ("the commonest answer always (%)", "accuracy_constant", 100),
    ),
    "context_encoder": (
        ("PSNR of the hole (dB)", "psnr", 1),
        ("mean colour: PSNR (dB)", "mean_fill_psnr", 1),
        ("mean of the surroundings: PSNR (dB)", "surround_fill_psnr", 1),
        ("nearest neighbour by HOG: PSNR (dB)", "nn_hog_psnr", 1),
        ("nearest neighbour by own features: PSNR (dB)", "nn_features_psnr", 1),
        ("mean L1 (%)", "l1", 1),
        ("mean L2 (%)", "l2", 1),
        ("gradient energy, share of the truth's", "sharpness", 1),
    ),
    "spot_artifacts": (
        ("real or corrupt, accuracy (%)", "accuracy", 100),
        ("AUC of the same", "auc", 1),
        ("AUC of the predicted damage", "mask_auc", 1),
        ("PSNR of the autoencoder (dB)", "psnr_autoencoder", 1),
        ("PSNR of damaged pictures (dB)", "psnr_damaged", 1),
        ("PSNR of repaired pictures (dB)", "psnr_repaired", 1),
    ),
    "denoising_autoencoder": (),
}


def learned(root, method):
    """What the CPU configuration of one method learned, and its variants."""
    runs = {name: found for name, found in _pretrained(root).items() if name.split(", ")[0] == method}
    if not runs:
        raise TableError(f"benchmarks/results/pretraining holds no run of {method}; run benchmarks/pretraining.py")
    first = next(iter(runs.values()))[0]
    names = _PRETEXT[method] or tuple((k.replace("_", " "), k, 1) for k in first["pretext"])
    images = f"{first['pretext']['images']:.0f}"
    rows = [
        (what, *(_spread([scale * run["pretext"][key] for run in found]) for found in runs.values()))
        for what, key, scale in names
        if key in first["pretext"]
    ]
    rows += [
        (f"linear probe, {what}", *(_spread([100 * run["probe"][key] for run in found]) for found in runs.values()))
        for what, key in (
            ("best tap (%)", "best_on_test"),
            ("untrained (%)", "untrained_best_on_test"),
            ("gain (points)", "gain_on_test"),
        )
    ]
    rows.append(("steps", *(f"{found[0]['training']['steps']:,}" for found in runs.values())))
    rows.append(("runs, each from another seed", *(str(len(found)) for found in runs.values())))
    header = [f"On {images} held-out photographs", *(f"`{method}/cpu`{name[len(method) :]}" for name in runs)]
    return markdown(header, rows)


def aberration(root):
    """How well a patch's colours tell its place in photographs, before and after each treatment."""
    record = read(root, "benchmarks/results/aberration.json")
    rows = [
        (
            "as they are" if row["magnification"] == 0 else f"green magnified by {100 * row['magnification']:g} %",
            row["color"],
            *(f"{row[key]:.3f}" for key in ("rmse_best", "centre_best", "rmse", "centre")),
        )
        for row in record["results"]
    ]
    header = ["Photographs", "`color`", "Best tenth", "Always the centre", "All", "Always the centre"]
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


def filters(root):
    """Shape of the first filters of a dense autoencoder, with noise and without."""
    record = read(root, "benchmarks/results/filters.json")
    columns = (
        ("localised edges (%)", "filter_edges", 100),
        ("selectivity, median", "filter_selectivity", 1),
        ("spread, median", "filter_spread", 1),
        ("error after denoising, share of the noise's", "mse_ratio", 1),
    )
    rows = []
    for variant in dict.fromkeys(row["variant"] for row in record["rows"]):
        found = [row for row in record["rows"] if row["variant"] == variant]
        cells = (_spread([scale * row[key] for row in found]) if key in found[0] else "-" for _, key, scale in columns)
        rows.append((variant, *cells, str(len(found))))
    return markdown(["Trained with", *(what for what, _, _ in columns), "Runs"], rows)


def _pretrained(root):
    """Records of benchmarks/pretraining.py, ``{name: [one for each seed]}``, variants after what they vary."""
    found = {}
    for file in sorted((root / "benchmarks" / "results" / "pretraining").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        found.setdefault(record["entry"], []).append(record)
    return dict(sorted(found.items()))


def _spread(values):
    """Mean, and the standard deviation over seeds where there are several."""
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


TABLES = {
    "aberration": aberration,
    "bfloat16": bfloat16,
    "colorizer": colorizer,
    "discovery": discovery,
    "encoding-error": encoding_error,
    "filters": filters,
    "methods": methods,
    "pretraining": pretraining,
    "shortcuts": shortcuts,
    "speed": speed,
    **{method: functools.partial(learned, method=method) for method in _PRETEXT},
}


def fill(text, root):
    """``text`` with each block replaced by its table.

    Raises:
        TableError: for a block that names no table, one without its end mark, or missing results.
    """

    def replace(match):
        start, name, _, end = match.groups()
        if name not in TABLES:
            raise TableError(f"no table {name!r}; there are {', '.join(TABLES)}")
        return start + TABLES[name](root) + end

    if text.count("<!-- table:") != len(BLOCK.findall(text)):
        raise TableError("a `<!-- table:NAME -->` has no `<!-- end -->`")
    return BLOCK.sub(replace, text)


def documents(root):
    """README.md and every Markdown file of docs/."""
    return [p for p in (root / "README.md", *sorted((root / "docs").rglob("*.md"))) if p.is_file()]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if a table is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the checkout")
    options = parser.parse_args(arguments)
    stale = 0
    for path in documents(options.root):
        text = path.read_text(encoding="utf-8")
        try:
            new = fill(text, options.root)
        except TableError as error:
            print(f"{path.relative_to(options.root)}: {error}", file=sys.stderr)
            return 1
        if new == text:
            continue
        if options.check:
            print(f"{path.relative_to(options.root)} is out of date; run `make tables`", file=sys.stderr)
            stale += 1
        else:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(options.root)} rewritten")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
