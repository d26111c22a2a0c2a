"""EfficientNet-Lite0, and reading the weights that PyTorch saved."""

import collections
import pickle
import struct
from typing import ClassVar

import keras
import numpy as np
import pytest

from tfssl.backbones import build
from tfssl.backbones.efficientnet import _names, efficientnet_lite0, load_imagenet
from tfssl.backbones.torch_weights import read_state_dict
from tfssl.errors import ConfigError, ModelError

MAGIC = 0x1950A86A20F9469CFC6C


class FloatStorage:
    pass


def _rebuild_tensor_v2(*args):
    raise AssertionError("code of the file was run")


FloatStorage.__module__ = "torch"
_rebuild_tensor_v2.__module__ = "torch._utils"


class Tensor:
    """Pickles as a tensor of PyTorch does: a call of its function with a storage known by its key."""

    def __init__(self, key, size, stride, offset=0):
        self.arguments = (Storage(key), offset, size, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


class Storage:
    def __init__(self, key):
        self.key = key


class Pickler(pickle._Pickler):
    def persistent_id(self, obj):
        return ("storage", FloatStorage, obj.key, "cpu", 0, None) if isinstance(obj, Storage) else None

    def save_global(self, obj, name=None):
        # PyTorch is not there to look the names up in.
        if obj in (FloatStorage, _rebuild_tensor_v2):
            self.write(pickle.GLOBAL + f"{obj.__module__}\n{obj.__name__}\n".encode())
        else:
            super().save_global(obj, name)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, type: save_global, type(_rebuild_tensor_v2): save_global}


def write_legacy(path, tensors, storages):
    with open(path, "wb") as file:
        for part in (MAGIC, 1001, {"little_endian": True}, tensors, list(storages)):
            Pickler(file, protocol=2).dump(part)
        for values in storages.values():
            file.write(struct.pack("<q", len(values)) + np.asarray(values, "<f4").tobytes())


def test_parameters_are_those_published():
    model = build("efficientnet_lite0", input_shape=(224, 224, 3), classes=1000, initializer="zeros")
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 4_652_008
    taps = build("efficientnet_lite0", input_shape=(224, 224, 3), initializer="zeros").output
    assert [taps[f"conv{i}"].shape[1:] for i in (1, 4, 5)] == [(112, 112, 16), (14, 14, 112), (7, 7, 1280)]


def test_every_weight_has_a_name_in_the_file():
    model = build("efficientnet_lite0", input_shape=(64, 64, 3), classes=10, initializer="zeros")
    weighted = [layer.name for layer in model.layers if layer.weights]
    assert sorted(name for _, name in _names()) == sorted(weighted)


def test_without_a_head_conv5_is_the_last_bottleneck():
    taps = efficientnet_lite0(keras.Input((64, 96, 1)), head=False)
    assert {tap: tuple(x.shape[1:]) for tap, x in taps.items()} == {
        "conv1": (32, 48, 16), "conv2": (16, 24, 24), "conv3": (8, 12, 40), "conv4": (4, 6, 112), "conv5": (2, 3, 320),
    }  # fmt: skip


def test_tensors_are_read_with_their_strides_and_offsets(tmp_path):
    path = tmp_path / "w.pth"
    values = np.arange(10, dtype=np.float32)
    tensors = {"plain": Tensor("a", (2, 3), (3, 1)), "transposed": Tensor("a", (3, 2), (1, 3), 4)}
    write_legacy(path, collections.OrderedDict(tensors), {"a": values})
    found = read_state_dict(path)
    np.testing.assert_array_equal(found["plain"], values[:6].reshape(2, 3))
    np.testing.assert_array_equal(found["transposed"], values[4:].reshape(2, 3).T)


def test_a_file_that_names_code_is_refused_and_nothing_is_run(tmp_path):
    path = tmp_path / "w.pth"
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return open, (str(ran), "w")

    path.write_bytes(pickle.dumps(MAGIC) + pickle.dumps(1001) + pickle.dumps({}) + pickle.dumps(Evil()))
    with pytest.raises(ModelError, match=r"it names .*open"):
        read_state_dict(path)
    assert not ran.exists()


@pytest.mark.parametrize("wrong", ["missing", "text", "cut", "outside"])
def test_a_damaged_file_is_named(tmp_path, wrong):
    path = tmp_path / "w.pth"
    if wrong == "text":
        path.write_text("no weights")
    elif wrong != "missing":
        write_legacy(path, {"w": Tensor("a", (2, 9 if wrong == "outside" else 3), (3, 1))}, {"a": np.zeros(6)})
    if wrong == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"w\.pth.*state dict"):
        read_state_dict(path)


def test_weights_go_where_they_belong(monkeypatch):
    model = build("efficientnet_lite0", input_shape=(32, 32, 3), classes=5)
    state = {}
    for torch_name, name in _names():
        weights = model.get_layer(name).get_weights()
        kernel = weights[0]
        if len(weights) == 4:
            statistics = zip(("weight", "bias", "running_mean", "running_var"), weights, strict=True)
            state |= {f"{torch_name}.{part}": value + 0.5 for part, value in statistics}
        elif kernel.ndim == 2:
            state |= {f"{torch_name}.weight": kernel.T, f"{torch_name}.bias": weights[1]}
        else:
            depthwise = name.endswith("depth_conv")
            state[f"{torch_name}.weight"] = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    monkeypatch.setattr("tfssl.backbones.efficientnet.read_state_dict", lambda path: state)
    gray = build("efficientnet_lite0", input_shape=(32, 32, 1), classes=5)
    load_imagenet(model, "w.pth")
    load_imagenet(gray, "w.pth")
    x = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(gray(x), model(np.repeat(x, 3, axis=-1)), atol=1e-4)
    np.testing.assert_array_equal(gray.get_layer("block2_1_depth_bn").gamma, np.full(96, 1.5))
    del state["_blocks.3._bn1.weight"]
    with pytest.raises(ModelError, match=r"_blocks\.3\._bn1"):
        load_imagenet(model, "w.pth")


def test_without_the_package_the_fix_is_said(monkeypatch):
    monkeypatch.setattr("tfssl.backbones.efficientnet.PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match="pip install"):
        load_imagenet(None)
