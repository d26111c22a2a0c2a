"""How well each view is brought back from the other, whether paired filters agree, and a sheet of them."""

from pathlib import Path

import numpy as np

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation.record import method_record
from tfssl.methods.synchrony import data as views_of
from tfssl.options import at_least_one
from tfssl.visualization.filters import stretch
from tfssl.visualization.sheet import picture_sheet

METRICS = {
    "unexplained": ("fraction", False, {"unpaired": "unexplained_unpaired"}),
    "agreement": ("", True, {"unpaired": "agreement_unpaired"}),
    "units_used": ("fraction", None, {}),
}
"""Unit, direction and baselines of the metrics."""

_SHOWN = 24  # pairs of filters on the sheet


def evaluate(method, model, data, *, out=None, limit=None, seed=0, batch_size=512, progress=None):
    """Reconstruct whitened patches of pairs, and of views that do not belong together.

    Args:
        method: the :class:`~tfssl.methods.Synchrony` that the model belongs to.
        model: its model.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        out: folder for ``metrics.json`` and ``sheet.png``; None writes nothing.
        seed: of the places of the patches.
        batch_size: patches that the network sees at a time; unpaired views are taken from the same batch.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``unexplained``, the squared error of both reconstructions as a
        fraction of the squares of both sides; ``agreement``, the correlation over all patches and units between the
        responses of paired filters; both beside the same of views of different patches (``unpaired``);
        ``units_used``, the fraction of the pairs of filters that have the largest product of some patch; the counts
        ``images``, ``images_skipped`` and ``patches``.

    Raises:
        SourceError: if nothing is readable.
        ConfigError: if limit is below 1.
        ModelError: if the model predicts NaN.
    """
    at_least_one(limit=limit)
    skipped, source = Skipped(), method.open(data)
    check_source(source)
    sums, used, patches = np.zeros((2, 5)), np.zeros(method.units, bool), 0
    options = {"training": False, "limit": limit, "seed": seed, "skipped": skipped}
    for (x, y), _ in method.dataset(source, batch_size=batch_size, **options):
        x, y = np.asarray(x), np.asarray(y)
        used[np.argmax(_products(model, x, y), axis=1)] = True
        patches += len(x)
        for row, other in enumerate((y, np.roll(y, 1, axis=0))):
            sums[row] += _sums(method, model, x, other)
        if progress is not None:
            progress(patches // method.patches, min(len(source), limit or len(source)))
    if not np.isfinite(sums).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    values = {"units_used": float(used.mean())}
    for name, (error, squares, both, of_x, of_y) in zip(("", "_unpaired"), sums, strict=True):
        values[f"unexplained{name}"] = error / squares
        values[f"agreement{name}"] = both / max(np.sqrt(of_x * of_y), 1e-12)
    values |= {
        "images": patches / method.patches,
        "images_skipped": float(len(skipped.reasons)),
        "patches": float(patches),
    }
    protocol = {"reconstruction": "each side from the responses to the other one", "batch_size": batch_size}
    record = method_record(method, values, METRICS, protocol=protocol, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def _products(model, x, y):
    return np.asarray(model.get_layer("product")([x, y]))


def _sums(method, model, x, y):
    """Squared error of both reconstructions, squares of both sides, and products of responses: with each other, own."""
    product = model.get_layer("product")
    of_x, of_y = (np.asarray(response, np.float64) for response in product.responses([x, y]))
    codes = 1 / (1 + np.exp(-of_x * of_y))
    if method.learner == "kmeans":
        codes = np.eye(method.units)[np.argmax(of_x * of_y, axis=1)]
    u, v = np.asarray(product.kernel_x), np.asarray(product.kernel_y)
    errors = np.square(x - (codes * of_y) @ u.T).sum() + np.square(y - (codes * of_x) @ v.T).sum()
    products = [(a * b).sum() for a, b in ((of_x, of_y), (of_x, of_x), (of_y, of_y))]
    return np.array([errors, np.square(x).sum() + np.square(y).sum(), *products])


def filters_of(method, model):
    """Filters of both sides as patches: two arrays float32 (units, size, size, frames), in the order of the units.

    They are shown as what the filters look for in whitened patches: whitening undone by its pseudo-inverse.
    """
    _, matrix = views_of.whitening_of(method)
    product, back = model.get_layer("product"), np.linalg.pinv(matrix)
    kernels = [np.asarray(kernel) for kernel in (product.kernel_x, product.kernel_y)]
    return tuple((kernel.T @ back).reshape(-1, *method.view_shape).astype(np.float32) for kernel in kernels)


def write_sheet(method, model, data, path):
    """Draw pairs of filters of the largest mean product, side above side, both stretched alike; in several frames the
    first and the last of each."""

    def cut(example, seed):
        return views_of.cut_views(method, example, np.random.default_rng(seed))

    patches = np.concatenate(spread_examples(method.open(data), 16, cut))
    order = np.argsort(-_products(model, *views_of.whitened(method, patches)).mean(axis=0))[:_SHOWN]
    sides = filters_of(method, model)
    rows, labels = [], []
    frames = sorted({0, method.view_shape[2] - 1})
    for name, side in zip(("first", "second"), sides, strict=True):
        for frame in frames:
            rows.append([stretch(side[unit, ..., frame], like=sides[0][unit]).clip(0, 1) for unit in order])
            labels.append(name if len(frames) == 1 else f"{name}\nframe {frame + 1}")
    picture_sheet(rows, path, labels=labels, cell=48)
