"""LiteRT (.tflite) files for phones: static size, builtin operators only, float or quantized."""

import dataclasses
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError
from tfssl.export.folder import write_export
from tfssl.export.network import SCOPE, StoredNetwork, inner_layers, sensitive_layers, served_network
from tfssl.export.samples import arguments, builtin_pictures, deviations
from tfssl.export.savedmodel import served_name, write_savedmodel
from tfssl.quiet import quiet_stderr

MAX_ERROR = {"none": 1e-3, "float16": 0.05, "dynamic": 0.3, "int8": 1.0}
"""Largest mean absolute error of the output against the Keras model, in ab units, by quantization. For other outputs
they are multiplied by the endpoint's ``unit``."""

CALIBRATION_PICTURES = 64
"""Most pictures of the representative set that int8 ranges are measured on."""

_WITH_KERNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED")

_INSIDE = rf"^{SCOPE}(_\d+)?/"  # operators are named by scope and layer


def export_tflite(method, model, out, *, quantize="none", side=None, representative="builtin", overwrite=False):
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
        side: height and width in pixels, fixed in the file. None is ``method.image_size``; a network that takes
            one size only has no other.
        representative: image source whose pictures set the ranges of int8, see
            :func:`tfssl.data.images.image_source`; the first 64 are used.
        overwrite: replace an earlier file of the same name.

    Returns:
        The report that is also in export.json.

    Raises:
        ConfigError: for an unknown ``quantize`` or a ``side`` out of range.
        ModelError: if ``out`` is in use, or the file's error exceeds :data:`MAX_ERROR`.
    """
    if quantize not in MAX_ERROR:
        raise ConfigError(f"`quantize` must be one of {', '.join(MAX_ERROR)}. Received: quantize={quantize!r}")
    model = served_network(method, model)
    endpoints = method.serving(StoredNetwork(model))
    name = next((name for name, endpoint in endpoints.items() if endpoint.mobile), None)
    if name is None:
        raise ModelError(f"{method.name()} has no .tflite form, it exports {', '.join(endpoints)}; export a SavedModel")
    side = method.image_size if side is None else side
    endpoint = _fixed_endpoint(endpoints[name], side)
    file = f"{served_name(method)}_{quantize}.tflite"
    with write_export(out, method, model, [file], overwrite=overwrite) as (stage, report):
        content = _convert(name, endpoint)
        if quantize != "none":
            calibration = _calibration(representative, endpoint) if quantize == "int8" else []
            content = _quantize(content, quantize, model, name, calibration)
        (stage / file).write_bytes(content)
        report.setdefault("tflite", {})[file] = {
            "quantize": quantize,
            "side": side,
            "signature": name,
            "inputs": {
                spec.name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for spec in endpoint.signature
            },
            "parity": _parity(stage / file, name, endpoint, MAX_ERROR[quantize] * endpoint.unit),
        }
    return report


def run_tflite(path, signature, inputs):
    """Run a .tflite file with the LiteRT interpreter, builtin operators only.

    Args:
        path: the file.
        signature: name of the signature.
        inputs: list of ``{input name: array}``.

    Returns:
        List of ``{output name: array}``.

    Raises:
        ModelError: if the file cannot be loaded or run.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_stderr():
            runner = Interpreter(str(path), num_threads=os.cpu_count()).get_signature_runner(signature)
        return [runner(**values) for values in inputs]
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{Path(path).name} cannot be run: {' '.join(str(error).split())[:200]}") from None


def _fixed_endpoint(endpoint, side):
    """The endpoint for a batch of one and a fixed size: dynamic sizes run many times slower."""
    if not isinstance(side, int) or not 16 <= side <= 2048:
        raise ConfigError(f"`side` must be an integer from 16 to 2048 pixels. Received: side={side!r}")
    (own,) = {spec.shape[1] for spec in endpoint.signature}
    if own not in (None, side):
        raise ConfigError(f"`side` must be {own}, the only size that this network takes. Received: side={side}")
    signature = (tf.TensorSpec((1, side, side, s.shape[-1]), s.dtype, name=s.name) for s in endpoint.signature)
    return dataclasses.replace(endpoint, signature=tuple(signature))


def _convert(name, endpoint):
    with tempfile.TemporaryDirectory() as folder, quiet_stderr():
        write_savedmodel(folder, {name: endpoint})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return bytes(converter.convert())


