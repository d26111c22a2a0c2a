"""The checks of .tflite files, run by LiteRT with builtin operators only."""

import functools

import numpy as np
import tensorflow as tf

from tfssl import methods
from tfssl.errors import ModelError
from tfssl.export.folder import read_config
from tfssl.export.samples import arguments, builtin_pictures, deviations
from tfssl.export.savedmodel import MAX_ERROR as SAVEDMODEL_MAX_ERROR
from tfssl.export.savedmodel import load_savedmodel
from tfssl.export.tflite import MAX_ERROR, run_tflite

PICTURES = 5
"""Photographs a file is run on."""


def tflite_steps(folder, report):
    """The steps, in order; arguments and result as :func:`tfssl.export.check_savedmodel.savedmodel_steps`."""
    reference = functools.lru_cache(lambda name, signature: _reference(folder, report, name, signature))
    steps = []
    for name, entry in report["tflite"].items():
        limit = MAX_ERROR[entry["quantize"]]
        if report.get("savedmodel", {}).get("weights") == "float16":  # then the reference itself is off by this much
            limit += SAVEDMODEL_MAX_ERROR["float16"]
        steps.append((name, functools.partial(check_operators, folder / name)))
        steps.append((name, functools.partial(check_answers, folder / name, entry, reference, limit)))
    return steps


def check_operators(path):
    """Every operator is a LiteRT builtin, every size is fixed, and the model takes and gives float32."""
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ModelError("not a .tflite file")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    codes = {max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes}
    custom = [str(c.customCode) for c in model.operatorCodes if c.builtinCode == schema.BuiltinOperator.CUSTOM]
    if custom:
        raise ModelError(f"operators that are no LiteRT builtins: {', '.join(custom)}")
    graph = model.subgraphs[0]
    ends = [graph.tensors[i] for i in [*graph.inputs, *graph.outputs]]
    if any(tensor.type != schema.TensorType.FLOAT32 or min(tensor.shape) < 1 for tensor in ends):
        raise ModelError("inputs and outputs must be float32 of a fixed size")
    if any(tensor.shapeSignature is not None and min(tensor.shapeSignature) < 0 for tensor in ends):
        raise ModelError("inputs and outputs must have a fixed size; one has an open dimension")
    sizes = [" x ".join(str(n) for n in tensor.shape) for tensor in ends]
    yield f"{len(codes)} kinds of operators, all builtins; {', '.join(sizes[:-1])} -> {sizes[-1]}"


def check_answers(path, entry, reference, limit):
    """Run it on photographs and compare: with the Keras model if a SavedModel lies beside it."""
    signature = tuple(tf.TensorSpec(s["shape"], s["dtype"], name=name) for name, s in entry["inputs"].items())
    inputs = arguments(signature, builtin_pictures()[:PICTURES])
    answers = run_tflite(path, entry["signature"], inputs)
    if not all(np.isfinite(value).all() for answer in answers for value in answer.values()):
        raise ModelError("answers with NaN or infinity")
    endpoint, wanted = reference(entry["signature"], signature)
    if endpoint is None:
        yield f"runs in LiteRT on {len(inputs)} photographs (no SavedModel beside it to compare with)"
        return
    for output, numbers in deviations(endpoint, inputs, wanted, answers).items():
        if not numbers["mean_abs"] <= limit * endpoint.unit:
            raise ModelError(
                f"output {output} differs from the Keras model by {numbers['mean_abs']:.3g} on average, more than "
                f"{limit * endpoint.unit} for {entry['quantize']}"
            )
        yield f"runs in LiteRT; {output} within {numbers['mean_abs']:.2g} of the Keras model on average"


def _reference(folder, report, name, signature):
    """The endpoint and answers of the Keras model, or None twice where only .tflite files were exported."""
    if "savedmodel" not in report:
        methods.get(report["method"])(**read_config(report, folder))  # its configuration must at least be valid
        return None, None
    method, model = load_savedmodel(folder)
    endpoints = method.serving(model)
    if name not in endpoints:
        raise ModelError(f"{method.name()} has no endpoint {name!r}; it has {', '.join(endpoints)}")
    calls = arguments(signature, builtin_pictures()[:PICTURES])
    return endpoints[name], [
        endpoints[name].function(**{key: tf.constant(value) for key, value in call.items()}) for call in calls
    ]
