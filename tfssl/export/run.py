"""``tfssl export``: from a run directory or a shipped model to files, with a report in words."""

from tfssl.endpoint import MAX_MEGAPIXELS, TOLERANCE
from tfssl.errors import ConfigError
from tfssl.export.folder import REPORT
from tfssl.export.savedmodel import WEIGHTS, export_savedmodel, load_savedmodel
from tfssl.export.tflite import export_tflite, needs, tflite_name
from tfssl.export.web import export_web
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
    litert=None,
    overwrite=False,
):
    """Export a trained model; returns lines for the user: what was written and how far it lies from the Keras model.

    Args:
        run: a run directory, the folder of an export, or the name of a shipped model.
        out: folder to write. All formats of one model may share a folder.
        format: ``"savedmodel"``, ``"tflite"`` or ``"web"``.
        quantize: ``"none"``, ``"float16"``, ``"dynamic"`` or ``"int8"``; a SavedModel takes the first two.
        image_size: as ``representative`` and ``overwrite`` of :func:`~tfssl.export.export_tflite`.
        max_megapixels: of :func:`~tfssl.export.export_savedmodel`.
        litert: of :func:`~tfssl.export.export_web`.
    """
    if format not in ("savedmodel", "tflite", "web"):
        raise ConfigError(f"`format` must be savedmodel, tflite or web. Received: format={format!r}")
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
        options |= {"litert": litert} if format == "web" else {}
        method, model = load_source(run)
        export = export_web if format == "web" else export_tflite
        report = export(method, model, out, quantize=quantize, **options)
        names = [tflite_name(method, quantize)]
        parity = {report["tflite"][names[0]]["signature"]: report["tflite"][names[0]]["parity"]}
    return [*_sizes(out, report, names), *_errors(parity), *(_page(out, report) if format == "web" else ())]


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


def _page(out, report):
    web = report["web"]
    size = f"a first visit loads {web['first_load_bytes'] / 1e6:.1f} MB"
    yield f"{out / 'index.html'}  with LiteRT.js {web['litert']}; {size}"
    yield f"to see it: python -m http.server --directory {out}, then http://localhost:8000"


def _errors(parity):
    for signature, outputs in parity.items():
        for output, numbers in outputs.items() if isinstance(outputs, dict) else ():
            if isinstance(numbers, dict):
                mean = f"mean error against the Keras model {numbers['mean_abs']:.2g} {outputs['unit']}"
                yield f"{signature} -> {output}: {mean}, largest {numbers['max_abs']:.2g}"
