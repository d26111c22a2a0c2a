"""Tables of benchmarks/style.py."""

from tools.tables import figure, markdown, read

_NAMES = {
    "fusion_content": "trained encoders and the histogram, with products of content's scores",
    "fusion": "trained encoders and the histogram, fused",
    "efficientnet_lite0": "EfficientNet-Lite0, ImageNet's labels",
    "untrained": "EfficientNet-Lite0, untrained",
    "split_brain": "split-brain, a short run without labels",
    "split_brain, untrained": "split-brain, untrained",
    "colorizer": "the shipped colorizer, which sees lightness only",
    "colorizer, untrained": "the colorizer, untrained",
    "lab_histogram": "Lab histogram",
    "pixels": "raw pixels",
    "content": "content's scores alone",
    "chance": "chance",
}


def styles(root):
    """Mean average precision of rendered styles, and that of each of them."""
    record = read(root, "benchmarks/results/style.json")
    found, config = record["results"]["styles"], record["config"]
    classes = [metric for metric in found if metric.startswith("ap_")]
    rows = [
        (what, _mean(found["map"][name]), *(_percent(found[m].get(name)) for m in ("accuracy", *classes)))
        for name, what in _NAMES.items()
        if name in found["map"]
    ]
    counts = {name: int(value) for name, value in record["counts"]["styles"].items()}
    header = ["Told from", "mean AP (%)", "accuracy (%)", *(metric.removeprefix("ap_") for metric in classes)]
    return markdown(header, rows) + (
        f"\n{config['sources']} photographs of {config['image_size']} pixels in ten styles, others for each of "
        f"{config['seeds']} seeds: {counts['images_train']:,} images fitted, {counts['images_validation']:,} of "
        f"them to choose with, {counts['images_test']:,} tested; taps {', '.join(config['taps'])}, averaged.\n"
    )


def classes(root):
    """The same protocol on classes of Caltech-101, plain and with ten crops."""
    record = read(root, "benchmarks/results/style.json")
    plain, augmented = (record["results"].get(part) for part in ("classes", "classes_augmented"))
    columns = [(one, metric) for one in (plain, augmented) if one is not None for metric in ("map", "accuracy")]
    rows = [
        (what, *(_percent(one[metric].get(name)) for one, metric in columns))
        for name, what in _NAMES.items()
        if name in plain["map"]
    ]
    counts = {name: int(value) for name, value in record["counts"]["classes"].items()}
    header = ["Told from", "mean AP (%)", "accuracy (%)", "mean AP, ten crops (%)", "accuracy, ten crops (%)"]
    return markdown(header[: 1 + len(columns)], rows) + (
        f"\n{counts['images_train']:,} images fitted, {counts['images_test']:,} tested, of every "
        f"{record['config']['every']}th of 100 classes; one seed.\n"
    )


def _percent(entry):
    return "-" if entry is None else figure(100 * entry["mean"])


def _mean(entry):
    return _percent(entry) + ("" if not entry["std"] else f" ± {figure(100 * entry['std'])}")
