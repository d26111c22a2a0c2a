"""Encoders as exports: what tells one, and the signatures under which it is served."""

from tfssl.methods.base import Endpoint


def is_encoder(network):
    """Whether a ``keras.Model`` is an encoder: RGB pictures of any size in, a dict of maps out, conv1 among them."""
    inputs, outputs = getattr(network, "input", None), getattr(network, "output", None)
    return (
        isinstance(outputs, dict)
        and "conv1" in outputs
        and all(len(tap.shape) == 4 for tap in outputs.values())
        and getattr(inputs, "shape", None) is not None
        and len(inputs.shape) == 4
        and inputs.shape[-1] == 3
    )


def feature_endpoints(network):
    """The signatures of an exported encoder, one output for each tap. The first one is also ``serving_default``.

    - ``features``: ``images``, uint8 (B, H, W, 3), sRGB.
    - ``features_float``: ``images``, float32 (B, H, W, 3), sRGB in [0, 1].

    Args:
        network: an encoder, or a function ``(images, training=False)`` that stands for it: float32 RGB in [0, 1] ->
            ``{tap: (B, h, w, c)}``.

    Returns:
        ``{name: Endpoint}``.
    """
    import tensorflow as tf

    def from_float(images):
        taps = network(images, training=False)
        return {name: tf.cast(values, tf.float32) for name, values in taps.items()}

    def from_bytes(images):
        return from_float(tf.cast(images, tf.float32) / 255.0)

    shape = (None, None, None, 3)
    return {
        "features": Endpoint(from_bytes, (tf.TensorSpec(shape, tf.uint8, name="images"),), relative=True),
        "features_float": Endpoint(from_float, (tf.TensorSpec(shape, tf.float32, name="images"),), relative=True),
    }