def _quantize(content, kind, model, name, calibration):
    """Quantize the operators of the network, those around it and the sensitive layers in it excepted."""
    try:
        from ai_edge_quantizer import qtyping, quantizer
    except ImportError:
        raise ModelError(
            f"`quantize` {kind} needs the package ai-edge-quantizer; pip install ai-edge-quantizer"
        ) from None

    every = qtyping.TFLOperationName.ALL_SUPPORTED
    recipe = quantizer.Quantizer(content)
    if kind == "float16":
        for operator in _WITH_KERNEL:
            operator = qtyping.TFLOperationName(operator)
            recipe.update_quantization_recipe(_INSIDE, operator, _half(qtyping), "float_casting")
    elif kind == "dynamic":
        recipe.add_dynamic_config(_INSIDE, every, num_bits=8)
    else:
        recipe.add_static_config(_INSIDE, every, activation_num_bits=8, weight_num_bits=8)
        # Scores of 1/10 already show after division by a temperature of 0.38: what the classifier gives stays float.
        recipe.add_dynamic_config(_layers([_last_kernel(model)]), every, num_bits=8)
        # With fixed ranges the product of a stack of matrices is zero (ai-edge-quantizer 0.10, LiteRT 2.3).
        recipe.add_dynamic_config(_INSIDE, qtyping.TFLOperationName.BATCH_MATMUL, num_bits=8)
    kept = [*sensitive_layers(model), *_after_last_kernel(model)]
    recipe.update_quantization_recipe(_layers(kept), every, algorithm_key="no_quantize")
    try:
        with quiet_stderr():
            ranges = _ranges(recipe, name, calibration)
            return bytes(recipe.quantize(ranges or None, enable_progress_report=False).quantized_model)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the quantizer cannot make {kind} of this network ({reason}); use a milder `quantize`"
        ) from None


def _half(qtyping):
    """Kernels in float16, biases and arithmetic in float32."""
    return qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )


def _ranges(recipe, name, calibration):
    """Smallest and largest value of each activation over all pictures.

    The quantizer's own calibration averages the ranges with a decay of 0.95 a picture, so that of a small set the
    first picture counts for half. One call a picture, merged here, does not depend on the order and cuts nothing off
    (0.34 -> 0.20 ab on a trained network).
    """
    ranges = {}
    for inputs in calibration:
        for tensor, seen in recipe.calibrate({name: [inputs]}, num_threads=os.cpu_count()).items():
            before = ranges.get(tensor)
            if before:
                widest = {"min": np.minimum(before["min"], seen["min"]), "max": np.maximum(before["max"], seen["max"])}
                seen = {**seen, **widest}
            ranges[tensor] = seen
    return ranges


def _layers(names):
    """Pattern of the operators that any of these layers went into; the converter joins names of fused ones by ;

    Between the network's scope and a layer's lie those of models that the layer is in.
    """
    return rf"(^|;){SCOPE}(_\d+)?/([^;/]+/)*({'|'.join(names)})(_\d+)?/"


def _last_kernel(model):
    return [layer.name for layer in inner_layers(model) if hasattr(layer, "kernel")][-1]


def _after_last_kernel(model):
    names = [layer.name for layer in inner_layers(model)]
    return names[names.index(_last_kernel(model)) + 1 :]


def _calibration(source, endpoint):
    from tfssl.data.images import image_source

    found = image_source(source)
    pictures = [picture for i in range(min(len(found), CALIBRATION_PICTURES)) for picture in _open(found, i)]
    if not pictures:
        raise ModelError("none of the first pictures of `representative` can be read; give another source")
    return arguments(endpoint.signature, pictures)


def _open(source, index):
    try:
        return [source[index]]
    except ValueError as error:
        logging.getLogger("tfssl").warning("representative %s left out: %s", source.name(index), error)
        return []


def _parity(path, name, endpoint, limit):
    inputs = arguments(endpoint.signature, builtin_pictures())
    answers = run_tflite(path, name, inputs)
    wanted = [endpoint.function(**{key: tf.constant(value) for key, value in call.items()}) for call in inputs]
    apart = deviations(endpoint, inputs, wanted, answers)
    for output, numbers in apart.items():
        if not numbers["mean_abs"] <= limit:
            raise ModelError(
                f"{path.name} differs from the Keras model by {numbers['mean_abs']:.3g} in {output} on average, more "
                f"than {limit}; use a milder `quantize`, or more `representative` pictures for int8"
            )
    return {"pictures": len(inputs), **apart}
