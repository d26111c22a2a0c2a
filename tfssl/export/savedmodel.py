"""SavedModels for TensorFlow Serving: writing them, and getting the Keras model back."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfssl import methods
from tfssl.errors import ConfigError, ModelError
from tfssl.export.folder import read_config, read_report, write_export
from tfssl.export.network import StoredNetwork, network_from_values, served_network
from tfssl.export.samples import arguments, builtin_pictures, differences, summary
from tfssl.export.serving import CONFIG, WARMUP, serving_protos, write_config, write_warmup

MAX_ERROR = {"float32": 1e-3, "float16": 0.05}
"""Largest mean absolute error of a float output against the Keras model, by stored weights: in ab units, for other
outputs times the endpoint's ``unit``."""

SAMPLE_SIDE = 256
"""Longer side of the largest photograph that parity is measured on."""


def served_name(method):
    """Name under which an exported method is served, and of its files."""
    return method.export_name or method.name()


def export_savedmodel(method, model, out, *, weights="float32", version=1, overwrite=False):
    """Write a SavedModel with every endpoint of the method, for TensorFlow Serving.

    Below ``out``: ``<version>/`` (the SavedModel with warm-up requests), ``model.config`` and ``export.json``. The
    first endpoint is also ``serving_default``. Nothing is left behind after an error.

    Args:
        method: the :class:`~tfssl.methods.base.Method` the model belongs to.
        model: its trained ``keras.Model``, or the network of an earlier export; one trained in mixed precision is
            exported in float32.
        out: folder to write; made if missing. It may hold a .tflite export of the same weights.
        weights: how weights are stored: ``"float32"``, or ``"float16"`` for half the size; they are cast to
            float32 when the model is called.
        version: number of the version folder.
        overwrite: replace an earlier export in ``out``.

    Returns:
        The report that is also in export.json.

    Raises:
        ConfigError: for an unknown ``weights`` or ``version``.
        ModelError: if ``out`` is in use, or the export does not agree with the Keras model.
    """
    if weights not in MAX_ERROR:
        raise ConfigError(f"`weights` must be one of {', '.join(MAX_ERROR)}. Received: weights={weights!r}")
    if not isinstance(version, int) or version < 1:
        raise ConfigError(f"`version` must be a positive integer. Received: version={version!r}")
    serving_protos()
    network = served_network(method, model)
    name = served_name(method)
    with write_export(out, method, network, [str(version), CONFIG], overwrite=overwrite) as (stage, report):
        folder = stage / str(version)
        endpoints = method.serving(network)
        write_savedmodel(folder, method.serving(StoredNetwork(network, weights)))
        pictures = builtin_pictures(SAMPLE_SIDE)[::2]
        requests = _warmup_requests(endpoints, pictures[-1])
        write_warmup(folder / WARMUP, name, requests)
        write_config(stage / CONFIG, name)
        loaded = tf.saved_model.load(str(folder))
        report["savedmodel"] = {
            "version": version,
            "weights": weights,
            "serving_default": next(iter(endpoints)),
            "signatures": _describe(loaded),
            "parity": _parity(loaded, endpoints, pictures, MAX_ERROR[weights]),
        }
    return report


def write_savedmodel(folder, endpoints):
    """Write endpoints and the variables they use through ``keras.export.ExportArchive``."""
    archive = keras.export.ExportArchive()
    for name, endpoint in endpoints.items():
        archive.add_endpoint(name, endpoint.function, input_signature=list(endpoint.signature))
    archive.write_out(str(folder), verbose=False)


def load_savedmodel(folder):
    """Get the configured method and the Keras model back from an export, or its encoder where that was stored.

    Args:
        folder: folder written by :func:`export_savedmodel`, or the version folder in it.

    Returns:
        ``(method, network)``: what ``method.served`` gave, in float32.

    Raises:
        ModelError: if export.json or the SavedModel is missing or damaged, or a weight of the network is not in it;
            names how many match.
    """
    folder = Path(folder).expanduser()
    if (folder / "saved_model.pb").is_file():
        folder = folder.parent
    report = read_report(folder)
    method = methods.get(report["method"])(**read_config(report, folder))
    if "savedmodel" not in report:
        raise ModelError(f"{str(folder)!r} holds no SavedModel, only {', '.join(report.get('tflite', {}))}")
    version = folder / str(report["savedmodel"]["version"])
    return method, network_from_values(method, read_variables(version), version)


def read_variables(version):
    """The variables of a SavedModel from its checkpoint, ``{name: array}``; float16 ones as float32.

    Raises:
        ModelError: if the checkpoint is missing or damaged.
    """
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    try:
        reader = tf.train.load_checkpoint(str(Path(version) / "variables" / "variables"))
        graph = TrackableObjectGraph.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        found = {a.full_name: reader.get_tensor(a.checkpoint_key) for node in graph.nodes for a in node.attributes}
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:  # IndexError: a file cut off
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"the variables of {str(version)!r} cannot be read: {reason}") from None
    return {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in found.items()
        if not name.startswith("_CHECKPOINTABLE") and name != "save_counter"
    }


def call_all(endpoint, function, pictures):
    """Run sample calls of an endpoint.

    Args:
        endpoint: an :class:`~tfssl.methods.base.Endpoint`.
        function: takes its inputs by name, gives ``{output: array}``.
        pictures: list of ``PIL.Image``.

    Returns:
        List of answers, dicts of arrays.
    """
    answers = (function(**inputs) for inputs in arguments(endpoint.signature, pictures))
    return [{key: np.asarray(value) for key, value in answer.items()} for answer in answers]


def _warmup_requests(endpoints, picture):
    default = next(iter(endpoints.values()))
    return [
        (name, arguments(endpoint.signature, [picture])[0])
        for name, endpoint in [*endpoints.items(), ("serving_default", default)]
    ]


def _describe(loaded):
    return {
        name: {
            "inputs": {s.name: _spec(s) for s in function.structured_input_signature[1].values()},
            "outputs": {key: _spec(value) for key, value in function.structured_outputs.items()},
        }
        for name, function in loaded.signatures.items()
    }


def _spec(spec):
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}


def _parity(loaded, endpoints, pictures, limit):
    """Run the written files and the Keras model on photographs; refuse an export that does not agree."""
    result = {"pictures": len(pictures)}
    for name, endpoint in endpoints.items():
        wanted, answers = (
            call_all(endpoint, lambda run=run, **x: run(**{key: tf.constant(v) for key, v in x.items()}), pictures)
            for run in (endpoint.function, loaded.signatures[name])
        )
        apart = [differences(want, got, endpoint.relative) for want, got in zip(wanted, answers, strict=True)]
        result[name] = {output: summary([part[output] for part in apart]) for output in apart[0]}
        allowed = limit * endpoint.unit
        for output, numbers in result[name].items():
            if wanted[0][output].dtype == np.float32 and not numbers["mean_abs"] <= allowed:
                raise ModelError(
                    f"the exported {name} differs from the Keras model by {numbers['mean_abs']:.3g} on average, more "
                    f"than {allowed:g}; store the weights in float32, or train on"
                )
        if endpoint.relative:
            result[name]["relative"] = True
    return result
