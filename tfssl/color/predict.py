"""From lightness to ab with a trained network: padding, decoding and upsampling, as a function of tensors."""

from keras import ops

from tfssl.layers.resizing import upsample
from tfssl.ops.ab_bins import annealed_mean


def predict_cells(method, model, lightness, temperature=None):
    """Predict ab on the network's own grid.

    Args:
        method: the :class:`~tfssl.methods.Colorization` the model belongs to.
        model: its network.
        lightness: float tensor (B, H, W, 1), L in [0, 100], any H and W.
        temperature: T of the annealed mean; None for the method's.

    Returns:
        float32 (B, ceil(H / s), ceil(W / s), 2) in ab units with s = ``method.output_stride``. Cell (i, j) is the
        color at pixel (s i, s j), where its training target was sampled.
    """
    lightness = ops.convert_to_tensor(lightness)
    height, width = ops.shape(lightness)[1], ops.shape(lightness)[2]
    multiple, stride = method.input_multiple, method.output_stride
    output = model(_extend(lightness, -height % multiple, -width % multiple), training=False)
    output = output[:, : (height + stride - 1) // stride, : (width + stride - 1) // stride]
    if method.objective == "regression":
        return ops.cast(output, "float32")
    return annealed_mean(output, method.temperature if temperature is None else temperature)


def predict_ab(method, model, lightness, temperature=None):
    """Predict ab for every pixel: :func:`predict_cells`, upsampled bilinearly.

    Args and shapes as :func:`predict_cells`; the result is (B, H, W, 2).
    """
    lightness = ops.convert_to_tensor(lightness)
    cells = predict_cells(method, model, lightness, temperature)
    # first=0: cell i lands on pixel stride * i, where its target was sampled. The half-pixel convention would put
    # it (stride - 1) / 2 pixels away, and colors would run over edges by as much.
    ab = upsample(cells, method.output_stride, first=0)
    return ab[:, : ops.shape(lightness)[1], : ops.shape(lightness)[2]]


def _extend(x, bottom, right):
    """Repeat the last row and column; works for sizes known only in the graph, and for images of one pixel."""
    rows = ops.minimum(ops.arange(ops.shape(x)[1] + bottom), ops.shape(x)[1] - 1)
    columns = ops.minimum(ops.arange(ops.shape(x)[2] + right), ops.shape(x)[2] - 1)
    return ops.take(ops.take(x, rows, axis=1), columns, axis=2)


def compiled_predictor(method, model):
    """A function of NumPy arrays for repeated use: ``(lightness, temperature=None) -> cells``.

    ``model.predict`` would cost tens of milliseconds a call; this compiles :func:`predict_cells` once for all
    sizes.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32), tf.TensorSpec((), tf.float32)])
    def run(lightness, temperature):
        return predict_cells(method, model, lightness, temperature)

    def predict(lightness, temperature=None):
        temperature = method.temperature if temperature is None else temperature
        return run(tf.constant(lightness, tf.float32), tf.constant(temperature, tf.float32)).numpy()

    return predict
