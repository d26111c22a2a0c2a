"""Tables of colorization: quality and cost of the shipped model, on pages and phones."""

from tools.tables import figure, machine_of, markdown, read


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
    ("Colorfulness, share of the truth's", "colorfulness_ratio", 1),
    ("Chroma of neutral pixels", "neutral_chroma", 1),
    ("Photographs with false reds (%)", "false_reds", 100),
)


def colorizer(root):
    """Quality of the shipped colorizer on the kept-out photographs, beside the gray picture, from its MANIFEST."""
    parts = read(root, "savedmodels/colorizer/MANIFEST.json")["metrics"]
    rows = [
        (name, *(round(part[prefix + key] * scale, 3) for part in parts.values() for prefix in ("gray_", "")))
        for name, key, scale in _QUALITY
    ]
    header = [f"{who}, {name}" for name in parts for who in ("Gray", "Ours")]
    sizes = "; ".join(
        f"{name}: {part['images']:.0f} photographs, {part['pixels']:,.0f} pixels in {part['bins']:.0f} bins"
        for name, part in parts.items()
    )
    temperature = next(iter(parts.values()))["temperature"]
    return markdown(["Metric", *header], rows) + f"\nT = {temperature:g}; {sizes}.\n"


def hints(root):
    """How far a few true colors help, beside the same hints spread over the gray photograph without the network."""
    metrics = read(root, "benchmarks/results/hints.json")["metrics"]
    rows = [
        (
            folder,
            int(count),
            100 * values["auc"],
            values["rmse_ab"],
            ways["gray"][count]["rmse_ab"],
            figure(values["error_at_hints"]) if int(count) else "",
            100 * values["made_worse"],
        )
        for folder, ways in metrics.items()
        for count, values in ways["model"].items()
    ]
    header = [
        "Photographs", "Hints", "AuC, raw (%)", "RMSE in ab", "RMSE without the network", "error at the hints (ab)",
        "pixels made worse by more than 5 ab (%)"
    ]  # fmt: skip
    return markdown(header, rows)


_SEMANTIC = (
    ("Classifier, top-1 (%)", "classifier_top1", 100),
    ("Classifier, top-5 (%)", "classifier_top5", 100),
    ("LPIPS (AlexNet)", "lpips_alex", 1),
    ("LPIPS (VGG-16)", "lpips_vgg", 1),
    ("Frechet distance (EfficientNet-Lite0)", "fd_efficientnet_lite0", 1),
    ("Distance of hue histograms", "hue_distance", 1),
)


def semantic(root):
    """What pretrained networks say of the shipped colorizer's ImageNet photographs, from its MANIFEST."""
    found = read(root, "savedmodels/colorizer/MANIFEST.json")["metrics"]["imagenet"]
    prefixes = {"True colors": "true_", "Ours": "", "Gray": "gray_", "Another photograph's colors": "random_"}
    rows = [
        (name, *(figure(found[p + key] * scale) if p + key in found else "-" for p in prefixes.values()))
        for name, key, scale in _SEMANTIC
    ]
    return markdown(["Metric", *prefixes], rows)


def old_photographs(root):
    """What damage to the lightness does to the shipped colorizer and to the one before it."""
    record = read(root, "benchmarks/results/old_photographs.json")
    kinds = [name for name in next(iter(record["models"].values())) if name != "digest"]
    rows = [
        (
            kind.replace("_", " "),
            *(figure(found[kind]["rmse_ab"]) for found in record["models"].values()),
            *(figure(100 * found[kind]["images_with_false_reds"]) for found in record["models"].values()),
        )
        for kind in kinds
    ]
    header = [f"{what}, {name}" for what in ("RMSE in ab", "False reds (%)") for name in record["models"]]
    images, gray = record["config"]["images"], record["left_gray_rmse_ab"]
    return markdown(["Lightness", *header], rows) + f"\n{images} photographs; left gray, RMSE {gray:g}.\n"


_STORED = {
    "none": "float32",
    "float16": "kernels float16",
    "dynamic": "int8 weights, activations quantized while running",
    "int8": "int8 weights and activations",
}


def mobile(root):
    """Sizes and errors of .tflite files."""
    files = read(root, "benchmarks/results/mobile.json")["files"]
    rows = [
        (
            f"`{one['quantize']}`",
            _STORED[one["quantize"]],
            f"{one['limit']:g}",
            *(text for row in (one, other) for text in (f"{row['bytes'] / 1e6:.1f} MB", figure(row["mean_error"]))),
        )
        for one, other in zip(files["colorizer"], files["inpainter"], strict=True)
    ]
    header = [
        "`--quantize`", "stored", "largest mean error that export accepts", "the shipped colorizer", "its error",
        "`context_encoder/cpu`", "its error"
    ]  # fmt: skip
    return markdown(header, rows)


def web(root):
    """How far the colors of an oblong photograph are from those of `tfssl colorize`, by the way it is made square."""
    record = read(root, "benchmarks/results/web.json")
    ways = record["ways"]
    rows = [(way, *(figure(part[key][value]) for key, value in _WAYS.values())) for way, part in ways.items()]
    count = next(iter(ways.values()))["from_truth"]["n"]
    return markdown(["Way", *_WAYS], rows) + f"\n{count} oblong color photographs, {_model(record)}.\n"


_WAYS = {
    "From `tfssl colorize`, mean": ("from_colorize", "mean"),
    "95th percentile": ("from_colorize", "p95"),
    "From the true colors, mean": ("from_truth", "mean"),
}


def web_page(root):
    """What the page was measured to take."""
    record = read(root, "benchmarks/results/web.json")
    page, seconds = record["page"], record["median_seconds"]
    load = f"other programs running (load average {record['machine']['load_at_start']:g})"
    rows = [
        ("Bytes of a first visit", f"{page['first_load_bytes'] / 1e6:.1f} MB"),
        ("Largest difference from LiteRT in Python, same input", f"{page['largest_difference_ab']:.1g} ab units"),
        ("A photograph of one megapixel, from choosing to seeing it", f"{seconds['one megapixel']:.2g} s"),
        ("Of it the network, for each square", f"{seconds['network, one square']:.2g} s"),
    ]
    table = markdown([f"With {_model(record)}", "Value"], rows)
    return table + f"\n{machine_of(record)}; medians, {load}.\n"


def _model(record):
    """Which colorizer was measured."""
    return f"the model `{record['config']['model']}`, trunk `{record['config']['backbone']}`"


def film(root):
    """Flicker and error of color clips made gray: frame by frame, and steady."""
    record = read(root, "benchmarks/results/film.json")
    rows = [
        (f"`{name}`, {entry['clips']} clips", kind, m["flicker"], m["change"], m["rmse_ab"], 100 * m["auc"])
        for name, entry in record["sets"].items()
        for kind, m in entry["mean"].items()
    ]
    table = markdown(["Clips", "Colors", "Flicker", "Change", "RMSE in ab", "AuC, raw (%)"], rows)
    return table + f"\nWith {_model(record)}.\n"
