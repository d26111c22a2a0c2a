"""Scores for every pixel from an encoder's maps, in the way of fully convolutional networks."""

import keras
import tensorflow as tf
from keras import layers

from tfssl.errors import ConfigError
from tfssl.evaluation.runner import check_choice
from tfssl.layers.resizing import ResizeToStride

HEADS = {"32s": 0, "16s": 1, "8s": 2}  # heads and how many finer maps they add to the deepest one
MOMENTUM = 0.95  # of the moving mean and variance of the maps: an average over about the last 20 batches
# Added to the variance of the maps. The deep ones of AlexNet with its own random weights have a variance of 1e-4; with
# Keras' default of 1e-3 they would hardly be standardized, and the untrained network would look worse than it is.
EPSILON = 1e-8


def tap_strides(encoder):
    """Input pixels between two cells of each tap that grows with the image, ``{tap: float}``, from two shapes."""
    small, large = (encoder(keras.KerasTensor((1, size, size, 3))) for size in (256, 512))
    growth = {tap: large[tap].shape[1] - small[tap].shape[1] for tap in encoder.output if len(small[tap].shape) == 4}
    return {tap: 256 / cells for tap, cells in growth.items() if cells}


def head_taps(encoder, head="32s", taps=None):
    """The taps that a head uses: the deepest one, then the last tap before it with a smaller stride, and so on.

    FCN-32s, 16s and 8s are called after the strides of VGG's pool5, pool4 and pool3. Encoders have other strides, so
    here the names tell how many finer maps join the deepest: none, one or two.

    Returns ``{tap: stride}``, the deepest first.
    """
    check_choice(HEADS, head=head)
    strides = {t: max(1, round(stride)) for t, stride in tap_strides(encoder).items() if taps is None or t in taps}
    if not strides:
        raise ConfigError(f"`taps`: {', '.join(taps or encoder.output)}: none is a map that grows with the image")
    chosen = {}
    for tap, stride in reversed(strides.items()):
        if len(chosen) <= HEADS[head] and stride < min(chosen.values(), default=stride + 1):
            chosen[tap] = stride
    if len(chosen) <= HEADS[head]:
        found = ", ".join(f"{tap} {stride}" for tap, stride in strides.items())
        fix = next(name for name, extra in HEADS.items() if extra == len(chosen) - 1)
        raise ConfigError(
            f"`head`={head!r} needs taps of {HEADS[head] + 1} different strides, these have {found}; choose {fix!r}"
        )
    return chosen


def score_head(outputs, taps, bias=None):
    """A head for :func:`tfssl.transfer.transfer`: scores of each of ``taps``, added up at the size of the last.

    Each map is standardized per channel (batch normalization without scale and offset, as in the linear probes of
    Zhang et al., 2016), for encoders differ in scale and there is one learning rate for all; then a 1x1 convolution
    gives the scores. It starts from zeros (Long et al., 2015, section 4.3). Scores are enlarged by fixed bilinear
    interpolation, which is what the transposed convolutions of FCN start from (FCN-32s keeps its own fixed as well).
    Those of the deepest map start from ``bias``, one number each; None for zeros.
    """

    def head(maps):
        total = None
        for tap in taps:
            even = layers.BatchNormalization(
                center=False, scale=False, momentum=MOMENTUM, epsilon=EPSILON, name=f"even_{tap}"
            )
            begin = keras.initializers.Constant(bias) if bias is not None and total is None else "zeros"
            score = layers.Conv2D(outputs, 1, kernel_initializer="zeros", bias_initializer=begin, name=f"score_{tap}")
            scores = score(even(maps[tap]))
            larger = None if total is None else ResizeToStride(1, name=f"enlarged_to_{tap}")([total, scores])
            total = scores if larger is None else layers.Add(name=f"fused_{tap}")([larger, scores])
        return total

    return head


def full_size(scores, height, width):
    """Scores (B, h, w, K) enlarged bilinearly to (B, height, width, K), half-pixel convention."""
    return tf.image.resize(tf.cast(scores, tf.float32), (height, width))


def pixel_mean(values, known):
    """Mean of values (B, H, W) where ``known``, bool (B, H, W); 0 if that is nowhere."""
    known = tf.cast(known, values.dtype)
    return tf.reduce_sum(values * known) / tf.maximum(tf.reduce_sum(known), 1.0)
