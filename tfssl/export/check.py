"""``tfssl check-export``: load an export as a server or a phone would, run it, and say in words what holds.

Run it in a fresh process (``python -m tfssl.export.check DIR``): nothing that made the export can help it there.
"""

import functools
import os
import sys
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tfssl.errors import ModelError, TfsslError, suggest
from tfssl.files import printable, sha256
from tfssl.options import as_path

OPERATORS = "operators"

IMAGES = 5  # photographs that a signature or a file is run on, each of another size and format

# TensorFlow's own groups of operators that compute and nothing else: they open no file, no socket, no process.
_COMPUTING = frozenset(
    f"gen_{group}_ops"
    for group in (
        *("array", "bitwise", "control_flow", "functional", "image", "linalg", "list", "math", "nn", "parsing"),
        *("random", "resource_variable", "special_math", "stateless_random", "string"),
    )
) | {"gen_stateless_random_ops_v2"}
_FURTHER = {"Assert", "RestoreV2", "ShardedFilename"}  # variables are restored by the last two
_IN_MEMORY = {  # of tf.data, with which an endpoint gets over an image that cannot be decoded
    *("ConcatenateDataset", "DatasetToSingleElement", "IgnoreErrorsDataset", "MapDataset", "TakeDataset"),
    "TensorDataset",
}
_SAVING = {"MergeV2Checkpoints", "SaveV2"}  # allowed where the loader never runs them
_ELSEWHERE = {"RemoteCall"}


class Finding(NamedTuple):
    """One line of the report: what was looked at, and whether it holds."""

    passed: bool
    text: str

    def __str__(self):
        return f"{'ok    ' if self.passed else 'FAILED'}  {self.text}"


def check_export(folder):
    """Check everything an export folder holds; a ModelError if it has no readable export.json.

    - The files are those that export.json lists, byte for byte.
    - The SavedModel holds only TensorFlow core operators; a graph-mode loader finds its variables; each signature
      runs on its samples and agrees with the Keras model rebuilt from the files.
    - The warm-up requests parse and run; model.config parses as the server's configuration message.
    - Each .tflite holds only builtin operators, runs in the interpreter and agrees with the Keras model.
    - All that a web page loads is there; no browser is started.

    Returns:
        List of :class:`Finding`, passes and failures; a step that cannot be taken is a failure.
    """
    from tfssl.export.folder import read_report

    folder = as_path("folder", folder)
    report = read_report(folder)
    steps = [*savedmodel_steps(folder, report), *tflite_steps(folder, report)]
    steps += [("page", functools.partial(_check_page, report))] if "web" in report else []
    findings = list(_attempt("files", functools.partial(_check_files, folder, report)))
    if not steps:
        findings.append(Finding(False, "export.json lists neither a SavedModel nor a .tflite file"))
    for name, step in steps:
        findings += _attempt(name, step)
        if name == OPERATORS and not findings[-1].passed:
            break  # nothing of a stranger's graph runs
    return findings


def _attempt(name, step):
    """Run a step that returns lines of text; an error becomes a failure in one line."""
    try:
        return [Finding(True, f"{name}: {text}") for text in step()]
    except Exception as error:  # whatever a damaged file makes of a loader is a finding, never a traceback
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return [Finding(False, f"{name}: {reason}")]


