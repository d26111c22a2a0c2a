"""What a zero-bias autoencoder makes of unseen patches: error, sparsity, units in use; and its filters as pictures."""

from pathlib import Path

import keras
import numpy as np

from tfssl.data.examples import Skipped
from tfssl.errors import ModelError
from tfssl.evaluation.filter_shape import filter_shape
from tfssl.evaluation.record import method_record
from tfssl.methods.zero_bias_autoencoder.data import whitening_of
from tfssl.visualization.filters import filter_sheet

METRICS = {
    "reconstruction_error": ("", False, {"constant": "reconstruction_constant"}),
    "codes_active": ("fraction", None, {}),
    "features_active": ("fraction", None, {}),
    "units_used": ("fraction", True, {}),
    "filter_edges": ("fraction", None, {}),
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, seed=0, batch_size=500, progress=None):
    """Reconstruct patches of a source without dropout.

    Args:
        method: the :class:`~tfssl.methods.ZeroBiasAutoencoder` that the model belongs to.
        model: its model.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        out: folder for ``metrics.json`` and ``filters.png``; None writes nothing.
        seed: of the patches.
        batch_size: patches that the network sees at a time; changes nothing but memory.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``reconstruction_error``, mean squared error per whitened component,
        beside that of the constant 0; ``codes_active``, fraction of codes that are not 0, and ``features_active``, of
        the encoder's, without the threshold; ``units_used``, fraction of units with a code that is not 0; of the
        filters, brought back to pixels, the numbers of :func:`~tfssl.evaluation.filter_shape.filter_shape`;
        ``variance_kept`` by whitening; the counts ``images``, ``images_skipped``, ``patches``.

    Raises:
        SourceError: if the source holds no readable image.
        ConfigError: if limit is below 1.
        ModelError: if the model predicts NaN.
    """
    skipped, source = Skipped(), method.open(data)
    errors = np.zeros(2)
    active, rectified, patches = 0, 0, 0
    names = [model.get_layer(name).output for name in ("codes", "reconstruction")]
    network = keras.Model(model.input, names)
    filters = model.get_layer("filters")
    for rows, _ in method.measured(source, batch_size, skipped, limit=limit, progress=progress, seed=seed):
        rows = np.asarray(rows)
        codes, again = (np.asarray(part) for part in network(rows, training=False))
        errors += [np.square(part, dtype=np.float64).sum() for part in (rows - again, rows)]
        active = active + np.count_nonzero(codes, axis=0)
        rectified += np.count_nonzero(np.asarray(filters(rows)) > 0)
        patches += len(rows)
    if not np.isfinite(errors).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    error, constant = errors / (patches * rows.shape[1])
    values = {
        "reconstruction_error": error,
        "reconstruction_constant": constant,
        "codes_active": float(np.mean(active)) / patches,
        "features_active": rectified / (patches * method.units),
        "units_used": float(np.mean(active > 0)),
        **filter_shape(filters_of(method, model)),
        "variance_kept": float(method.statistics.get("kept", 1.0)),
        "images": patches / method.patches,
        "images_skipped": float(len(skipped.reasons)),
        "patches": float(patches),
    }
    record = method_record(method, values, METRICS, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        filter_sheet(filters_of(method, model), Path(out) / "filters.png")
    return record


def filters_of(method, model):
    """Filters as color patches, float32 (units, s, s, 3): whitening undone by its pseudo-inverse."""
    kernel = keras.ops.convert_to_numpy(model.get_layer("filters").kernel)
    patches = kernel.T @ np.linalg.pinv(whitening_of(method)[1])
    return patches.reshape(-1, method.crop_size, method.crop_size, 3).astype(np.float32)


def write_sheet(method, model, data, path):
    """Draw all filters; they are the same for all data."""
    filter_sheet(filters_of(method, model), path)
