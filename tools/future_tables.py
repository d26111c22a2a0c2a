"""Tables of predicted futures: errors beside those of repeating the last frame, and what other actions do."""

from tools.learned_tables import spread
from tools.tables import markdown, read


def _mse(row):
    return row["futures"]["metrics"]["mse"]


def _beside(row, name):
    """An error of the predictions as a fraction of another one's; None where that was not measured."""
    other = _mse(row)["baselines"].get(name)
    return None if other is None else _mse(row)["value"] / other


def _of(name):
    return lambda row: row["futures"]["metrics"][name]["value"]


_COLUMNS = (
    ("MSE / 1000", lambda row: 1000 * _mse(row)["value"]),
    ("of copying's", lambda row: _beside(row, "copying")),
    ("of that with negated actions", lambda row: _beside(row, "negated")),
    ("PSNR (dB)", _of("psnr")),
    ("SSIM", _of("ssim")),
    ("stays, by the mask (%)", lambda row: 100 * _of("background")(row)),
)
_ACTED = (
    ("MSE / 1000, negated", lambda row: 1000 * row["flipped"]["mse"]),
    ("of copying's", lambda row: row["flipped"]["mse"] / row["flipped"]["copying"]),
    ("nearer to its own future (%)", lambda row: 100 * row["flipped"]["own_nearer"]),
    ("finger the right way (%)", lambda row: 100 * row["flipped"]["right"]),
    ("not moved (%)", lambda row: 100 * row["flipped"]["unmoved"]),
    ("part of its way", lambda row: row["flipped"]["way"]),
    ("negated: the right way (%)", lambda row: 100 * row["flipped"]["right_negated"]),
    ("not moved (%)", lambda row: 100 * row["flipped"]["unmoved_negated"]),
    ("part of its way", lambda row: row["flipped"]["way_negated"]),
)


def video_prediction(root):
    """Errors of futures on clips of other photographs."""
    rows = read(root, "benchmarks/results/video_prediction.json")["rows"]
    lines = _lines(rows, _COLUMNS)
    copying = {name: rows[0]["futures"]["metrics"][name]["baselines"]["copying"] for name in ("mse", "psnr", "ssim")}
    copied = [1000 * copying["mse"], 1.0, None, copying["psnr"], copying["ssim"], None]
    lines.append(("repeating the last frame", *("-" if v is None else spread([v]) for v in copied), "-"))
    return markdown(["Predicted by", *(what for what, _ in _COLUMNS), "Seeds"], lines)


def video_prediction_flipped(root):
    """The same scenes with the actions negated after the context."""
    rows = read(root, "benchmarks/results/video_prediction.json")["rows"]
    lines = _lines([row for row in rows if "flipped" in row], _ACTED)
    return markdown(["Predicted by", *(what for what, _ in _ACTED), "Seeds"], lines)


def _lines(rows, columns):
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        cells = []
        for _, value in columns:
            values = [value(row) for row in own]
            cells.append("-" if None in values else spread(values))
        lines.append((variant, *cells, str(len(own))))
    return lines
