"""Dense layers as convolutions, so that a classifier runs on pictures of any size."""

from keras import layers

from tfssl.backbones.graph import producer, rebuild
from tfssl.errors import ModelError


def fully_convolutional(model):
    """Turn the dense layers of a classifier into convolutions with the same weights.

    The first one gets a kernel as large as the map it flattens (6x6 in AlexNet, 7x7 in VGG), the others 1x1 (Long,
    Shelhamer and Darrell, 2015, section 3.1). On a picture of the size that ``model`` was built for the outputs are
    equal; on larger ones they become maps, one position for each place of the window.

    Args:
        model: functional ``keras.Model`` with one picture as its input, whose dense layers follow a ``Flatten``.

    Returns:
        ``keras.Model`` from pictures (B, H, W, C), H and W free, to the same outputs with (B, units) become
        (B, H', W', units). Layer names stay; weights are copies.

    Raises:
        ModelError: if the model is not functional, has a model inside, or flattens nothing.

    Reference:
        J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation. CVPR 2015.
    """
    flatten = {layer.name for layer in getattr(model, "layers", ()) if isinstance(layer, layers.Flatten)}
    if not flatten:
        raise ModelError("model has no Flatten layer, so that no dense layer can become a convolution")
    replace = {}
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            before = producer(layer)
            size = before.input.shape[1:3] if isinstance(before, layers.Flatten) else (1, 1)
            replace[layer.name] = _as_convolution(layer, size)
    return rebuild(model, replace, flatten, layers.Input((None, None, model.inputs[0].shape[-1]), name="pictures"))


def _as_convolution(dense, size):
    convolution = layers.Conv2D(
        dense.units,
        size,
        activation=dense.activation,
        use_bias=dense.use_bias,
        dtype=dense.dtype_policy,
        name=dense.name,
    )
    kernel, *bias = dense.get_weights()
    return convolution, [kernel.reshape(*size, -1, dense.units), *bias]
