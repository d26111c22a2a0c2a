"""Examples of denoising: crops of photographs -> (corrupted, clean), and what of them is corrupted."""

import numpy as np

from tfssl.data.crop import scaled
from tfssl.ops.whitening import FLAT, whiten

_LUMA = np.array([[0.2989], [0.5870], [0.1140]], np.float32)


def cut_patches(method, image, rng, training):
    """Cut patches from an image: anywhere in training, half of them mirrored; otherwise a single one is the center.

    The image is first scaled as ``resize`` says, and enlarged where it is smaller than a patch.

    Returns:
        uint8 (patches, s, s, 3), s with the margin that whitening takes off.
    """
    size, count = method.cut_size, method.patches
    pixels = np.asarray(scaled(image, max(size, method.resize or min(image.size))))
    free = np.array(pixels.shape[:2]) - size
    central = not training and count == 1
    corners = free[None] // 2 if central else rng.integers(0, free + 1, (count, 2))
    cuts = np.stack([pixels[y : y + size, x : x + size] for y, x in corners.tolist()])
    if training:
        mirrored = rng.random(count) < 0.5
        cuts[mirrored] = cuts[mirrored, :, ::-1]
    return cuts


def corrupted_patches(method, image, rng, training):
    """Patches as the network sees them, corrupted anew in every presentation, in evaluation too.

    Returns:
        ``(corrupted, clean, mask)``: float32 (patches, s, s, C) twice, and bool, True where corrupted.
    """
    noise = np.random.default_rng(rng.integers(0, 2**31, 2))  # its own: the crops do not depend on the corruption
    pixels = cut_patches(method, image, rng, training)
    clean = prepare(pixels.astype(np.float32) / 255.0, color=method.color, preprocess=method.preprocess)
    corrupted, mask = method.corruption_rule().apply(
        clean,
        uniform=lambda shape: noise.random(shape, np.float32),
        normal=lambda shape: noise.standard_normal(shape, np.float32),
        xp=np,
    )
    return corrupted, clean, mask.astype(bool)


def prepare(rgb, *, color, preprocess):
    """From images to what the network sees.

    Args:
        rgb: float32 (B, H, W, 3), sRGB in [0, 1].
        color: three channels, or luma (0.299 R + 0.587 G + 0.114 B).
        preprocess: ``"none"``; ``"standardize"``: each image has mean 0 and standard deviation 1 (less where it is
            flat); ``"whiten"``: filtered first, see :func:`tfssl.ops.whitening.whiten`, which takes 4 pixels off
            each side.

    Returns:
        float32 (B, h, w, C).
    """
    x = rgb if color else rgb @ _LUMA
    if preprocess == "none":
        return x
    x = whiten(x) if preprocess == "whiten" else x
    x = x - x.mean(axis=(1, 2, 3), keepdims=True)
    return x / np.sqrt(np.square(x).mean(axis=(1, 2, 3), keepdims=True) + np.float32(FLAT[preprocess] ** 2))
