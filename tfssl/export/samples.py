"""Real pictures as the arguments of endpoints, and how far two answers lie apart."""

import io

import numpy as np
from PIL import Image

from tfssl.errors import ModelError
from tfssl.ops.color import rgb_to_lightness

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")


def builtin_pictures(side=None):
    """The thirteen photographs, color and gray, that come inside scikit-image and scikit-learn.

    Args:
        side: length of the longer side in pixels; the i-th picture is 8 i pixels shorter, so that no two have the
            same size. None keeps them as they are.

    Returns:
        List of ``PIL.Image``, RGB.
    """
    from tfssl.data.builtin import builtin_gray_photographs, builtin_photographs
    from tfssl.data.images import image_source

    photographs = image_source([*builtin_photographs(), *builtin_gray_photographs()])
    pictures = [example["image"] for example in photographs]
    if side is not None:
        for i, picture in enumerate(pictures):
            picture.thumbnail((side - 8 * i, side - 8 * i))
    return pictures


def encode(picture, format="PNG"):
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, format)
    return buffer.getvalue()


def lightness(picture, size=None):
    """Lightness of a picture.

    Args:
        picture: ``PIL.Image``, RGB.
        size: (height, width) to scale it to first; None keeps it.

    Returns:
        float32 (1, H, W, 1), L in [0, 100].
    """
    return np.asarray(rgb_to_lightness(_rgb(picture, size)))


def _rgb(picture, size=None):
    if size is not None:
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)[None] / 255.0


def arguments(signature, pictures):
    """Make arguments for an endpoint from pictures, by the names of its inputs.

    Args:
        signature: its ``tf.TensorSpec`` inputs: ``image_bytes`` (string), alone or with ``mask_bytes``; ``lightness``
            (float32, L in [0, 100]); ``images`` (uint8, or float32 in [0, 1], RGB); or ``pictures`` and ``masks``
            (float32 of a fixed size). Where it fixes height and width, pictures are scaled to them.
        pictures: list of ``PIL.Image``.

    Returns:
        List of ``{input: array}``, one a call: all files in one batch for ``image_bytes``, in turn JPEG, PNG, BMP, GIF
        and WebP; otherwise one call a picture. The hole of a mask is a square in the middle.

    Raises:
        ModelError: for an input of another name.
    """
    calls = [_values(spec, pictures) for spec in signature]
    names = [spec.name for spec in signature]
    return [dict(zip(names, values, strict=True)) for values in zip(*calls, strict=True)]


def _values(spec, pictures):
    """Values of one input, one a call."""
    if spec.name == "image_bytes":
        return [np.array([encode(p, FORMATS[i % len(FORMATS)]) for i, p in enumerate(pictures)], object)]
    if spec.name == "mask_bytes":
        return [np.array([encode(Image.fromarray(_hole(p.height, p.width) * np.uint8(255))) for p in pictures], object)]
    if spec.name == "lightness":
        return [lightness(picture, _size(spec)) for picture in pictures]
    if spec.name == "images" and spec.dtype.as_numpy_dtype == np.uint8:
        return [np.asarray(picture)[None] for picture in pictures]
    if spec.name in ("images", "pictures"):
        return [_rgb(picture, _size(spec)) for picture in pictures]
    if spec.name == "masks":
        return [_hole(*_size(spec))[None, ..., None].astype(np.float32) for _ in pictures]
    known = "image_bytes, mask_bytes, lightness, images, pictures, masks"
    raise ModelError(f"no sample pictures for an input named {spec.name!r}; known: {known}")


def _size(spec):
    """Height and width that an input fixes, or None."""
    size = spec.shape[1:3]
    return size.as_list() if size.is_fully_defined() else None


def _hole(height, width):
    """A square of a third of the shorter side in the middle, bool (height, width)."""
    side = max(1, min(height, width) // 3)
    top, left = (height - side) // 2, (width - side) // 2
    hole = np.zeros((height, width), bool)
    hole[top : top + side, left : left + side] = True
    return hole


def differences(expected, actual, relative=False, where=None):
    """How far two answers of an endpoint lie apart.

    Args:
        expected: ``{output: array}``; arrays of strings hold encoded pictures and are compared as pixels.
        actual: likewise.
        relative: divide by the mean magnitude of what was expected.
        where: array that is 1 where values count, of a shape that outputs broadcast with. Elsewhere equal ones are
            left out, as they would only make a mean look better; unequal ones still count.

    Returns:
        ``{output: float64 array of absolute differences}``, in the output's unit or in levels of 255.

    Raises:
        ModelError: if outputs or shapes differ.
    """
    if set(expected) != set(actual):
        raise ModelError(f"outputs {sorted(actual)} instead of {sorted(expected)}")
    apart = {}
    for name in expected:
        pairs = list(zip(_arrays(expected[name]), _arrays(actual[name]), strict=True))
        for want, got in pairs:
            if want.shape != got.shape:
                raise ModelError(f"output {name} has shape {got.shape} instead of {want.shape}")
        apart[name] = np.concatenate([np.abs(want - got)[_counted(want, got, where)] for want, got in pairs])
        if relative:
            apart[name] /= max(np.mean(np.abs(expected[name])), np.finfo(np.float32).tiny)
    return apart


def _counted(want, got, where):
    return np.ones(want.shape, bool) if where is None else np.broadcast_to(where > 0.5, want.shape) | (want != got)


def _arrays(value):
    value = np.asarray(value)
    if value.dtype.kind in "OS":
        return [np.asarray(Image.open(io.BytesIO(data)), np.float64) for data in value.ravel()]
    return [value.astype(np.float64)]


def deviations(endpoint, inputs, expected, actual):
    """How far the answers of two forms of an endpoint lie apart.

    Args:
        endpoint: the :class:`~tfssl.methods.base.Endpoint`.
        inputs: list of ``{input: array}``, one a call.
        expected: list of its answers, ``{output: array}``.
        actual: likewise.

    Returns:
        ``{output: {"mean_abs": ..., "max_abs": ...}}`` over all calls.

    Raises:
        ModelError: if outputs or shapes differ.
    """
    apart = [
        differences(want, got, endpoint.relative, None if endpoint.where is None else call[endpoint.where])
        for call, want, got in zip(inputs, expected, actual, strict=True)
    ]
    return {output: summary([part[output] for part in apart]) for output in apart[0]}


def summary(apart):
    """``{"mean_abs": ..., "max_abs": ...}`` of a list of arrays of absolute differences."""
    flat = np.concatenate([np.ravel(part) for part in apart])
    return {"mean_abs": float(flat.mean()), "max_abs": float(flat.max())}
