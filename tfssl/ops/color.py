"""Color space conversions between sRGB and CIE Lab, written with ``keras.ops`` only.

All functions use the D65 white point with the 2 degree observer, the sRGB transfer curve and the CIE 1976
L*a*b* definition, constant for constant those of ``skimage.color.rgb2lab``. They run on every Keras backend,
inside ``tf.data``, in SavedModel graphs and as TFLite builtin operators, and their gradients are finite on the
whole RGB cube, black and white included.

Ranges: sRGB in [0, 1]; L in [0, 100]; a about [-86.2, 98.3]; b about [-107.9, 94.5]. Functions import Keras,
so that samplers have the constants without it.
"""

import numpy as np

WHITE_D65 = (0.95047, 1.0, 1.08883)
"""XYZ of the reference white (D65, 2 degree observer)."""

XYZ_FROM_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
"""Linear sRGB -> XYZ, rows X, Y, Z."""

RGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_RGB)

# White-normalized matrices: one product instead of a product and a division.
_WHITE_XYZ_FROM_RGB = (XYZ_FROM_RGB / np.array(WHITE_D65)[:, None]).T
_RGB_FROM_WHITE_XYZ = (RGB_FROM_XYZ * np.array(WHITE_D65)[None, :]).T

_LAB_EPSILON = 0.008856  # below this, the cube root is replaced by a line
_LAB_SLOPE = 7.787
_LAB_OFFSET = 16.0 / 116.0
_LAB_F_EPSILON = 0.2068966  # the same threshold after f()


def _power(x, exponent, floor):
    from keras import ops

    # The floor keeps the gradient of x ** exponent finite at 0 in the branch that `where` throws away:
    # without it 0 * inf would turn the gradient of every black pixel into NaN.
    return ops.power(ops.maximum(x, floor), exponent)


def srgb_to_linear(rgb):
    """Undo the sRGB transfer curve.

    Args:
        rgb: float tensor of any shape, sRGB in [0, 1].

    Returns:
        Linear-light values in [0, 1], same shape.
    """
    from keras import ops

    low = rgb / 12.92
    high = _power((rgb + 0.055) / 1.055, 2.4, 0.04)
    return ops.where(rgb > 0.04045, high, low)


def linear_to_srgb(linear):
    """Apply the sRGB transfer curve.

    Args:
        linear: float tensor of any shape, linear light in [0, 1].

    Returns:
        sRGB values in [0, 1], same shape.
    """
    from keras import ops

    low = linear * 12.92
    high = 1.055 * _power(linear, 1.0 / 2.4, 0.0031308) - 0.055
    return ops.where(linear > 0.0031308, high, low)


def rgb_to_lab(rgb):
    """Convert sRGB to CIE Lab (D65).

    Args:
        rgb: float tensor (..., 3), sRGB in [0, 1]. Clip first: values outside give no meaningful Lab.

    Returns:
        Float tensor (..., 3): L in [0, 100], a and b in about [-108, 99].

    Reference:
        CIE 15:2004; the constants are those of scikit-image's ``rgb2lab``.
    """
    from keras import ops

    rgb = ops.convert_to_tensor(rgb)
    matrix = ops.cast(_WHITE_XYZ_FROM_RGB, rgb.dtype)
    xyz = ops.matmul(srgb_to_linear(rgb), matrix)
    f = ops.where(
        xyz > _LAB_EPSILON,
        _power(xyz, 1.0 / 3.0, _LAB_EPSILON),
        _LAB_SLOPE * xyz + _LAB_OFFSET,
    )
    fx, fy, fz = f[..., 0], f[..., 1], f[..., 2]
    return ops.stack([116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)], axis=-1)


def lab_to_rgb(lab):
    """Convert CIE Lab (D65) to sRGB, clipped to the sRGB gamut.

    Args:
        lab: float tensor (..., 3): L in [0, 100], a and b in ab units.

    Returns:
        Float tensor (..., 3), sRGB in [0, 1]. Colors outside the gamut are clipped channel by channel.

    Reference:
        CIE 15:2004; the constants are those of scikit-image's ``lab2rgb``.
    """
    from keras import ops

    lab = ops.convert_to_tensor(lab)
    fy = (lab[..., 0] + 16.0) / 116.0
    fx = fy + lab[..., 1] / 500.0
    fz = ops.maximum(fy - lab[..., 2] / 200.0, 0.0)  # as scikit-image: a negative z is no light at all
    f = ops.stack([fx, fy, fz], axis=-1)
    xyz = ops.where(f > _LAB_F_EPSILON, f * f * f, (f - _LAB_OFFSET) / _LAB_SLOPE)
    linear = ops.matmul(xyz, ops.cast(_RGB_FROM_WHITE_XYZ, lab.dtype))
    return ops.clip(linear_to_srgb(linear), 0.0, 1.0)


def rgb_to_lightness(rgb):
    """The L channel of :func:`rgb_to_lab` alone, at a third of the cost.

    Args:
        rgb: float tensor (..., 3), sRGB in [0, 1].

    Returns:
        Float tensor (..., 1), L in [0, 100].
    """
    from keras import ops

    rgb = ops.convert_to_tensor(rgb)
    luminance = ops.matmul(srgb_to_linear(rgb), ops.cast(_WHITE_XYZ_FROM_RGB[:, 1:2], rgb.dtype))
    f = ops.where(
        luminance > _LAB_EPSILON,
        _power(luminance, 1.0 / 3.0, _LAB_EPSILON),
        _LAB_SLOPE * luminance + _LAB_OFFSET,
    )
    return 116.0 * f - 16.0
