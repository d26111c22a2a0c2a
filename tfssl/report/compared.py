"""Tables and curves that put networks beside their baselines and beside each other."""

import statistics

from tfssl.report.contestants import comparisons, good_side, label, words
from tfssl.report.curves import chart
from tfssl.report.markup import NOTHING, Figure, details, join, number, paragraph, table, tag
from tfssl.report.verdict import verdict

_METRICS = 8  # that are shown at once; the others are a click away


def comparison_table(group, caption):
    """Rows of a metric and a network, columns of its baselines.

    Args:
        group: ``{name: Measurement}`` under one protocol.
        caption: of the table.

    Returns:
        Markup; a paragraph if nothing in the records has a baseline.
    """
    found = [(name, c) for name, m in group.items() for c in comparisons(m.record, m.by_tap)]
    if not found:
        return paragraph("Its record holds no figure with a baseline beside it; all figures stand below.")
    metrics = list(dict.fromkeys(c.metric for _, c in found))
    first, more = (_table(found, part, caption) for part in (metrics[:_METRICS], metrics[_METRICS:]))
    if more is None:
        return first
    return join([first, details(f"{len(metrics) - _METRICS} more metrics beside their baselines", more)])


def _table(found, metrics, caption):
    found = [(name, c) for name, c in found if c.metric in metrics]
    if not found:
        return None
    others = list(dict.fromkeys(other for _, c in found for other in c.others))
    several, rows = len({name for name, _ in found}) > 1, []
    for metric in metrics:
        of_metric = [(name, c) for name, c in found if c.metric == metric]
        best = _best([c for _, c in of_metric])
        for name, one in of_metric:
            ours = Figure(tag("span", _cell(one.value), class_="best" if one is best else None))
            gain = Figure(verdict(one.gain, one.better) + tag("small", f"over {label(one.rival)}"))
            heading = join([name, tag("small", words(metric))]) if several else words(metric)
            rows.append([heading, ours, gain, *(_cell(one.others.get(other)) for other in others)])
    header = ["Network, metric" if several else "Metric", "Measured", "Gain", *(label(other) for other in others)]
    return table(header, rows, caption=caption)


def _best(found):
    """The comparison with the best value, if there are several and it is known which side is the good one."""
    known = [c for c in found if c.value.mean is not None]
    if len(known) < 2 or not good_side(known[0].metric):
        return None
    return max(known, key=lambda c: c.value.mean * good_side(c.metric))


def _cell(value):
    return NOTHING if value is None else number(value.mean, value.std, value.layer)


def by_layer(group):
    """Curves and a table over the layers.

    Args:
        group: ``{name: Measurement}`` under one protocol.

    Returns:
        List of markup; empty where no layer was measured by itself.
    """
    means = {name: {who: _means(taps) for who, taps in m.by_tap.items()} for name, m in group.items() if m.by_tap}
    layers = list(dict.fromkeys(tap for own in means.values() for tap in own.get("encoder", {})))
    if not layers:
        return []
    text = "Accuracy on the test pictures, mean over the seeds; dashed, the same network untrained, and raw pixels."
    rows = []
    for name, own in means.items():
        for who, taps in own.items():
            cells = [number(*taps[layer]) if layer in taps else NOTHING for layer in layers]
            if set(taps) & set(layers):
                rows.append([join([name, tag("small", "trained" if who == "encoder" else label(who))]), *cells])
    return [
        tag("figure", _curves(means, layers), tag("figcaption", text)),
        table(["Network", *layers], rows, caption="The same as numbers, ± standard deviation over seeds"),
    ]


def _curves(means, layers):
    def points(taps):
        return [(layers.index(layer), mean) for layer, (mean, _) in taps.items() if layer in layers]

    curves = {name: points(own.get("encoder", {})) for name, own in means.items()}
    untrained = {n: (f"{n}, untrained", points(own["untrained"])) for n, own in means.items() if "untrained" in own}
    pixels = next((mean for own in means.values() for mean, _ in own.get("pixels", {}).values()), None)
    level = None if pixels is None else ("raw pixels", [(0, pixels), (len(layers) - 1, pixels)])
    names = dict(enumerate(layers))
    return chart(curves, title="Accuracy by layer", x_label="layer", level=level, baselines=untrained, x_names=names)


def _means(taps):
    return {tap: (statistics.fmean(v), statistics.stdev(v) if len(v) > 1 else None) for tap, v in taps.items()}


def losses(runs):
    """The end of training beside the trivial predictor, a row for each run."""
    rows = []
    for run in runs:
        last = run.history[-1] if run.history else {}
        loss, validation, trivial = (last.get(name) for name in ("loss", "val_loss", "baseline"))
        known = loss is not None and bool(trivial)
        gain = loss - trivial if known else None
        share = loss / trivial if known else None
        rows.append([run.name, loss, validation, trivial, verdict(gain, gain < 0 if gain else None), share])
    header = ["Run", "Training loss", "Validation loss", "Trivial predictor", "Gain", "Share of the trivial"]
    return table(header, rows, caption="Loss of the last epoch, as training recorded it, beside ignoring the input")
