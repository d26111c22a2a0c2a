""".keras files that somebody else made to do harm: refused in one line, none of their code run, nothing inflated."""

import io
import json
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest

from tfssl.errors import ModelError
from tfssl.training.checkpoint import newest
from tfssl.training.runs import read_network, read_statistics


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """``{name: bytes}`` of a good file."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")]).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_layer(members, module, name, config, registered=None):
    content = json.loads(members["config.json"])
    layer = {"module": module, "class_name": name, "config": config, "registered_name": registered}
    content["config"]["layers"].append(layer)
    return list(({**members, "config.json": json.dumps(content).encode()}).items())


def marshalled(members, mark):
    code = keras.src.utils.python_utils.func_dump(eval(f"lambda x: open({str(mark)!r}, 'w') and x"))
    function = {"class_name": "__lambda__", "config": {"code": code[0], "defaults": None, "closure": None}}
    return with_layer(members, "keras.layers", "Lambda", {"name": "harm", "function": function})


def arrays(shape, **options):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape, "f4", **options)
    return buffer.getvalue()


def inflating(size):
    """A deflated member of so many zeros."""
    return bytes(size), zipfile.ZIP_DEFLATED


def linked(path):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(path), "/secret")
    return buffer.getvalue()


def other_arrays(members, content):
    return list((members | {"model.weights.h5": content}).items())


HOSTILE = {
    "marshalled lambda": marshalled,
    "function of a module": lambda m, mark: with_layer(
        m,
        "keras.layers",
        "Lambda",
        {
            "name": "harm",
            "function": {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
            "arguments": {"command": f"touch {mark}"},
        },
    ),
    "class of a module": lambda m, mark: with_layer(m, "subprocess", "Popen", {"args": ["touch", str(mark)]}),
    "module:Class": lambda m, mark: with_layer(m, "subprocess", "subprocess:Popen", {"args": ["touch", str(mark)]}),
    "registered name": lambda m, mark: with_layer(m, "builtins", "open", {"file": str(mark), "mode": "w"}, "open"),
    "pickle for a configuration": lambda m, mark: [*(m | {"config.json": pickle.dumps(Touches(mark))}).items()],
    "pickle for arrays": lambda m, mark: other_arrays(m, pickle.dumps(Touches(mark))),
    "pickled array": lambda m, mark: [
        *({k: v for k, v in m.items() if k != "model.weights.h5"}).items(),
        ("model.weights.npz", pickled(mark)),
    ],
    "absolute name": lambda m, mark: [*m.items(), (str(mark), b"harm"), ("assets/a", b"a")],
    "name with ..": lambda m, mark: [*m.items(), ("../" * 12 + str(mark)[1:], b"harm"), ("assets/a", b"a")],
    "member twice": lambda m, mark: [*m.items(), ("config.json", b"{}")],
    "arrays of another file": lambda m, mark: other_arrays(m, linked(mark)),
    "arrays that claim 800 GB": lambda m, mark: other_arrays(m, arrays((200_000, 1_000_000))),
    "configuration nested too deep": lambda m, mark: [*(m | {"config.json": b"[" * 100_000}).items()],
    "weights that inflate": lambda m, mark: other_arrays(m, inflating(300_000_000)),
    "configuration that inflates": lambda m, mark: [*(m | {"config.json": inflating(300_000_000)}).items()],
    "neighbor that inflates": lambda m, mark: [*m.items(), ("assets/a", inflating(300_000_000))],
}


def pickled(mark):
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, a=np.array([Touches(mark)], object))
    return buffer.getvalue()


def write(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content:
            data, how = data if isinstance(data, tuple) else (data, zipfile.ZIP_STORED)
            archive.writestr(name, data, how, compresslevel=1)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_in_one_line_and_run_nothing(kind, members, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    path = write(tmp_path / "model.keras", HOSTILE[kind](members, mark))
    if "inflate" in kind or "800 GB" in kind:
        monkeypatch.setattr("keras.saving.load_model", lambda *_, **__: pytest.fail("it was read"))
        monkeypatch.setattr("keras.saving.deserialize_keras_object", lambda *_, **__: pytest.fail("it was read"))
    if "inflate" in kind:
        monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_, **__: pytest.fail("it was inflated"))
    with pytest.raises(ModelError) as caught:
        read_network(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not mark.exists() and {p.name for p in tmp_path.iterdir()} == {"model.keras"}


def test_statistics_and_checkpoints_are_not_inflated_either(tmp_path, monkeypatch):
    path = write(tmp_path / "step_000000001.npz", [("state.npy", inflating(300_000_000))])
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_, **__: pytest.fail("it was inflated"))
    with pytest.raises(ModelError, match="300 MB from"):
        read_statistics(path)
    with pytest.raises(ModelError, match="damaged"):
        newest(tmp_path)
