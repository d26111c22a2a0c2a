"""Losses of both networks, for each image by itself, and what trivial ones reach."""

from keras import ops

from tfssl.methods.spot_artifacts.network import CORRUPT, REAL
from tfssl.ops.arguments import check_shapes

_IMAGENET_DEVIATION = (58.40, 57.12, 57.38)  # of R, G, B in levels of 0 ... 255


def class_loss(logits, label):
    """Cross-entropy of logits (B, 2) with the same label, 0 or 1, for all: float32 (B,)."""
    check_shapes(logits=(logits, "B 2"))
    return -ops.log_softmax(ops.cast(logits, "float32"), axis=-1)[:, label]


def spotting_loss(real, corrupt):
    """Cross-entropy of logits (B, 2) of real and of corrupt images, the mean of both: float32 (B,) (section 3).

    Its swap, what the repair network is after, is ``spotting_loss(corrupt, real)``.
    """
    check_shapes(real=(real, "B 2"), corrupt=(corrupt, "B 2"))
    return 0.5 * (class_loss(real, REAL) + class_loss(corrupt, CORRUPT))


def mask_loss(real, corrupt, omega):
    """Sigmoid cross-entropy of the predicted damage (B, h, w, 1), mean over cells and both halves: float32 (B,).

    ``omega`` is 1 where the features of the corrupt images were intact, 0 where dropped; those of real ones are intact.
    """
    check_shapes(real=(real, "B h w 1"), corrupt=(corrupt, "B h w 1"), omega=(omega, "B h w 1"))
    return 0.5 * (_mask_entropy(real, ops.ones_like(omega)) + _mask_entropy(corrupt, omega))


def _mask_entropy(logits, target):
    logits = ops.cast(logits, "float32")
    losses = ops.binary_crossentropy(ops.cast(target, "float32"), logits, from_logits=True)
    return ops.mean(losses, axis=(1, 2, 3))


def intact_error(images, repaired, omega):
    """Mean square error (B,) over the pixels of (B, H, W, 3) whose features were intact, omega (B, h, w, 1) = 1.

    The released code divides by the number of intact values in the batch, this by that in each image, so that the mean
    over a batch does not depend on how it is divided; an image without any counts as 0.
    """
    check_shapes(images=(images, "B H W C"), repaired=(repaired, "B H W C"), omega=(omega, "B h w 1"))
    factors = [images.shape[axis] // omega.shape[axis] for axis in (1, 2)]
    weights = ops.cast(omega, "float32")
    for axis, factor in zip((1, 2), factors, strict=True):
        weights = ops.repeat(weights, factor, axis=axis)
    squares = ops.square(ops.cast(images, "float32") - ops.cast(repaired, "float32"))
    count = ops.sum(weights, axis=(1, 2, 3)) * images.shape[-1]
    return ops.sum(weights * squares, axis=(1, 2, 3)) / ops.maximum(count, 1.0)


def l2_penalty(networks, strength):
    """``strength / 2`` times the sum of squares of all trainable kernels (TF-Slim's rule), a scalar."""
    kernels = [v for network in networks for v in network.trainable_variables if v.path.endswith("kernel")]
    if not kernels or not strength:
        return ops.zeros(())
    return 0.5 * strength * sum(ops.sum(ops.square(ops.cast(kernel, "float32"))) for kernel in kernels)


def mean_color_loss(weight):
    """Weighted square error of an autoencoder that always answers with the mean color of ImageNet."""
    return weight * sum((deviation / 127.5) ** 2 for deviation in _IMAGENET_DEVIATION) / 3
