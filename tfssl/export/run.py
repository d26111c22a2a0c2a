"""``tfssl export``: from a run directory or a shipped model to files, with a report in words."""

from pathlib import Path

from tfssl.errors import ConfigError
from tfssl.export.savedmodel import MAX_ERROR as SAVEDMODEL_WEIGHTS
from tfssl.export.savedmodel import export_savedmodel
from tfssl.export.source import load_source
from tfssl.export.tflite import MAX_ERROR as TFLITE_KINDS
from tfssl.export.tflite import export_tflite


def export_run(run, out, *, format="savedmodel", quantize="none", side=None, representative="builtin", overwrite=False):
    """Export a trained model.

    Args:
        run: a run directory, the folder of an export, or the name of a shipped model.
        out: folder to write. Both formats of one model may share a folder.
        format: ``"savedmodel"`` or ``"tflite"``.
        quantize: ``"none"``, ``"float16"``, ``"dynamic"`` or ``"int8"``; a SavedModel takes the first two.
        side: for tflite, height and width of the input in pixels; None is the method's ``image_size``.
        representative: for int8, image source that sets the ranges of activations.
        overwrite: replace an earlier export.

    Returns:
        List of lines for the user: what was written and how far it lies from the Keras model.

    Raises:
        ConfigError: for a wrong ``format`` or ``quantize``.
        ModelError: see :func:`export_savedmodel` and :func:`export_tflite`.
    """
    if format not in ("savedmodel", "tflite"):
        raise ConfigError(f"`format` must be savedmodel or tflite. Received: format={format!r}")
    if quantize not in TFLITE_KINDS:
        raise ConfigError(f"`quantize` must be one of {', '.join(TFLITE_KINDS)}. Received: quantize={quantize!r}")
    weights = "float32" if quantize == "none" else quantize
    if format == "savedmodel" and weights not in SAVEDMODEL_WEIGHTS:
        raise ConfigError(f"a SavedModel takes `quantize` none or float16. Received: quantize={quantize!r}")
    method, model = load_source(run)
    if format == "savedmodel":
        report = export_savedmodel(method, model, out, weights=weights, overwrite=overwrite)
        parity = report["savedmodel"]["parity"]
        names = [f"{report['savedmodel']['version']}/", "model.config"]
    else:
        report = export_tflite(
            method, model, out, quantize=quantize, side=side, representative=representative, overwrite=overwrite
        )
        names = [name for name, part in report["tflite"].items() if part["quantize"] == quantize]
        parity = {report["tflite"][names[0]]["signature"]: report["tflite"][names[0]]["parity"]}
    return [*_sizes(out, report, names), *_errors(parity)]


def _sizes(out, report, names):
    for name in names:
        size = sum(entry["bytes"] for file, entry in report["files"].items() if file.startswith(name))
        yield f"{Path(out) / name}  {size / 1e6:.2f} MB"


def _errors(parity):
    for signature, outputs in parity.items():
        for output, numbers in outputs.items() if isinstance(outputs, dict) else ():
            if isinstance(numbers, dict):
                share = " times its mean magnitude" if outputs.get("relative") else ""
                yield (
                    f"{signature} -> {output}: mean error against the Keras model {numbers['mean_abs']:.2g}{share}, "
                    f"largest {numbers['max_abs']:.2g}"
                )
