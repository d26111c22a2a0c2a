"""Calls every numeric endpoint of every method, as exported, with tensors of wrong shapes; prints what happens.

A program of its own: what the graph does not refuse ends the whole process.
"""

import tempfile

import numpy as np
import tensorflow as tf

from tfssl import methods
from tfssl.config import load_config
from tfssl.export.network import StoredNetwork, served_network
from tfssl.export.savedmodel import write_savedmodel


def wrong_shapes(shape):
    """Shapes that are not ``shape``, which may have open sizes: of another rank, or another fixed last axis."""
    good = [2, *(size or 16 for size in shape[1:])]
    yield from ([], good[1:], [1, *good], good[:-1])
    if shape[-1] is not None:
        yield from ([*good[:-1], good[-1] + 1], [*good[:-1], 0])


def calls(specs):
    """``(input, shape, {input: array})`` of all calls in which one input has a wrong shape."""
    good = {spec.name: np.zeros([2, *(size or 16 for size in spec.shape[1:])], spec.dtype.name) for spec in specs}
    for spec in specs:
        for shape in wrong_shapes(spec.shape.as_list()):
            yield spec.name, shape, good | {spec.name: np.zeros(shape, spec.dtype.name)}


def main():
    for name in methods.names():
        method = load_config(f"{name}/cpu", ["classes=3"] if name == "slow_steady" else []).method  # else from its data
        endpoints = method.serving(StoredNetwork(served_network(method, method.model()), "float32"))
        endpoints = {k: e for k, e in endpoints.items() if all(s.dtype != tf.string for s in e.signature)}
        with tempfile.TemporaryDirectory() as folder:
            write_savedmodel(folder, endpoints)
            signatures = tf.saved_model.load(folder).signatures
        for key, endpoint in endpoints.items():
            for argument, shape, values in calls(endpoint.signature):
                print(name, key, argument, shape, end=" ", flush=True)
                try:
                    signatures[key](**{k: tf.constant(v) for k, v in values.items()})
                    print("answers", flush=True)
                except tf.errors.InvalidArgumentError:
                    print("refuses", flush=True)


if __name__ == "__main__":
    main()
