"""Milliseconds of the shipped colorizer's phone form for one image, against the Keras model that it was made of.

The .tflite file that ships (int8 weights, activations quantized while running) and the other kinds of
`tfssl export --format tflite`, run by LiteRT, beside the same endpoint of the float Keras model as a `tf.function` of
the same fixed size. All in turn in one process, with as many threads each.

    pip install --editable .[mobile]
    python benchmarks/mobile_speed.py
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from machine import Comparison, alternate, ratio, save

from tfssl.api import load
from tfssl.export.network import served_network
from tfssl.export.tflite import mobile_endpoint, tflite_name, write_tflite
from tfssl.resources import find_model

KINDS = ("none", "float16", "dynamic", "int8")
CALLS = 10  # to one timing: a single one takes a few milliseconds


def interpreter(path, lightness, threads):
    """A function that runs the file once on ``lightness`` and returns ab."""
    loaded = Interpreter(str(path), num_threads=threads)
    loaded.allocate_tensors()
    (entered,), (left,) = loaded.get_input_details(), loaded.get_output_details()

    def run():
        loaded.set_tensor(entered["index"], lightness)
        loaded.invoke()
        return loaded.get_tensor(left["index"])

    return run


def keras_endpoint(endpoint, lightness):
    """The same of the Keras model, as a graph of a fixed size."""
    graph = tf.function(endpoint.function, input_signature=endpoint.signature, autograph=False)
    given = tf.constant(lightness)
    (name,) = graph(given)
    return lambda: graph(given)[name].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    method, model = load("colorizer")
    network = served_network(method, model)
    name, endpoint = mobile_endpoint(method, network)
    (spec,) = endpoint.signature
    smooth = np.random.default_rng(arguments.seed).uniform(0, 100, (1, 8, 8, 1))
    lightness = tf.image.resize(smooth, spec.shape[1:3], "bicubic").numpy().clip(0, 100).astype(np.float32)
    runs = {"keras": keras_endpoint(endpoint, lightness)}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = Path(folder, tflite_name(method, kind))
            write_tflite(path, {}, network, name, endpoint, kind, "builtin")
            runs[kind] = interpreter(path, lightness, arguments.threads)
    runs["shipped"] = interpreter(next(find_model("colorizer").rglob("*.tflite")), lightness, arguments.threads)
    expected = runs["keras"]()
    differences = {kind: float(np.abs(run() - expected).mean()) for kind, run in runs.items()}
    repeated = {kind: lambda run=run: [run() for _ in range(CALLS)] for kind, run in runs.items()}
    seconds = alternate(repeated, arguments.repeats)
    what = f"The shipped .tflite file, one image of {spec.shape[1]} px, threads: {arguments.threads}"
    save(
        "mobile_speed",
        config={**vars(arguments), "calls": CALLS, "backbone": method.backbone},
        packages=("tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer"),
        seconds=seconds,
        comparisons=[
            Comparison(what, "the float Keras model, compiled", ratio(seconds, "keras", "shipped"), 1.5),
        ],
        out=arguments.out,
        times_faster_than_keras={kind: ratio(seconds, "keras", kind) for kind in runs if kind != "keras"},
        mean_difference_ab=differences,
    )


if __name__ == "__main__":
    main()
