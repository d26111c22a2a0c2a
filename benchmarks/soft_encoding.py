"""Soft encoding of ab colors: this library against a ball tree and a dense float64 map, as the original layer did.

The original training layer keeps a scikit-learn ball tree of the 313 centers, asks it for the 10 nearest of each
pixel, and writes their weights into a dense float64 map of 313 numbers a pixel. Both sides encode the same colors:
the ab planes of random crops of the built-in photographs.

    python benchmarks/soft_encoding.py
"""

import argparse

import numpy as np
import tensorflow as tf
from machine import Comparison, alternate, ratio, save
from sklearn.neighbors import NearestNeighbors

from tfssl.data.builtin import builtin_photographs
from tfssl.methods.colorization.loss import ColorCrossEntropy
from tfssl.ops.ab_bins import CENTERS, NUM_BINS, SIGMA, soft_encode, soft_encode_reference
from tfssl.ops.color import rgb_to_lab

NEIGHBORS = 10
LOOKUPS = ("exact", "table")


class BallTreeEncoder:
    """The original layer's way: a dense float64 map (pixels, 313), allocated once and filled at each call."""

    def __init__(self, pixels):
        self.tree = NearestNeighbors(n_neighbors=NEIGHBORS, algorithm="ball_tree").fit(CENTERS)
        self.dense = np.zeros((pixels, NUM_BINS))
        self.rows = np.arange(pixels)[:, None]

    def __call__(self, ab):
        distances, indices = self.tree.kneighbors(ab.reshape(-1, 2))
        weights = np.exp(-np.square(distances) / (2 * SIGMA**2))
        self.dense[...] = 0.0
        self.dense[self.rows, indices] = weights / weights.sum(axis=1, keepdims=True)
        return self.dense.reshape(*ab.shape[:-1], NUM_BINS)


def photograph_colors(batch, side, seed):
    """ab of random crops of the built-in photographs, every fourth pixel: float32 (batch, side, side, 2)."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    photographs = [np.asarray(Image.open(path).convert("RGB")) for path in builtin_photographs()]
    span = 4 * side
    crops = []
    for _ in range(batch):
        picture = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(0, size - span + 1) for size in picture.shape[:2])
        crops.append(picture[top : top + span : 4, left : left + span : 4])
    return rgb_to_lab(np.stack(crops).astype(np.float32) / 255.0).numpy()[..., 1:]


def dense(indices, weights):
    """The dense map of ``(indices, weights)``, float64 (..., 313)."""
    indices, weights = np.asarray(indices), np.asarray(weights, dtype=np.float64)
    full = np.zeros((*indices.shape[:-1], NUM_BINS))
    np.put_along_axis(full, indices, weights, axis=-1)
    return full


def table_error(count, seed):
    """How far the table's encoding lies from the exact one, over random colors of the sRGB cube."""
    rgb = np.random.default_rng(seed).random((count, 3), dtype=np.float32)
    ab = rgb_to_lab(rgb).numpy()[:, 1:]
    reference = dense(*soft_encode_reference(ab, NEIGHBORS))
    errors = {}
    for lookup in LOOKUPS:
        found = dense(*soft_encode(ab, NEIGHBORS, lookup=lookup))
        weight_error = np.abs(found - reference)
        color_error = np.linalg.norm((found - reference) @ CENTERS.astype(np.float64), axis=-1)
        errors[lookup] = {
            "largest_weight_difference": float(weight_error.max()),
            "mean_largest_weight_difference_of_a_color": float(weight_error.max(axis=-1).mean()),
            "largest_decoded_ab_difference": float(color_error.max()),
            "mean_decoded_ab_difference": float(color_error.mean()),
        }
    return errors


def memory(ab, tree_map):
    """Bytes that hold the targets of the batch, for each representation."""
    indices, weights = soft_encode(ab, NEIGHBORS)
    return {
        "dense_float64": tree_map.nbytes,
        "indices_and_weights": indices.numpy().nbytes + weights.numpy().nbytes,
        "ab": ab.nbytes,
    }


def candidates(ab, scores):
    """What is timed: ``{name: function}``, each returning its result."""
    tree = BallTreeEncoder(ab[..., 0].size)
    labels = {"ab": tf.constant(ab), "scores": tf.constant(scores)}

    @tf.function
    def dense_loss(target):
        # The original passes a float32 blob on; TensorFlow's fused loss is the fastest consumer it could have here.
        losses = tf.nn.softmax_cross_entropy_with_logits(tf.cast(target, tf.float32), labels["scores"])
        return tf.reduce_mean(losses)

    timed = {
        "encode/ball_tree": lambda: tree(ab),
        "encode_and_loss/ball_tree": lambda: dense_loss(tf.constant(tree(ab))).numpy(),
    }
    for lookup in LOOKUPS:
        encode = tf.function(lambda x, lookup=lookup: soft_encode(x, NEIGHBORS, lookup=lookup))
        loss = tf.function(ColorCrossEntropy(neighbors=NEIGHBORS, lookup=lookup))
        timed[f"encode/{lookup}"] = lambda encode=encode: [part.numpy() for part in encode(labels["ab"])]
        timed[f"encode_and_loss/{lookup}"] = lambda loss=loss: loss(labels["ab"], labels["scores"]).numpy()
    return timed


def check_agreement(timed, ab):
    """Both sides must compute the same before their times mean anything."""
    tree = timed["encode/ball_tree"]()
    np.testing.assert_allclose(dense(*timed["encode/exact"]()), tree, atol=1e-3)
    losses = {name: float(timed[f"encode_and_loss/{name}"]()) for name in ("ball_tree", *LOOKUPS)}
    colored = np.mean(np.abs(ab).max(axis=(1, 2, 3)) > 5.0)
    if colored == 1.0:  # the loss leaves gray pictures out, which the dense map does not know about
        np.testing.assert_allclose(losses["exact"], losses["ball_tree"], rtol=1e-4)
    return tree, losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--side", type=int, default=64, help="of the target grid")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--colors", type=int, default=100_000, help="sample of the sRGB cube for the table's error")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    ab = photograph_colors(arguments.batch, arguments.side, arguments.seed)
    scores = np.random.default_rng(arguments.seed).normal(size=(*ab.shape[:-1], NUM_BINS)).astype(np.float32)
    timed = candidates(ab, scores)
    tree_map, losses = check_agreement(timed, ab)
    held = memory(ab, tree_map)
    seconds = alternate(timed, arguments.repeats)

    original = "scikit-learn ball tree, dense float64 map"
    size = f"({arguments.batch} x {arguments.side} x {arguments.side}, k {NEIGHBORS})"
    rows = [
        Comparison(
            f"{label} {size}, {lookup}", original, ratio(seconds, f"{kind}/ball_tree", f"{kind}/{lookup}"), least
        )
        for kind, label in (("encode", "Soft encoding"), ("encode_and_loss", "Soft encoding and loss"))
        for lookup, least in (("exact", 5.0), ("table", 50.0))
    ]
    shrinking = held["dense_float64"] / held["indices_and_weights"]
    rows.append(Comparison("Memory of the targets, indices and weights", "dense float64 map", shrinking, 16.0))
    save(
        "soft_encoding",
        config={**vars(arguments), "neighbors": NEIGHBORS, "sigma": SIGMA, "threads": "TensorFlow's default"},
        packages=("tensorflow", "keras", "numpy", "scikit-learn"),
        seconds=seconds,
        comparisons=rows,
        out=arguments.out,
        bytes=held,
        loss_values=losses,
        error_against_float64=table_error(arguments.colors, arguments.seed),
    )


if __name__ == "__main__":
    main()
