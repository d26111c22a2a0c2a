"""``tfssl export``: from a run directory or a shipped model to files, with a report in words."""

from tfssl.endpoint import MAX_MEGAPIXELS, TOLERANCE
from tfssl.errors import ConfigError
from tfssl.export.folder import REPORT
from tfssl.export.savedmodel import WEIGHTS, export_savedmodel, load_savedmodel
from tfssl.export.tflite import export_tflite, needs
from tfssl.options import as_path
from tfssl.resources import find_model
from tfssl.training.runs import load_run

QUANTIZE = ("none", *list(TOLERANCE)[1:])


def export_run(
    run,
    out,
    *,
    format="savedmodel",
    quantize="none",
    image_size=None,
    representative="builtin",
    max_megapixels=MAX_MEGAPIXELS,
    overwrite=False,
):
    """Export a trained model; returns lines for the user: what was written and how far it lies from the Keras model.

    Args:
        run: a run directory, the folder of an export, or the name of a shipped model.
        out: folder to write. Both formats of one model may share a folder.
        format: ``"savedmodel"`` or ``"tflite"``.
        quantize: ``"none"``, ``"float16"``, ``"dynamic"`` or ``"int8"``; a SavedModel takes the first two.
        image_size: as ``representative`` and ``overwrite`` of :func:`~tfssl.export.export_tflite`.
        max_megapixels: of :func:`~tfssl.export.export_savedmodel`.
    """
    if format not in ("savedmodel", "tflite"):
        raise ConfigError(f"`format` must be savedmodel or tflite. Received: format={format!r}")
    if quantize not in QUANTIZE:
        raise ConfigError(f"`quantize` must be one of {', '.join(QUANTIZE)}. Received: quantize={quantize!r}")
    out = as_path("out", out)
    weights = "float32" if quantize == "none" else quantize
    if format == "savedmodel":
        if weights not in WEIGHTS:
            raise ConfigError(f"a SavedModel takes `quantize` none or float16. Received: quantize={quantize!r}")
        options = {"weights": weights, "max_megapixels": max_megapixels, "overwrite": overwrite}
        report = export_savedmodel(*load_source(run), out, **options)
        parity = report["savedmodel"]["parity"]
        names = [f"{report['savedmodel']['version']}/", "model.config"]
    else:
        needs(quantize)
        options = {"image_size": image_size, "representative": representative, "overwrite": overwrite}
        report = export_tflite(*load_source(run), out, quantize=quantize, **options)
        names = [name for name, part in report["tflite"].items() if part["quantize"] == quantize]
        parity = {report["tflite"][names[0]]["signature"]: report["tflite"][names[0]]["parity"]}
    return [*_sizes(out, report, names), *_errors(parity)]


def load_source(source):
    """``(method, network)`` of a shipped model's name, a run directory, or an export, which may store an encoder alone.

    Raises:
        ModelError: if there is no such model, or it is incomplete; names the models that ship.
    """
    path = find_model(source)
    if (path / REPORT).is_file() or (path / "saved_model.pb").is_file():
        return load_savedmodel(path)
    return load_run(path)


def _sizes(out, report, names):
    for name in names:
        size = sum(entry["bytes"] for file, entry in report["files"].items() if file.startswith(name))
        yield f"{out / name}  {size / 1e6:.2f} MB"


def _errors(parity):
    for signature, outputs in parity.items():
        for output, numbers in outputs.items() if isinstance(outputs, dict) else ():
            if isinstance(numbers, dict):
                mean = f"mean error against the Keras model {numbers['mean_abs']:.2g} {outputs['unit']}"
                yield f"{signature} -> {output}: {mean}, largest {numbers['max_abs']:.2g}"
