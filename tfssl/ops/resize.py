"""Bilinear resizing that works for sizes known only inside a graph, where ``keras.ops.image.resize`` does not."""

from keras import ops


def upsample(x, factor, first=None):
    """Upsample bilinearly by an integer factor.

    Args:
        x: float tensor (B, h, w, C).
        factor: output pixels per input pixel.
        first: where input pixel 0 lands on the output, in output pixels, between 0 and (factor - 1) / 2.
            None is (factor - 1) / 2, the half-pixel convention of image resizing; 0 puts input pixel i on output
            pixel ``factor * i``. Beyond the outermost pixels their values are repeated.

    Returns:
        Tensor (B, h * factor, w * factor, C).
    """
    first = (factor - 1) / 2 if first is None else first
    for axis in (1, 2):
        x = _upsample_axis(x, factor, first, axis)
    return x


def _upsample_axis(x, factor, first, axis):
    index = [slice(None)] * 4

    def part(begin, end):
        index[axis] = slice(begin, end)
        return x[tuple(index)]

    before = ops.concatenate([part(None, 1), part(None, -1)], axis=axis)
    after = ops.concatenate([part(1, None), part(-1, None)], axis=axis)
    phases = []
    for phase in range(factor):
        offset = (phase - first) / factor  # of this output pixel from its input pixel, in input pixels
        neighbor = after if offset > 0 else before
        phases.append(x if offset == 0 else (1 - abs(offset)) * x + abs(offset) * neighbor)
    stacked = ops.stack(phases, axis=axis + 1)
    shape = list(ops.shape(x))
    shape[axis] = shape[axis] * factor
    return ops.reshape(stacked, shape)


def resize_bilinear(x, height, width):
    """Resize bilinearly to any size, half-pixel convention, no antialiasing.

    Args:
        x: float tensor (B, h, w, C).
        height: output rows, an integer or a scalar tensor.
        width: output columns, likewise.

    Returns:
        Tensor (B, height, width, C).
    """
    for axis, size in ((1, height), (2, width)):
        old = ops.shape(x)[axis]
        scale = ops.cast(old, "float32") / ops.cast(size, "float32")
        position = (ops.arange(size, dtype="float32") + 0.5) * scale - 0.5
        position = ops.clip(position, 0.0, ops.cast(old - 1, "float32"))
        low = ops.cast(ops.floor(position), "int32")
        high = ops.minimum(low + 1, old - 1)
        share = ops.cast(position - ops.cast(low, "float32"), x.dtype)
        share = ops.reshape(share, (1, -1, 1, 1) if axis == 1 else (1, 1, -1, 1))
        x = (1 - share) * ops.take(x, low, axis=axis) + share * ops.take(x, high, axis=axis)
    return x
