"""The checks of a SavedModel, in graph mode as a model server runs it."""

import functools

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from tfssl.errors import ModelError
from tfssl.export.samples import builtin_pictures, differences, summary
from tfssl.export.savedmodel import SAMPLE_SIDE, call_all, load_savedmodel
from tfssl.export.serving import CONFIG, WARMUP, read_config, read_warmup

MAX_FLOAT_ERROR = 1e-3
"""Largest mean absolute difference of a float output from the Keras model: in ab units or shares of the mean magnitude
of features, for other outputs times the endpoint's ``unit``."""

MAX_PIXEL_ERROR = 0.05
"""Largest mean absolute difference of pictures, in levels of 255: rounding flips single levels now and then."""

PICTURES = 5
"""Photographs a signature is run on, each of another size and format."""

# Registered in the Python package, but not in the C++ server: they call back into a Python process.
PYTHON_OPERATORS = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "HostConst"}


def savedmodel_steps(folder, report):
    """The steps, in order.

    Args:
        folder: the export folder.
        report: its parsed export.json.

    Returns:
        List of ``(name, function without arguments that returns lines of text or raises)``.
    """
    version = folder / str(report["savedmodel"]["version"])
    rebuilt = functools.lru_cache(lambda: load_savedmodel(folder))
    return [
        ("operators", lambda: check_operators(version)),
        ("Keras model", lambda: _describe_model(*rebuilt())),
        ("signatures", lambda: check_signatures(version, rebuilt)),
        ("warm-up", lambda: check_warmup(version)),
        (CONFIG, lambda: check_config(folder)),
    ]


def check_operators(version):
    """Every operator of the graph, functions included, is one of TensorFlow's core."""
    saved = SavedModel()
    try:
        saved.ParseFromString((version / "saved_model.pb").read_bytes())
    except Exception as error:
        raise ModelError(f"saved_model.pb cannot be parsed: {error}") from None
    used = set()
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        functions = {function.signature.name for function in graph.library.function}
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        used |= {node.op for node in nodes} - functions
    foreign = sorted(op for op in used if op in PYTHON_OPERATORS or op_def_registry.get(op) is None)
    if foreign:
        raise ModelError(f"not TensorFlow core operators, a model server cannot run them: {', '.join(foreign)}")
    if not used:
        raise ModelError("saved_model.pb holds no graph")
    yield f"{len(used)} kinds, all of TensorFlow's core"


def _describe_model(method, model):
    yield f"{method.name()} rebuilt, all {len(model.variables)} weights matched by name and shape"


def check_signatures(version, rebuilt):
    """Run each signature in a Session on photographs and compare with the eager Keras model."""
    method, model = rebuilt()
    endpoints = method.serving(model)
    endpoints = {**endpoints, "serving_default": next(iter(endpoints.values()))}
    pictures = builtin_pictures(SAMPLE_SIDE)[:PICTURES]
    with GraphModel(version) as served:
        missing = sorted(set(endpoints) - set(served.signatures))
        if missing:
            raise ModelError(f"the SavedModel has no signature {', '.join(missing)}")
        for name, endpoint in endpoints.items():
            served.check_inputs(name, endpoint.signature)
            wanted = call_all(
                endpoint,
                lambda run=endpoint.function, **x: run(**{key: tf.constant(value) for key, value in x.items()}),
                pictures,
            )
            answers = call_all(endpoint, lambda name=name, **x: served.run(name, x), pictures)
            yield f"{name} runs in graph mode; {_compare(name, wanted, answers, endpoint)}"


def _compare(name, wanted, answers, endpoint):
    texts = []
    apart = [differences(want, got, endpoint.relative) for want, got in zip(wanted, answers, strict=True)]
    for output in apart[0]:
        numbers = summary([part[output] for part in apart])
        pictures = wanted[0][output].dtype.kind in "OS"
        limit, unit = (MAX_PIXEL_ERROR, "levels") if pictures else (MAX_FLOAT_ERROR * endpoint.unit, "units")
        unit = "times its mean magnitude" if endpoint.relative else unit
        if not numbers["mean_abs"] <= limit:
            raise ModelError(
                f"{name}: output {output} differs from the Keras model by {numbers['mean_abs']:.3g} {unit} on "
                f"average, more than {limit:g}"
            )
        texts.append(f"{output} within {numbers['mean_abs']:.2g} {unit} of the Keras model on average")
    return ", ".join(texts)


def check_warmup(version):
    """Replay the warm-up requests."""
    requests = read_warmup(version / WARMUP)
    if not requests:
        raise ModelError(f"{WARMUP} holds no requests")
    with GraphModel(version) as served:
        for name, inputs in requests:
            for key, value in served.run(name, inputs).items():
                if value.size == 0 or (value.dtype.kind == "f" and not np.isfinite(value).all()):
                    raise ModelError(f"request for {name} answers {key} with nothing, NaN or infinity")
    yield f"{len(requests)} requests replayed ({', '.join(name for name, _ in requests)})"


def check_config(folder):
    """Parse model.config as the server does."""
    config = read_config(folder / CONFIG)
    for model in config.model_config_list.config:
        yield f"serves {model.name} from {model.base_path}"


def _reason(error):
    """What went wrong, without the graph's own account of where."""
    text = " ".join(str(getattr(error, "message", error)).split()).removeprefix("Graph execution error: ")
    return text.partition(" [[")[0].partition(" Original stack trace")[0][:200]


def _inputs(types):
    return ", ".join(f"{name} ({dtype})" for name, dtype in sorted(types.items()))


class GraphModel:
    """A SavedModel loaded by TensorFlow's graph-mode loader into a Session, the way a model server holds it."""

    def __init__(self, version):
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph)
        with self._graph.as_default():
            try:
                loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(version))
            except Exception as error:
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
            raise ModelError(f"signature {name} takes {_inputs(found)} instead of {_inputs(wanted)}")

    def run(self, name, inputs):
        """Run a signature: ``{input: array} -> {output: array}``.

        Raises:
            ModelError: if there is no such signature or input, or the run fails.
        """
        signature = self.signatures.get(name)
        if signature is None:
            raise ModelError(f"no signature {name!r}; there are {', '.join(sorted(self.signatures))}")
        unknown = sorted(set(inputs) ^ set(signature.inputs))
        if unknown:
            raise ModelError(f"signature {name} takes {', '.join(signature.inputs)}. Received: {', '.join(inputs)}")
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        try:
            answer = self._session.run({key: info.name for key, info in signature.outputs.items()}, feed)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise ModelError(f"signature {name} fails: {_reason(error)}") from None
        return {key: np.asarray(value) for key, value in answer.items()}
