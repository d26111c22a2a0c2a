"""A training step of the shipped colorizer's network on the CPU: depthwise gradients of this library and TensorFlow's.

Both sides are the same network from the same seed, at the same batch, in turn. What differs is one layer,
:class:`tfssl.layers.convolution.DepthwiseConv2D`, which is told to use TensorFlow's gradient on the other side. The
losses of the first two steps are compared.

    python benchmarks/depthwise.py
"""

import argparse
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from machine import Comparison, alternate, ratio, save

from tfssl.api import load
from tfssl.layers.convolution import DepthwiseConv2D

PRECISIONS = ("float32", "mixed_bfloat16")
SIDES = {"TensorFlow's": False, "own": True}


def compiled_step(method, precision, own, seed, x, y):
    """A function that takes one training step and returns its loss; compiled before it is returned."""
    previous = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        keras.utils.set_random_seed(seed)
        model = method.model()
    finally:
        keras.mixed_precision.set_global_policy(previous)
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, DepthwiseConv2D)]
    if not all(layer._has_fast_gradient() for layer in layers) or not layers:
        raise AssertionError("the network has no depthwise convolution with a gradient of its own")

    def step():
        model.reset_metrics()
        return float(model.train_on_batch(x, y))

    if own:
        return step, [step(), step()]
    with mock.patch.object(DepthwiseConv2D, "_has_fast_gradient", lambda self: False):
        return step, [step(), step()]  # the graph is made in the first call


def measure(method, precision, arguments, x, y):
    """``{name: seconds of each step}`` of a precision, and the losses of the first steps."""
    steps, losses = {}, {}
    for name, own in SIDES.items():
        steps[f"{precision}/{name}"], first = compiled_step(method, precision, own, arguments.seed, x, y)
        losses[name] = first
    np.testing.assert_allclose(*losses.values(), rtol=1e-3 if precision == "float32" else 5e-2)
    return alternate(steps, arguments.repeats), losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    method, _ = load("colorizer")
    crop = method.crop_size
    rng = np.random.default_rng(arguments.seed)
    x = tf.constant(rng.uniform(0, 100, (arguments.batch, crop, crop, 1)), tf.float32)
    cells = crop // method.output_stride
    y = tf.constant(rng.normal(0, 20, (arguments.batch, cells, cells, 2)), tf.float32)
    seconds, losses, rows = {}, {}, []
    for precision in PRECISIONS:
        timed, losses[precision] = measure(method, precision, arguments, x, y)
        seconds |= timed
        gain = ratio(timed, *timed)
        what = f"Training step, EfficientNet-Lite0 colorizer, batch {arguments.batch}, {crop} px, {precision}"
        rows.append(Comparison(what, "TensorFlow's depthwise gradients", gain, 1.5))
    save(
        "depthwise",
        config={**vars(arguments), "crop_size": crop},
        packages=("tensorflow", "keras", "numpy"),
        seconds=seconds,
        comparisons=rows,
        out=arguments.out,
        crops_per_second={name: arguments.batch / float(np.median(values)) for name, values in seconds.items()},
        first_losses=losses,
    )


if __name__ == "__main__":
    main()
