"""The factored gated autoencoder, and its mapping units as an encoder of pairs."""

import keras
from keras import initializers, layers, ops

from tfssl.backbones.encoder import Encoder
from tfssl.layers.corruption import Corrupt
from tfssl.layers.dense import TiedDense
from tfssl.layers.gating import FilterNormalization
from tfssl.layers.normalization import Standardize
from tfssl.layers.synchrony import EqualNorms


@keras.saving.register_keras_serializable(package="tfssl")
class LogUniform(initializers.Initializer):
    """``exp(u)`` with u uniform in [low, high]: positive weights.

    Args:
        low, high: ends of the range (-3, -2: the released code's feedback of mapping units).
    """

    def __init__(self, low=-3.0, high=-2.0):
        self.low, self.high = low, high

    def __call__(self, shape, dtype=None):
        return ops.exp(initializers.RandomUniform(self.low, self.high)(shape, dtype=dtype))

    def get_config(self):
        return {"low": self.low, "high": self.high}


def build_network(components, factors, mappings, *, whitened=False, analogies=True, corruption=0.0):
    """The autoencoder: the mapping of a first pair reconstructs a second one.

    Filters are drawn from N(0, 0.01^2), Hin from +-0.01, H from exp(-3 ... -2); biases are 0 (released code).

    Args:
        components: D, numbers of a patch.
        factors: pairs of filters F.
        mappings: units K.
        whitened: components are uncorrelated directions instead of pixels: filters are not centered.
        analogies: False: one pair only, which reconstructs itself.
        corruption: fraction of components of each patch that is set to 0 in training.

    Returns:
        ``keras.Model``: patches (B, 4, D), a : b :: c : d (or a, b) -> (B, 2, D), c^ from d and d^ from c. Its layers
        ``x_filters``, ``y_filters`` (kernel (D, F)), ``mapping`` (Hin) and ``feedback`` (H) are the model's parts.
    """
    count = 4 if analogies else 2
    patches = x = layers.Input((count, components), name="patches")
    if corruption:
        x, _ = Corrupt("masking", corruption, exact=False, name="corrupt")(x)
    parts = ops.unstack(x, count, axis=1)
    constraint = EqualNorms() if whitened else FilterNormalization()
    filters = {
        name: TiedDense(
            factors, True, initializers.RandomNormal(stddev=0.01), False, constraint, name=f"{name}_filters"
        )
        for name in "xy"
    }
    mapping = _mapping(mappings)(_factors(filters["x"](parts[0]), filters["y"](parts[1])))
    feedback = layers.Dense(factors, use_bias=False, kernel_initializer=LogUniform(), name="feedback")(mapping)
    first, second = filters["x"](parts[-2]), filters["y"](parts[-1])
    # What the filters of one patch see, moved as the mapping says, is what those of the other one should have seen.
    first_again = filters["x"](layers.Multiply(name="x_again")([second, feedback]), transposed=True)
    second_again = filters["y"](layers.Multiply(name="y_again")([first, feedback]), transposed=True)
    both = ops.stack([first_again, second_again], axis=1)
    both = layers.Activation("linear", dtype="float32", name="reconstruction")(both)
    return keras.Model(patches, both, name="gated_autoencoder")


def _factors(first, second):
    return layers.Multiply(name="factors")([first, second])


def _mapping(units):
    uniform = initializers.RandomUniform(-0.01, 0.01)
    return layers.Dense(units, "sigmoid", kernel_initializer=uniform, name="mapping")


def build_encoder(model, size, *, epsilon, whitening=None):
    """Factors and mapping units of pairs of patches, each prepared as in training.

    Args:
        model: of :func:`build_network`.
        size: of a patch in pixels.
        epsilon: standard deviation below which contrast is not brought to 1, of images in [0, 1] or whitened.
        whitening: float (pixels, D), which takes means away too; None for none.

    Returns:
        ``Encoder`` of pairs: RGB in [0, 1], (B, 2, s, s, 3) -> ``{"factors": (B, F), "mapping": (B, K)}``.
    """
    pair = layers.Input((2, size, size, 3), name="pair")
    x = ops.image.rgb_to_grayscale(ops.reshape(pair, (-1, size, size, 3)))
    x = ops.reshape(x, (-1, 2, size * size))
    if whitening is None:
        x = Standardize(2, epsilon, name="standardize")(x)
    else:
        layer = layers.Dense(whitening.shape[1], use_bias=False, trainable=False, name="whitening")
        x = layer(x)
        layer.set_weights([whitening])
        x = x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + epsilon**2)
    first, second = ops.unstack(x, 2, axis=1)
    factors = _factors(model.get_layer("x_filters")(first), model.get_layer("y_filters")(second))
    taps = {"factors": factors, "mapping": model.get_layer("mapping")(factors)}
    return Encoder(pair, taps, "encoder", modality="pair", smallest=size, value_range=(0.0, 1.0))
