"""LiteRT (.tflite) files for phones: static size, builtin operators only, float or quantized."""

import dataclasses
import importlib.util
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.endpoint import sample_images
from tfssl.errors import ConfigError, ModelError
from tfssl.export.folder import served_name, write_export
from tfssl.export.network import SCOPE, StoredNetwork, inner_layers, sensitive_layers, served_network
from tfssl.export.savedmodel import write_savedmodel
from tfssl.quiet import quiet_stderr

CALIBRATION_IMAGES = 64  # most images of the representative set that int8 ranges are measured on
_WITH_KERNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED")

_INSIDE = rf"^{SCOPE}(_\d+)?/"  # operators are named by scope and layer


def export_tflite(method, model, out, *, quantize="none", image_size=None, representative="builtin", overwrite=False):
    """Write a .tflite file of the endpoint that is meant for phones, and measure it against the Keras model.

    ``none`` and ``float16`` keep every operator in float32 (float16: kernels stored in half). ``dynamic`` stores int8
    weights and quantizes activations as it runs. ``int8`` fixes the ranges of the activations beforehand. In all of
    them, what turns scores into colors (softmax and annealed mean, tanh), every resizing and a few small sensitive
    layers stay in float32, and so do inputs and output.

    Args:
        method: the :class:`~tfssl.methods.base.Method` the model belongs to.
        model: its trained ``keras.Model``.
        out: folder to write; made if missing. It may hold other exports of the same weights.
        quantize: ``"none"``, ``"float16"``, ``"dynamic"`` or ``"int8"``.
        image_size: height and width in pixels, fixed in the file. None is the endpoint's own; a network that takes
            one size only has no other.
        representative: image source whose first 64 images set the ranges of int8, see
            :func:`tfssl.data.images.image_source`.
        overwrite: replace an earlier file of the same name.

    Returns:
        What is also in export.json.

    Raises:
        ModelError: if ``out`` is in use, the file's error exceeds the endpoint's tolerance, or a package is missing.
    """
    needs(quantize)
    network = served_network(method, model)
    name, endpoint = mobile_endpoint(method, network, image_size)
    file = tflite_name(method, quantize)
    with write_export(out, method, network, [file], overwrite=overwrite) as (stage, report):
        write_tflite(stage / file, report, network, name, endpoint, quantize, representative)
    return report


def mobile_endpoint(method, network, image_size=None):
    """``(name, endpoint)`` of what a method offers to phones, for a batch of one and a fixed size."""
    endpoints = method.serving(StoredNetwork(network))
    name = next((name for name, endpoint in endpoints.items() if endpoint.mobile), None)
    if name is None:
        raise ModelError(f"{method.name()} has no .tflite form, it exports {', '.join(endpoints)}; export a SavedModel")
    return name, _fixed_endpoint(endpoints[name], endpoints[name].mobile if image_size is None else image_size)


def tflite_name(method, quantize):
    """Name of the file that ``quantize`` gives."""
    return f"{served_name(method)}_{'float32' if quantize == 'none' else quantize}.tflite"


def write_tflite(path, report, network, name, endpoint, quantize, representative):
    """Convert an endpoint of :func:`mobile_endpoint` to the file ``path``, and enter it into an export's report."""
    size = endpoint.signature[0].shape[1]
    content = _convert(name, endpoint)
    if quantize != "none":
        calibration = _calibration(representative, endpoint, size) if quantize == "int8" else []
        content = _quantize(content, quantize, network, name, calibration)
    path.write_bytes(content)
    report.setdefault("tflite", {})[path.name] = {
        "quantize": quantize,
        "side": size,
        "signature": name,
        "inputs": {s.name: {"dtype": s.dtype.name, "shape": s.shape.as_list()} for s in endpoint.signature},
        "parity": _parity(path, name, endpoint, size, quantize),
    }


def needs(quantize):
    """Raise ConfigError for an unknown kind, and ModelError where what it takes is not installed."""
    if quantize not in ("none", "float16", "dynamic", "int8"):
        raise ConfigError(f"`quantize` must be one of none, float16, dynamic, int8. Received: quantize={quantize!r}")
    if quantize != "none" and importlib.util.find_spec("ai_edge_quantizer") is None:
        raise ModelError(
            f"quantize={quantize!r} needs the package ai-edge-quantizer: pip install 'tfssl[mobile]', or take "
            "quantize='none'"
        )


def run_tflite(path, signature, inputs):
    """Run a signature of a .tflite file, builtin operators only: ``[{input: array}, ...]`` -> its answers.

    The interpreter is LiteRT's, or where that is not installed TensorFlow's.
    """
    if importlib.util.find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter
    else:
        Interpreter = tf.lite.Interpreter
    try:
        with quiet_stderr():
            interpreter = Interpreter(str(path), num_threads=os.cpu_count())
        runner = interpreter.get_signature_runner(signature)
        return [runner(**values) for values in inputs]
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{Path(path).name} cannot be run: {' '.join(str(error).split())[:200]}") from None


