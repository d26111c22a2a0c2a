"""SavedModels for TensorFlow Serving: writing them, and getting the Keras model back."""

import contextlib
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfssl.backbones import Encoder
from tfssl.endpoint import MAX_MEGAPIXELS, sample_images
from tfssl.errors import ConfigError, ModelError, suggest
from tfssl.export.folder import read_method, read_report, served_name, write_export
from tfssl.export.network import StoredNetwork, network_from_values, served_network
from tfssl.export.serving import CONFIG, WARMUP, write_config, write_warmup
from tfssl.options import as_path

WEIGHTS = ("float32", "float16")  # how weights can be stored

SAMPLE_SIZE = 256  # longer side in pixels of the largest photograph that answers are compared on


def export_savedmodel(
    method, model, out, *, weights="float32", version=1, max_megapixels=MAX_MEGAPIXELS, overwrite=False
):
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
        max_megapixels: largest image that its endpoints of files decode, in millions of pixels; others are refused by
            what their header says.
        overwrite: replace an earlier export in ``out``.

    Returns:
        What is also in export.json.

    Raises:
        ModelError: if ``out`` is in use, or the export does not agree with the Keras model.
    """
    if weights not in WEIGHTS:
        raise ConfigError(f"`weights` must be one of {', '.join(WEIGHTS)}. Received: weights={weights!r}")
    if not isinstance(version, int) or version < 1:
        raise ConfigError(f"`version` must be a positive integer. Received: version={version!r}")
    if not 0 < max_megapixels <= 1000:
        raise ConfigError(f"`max_megapixels` must be in (0, 1000]. Received: max_megapixels={max_megapixels!r}")
    network = served_network(method, model)
    name = served_name(method)
    with write_export(out, method, network, [str(version), CONFIG], overwrite=overwrite) as (stage, report):
        folder, endpoints = stage / str(version), method.serving(network)
        default = next(iter(endpoints))
        stored = method.serving(StoredNetwork(network, weights))
        write_savedmodel(folder, {key: endpoint.limited(max_megapixels) for key, endpoint in stored.items()})
        images = sample_images(SAMPLE_SIZE)[::2]
        requests = {key: endpoint.samples(images[-1:], None)[0] for key, endpoint in endpoints.items()}
        write_warmup(folder / WARMUP, name, [*requests.items(), ("serving_default", requests[default])])
        write_config(stage / CONFIG, name)
        with plain_path(folder) as plain:
            loaded = tf.saved_model.load(str(plain))
        report["savedmodel"] = {
            "version": version,
            "weights": weights,
            "serving_default": default,
            "signatures": _describe(loaded),
            "parity": {"images": len(images), **_parity(loaded, endpoints, images, weights)},
        }
        if isinstance(network, Encoder):
            report["encoder"] = {key: getattr(network, key) for key in ("modality", "taps", "smallest")}
    return report


def write_savedmodel(folder, endpoints):
    """Write endpoints and the variables they use."""
    archive = keras.export.ExportArchive()
    for name, endpoint in endpoints.items():
        archive.add_endpoint(name, _traced(endpoint), input_signature=list(endpoint.signature))
    with plain_path(Path(folder).parent) as parent:
        archive.write_out(str(parent / Path(folder).name), verbose=False)


def _traced(endpoint):
    """The endpoint, traced: an archive traces each of its functions once to find the variables and again to save them,
    and of this one nothing but the call."""
    function = tf.function(endpoint.__call__, input_signature=endpoint.signature, autograph=False)
    traced = function.get_concrete_function()
    return lambda *inputs: traced(*inputs)


@contextlib.contextmanager
def plain_path(folder):
    """A name of a folder that TensorFlow reads as a name: it takes checkpoints below ``[1]``, ``*``, ``?`` or a
    backslash for patterns that match no file."""
    if not set("[]*?\\") & set(str(Path(folder).absolute())):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory() as elsewhere:
        link = Path(elsewhere) / "folder"
        link.symlink_to(Path(folder).absolute(), target_is_directory=True)
        yield link


def load_savedmodel(folder):
    """``(method, network)`` of an export, in float32; the network is the encoder where that was stored.

    Args:
        folder: folder written by :func:`export_savedmodel`, or the version folder in it.

    Raises:
        ModelError: if export.json or the SavedModel is missing or damaged, or a weight of the network is not in it.
    """
    folder = as_path("folder", folder)
    if (folder / "saved_model.pb").is_file():
        folder = folder.parent
    report = read_report(folder)
    method = read_method(report, folder)
    if "savedmodel" not in report:
        raise ModelError(f"{str(folder)!r} holds no SavedModel, only {', '.join(report.get('tflite', {}))}")
    version = folder / str(report["savedmodel"]["version"])
    return method, network_from_values(method, read_variables(version), version)


class GraphModel:
    """A version folder loaded by TensorFlow's graph-mode loader into a Session, the way a model server holds it."""

    def __init__(self, version):
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            try:
                with plain_path(version) as plain:
                    loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(plain))
            except Exception as error:  # whatever a damaged file makes of the loader
                self._session.close()
                reason = " ".join(str(error).split())[:200]
                raise ModelError(f"the graph-mode loader cannot load it: {reason}") from None
        self.signatures = {k: v for k, v in loaded.signature_def.items() if not k.startswith("__")}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._session.close()

    def check_inputs(self, name, specs):
        """Raise ModelError unless the signature has exactly the inputs ``specs``."""
        found = {key: tf.as_dtype(value.dtype).name for key, value in self.signatures[name].inputs.items()}
        wanted = {spec.name: spec.dtype.name for spec in specs}
        if found != wanted:
            texts = (", ".join(f"{key} ({dtype})" for key, dtype in sorted(x.items())) for x in (found, wanted))
            raise ModelError(f"signature {name} takes {' instead of '.join(texts)}")

    def run(self, name, inputs):
        """Run a signature: ``{input: array} -> {output: array}``."""
        signature = self.signatures.get(name)
        if signature is None:
            raise ModelError(f"no signature {name!r}; {suggest(name, sorted(self.signatures), 'there are')}")
        if set(inputs) != set(signature.inputs):
            raise ModelError(f"signature {name} takes {', '.join(signature.inputs)}. Received: {', '.join(inputs)}")
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        try:
            answer = self._session.run({key: info.name for key, info in signature.outputs.items()}, feed)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            # What went wrong, without the graph's own account of where.
            text = " ".join(str(getattr(error, "message", error)).split()).removeprefix("Graph execution error: ")
            reason = text.partition(" [[")[0].partition(" Original stack trace")[0][:200]
            raise ModelError(f"signature {name} fails: {reason}") from None
        return {key: np.asarray(value) for key, value in answer.items()}


def read_variables(version):
    """The variables of a SavedModel from its checkpoint, ``{name: array}``; float16 ones as float32."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    try:
        with plain_path(version) as plain:
            reader = tf.train.load_checkpoint(str(plain / "variables" / "variables"))
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


def _describe(loaded):
    def spec(tensor):
        return {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}

    return {
        name: {
            "inputs": {s.name: spec(s) for s in function.structured_input_signature[1].values()},
            "outputs": {key: spec(value) for key, value in function.structured_outputs.items()},
        }
        for name, function in loaded.signatures.items()
    }


def _parity(loaded, endpoints, images, weights):
    """Run the written files and the Keras model on photographs; refuse an export that does not agree."""
    result = {}
    for name, endpoint in endpoints.items():
        calls = endpoint.samples(images, None)
        answers = endpoint.answers(calls, loaded.signatures[name])
        found = endpoint.deviations(calls, endpoint.answers(calls), answers)
        endpoint.judge(found, weights, f"the exported {name}: ", "; store the weights in float32, or train on")
        result[name] = {**found, "unit": endpoint.unit}
    return result
