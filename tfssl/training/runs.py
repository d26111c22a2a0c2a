"""Run directories and shipped models: finding and loading them."""

import io
import json
import logging
import warnings
import zipfile

import numpy as np

from tfssl import runtime
from tfssl.config import load_config
from tfssl.errors import ModelError
from tfssl.files import check_zip, refuse_inflated
from tfssl.options import as_path

log = logging.getLogger("tfssl")

STATISTICS = "statistics.npz"
"""Where a run keeps what its method learned from the data before the first step."""

WEIGHTS = "model.weights.h5"
"""Where a .keras file keeps its arrays."""


def read_statistics(file):
    """The statistics of a run, ``{name: array}``; none where there is no such file."""
    if not file.is_file():
        return {}
    try:
        check_zip(file)
        with np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except Exception as error:  # whatever a damaged file makes of the reader
        raise ModelError(f"{str(file)!r} cannot be read: {' '.join(str(error).split())[:200]}") from None


def model_file(source):
    """The .keras file of a run directory, or ``source`` itself if it is one."""
    path = as_path("source", source)
    file = path / "model.keras" if path.is_dir() else path
    if file.is_file() and file.suffix == ".keras":
        return file
    if (path / "config.yaml").is_file():
        raise ModelError(f"run {str(source)!r} is not finished (no model.keras); run `tfssl train` on it again")
    raise ModelError(f"{str(source)!r} is no run directory and no .keras file")


def load_weights(model, source, own=()):
    """Load all weights of a built model from a run or .keras file, see :func:`assign_weights`.

    Of a run that is not finished they are those of its newest good checkpoint.
    """
    run = as_path("source", source)
    if (run / "config.yaml").is_file() and not (run / "model.keras").is_file():
        assign_weights(model, _checkpoint_weights(model, run), source, own)
        return
    path = model_file(source)
    assign_weights(model, {v.path: v for v in read_network(path).weights}, path, own)


def _checkpoint_weights(model, run):
    """``{path: value}`` by the order of the model's variables, with which a checkpoint begins."""
    from tfssl.training import checkpoint

    state, arrays = checkpoint.newest(run / "checkpoint")
    if arrays is None:
        raise ModelError(f"run {str(run)!r} has neither a model nor a checkpoint; run `tfssl train` on it again")
    log.warning("run %s is not finished: these are its weights of step %d", run, state.step)
    return dict(zip((variable.path for variable in model.variables), arrays, strict=False))


def read_network(path):
    """The network of a .keras file, all its weights loaded; ModelError with their counts if it is damaged."""
    import keras

    check_archive(path)
    try:
        with warnings.catch_warnings():
            # Where Keras only warns that layers keep their new weights.
            warnings.filterwarnings("error", module=r"keras\.src\.saving")
            return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever a damaged file makes of the reader
        present, wanted = _counts(path)
        if present < wanted:
            raise ModelError(
                f"{str(path)!r} holds {present} of {wanted} weights, {wanted - present} are missing"
            ) from None
        raise ModelError(f"{str(path)!r} cannot be read: {' '.join(str(error).split())[:200]}") from None


def check_archive(path):
    """Refuse a .keras file that claims far more than it is, in its directory or in that of its arrays: ModelError.

    Only the two directories are read, so that a small file never fills the memory.
    """
    import h5py

    try:
        check_zip(path)
        with zipfile.ZipFile(path) as archive:
            if WEIGHTS not in archive.namelist():
                return
            content = archive.read(WEIGHTS)
        arrays = []
        with h5py.File(io.BytesIO(content)) as file:
            file.visititems(lambda _, node: arrays.append(node.nbytes) if isinstance(node, h5py.Dataset) else None)
        refuse_inflated(sum(arrays), len(content), "its arrays claim")
    except Exception as error:  # whatever a damaged file makes of the readers
        raise ModelError(f"{str(path)!r} cannot be read: {' '.join(str(error).split())[:200]}") from None


def _counts(path):
    """``(arrays that a .keras file holds, weights that its network has)``; zeros where that cannot be told."""
    import h5py
    import keras

    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json")) | {"compile_config": None}
            network = keras.saving.deserialize_keras_object(config)
            names = []
            if WEIGHTS in archive.namelist():
                with h5py.File(io.BytesIO(archive.read(WEIGHTS))) as file:
                    file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
            return sum("optimizer" not in name for name in names), len(network.variables)
    except Exception:  # then the reader's own words have to do
        return 0, 0


def assign_weights(model, values, source, own=()):
    """Assign every weight of ``model`` from ``{variable path: value}``; refuses a partial match by a ModelError.

    The state of dropout's random generators is no weight: it is left, and its path differs from build to build. Layers
    named in ``own`` keep their weights where those of ``values`` have another shape, and the log says so.
    """
    weights = model.weights
    missing = [v.path for v in weights if v.path not in values or values[v.path].shape != v.shape]
    kept = [path for path in missing if path.split("/")[0] in own and path in values]
    if kept and kept == missing:
        log.warning("%s predicts something else: %s start anew", source, ", ".join(kept))
        weights, missing = [v for v in weights if v.path not in kept], []
    if missing:
        raise ModelError(
            f"{str(source)!r} fits {len(weights) - len(missing)} of {len(weights)} weights; "
            f"missing or of another shape: {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
        )
    for variable in weights:
        variable.assign(values[variable.path])


def load_run(source):
    """``(method, model)`` of a finished run directory; ModelError if it is missing, unfinished or damaged."""
    file = model_file(source)
    if not (file.parent / "config.yaml").is_file():
        raise ModelError(f"{str(source)!r} has no config.yaml beside its model; give a run directory")
    method = load_config(file.parent / "config.yaml").method.adapted(read_statistics(file.parent / STATISTICS))
    if str(getattr(method, "backbone", "")).startswith("object:"):  # of a network given in Python, the file alone knows
        return method, read_network(file)
    # Rebuilt rather than deserialized: a run trained in mixed precision is used in float32.
    with runtime.precision():
        model = method.model()
    load_weights(model, file)
    return method, model