def _fixed_endpoint(endpoint, size):
    """The endpoint for a batch of one and a fixed size: dynamic sizes run many times slower."""
    if not isinstance(size, int) or not 16 <= size <= 2048:
        raise ConfigError(f"`image_size` must be an integer from 16 to 2048 pixels. Received: image_size={size!r}")
    (own,) = {spec.shape[1] for spec in endpoint.signature}
    if own not in (None, size):
        text = f"`image_size` must be {own}, the only size that this network takes"
        raise ConfigError(f"{text}. Received: image_size={size}")
    signature = (tf.TensorSpec((1, size, size, s.shape[-1]), s.dtype, name=s.name) for s in endpoint.signature)
    return dataclasses.replace(endpoint, signature=tuple(signature))


def _convert(name, endpoint):
    with tempfile.TemporaryDirectory() as folder, quiet_stderr():
        write_savedmodel(folder, {name: endpoint})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return bytes(converter.convert())


def _quantize(content, kind, model, name, calibration):
    """Quantize the operators of the network, those around it and the sensitive layers in it excepted."""
    from ai_edge_quantizer import qtyping, quantizer

    names = [layer.name for layer in inner_layers(model)]
    last = max(i for i, layer in enumerate(inner_layers(model)) if hasattr(layer, "kernel"))
    every = qtyping.TFLOperationName.ALL_SUPPORTED
    recipe = quantizer.Quantizer(content)
    if kind == "float16":  # of kernels; biases and arithmetic stay in float32
        half = qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        for operator in _WITH_KERNEL:
            operator = qtyping.TFLOperationName(operator)
            recipe.update_quantization_recipe(_INSIDE, operator, half, "float_casting")
    elif kind == "dynamic":
        recipe.add_dynamic_config(_INSIDE, every, num_bits=8)
    else:
        recipe.add_static_config(_INSIDE, every, activation_num_bits=8, weight_num_bits=8)
        # Scores of 1/10 already show after division by a temperature of 0.38: what the classifier gives stays float.
        recipe.add_dynamic_config(_layers([names[last]]), every, num_bits=8)
        # With fixed ranges the product of a stack of matrices is zero (ai-edge-quantizer 0.10, LiteRT 2.3).
        recipe.add_dynamic_config(_INSIDE, qtyping.TFLOperationName.BATCH_MATMUL, num_bits=8)
    kept = [*sensitive_layers(model), *names[last + 1 :]]
    recipe.update_quantization_recipe(_layers(kept), every, algorithm_key="no_quantize")
    try:
        with quiet_stderr():
            ranges = _ranges(recipe, name, calibration)
            return bytes(recipe.quantize(ranges or None, enable_progress_report=False).quantized_model)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        message = f"the quantizer cannot make {kind} of this network ({reason}); use a milder `quantize`"
        raise ModelError(message) from None


def _ranges(recipe, name, calibration):
    """Smallest and largest value of each activation over all images.

    The quantizer's own calibration averages the ranges with a decay of 0.95 an image, so that of a small set the
    first image counts for half. One call an image, merged here, does not depend on the order and cuts nothing off
    (0.34 -> 0.20 ab on a trained network).
    """
    ranges = {}
    for inputs in calibration:
        for tensor, seen in recipe.calibrate({name: [inputs]}, num_threads=os.cpu_count()).items():
            if known := ranges.get(tensor):
                widest = {"min": np.minimum(known["min"], seen["min"]), "max": np.maximum(known["max"], seen["max"])}
                seen = {**seen, **widest}
            ranges[tensor] = seen
    return ranges


def _layers(names):
    """Pattern of the operators that any of these layers went into; the converter joins names of fused ones by ;

    Between the network's scope and a layer's lie those of models that the layer is in.
    """
    return rf"(^|;){SCOPE}(_\d+)?/([^;/]+/)*({'|'.join(names)})(_\d+)?/"


def _calibration(data, endpoint, size):
    from tfssl.data.images import image_source

    source, images = image_source(data), []
    for i in range(min(len(source), CALIBRATION_IMAGES)):
        try:
            images.append(source.example(i)["image"])
        except ValueError as error:
            logging.getLogger("tfssl").warning("representative %s left out: %s", source.name(i), error)
    if not images:
        raise ModelError("none of the first images of `representative` can be read; give another source")
    return endpoint.samples(images, size)


def _parity(path, name, endpoint, size, quantize):
    calls = endpoint.samples(sample_images(), size)
    found = endpoint.deviations(calls, endpoint.answers(calls), run_tflite(path, name, calls))
    kind = "float32" if quantize == "none" else quantize
    fix = "; use a milder `quantize`, or more `representative` images for int8"
    endpoint.judge(found, kind, f"{path.name}: ", fix)
    return {"images": len(calls), **found, "unit": endpoint.unit}