def _check_files(folder, report):
    files = report["files"]
    missing = [name for name in files if not (folder / name).is_file()]
    changed = [name for name in files if name not in missing and sha256(folder / name) != files[name]["sha256"]]
    if missing or changed:
        parts = [("missing", missing), ("changed since the export", changed)]
        raise ModelError("; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names))
    size = sum(entry["bytes"] for entry in files.values())
    yield f"all {len(files)} are there and unchanged ({size / 1e6:.2f} MB)"


def savedmodel_steps(folder, report):
    """The steps for the SavedModel, in order: ``(name, function that returns lines of text or raises)``."""
    from tfssl.export.savedmodel import GraphModel, load_savedmodel
    from tfssl.export.serving import CONFIG

    if "savedmodel" not in report:
        return []
    version = folder / str(report["savedmodel"]["version"])
    rebuilt = functools.cache(lambda: load_savedmodel(folder))
    # One for both steps: the first call of a signature optimizes its graph, which takes seconds.
    served = functools.cache(lambda: GraphModel(version))
    return [
        (OPERATORS, lambda: check_operators(version)),
        ("Keras model", lambda: [_describe_model(*rebuilt())]),
        ("signatures", lambda: check_signatures(served, rebuilt)),
        ("warm-up", lambda: check_warmup(served, version)),
        (CONFIG, lambda: check_config(folder)),
    ]


def check_operators(version):
    """Every operator of the graph, functions included, is one of TensorFlow's core that computes and nothing else."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    try:
        saved.ParseFromString((version / "saved_model.pb").read_bytes())
    except Exception as error:
        raise ModelError(f"saved_model.pb cannot be parsed: {error}") from None
    used, refused = set(), set()
    for meta in saved.meta_graphs:
        functions = {function.signature.name: function.node_def for function in meta.graph_def.library.function}
        save = meta.saver_def.save_tensor_name.partition(":")[0]
        run = _operators([node for node in meta.graph_def.node if node.name != save], functions)
        everything = run | _operators([*meta.graph_def.node, *(n for nodes in functions.values() for n in nodes)], {})
        used |= everything - functions.keys()
        refused |= {op for op in everything - functions.keys() if not _computes(op) and op not in _SAVING}
        refused |= run & _SAVING
    if refused:
        raise ModelError(
            f"operators that no export of tfssl holds, or no model server runs: {', '.join(sorted(refused))}; "
            "nothing of it was run"
        )
    if not used:
        raise ModelError("saved_model.pb holds no graph")
    yield f"{len(used)} kinds, all of TensorFlow's core"


def _operators(nodes, functions):
    """Operators of nodes and, transitively, of the functions that they name."""
    found, waiting, seen = set(), list(nodes), set()
    while waiting:
        node = waiting.pop()
        found.add(node.op)
        values = node.attr.values()
        named = [v.func.name for v in values] + [f.name for v in values for f in v.list.func] + [node.op]
        for name in set(named) & functions.keys() - seen:
            seen.add(name)
            waiting += functions[name]
    return found


def _computes(operator):
    import tensorflow as tf

    group = getattr(getattr(tf.raw_ops, operator, None), "__module__", "").rpartition(".")[2]
    return (group in _COMPUTING or operator in _FURTHER | _IN_MEMORY) and operator not in _ELSEWHERE


def _describe_model(method, model):
    return f"{method.name()} rebuilt, all {len(model.variables)} weights matched by name and shape"


def check_signatures(served, rebuilt):
    """Run each signature in a Session on its samples and compare with the eager Keras model."""
    from tfssl.endpoint import sample_images
    from tfssl.export.savedmodel import SAMPLE_SIZE

    method, network = rebuilt()
    endpoints = method.serving(network)
    calls = {name: endpoint.samples(sample_images(SAMPLE_SIZE, IMAGES), None) for name, endpoint in endpoints.items()}
    wanted = {name: endpoint.answers(calls[name]) for name, endpoint in endpoints.items()}
    aliases = {**{name: name for name in endpoints}, "serving_default": next(iter(endpoints))}
    model = served()
    missing = sorted(set(aliases) - set(model.signatures))
    if missing:
        raise ModelError(f"the SavedModel has no signature {', '.join(missing)}")
    for name, alias in aliases.items():
        endpoint = endpoints[alias]
        model.check_inputs(name, endpoint.signature)
        answers = endpoint.answers(calls[alias], lambda name=name, **call: model.run(name, call))
        found = endpoint.deviations(calls[alias], wanted[alias], answers)
        endpoint.judge(found, "float32", f"{name}: ")  # stored and rebuilt weights are the same
        yield f"{name} runs in graph mode; {_agreement(endpoint, found)}"


def _agreement(endpoint, found):
    texts = (f"{output} within {numbers['mean_abs']:.2g} {endpoint.unit}" for output, numbers in found.items())
    return f"{', '.join(texts)} of the Keras model on average"


def check_warmup(served, version):
    """Replay the warm-up requests."""
    from tfssl.export.serving import WARMUP, read_warmup

    requests = read_warmup(version / WARMUP)
    if not requests:
        raise ModelError(f"{WARMUP} holds no requests")
    for name, inputs in requests:
        for key, value in served().run(name, inputs).items():
            if value.size == 0 or (value.dtype.kind == "f" and not np.isfinite(value).all()):
                raise ModelError(f"request for {name} answers {key} with nothing, NaN or infinity")
    yield f"{len(requests)} requests replayed ({', '.join(name for name, _ in requests)})"


def check_config(folder):
    """Parse model.config as the server does."""
    from tfssl.export.serving import CONFIG, read_config

    for model in read_config(folder / CONFIG):
        yield f"serves {model.name} from {model.base_path}"


def tflite_steps(folder, report):
    """The steps for the .tflite files, as :func:`savedmodel_steps`."""
    served = functools.cache(lambda: _served(folder, report))
    return [
        (name, step)
        for name, entry in report.get("tflite", {}).items()
        for step in (
            functools.partial(check_tflite_operators, folder / name),
            functools.partial(_check_tflite_answers, folder / name, entry, report, served),
        )
    ]


def check_tflite_operators(path):
    """Every operator is a LiteRT builtin, every size is fixed, and the model takes and gives float32."""
    from tensorflow.lite.python import schema_py_generated as schema

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


def _served(folder, report):
    """The endpoints of the Keras model, and whether it has the weights of the export."""
    from tfssl.export.folder import read_method
    from tfssl.export.network import new_network
    from tfssl.export.savedmodel import load_savedmodel

    if "savedmodel" in report:
        method, network = load_savedmodel(folder)
        return method.serving(network), True
    method = read_method(report, folder)
    return method.serving(new_network(method)), False


def _check_tflite_answers(path, entry, report, served):
    from tfssl.endpoint import sample_images
    from tfssl.export.tflite import run_tflite

    endpoints, trained = served()
    if entry["signature"] not in endpoints:
        raise ModelError(f"no endpoint {entry['signature']!r}; {suggest(entry['signature'], endpoints, 'there are')}")
    endpoint = endpoints[entry["signature"]]
    calls = endpoint.samples(sample_images(count=IMAGES), entry["side"])
    answers = run_tflite(path, entry["signature"], calls)
    if not all(np.isfinite(value).all() for answer in answers for value in answer.values()):
        raise ModelError("answers with NaN or infinity")
    if not trained:
        yield f"runs in LiteRT on {len(calls)} photographs (no SavedModel beside it to compare with)"
        return
    kind = "float32" if entry["quantize"] == "none" else entry["quantize"]
    # Weights in float16 make the reference itself off by so much.
    slack = endpoint.tolerance["float16"] if report["savedmodel"]["weights"] == "float16" else 0.0
    found = endpoint.deviations(calls, endpoint.answers(calls), answers)
    endpoint.judge(found, kind, slack=slack)
    yield f"runs in LiteRT; {_agreement(endpoint, found)}"


def _check_page(report):
    web, files = report["web"], report["files"]
    missing = [name for name in [*web["files"], web["model"]] if name not in files]
    if missing:
        raise ModelError(f"it loads {', '.join(missing)}, which the export does not hold")
    size = sum(files[name]["bytes"] for name in web["files"])
    yield f"LiteRT.js {web['litert']} runs {web['model']}; a first visit loads {size / 1e6:.2f} MB"


def main(arguments=None):
    """Check one folder, print the findings. Exit status 0: all passed, 1: something failed, 2: no export."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m tfssl.export.check DIR", file=sys.stderr)
        return 2
    from tfssl.quiet import quiet_stderr

    with quiet_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()
    # The graph-mode loader is deprecated in Python; it is used here because it is what a C++ server does.
    tf.get_logger().setLevel("ERROR")
    try:
        findings = check_export(arguments[0])
    except TfsslError as error:
        print(f"tfssl: {printable(error)}", file=sys.stderr)
        return 2
    for finding in findings:
        print(printable(finding))
    failed = sum(not finding.passed for finding in findings)
    print(f"{printable(arguments[0])}: {len(findings) - failed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
