"""The zero-bias autoencoder of patches, and its filters at every position of whole images."""

import keras
from keras import initializers, layers, ops, regularizers

from tfssl.backbones.encoder import Encoder
from tfssl.layers.dense import TiedDense
from tfssl.layers.gating import ThresholdedLinear
from tfssl.layers.whitening import PatchWhitening

THRESHOLD = 1.0
"""Of responses, or of their squares, fixed (released code)."""

_START = 0.1  # of the patches, or deviation of the noise, that filters start as


def build_network(components, units, form="trec", *, dropout=0.0, sparsity=0.0):
    """The autoencoder: one kernel both ways, and a bias of the reconstruction.

    Args:
        components: numbers of a patch.
        units: filters.
        form: ``"trec"`` or ``"tlin"``, without hidden biases; ``"relu"`` with them and without a threshold.
        dropout: fraction of codes that are set to 0 in training, the others are divided by what is left of 1.
        sparsity: weight of the sum of the codes of each case in the cost, of ``"relu"``.

    Returns:
        ``keras.Model``: patches (B, components) -> reconstructions of the same shape, float32. The layer ``filters``
        has the kernel (components, units), ``codes`` gives (B, units).
    """
    patches = layers.Input((components,), name="patches")
    start = initializers.RandomNormal(stddev=_START)
    filters = TiedDense(units, True, start, form == "relu", name="filters")
    if form == "trec":
        unit = layers.ReLU(threshold=THRESHOLD, name="codes")
    elif form == "tlin":
        unit = ThresholdedLinear(THRESHOLD, name="codes")
    else:
        penalty = regularizers.L1(sparsity) if sparsity else None
        unit = layers.ReLU(activity_regularizer=penalty, name="codes")
    codes = unit(filters(patches))
    if dropout:
        codes = layers.Dropout(dropout, name="dropout")(codes)
    again = layers.Activation("linear", dtype="float32", name="reconstruction")(filters(codes, transposed=True))
    return keras.Model(patches, again, name="zero_bias_autoencoder")


def start_from(model, examples):
    """Set the filters to 0.1 times whitened patches, which the global seed draws from (N, components), N >= units."""
    kernel = model.get_layer("filters").kernel
    chosen = keras.random.shuffle(ops.arange(len(examples)))[: kernel.shape[1]]
    kernel.assign(_START * ops.transpose(ops.take(ops.convert_to_tensor(examples), chosen, axis=0)))


def build_encoder(model, size, stride, mean, matrix, *, floor):
    """Rectified responses of the filters to the patches of whole images; see :meth:`ZeroBiasAutoencoder.encoder`.

    Args:
        model: of :func:`build_network`; of its hidden units only the kernel is taken, and the bias of ``"relu"``.
        size: of the patches in pixels.
        stride: of the patches in pixels.
        mean, matrix: of the whitening, see :meth:`tfssl.layers.whitening.PatchWhitening.adapt_to`.
        floor: deviation below which contrast is not brought to 1, images in [0, 1].
    """
    rgb = layers.Input((None, None, 3), name="rgb")
    whitening = PatchWhitening(size, matrix.shape[1], stride, floor, name="whitened")
    whitened = whitening(rgb)
    whitening.adapt_to(mean, matrix)
    trained = model.get_layer("filters")
    # The threshold only serves learning.
    filters = layers.Dense(trained.units, "relu", use_bias=trained.use_bias, name="codes")
    codes = filters(whitened)
    filters.set_weights([ops.convert_to_numpy(w) for w in (trained.kernel, trained.bias) if w is not None])
    return Encoder(rgb, {"whitened": whitened, "codes": codes}, "encoder", smallest=size)
