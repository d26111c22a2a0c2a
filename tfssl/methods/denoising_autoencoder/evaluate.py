"""How much nearer to the truth a denoised image is than the corrupted one, and a sheet of it."""

from pathlib import Path

import keras
import numpy as np

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation.filter_shape import filter_shape
from tfssl.evaluation.record import method_record
from tfssl.methods.denoising_autoencoder.network import stack_of
from tfssl.visualization.filters import filter_sheet, stretch
from tfssl.visualization.sheet import picture_sheet

METRICS = {
    "mse_denoised": ("", False, {"noisy": "mse_noisy"}),
    "mse_ratio": ("", False, {}),
    "mse_clean": ("", None, {}),
    "psnr_denoised": ("dB", True, {"noisy": "psnr_noisy"}),
    "psnr_clean": ("dB", None, {}),
    "filter_edges": ("fraction", None, {}),
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
    """Corrupt crops of the images of a source as in training, denoise them, and compare with the clean crops.

    A stack is judged as a whole: from the images up to its last code and back.

    Args:
        method: the :class:`~tfssl.methods.DenoisingAutoencoder` that the model belongs to.
        model: its model, of any phase.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        out: folder for ``metrics.json``, ``sheet.png`` and, for ``"dense"``, ``filters.png``; None writes nothing.
        seed: of the corruption, and of the positions where there are several crops of an image.
        batch_size: crops that the network sees at a time; changes nothing but memory.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``mse_denoised`` and ``mse_noisy``, mean squared error of the denoised
        and of the corrupted crops, in squared units of the prepared images, and ``mse_ratio`` of the two;
        ``mse_clean``, of the reconstruction of clean crops (smaller is not better: the identity has 0); where images
        lie in [0, 1], ``psnr_...`` of the three, mean over crops of ``10 log10(1 / mse)`` in dB, 100 for crops without
        error; for ``"dense"`` the numbers of :func:`~tfssl.evaluation.filter_shape.filter_shape`;
        the counts ``images``, ``images_skipped`` and ``crops``.

    Raises:
        SourceError: if the source holds no readable image.
        ConfigError: if limit is below 1.
        ModelError: if the model predicts NaN.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"`limit` must be at least 1. Received: limit={limit}")
    source = method.open(data)
    check_source(source)
    skipped = Skipped()
    errors = _errors(method, model, source, limit, seed, batch_size, skipped, progress)
    metrics = denoising_metrics(errors, peak=1.0 if method.preprocess == "none" else None)
    if method.backbone == "dense":
        metrics |= filter_shape(first_filters(method, model))
    crops = float(len(errors["noisy"]))
    metrics |= {"images": crops / method.patches, "images_skipped": float(len(skipped.reasons)), "crops": crops}
    record = method_record(method, metrics, METRICS, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
        if method.backbone == "dense":
            filter_sheet(first_filters(method, model), Path(out) / "filters.png")
    return record


def denoising_metrics(errors, peak=1.0):
    """The metrics that follow from the mean squared error of each crop.

    Args:
        errors: ``{"noisy": (N,), "denoised": (N,), "clean": (N,)}``.
        peak: largest value of an image; None leaves PSNR out.
    """
    metrics = {f"mse_{name}": float(np.mean(values)) for name, values in errors.items()}
    noisy = metrics["mse_noisy"]
    metrics["mse_ratio"] = metrics["mse_denoised"] / noisy if noisy > 0 else float("nan")
    if peak is not None:
        for name, values in errors.items():
            metrics[f"psnr_{name}"] = float(np.mean(10 * np.log10(peak**2 / np.maximum(values, peak**2 * 1e-10))))
    return metrics


def first_filters(method, model):
    """Kernel columns of the first dense layer as images, float32 (units, side, side, channels)."""
    kernel = keras.ops.convert_to_numpy(stack_of(model).get_layer("layer1").kernel)
    return kernel.T.reshape(-1, *method.image_shape)


def write_sheet(method, model, data, path, count=8):
    """Draw corrupted, denoised and true crops, one column for each of ``count`` images spread evenly over the source.

    Prepared images are stretched for display, each column from the darkest to the brightest value of its truth.
    """

    def cut(example, seed):
        noisy, clean, _ = method.sample(example, np.random.default_rng(seed), False)
        return (noisy, clean) if method.patches == 1 else (noisy[0], clean[0])

    noisy, clean = map(np.stack, zip(*spread_examples(method.open(data), count, cut), strict=True))
    denoised = np.asarray(model(noisy, training=False))
    shown = (lambda x, like: np.clip(x, 0, 1)) if method.preprocess == "none" else stretch
    rows = [
        [shown(x, like=truth) for x, truth in zip(images, clean, strict=True)] for images in (noisy, denoised, clean)
    ]
    picture_sheet(rows, path, labels=["corrupted", "denoised", "truth"], cell=128)


def _errors(method, model, source, limit, seed, batch_size, skipped, progress):
    options = {"training": False, "seed": seed, "skipped": skipped, "limit": limit}
    total, done = min(len(source), limit or len(source)), 0
    errors = {"noisy": [], "denoised": [], "clean": []}
    for noisy, clean, *_ in method.dataset(source, batch_size=batch_size, **options):
        results = {"noisy": noisy, "denoised": model(noisy, training=False), "clean": model(clean, training=False)}
        for name, images in results.items():
            errors[name].append(np.mean(np.square(np.asarray(images) - clean.numpy(), dtype=np.float64), (1, 2, 3)))
        done += len(noisy)
        if progress is not None:
            progress(done // method.patches, total)
    errors = {name: np.concatenate(parts) for name, parts in errors.items()}
    if not np.isfinite(errors["denoised"]).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    return errors
