"""The synchrony autoencoder, which several methods learn filters by."""

import keras
from keras import layers

from tfssl.layers.synchrony import EqualNorms, SynchronyProduct


def build_autoencoder(components, units, tied=False, contraction=0.0):
    """Codes ``h = sigmoid(products)`` reconstruct each side from the other; both filter banks keep equal norms.

    Returns:
        ``keras.Model``: ``(x, y)``, (B, components) each -> both reconstructions behind each other, float32
        (B, 2 components).
    """
    x, y = (layers.Input((components,), name=name) for name in ("x", "y"))
    product = SynchronyProduct(units, tied, contraction, kernel_constraint=EqualNorms(), name="product")
    codes = layers.Activation("sigmoid", name="codes")(product([x, y]))
    again = layers.Activation("linear", dtype="float32", name="reconstruction")(product([x, y], codes=codes))
    return keras.Model((x, y), again, name="synchrony_autoencoder")
