"""What stands beside every encoder: the same network untrained, the raw pixels, and their histogram."""

import contextlib

import keras

from tfssl.errors import ConfigError
from tfssl.layers.color_histogram import LabHistogram


def untrained(encoder, seed):
    """The same architecture with new random weights; sets the global seeds of Python, NumPy and the backend.

    Layers that say ``keeps_weights`` describe data, such as whitening, and keep them: no learning found them.
    """
    keras.utils.set_random_seed(seed)
    network = keras.models.clone_model(encoder)
    _keep(network, encoder)
    return network


def learned(encoder):
    """Whether it has weights that learning found: those an untrained network does not share."""
    layers = (layer for layer in encoder.layers if not getattr(layer, "keeps_weights", False))
    return any(learned(layer) if isinstance(layer, keras.Model) else layer.variables for layer in layers)


def _keep(network, encoder):
    for ours, theirs in zip(network.layers, encoder.layers, strict=True):
        if getattr(theirs, "keeps_weights", False):
            ours.set_weights(theirs.get_weights())
        elif isinstance(theirs, keras.Model):
            _keep(ours, theirs)


@contextlib.contextmanager
def with_vocabulary(network, name, images, seed):
    """A network that has learned from training images what its layers take from data; afterwards it is as it was.

    ``images`` gives them, see :meth:`tfssl.backbones.encoder.Encoder.adapt`; None in a task that has none to give.
    """
    if images is None:
        raise ConfigError(
            f"this task does not learn the vocabulary of {name!r}: adapt the encoder first, encoder.adapt(images)"
        )
    before = network.get_weights()
    network.adapt(images(), seed)
    try:
        yield network
    finally:
        network.set_weights(before)


def pixel_encoder(frames=None):
    """An encoder whose only tap, ``pixels``, is the image: RGB in [0, 1], (B, H, W, 3) -> the same.

    Of clips of so many frames, (B, frames, H, W, 3), the frames behind each other: (B, H, W, 3 frames).
    """
    if frames is None:
        rgb = keras.Input((None, None, 3), name="rgb")
        return keras.Model(rgb, {"pixels": keras.layers.Identity(name="pixels")(rgb)}, name="pixels")
    clip = keras.Input((frames, None, None, 3), name="clip")
    pixels = keras.ops.concatenate(keras.ops.unstack(clip, axis=1), axis=-1)
    return keras.Model(clip, {"pixels": pixels}, name="pixels")


def histogram_encoder():
    """An encoder whose only tap, ``lab_histogram``, counts colors: RGB in [0, 1], (B, H, W, 3) -> (B, 784)."""
    rgb = keras.Input((None, None, 3), name="rgb")
    return keras.Model(rgb, {"lab_histogram": LabHistogram(name="lab_histogram")(rgb)}, name="lab_histogram")
