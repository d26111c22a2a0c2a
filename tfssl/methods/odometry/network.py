"""The networks of odometry: the synchrony autoencoder of blocks, the classifier on its filters, and the encoder."""

import keras
from keras import layers, ops

from tfssl.backbones.encoder import Encoder
from tfssl.layers.synchrony import SynchronyProduct
from tfssl.layers.views import GrayViews
from tfssl.layers.whitening import PatchWhitening


def build_network(size, frames, *, patch_size, stride, components, units, channels, hidden, dropout, bins):
    """Filters over space and time, products of left and right, two convolutions, a dense layer, two softmax heads.

    Args:
        size: (height, width) of the frames.
        frames: of a window.
        patch_size, stride: of the first layer's filters, in pixels.
        components: numbers that a patch of all frames is whitened to.
        units: pairs of filters.
        channels: of both convolutions.
        hidden: units of the dense layer.
        dropout: fraction of its inputs.
        bins: (velocity classes, heading classes).

    Returns:
        ``keras.Model``: gray windows (B, H, W, 2 frames) in [0, 1], those of the left camera first ->
        ``{"velocity": (B, bins), "heading": (B, bins)}``, probabilities.
    """
    windows = layers.Input((*size, 2 * frames), name="windows")
    whitening = PatchWhitening(patch_size, components, stride, name="whitening")
    sides = [whitening(windows[..., :frames]), whitening(windows[..., frames:])]
    x = SynchronyProduct(units, name="product")(sides)
    x = layers.Activation("softsign", name="codes")(x)  # products square the range of contrasts
    x = layers.AveragePooling2D(2, name="pool1")(x)
    for number in (1, 2):
        x = layers.Conv2D(channels, 3, number, padding="same", activation="relu", name=f"conv{number}")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(hidden, "relu", name="fc")(x)
    heads = {
        name: layers.Dense(count, "softmax", dtype="float32", name=name)(x)
        for name, count in zip(("velocity", "heading"), bins, strict=True)
    }
    return keras.Model(windows, heads, name="odometry")


def build_encoder(model, frames):
    """What a trained classifier computes of RGB windows; see :meth:`Odometry.encoder`."""
    height, width, _ = model.input.shape[1:]
    pair = layers.Input((2 * frames, height, width, 3), name="pair")
    sides = GrayViews((0, frames), (frames, 2 * frames), name="sides")(pair)
    names = ("codes", "conv1", "conv2", "fc", "heading", "velocity")
    taps = keras.Model(model.input, {name: model.get_layer(name).output for name in names})
    found = taps(ops.concatenate(sides, axis=-1))
    outputs = {name: layers.Identity(name=name)(found[name]) for name in names}
    return Encoder(pair, outputs, modality="pair", smallest=min(height, width), value_range=(0.0, 1.0), name="encoder")
