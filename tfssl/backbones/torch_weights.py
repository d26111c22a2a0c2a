"""Weights that PyTorch saved, read without PyTorch and without running code from the file."""

import collections
import pickle
from pathlib import Path

import numpy as np

from tfssl.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("u1"),
}


class _Tensor:
    """A view of a storage that is read later: strided, as PyTorch's."""

    def __init__(self, storage, offset, size, stride, *_):
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def array(self, values):
        # Checked, because as_strided reads whatever lies there.
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        inside = self.offset >= 0 and min(self.stride, default=0) >= 0 and last < len(values)
        if not inside and 0 not in self.size:
            raise pickle.UnpicklingError("a tensor reaches out of its storage")
        steps = [step * values.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, steps).copy()


class _Unpickler(pickle.Unpickler):
    """Knows dicts, tensors and storages; whatever else a file names is refused, so nothing in it is run."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid):
        kind, dtype, key, _, _, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError("it holds something else than storages")
        return key, dtype


def read_state_dict(path):
    """Read a state dict that ``torch.save`` wrote before PyTorch 1.6 (its "legacy" format).

    Args:
        path: of the ``.pth`` file.

    Returns:
        ``{name: array}`` in the shapes of PyTorch: kernels of convolutions are (out, in, rows, columns).

    Raises:
        ModelError: if the file is none of these, is cut off, or names anything else than tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            magic, _, _, tensors, keys = (_Unpickler(file).load() for _ in range(5))
            if magic != _MAGIC:
                raise pickle.UnpicklingError("it does not begin as such a file")
            dtypes = dict(tensor.storage for tensor in tensors.values())
            storages = {}
            for key in keys:
                (count,) = np.fromfile(file, "<i8", 1)
                storages[key] = np.fromfile(file, dtypes[key], count)
                if len(storages[key]) != count:
                    raise pickle.UnpicklingError("it is cut off")
            return {name: tensor.array(storages[tensor.storage[0]]) for name, tensor in tensors.items()}
    except (OSError, pickle.UnpicklingError, ValueError, TypeError, AttributeError, KeyError, EOFError) as error:
        raise ModelError(f"{str(path)!r} is no state dict of PyTorch's legacy format: {error}") from None
