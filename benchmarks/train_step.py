"""A training step of the paper's network on the CPU: this library against the same network in PyTorch.

Both sides start from the same weights, see the same batch, compute the same loss (checked before anything is timed)
and take a step of Adam with decoupled weight decay. PyTorch runs in both of its memory layouts, and the faster one
counts. Beside the times: loss curves of float32 and mixed_bfloat16 over the same batches from the same weights.

    pip install --editable .[bench]
    python benchmarks/train_step.py
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import torch
from machine import RESULTS, Comparison, alternate, ratio, save
from torch_network import ColorCrossEntropy, TorchStep, convolution_parameters, copy_weights, paper_network

from tfssl.color.prior import class_weights
from tfssl.methods import Colorization
from tfssl.ops.ab_bins import CENTERS

CONVOLUTION_PARAMETERS = 32_230_393  # of the paper's network (released prototxt)
LAYOUTS = ("contiguous", "channels_last")
PRECISIONS = ("float32", "mixed_bfloat16")


def build(method, precision, seed):
    """The Keras model of ``method`` in a precision; the same seed gives the same weights in each."""
    previous = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        keras.utils.set_random_seed(seed)
        model = method.model()
        model.optimizer.build(model.trainable_variables)
        return model
    finally:
        keras.mixed_precision.set_global_policy(previous)


def torch_loss(method):
    weights = class_weights(method.smoothed_prior(), method.rebalance_mix)
    return ColorCrossEntropy(CENTERS, weights, method.neighbors, method.sigma)


def check_agreement(method, model, lightness, ab):
    """The two networks and losses must be the same function before their times mean anything."""
    network = paper_network()
    found = convolution_parameters(network)
    if found != CONVOLUTION_PARAMETERS:
        raise AssertionError(f"the PyTorch network has {found} convolution parameters, not {CONVOLUTION_PARAMETERS}")
    copy_weights(model, network)
    ours = model(lightness, training=True)
    with torch.no_grad():
        theirs = network.train()((torch.tensor(lightness).permute(0, 3, 1, 2) - 50.0) / 100.0)
        their_loss = float(torch_loss(method)(theirs, torch.tensor(ab)))
    ours_array = keras.ops.convert_to_numpy(ours)
    scale = np.abs(ours_array).max()
    np.testing.assert_allclose(theirs.permute(0, 2, 3, 1).numpy(), ours_array, rtol=0, atol=2e-3 * scale)
    our_loss = float(method.loss()(ab, ours))
    np.testing.assert_allclose(our_loss, their_loss, rtol=1e-4)
    return {"tfssl": our_loss, "torch": their_loss}


def time_steps(method, lightness, ab, arguments):
    """Agreement of the two sides, then ``{name: seconds of each step}``."""
    timed = {}
    reference = build(method, "float32", arguments.seed)
    losses = check_agreement(method, reference, lightness, ab)
    for layout in LAYOUTS:
        network = paper_network()
        copy_weights(reference, network)
        channels_last = layout == "channels_last"
        timed[f"torch/{layout}"] = TorchStep(network, torch_loss(method), lightness, ab, channels_last=channels_last)
    x, y = tf.constant(lightness), tf.constant(ab)
    for precision in PRECISIONS:
        model = build(method, precision, arguments.seed)
        timed[f"tfssl/{precision}"] = lambda model=model: model.train_on_batch(x, y)
    return losses, alternate(timed, arguments.repeats)


def loss_curves(method, arguments):
    """Training loss of each step on the built-in photographs, in each precision: ``{precision: [loss]}``."""
    batches = method.dataset(
        "builtin", batch_size=arguments.batch, seed=arguments.seed, start=0, count=arguments.curve_steps
    )
    batches = list(batches)  # the same arrays for both
    curves = {}
    for precision in PRECISIONS:
        model = build(method, precision, arguments.seed)
        curves[precision] = []
        for x, y in batches:
            model.reset_metrics()  # train_on_batch reports the mean since the last reset
            curves[precision].append(round(float(model.train_on_batch(x, y)), 5))
    return curves


def agreement_of_curves(curves, last=10):
    """How far apart the curves are, relative to float32: at the largest, and over the mean of the last steps."""
    exact, mixed = (np.array(curves[precision]) for precision in PRECISIONS)
    return {
        "largest_relative_difference": float(np.abs(mixed / exact - 1).max()),
        "relative_difference_of_last_mean": float(mixed[-last:].mean() / exact[-last:].mean() - 1),
        "last_steps": min(last, len(exact)),
        "fall_of_float32": float(exact[0] - exact[-last:].mean()),
    }


def plot(curves, path):
    """Write the curves as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for precision, style in zip(PRECISIONS, ("-", "--"), strict=True):
        axes.plot(range(1, len(curves[precision]) + 1), curves[precision], style, label=precision)
    axes.set(xlabel="step", ylabel="training loss", title="Paper network, same seed and batches")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=176, help="of the crop in pixels, a multiple of 8")
    parser.add_argument("--threads", type=int, default=2, help="of both libraries")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--curve-steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    method = Colorization(crop_size=arguments.side)
    batch = next(iter(method.dataset("builtin", batch_size=arguments.batch, seed=arguments.seed)))
    lightness, ab = (part.numpy() for part in batch)
    losses, seconds = time_steps(method, lightness, ab, arguments)
    curves = loss_curves(method, arguments)
    plot(curves, Path(arguments.out or RESULTS) / "train_step_loss.png")

    other = min((f"torch/{layout}" for layout in LAYOUTS), key=lambda name: float(np.median(seconds[name])))
    what = f"Training step, paper network, batch {arguments.batch}, {arguments.side} px, CPU"
    against = f"PyTorch {torch.__version__.split('+')[0]}, float32, the faster of its two memory layouts"
    save(
        "train_step",
        config={**vars(arguments), "neighbors": method.neighbors, "objective": method.objective},
        packages=("tensorflow", "keras", "numpy", "torch"),
        seconds=seconds,
        comparisons=[
            Comparison(f"{what}, float32", against, ratio(seconds, other, "tfssl/float32"), 1.0),
            Comparison(f"{what}, mixed_bfloat16", against, ratio(seconds, other, "tfssl/mixed_bfloat16"), 1.5),
        ],
        out=arguments.out,
        torch_layout=other,
        convolution_parameters=CONVOLUTION_PARAMETERS,
        loss_of_first_batch=losses,
        loss_curves=curves,
        agreement_of_loss_curves=agreement_of_curves(curves),
    )


if __name__ == "__main__":
    main()
