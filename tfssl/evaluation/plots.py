"""What tasks draw of accuracies over taps."""

import numpy as np

from tfssl.evaluation.runner import by_encoder, values_by_tap
from tfssl.visualization.line_plot import line_plot


def plot_taps(path, runs, metric, label, levels=None):
    """Draw the mean of a metric over the taps of each encoder; single taps, and ``levels``, as level lines."""
    means = {
        name: {tap: float(np.mean(values)) for tap, values in values_by_tap(own, metric).items()}
        for name, own in by_encoder(runs).items()
    }
    taps = list(means["encoder"])
    ends, curves = (0, max(len(taps) - 1, 1)), {}
    for name, own in means.items():
        shared = [tap for tap in taps if tap in own] if len(taps) > 1 else []
        curves[name] = (
            ([taps.index(tap) for tap in shared], [own[tap] for tap in shared])
            if shared
            else (ends, [max(own.values())] * 2)
        )
    curves |= {name: (ends, (value, value)) for name, value in (levels or {}).items()}
    ticks = dict(enumerate(taps))
    line_plot(curves, path, x_label="tap", y_label=label, x_range=ends, x_ticks=ticks, y_range=(0.0, top_of(curves)))


def top_of(curves):
    """Upper end of an axis of fractions: a tenth above the highest, where names have room."""
    return min(1.0, np.ceil(12.5 * max(max(y) for _, y in curves.values())) / 10)
