"""Tables of ambient sound: what textures know of labels, and how well frames tell how they sound."""

from tools.learned_tables import spread
from tools.tables import TableError, figure, markdown, read

_FILE = "benchmarks/results/ambient_sound.json"
_VECTORS = {
    "texture": "502 statistics, groups of equal weight (the method's)",
    "standardized": "502 statistics, numbers of equal weight",
    "spectrum": "32 mean spectra, divided by the loudness",
    "raw_spectrum": "32 mean spectra as they are",
    "variation": "32 variations alone",
    "correlation": "117 correlations alone",
    "modulation": "320 modulations alone",
    "loudness": "loudness alone",
    "chance": "chance",
}
_PARTS = {
    "rendered-clusters": "rendered scenes, 4 clusters",
    "rendered-all": "the same, one median for all clusters",
    "rendered-binary": "rendered scenes, 8 bits of the texture",
    "rendered-spectrum": "rendered scenes, 8 bits of the spectrum",
    "clips": "clips, 8 clusters",
}


def textures(root):
    """Purity of clusters of labeled recordings, and a linear classifier over folds."""
    found = read(root, _FILE)["sounds"]
    if not found:
        raise TableError(f"{_FILE} holds no labeled sounds; run benchmarks/ambient_sound.py --only sounds")
    rows = []
    for name, text in _VECTORS.items():
        own = found[0]["vectors"][name]
        cells = (spread([100 * value for value in own[key]]) for key in ("purity_10", "purity_20", "accuracy"))
        rows.append((text, *cells))
    return markdown(["Vector", "purity, 10 clusters (%)", "purity, 20 clusters (%)", "linear classifier (%)"], rows)


def told(root):
    """How often the sound of a frame that was not learned from is told."""
    rows, found = [], read(root, _FILE)["rows"]
    for part, text in _PARTS.items():
        own = [row for row in found if row["part"] == part]
        if not own:
            continue
        metrics = [row["pretext"]["metrics"] for row in own]
        cells = (
            [100 * row["accuracy"]["value"] for row in metrics],
            [100 * row["seen"]["metrics"]["accuracy"]["value"] for row in own],
            [100 * row["accuracy"]["baselines"]["commonest"] for row in metrics],
            [100 * row["pixels"] for row in own if "pixels" in row],
            [100 * row["purity"]["value"] for row in metrics if "purity" in row],
        )
        rows.append((text, *(spread(cell) if cell else "-" for cell in cells), figure(len(own))))
    heads = ("told (%)", "of what it learned from (%)", "the commonest always (%)", "from pixels (%)")
    return markdown(["Data and targets", *heads, "purity of the clusters (%)", "Seeds"], rows)
