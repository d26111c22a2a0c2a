"""Batch normalization as all networks here use it."""

import keras


def batch_norm(**options):
    """``keras.layers.BatchNormalization`` over the whole batch, also where several devices share it.

    Args:
        **options: of ``keras.layers.BatchNormalization``.

    Returns:
        The layer. Its statistics are synchronized, so that several devices train as one would; Keras offers that
        on TensorFlow only, the other backends get the plain layer.
    """
    return keras.layers.BatchNormalization(synchronized=keras.backend.backend() == "tensorflow", **options)
