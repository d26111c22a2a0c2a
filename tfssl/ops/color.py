"""Color space conversions between sRGB and CIE Lab, written with ``keras.ops`` only.

All functions use the D65 white point with the 2 degree observer, the sRGB transfer curve and the CIE 1976
L*a*b* definition, constant for constant those of ``skimage.color.rgb2lab``. They run on every Keras backend,
inside ``tf.data``, in SavedModel graphs and as TFLite builtin operators, and their gradients are finite on the
whole RGB cube, black and white included.

Ranges: sRGB in [0, 1]; L in [0, 100]; a about [-86.2, 98.3]; b about [-107.9, 94.5].
"""

import numpy as np
from keras import ops

from tfssl.ops.arguments import check_floating, check_shapes
from tfssl.ops.bytes_lab import RGB_FROM_XYZ, WHITE_D65, XYZ_FROM_RGB

# White-normalized matrices: one product instead of a product and a division.
_WHITE_XYZ_FROM_RGB = (XYZ_FROM_RGB / np.array(WHITE_D65)[:, None]).T
_RGB_FROM_WHITE_XYZ = (RGB_FROM_XYZ * np.array(WHITE_D65)[None, :]).T

_LAB_EPSILON = 0.008856  # below this, the cube root is replaced by a line
_LAB_SLOPE = 7.787
_LAB_OFFSET = 16.0 / 116.0
_LAB_F_EPSILON = 0.2068966  # the same threshold after f()


def _power(x, exponent, floor):
    # The floor keeps the gradient of x ** exponent finite at 0 in the branch that `where` throws away:
    # without it 0 * inf would turn the gradient of every black pixel into NaN.
    return ops.power(ops.maximum(x, floor), exponent)


def _lab_f(xyz):
    return ops.where(xyz > _LAB_EPSILON, _power(xyz, 1.0 / 3.0, _LAB_EPSILON), _LAB_SLOPE * xyz + _LAB_OFFSET)


def _floats(**argument):
    ((name, array),) = argument.items()
    check_shapes(**{name: (array, "... 3")})
    check_floating(**argument)
    return ops.convert_to_tensor(array)


def srgb_to_linear(rgb):
    """sRGB in [0, 1] of any shape -> linear light in [0, 1]."""
    check_floating(rgb=rgb)
    return ops.where(rgb > 0.04045, _power((rgb + 0.055) / 1.055, 2.4, 0.04), rgb / 12.92)


def linear_to_srgb(linear):
    """Linear light in [0, 1] of any shape -> sRGB in [0, 1]."""
    check_floating(linear=linear)
    return ops.where(linear > 0.0031308, 1.055 * _power(linear, 1.0 / 2.4, 0.0031308) - 0.055, linear * 12.92)


def rgb_to_lab(rgb):
    """sRGB (..., 3) in [0, 1] -> Lab (..., 3). Clip first: values outside give no meaningful Lab."""
    rgb = _floats(rgb=rgb)
    matrix = ops.cast(_WHITE_XYZ_FROM_RGB, rgb.dtype)
    xyz = ops.matmul(srgb_to_linear(rgb), matrix)
    f = _lab_f(xyz)
    fx, fy, fz = f[..., 0], f[..., 1], f[..., 2]
    return ops.stack([116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)], axis=-1)


def lab_to_rgb(lab):
    """Lab (..., 3) -> sRGB (..., 3) in [0, 1]. Colors outside the gamut are clipped channel by channel."""
    lab = _floats(lab=lab)
    fy = (lab[..., 0] + 16.0) / 116.0
    fx = fy + lab[..., 1] / 500.0
    fz = ops.maximum(fy - lab[..., 2] / 200.0, 0.0)  # as scikit-image: a negative z is no light at all
    f = ops.stack([fx, fy, fz], axis=-1)
    xyz = ops.where(f > _LAB_F_EPSILON, f * f * f, (f - _LAB_OFFSET) / _LAB_SLOPE)
    linear = ops.matmul(xyz, ops.cast(_RGB_FROM_WHITE_XYZ, lab.dtype))
    return ops.clip(linear_to_srgb(linear), 0.0, 1.0)


def rgb_to_lightness(rgb):
    """The L channel of :func:`rgb_to_lab` alone, at a third of the cost: (..., 3) -> (..., 1)."""
    rgb = _floats(rgb=rgb)
    luminance = ops.matmul(srgb_to_linear(rgb), ops.cast(_WHITE_XYZ_FROM_RGB[:, 1:2], rgb.dtype))
    return 116.0 * _lab_f(luminance) - 16.0


def lightness_to_level(lightness):
    """sRGB level in [0, 1] of the gray with lightness L in [0, 100], of any shape: the inverse for gray images."""
    check_floating(lightness=lightness)
    f = (ops.convert_to_tensor(lightness) + 16.0) / 116.0
    linear = ops.where(f > _LAB_F_EPSILON, f * f * f, (f - _LAB_OFFSET) / _LAB_SLOPE)
    return ops.clip(linear_to_srgb(linear), 0.0, 1.0)
