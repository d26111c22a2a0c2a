"""One signature of an exported model, with what it takes to try it out: sample inputs, and how far answers may be off.

A method's ``serving`` gives them; whatever writes or checks an export asks them and nothing else.
"""

import dataclasses
import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from tfssl.data.decode import open_image
from tfssl.errors import ModelError

TOLERANCE = {"float32": 1e-3, "float16": 0.05, "dynamic": 0.3, "int8": 1.0}
"""Largest mean error of an answer by the kind of the stored weights: in units of ab, or of the mean magnitude of
features."""

MAX_MEGAPIXELS = 25.0
"""Largest image that an export decodes unless told otherwise: a few kilobytes can claim any size."""

STATUS = "status"
"""Output of an endpoint that takes files: ``"ok"``, or why there is no answer."""

_PARALLEL = 4  # images of a batch that are decoded, worked on and encoded at a time
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")


def absolute(call, want, got):
    """Absolute differences, in the output's unit."""
    return np.abs(want - got)


def relative(call, want, got):
    """Absolute differences over the mean magnitude of what was expected: features have no unit."""
    return np.abs(want - got) / max(float(np.mean(np.abs(want), dtype=np.float64)), np.finfo(np.float32).tiny)


def inside(name):
    """Absolute differences where the input ``name`` is 1, and of what differs elsewhere.

    What a network only hands back would make a mean look better.
    """

    def error(call, want, got):
        return np.abs(want - got)[np.broadcast_to(call[name] > 0.5, want.shape) | (want != got)]

    return error


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One signature of an exported model.

    Args:
        function: of tensors, written with TensorFlow core operators, ``{output: tensor}``.
        signature: its ``tf.TensorSpec`` arguments, in order.
        samples: function ``(images, size) -> [{input: array}, ...]``, one dict a call: sample inputs, from photographs
            (``PIL.Image``, RGB) where the method learns from images. ``size`` is the height and width of the input in
            pixels, None for the photographs' own.
        tolerance: ``{kind of weights: largest mean error of an answer}``, kinds as in :data:`TOLERANCE`; one that is
            missing has no limit.
        unit: of the errors, for messages.
        error: ``(call, expected, actual) -> array`` of errors of one output, see :func:`absolute`.
        mobile: height and width in pixels of the .tflite file that holds it by default; None if none can: it takes
            float32 (B, H, W, C), and gives float32. The first such endpoint of a method is the one that does.
        max_megapixels: largest image that is decoded of an endpoint that takes files; ``function`` has it as an
            argument. None for the others.
    """

    function: Callable
    signature: tuple
    samples: Callable
    tolerance: Mapping[str, float] = dataclasses.field(default_factory=lambda: TOLERANCE)
    unit: str = "units"
    error: Callable = absolute
    mobile: int | None = None
    max_megapixels: float | None = None

    def __call__(self, *inputs):
        """The function of inputs whose rank and fixed sizes are checked in the graph: servers do not check them."""
        checked = [_checked(value, spec) for value, spec in zip(inputs, self.signature, strict=True)]
        options = {} if self.max_megapixels is None else {"max_megapixels": self.max_megapixels}
        return self.function(*checked, **options)

    def limited(self, max_megapixels):
        """The same endpoint with another largest image, if it takes files."""
        return self if self.max_megapixels is None else dataclasses.replace(self, max_megapixels=max_megapixels)

    def answers(self, calls, run=None):
        """Answers to calls, dicts of arrays: of the function, or of another one that takes inputs by name."""
        if run is None:
            import tensorflow as tf

            # Headers are read and images decoded in hundreds of small steps, which are slow one at a time.
            takes_files = self.max_megapixels is not None
            function = (
                tf.function(self.__call__, input_signature=self.signature, autograph=False) if takes_files else self
            )

            def run(**call):
                return function(*(tf.constant(call[spec.name]) for spec in self.signature))

        return [{key: np.asarray(value) for key, value in run(**call).items()} for call in calls]

    def deviations(self, calls, wanted, answers):
        """``{output: {"mean_abs": ..., "max_abs": ...}}`` over all calls; ModelError if outputs or shapes differ.

        Encoded images are compared as pixels, texts must be the same. Exports of earlier versions have no status.
        """
        totals = {}
        for call, want, got in zip(calls, wanted, answers, strict=True):
            if set(want) - {STATUS} != set(got) - {STATUS}:
                raise ModelError(f"outputs {sorted(got)} instead of {sorted(want)}")
            if STATUS in got and list(want[STATUS]) != list(got[STATUS]):
                raise ModelError(f"status {list(got[STATUS])} instead of {list(want[STATUS])}")
            for name in (name for name in want if name != STATUS):
                for a, b in zip(_arrays(want[name]), _arrays(got[name]), strict=True):
                    if a.shape != b.shape:
                        raise ModelError(f"output {name} has shape {b.shape} instead of {a.shape}")
                    error = self.error(call, a, b)
                    parts = np.sum(error, dtype=np.float64), error.size, np.max(error, initial=0)
                    totals.setdefault(name, []).append(parts)
        found = {name: np.array(parts, np.float64) for name, parts in totals.items()}
        return {
            name: {"mean_abs": float(x[:, 0].sum() / x[:, 1].sum()), "max_abs": float(x[:, 2].max())}
            for name, x in found.items()
        }

    def judge(self, deviations, kind, what="", fix="", slack=0.0):
        """Raise ModelError if a mean error is larger than the tolerance of ``kind`` and ``slack`` together, or NaN."""
        if kind not in self.tolerance:
            return
        limit = self.tolerance[kind] + slack
        for output, numbers in deviations.items():
            if not numbers["mean_abs"] <= limit:
                mean = f"{numbers['mean_abs']:.3g} {self.unit} on average"
                raise ModelError(
                    f"{what}output {output} differs from the Keras model by {mean}, more than {limit:g} for {kind}{fix}"
                )


def _checked(value, spec):
    import tensorflow as tf

    return tf.ensure_shape(value, spec.shape)


def _arrays(value):
    value = np.asarray(value)
    if value.dtype.kind in "OS":
        return [_pixels(data) for data in value.ravel()]
    return [value.astype(np.result_type(value, np.float32), copy=False)]


def _pixels(data):
    with open_image(data) as image:
        return np.asarray(image, np.float32)


def sample_images(longest=None, count=None):
    """The photographs, color and gray, that come inside scikit-image and scikit-learn: a list of ``PIL.Image``, RGB.

    Args:
        longest: longer side in pixels; the i-th image is 8 i pixels shorter, so that no two have the same size. None
            keeps them as they are.
        count: the first so many of the thirteen; None for all.
    """
    from tfssl.data.builtin import builtin_gray_photographs, builtin_photographs

    images = []
    for i, path in enumerate([*builtin_photographs(), *builtin_gray_photographs()][:count]):
        with open_image(path) as image:
            images.append(image.convert("RGB"))
        if longest is not None:
            images[-1].thumbnail((longest - 8 * i, longest - 8 * i))
    return images


def encode(image, format="PNG"):
    """An image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


def encoded(images):
    """Images as one batch of files, string (N,), in turn JPEG, PNG, BMP, GIF and WebP."""
    return np.array([encode(image, FORMATS[i % len(FORMATS)]) for i, image in enumerate(images)], object)


def rgb(image, size=None):
    """An image as float32 (1, H, W, 3) in [0, 1], scaled to ``size`` pixels squared unless None."""
    image = image if size is None else image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)[None] / 255.0


def file_endpoint(function, names, samples, refuse=None):
    """An endpoint of encoded images of any sizes, ``names`` of string (N,) -> ``png_bytes``, ``status`` likewise.

    An image that cannot be read fails alone: its PNG is empty, and its status the reason instead of ``"ok"``.

    Args:
        function: makes an image of one or several; all are uint8 (H, W, 3), sRGB.
        names: of the inputs, each ends in ``_bytes``.
        samples: see :class:`Endpoint`.
        refuse: function of the same images that gives the reason why they are refused, a scalar string tensor, or "".
    """
    import tensorflow as tf

    from tfssl.data.decode_graph import OK, decode_rgb, encode_png

    def one(files, max_megapixels):
        images, status = [], OK
        for name, data in reversed(list(zip(names, files, strict=True))):
            pixels, found = decode_rgb(data, max_megapixels)
            images.insert(0, pixels)
            what = f"{name.removesuffix('_bytes')}: " if len(names) > 1 else ""
            status = tf.where(tf.equal(found, OK), status, tf.strings.join([what, found]))
        if refuse is not None:
            reason = tf.cond(tf.equal(status, OK), lambda: refuse(*images), lambda: "")
            status = tf.where(tf.equal(reason, ""), status, reason)
        png = tf.cond(tf.equal(status, OK), lambda: encode_png(function(*images)), lambda: tf.constant(b""))
        return {"png_bytes": png, STATUS: status}

    def answer(*files, max_megapixels):
        text = tf.TensorSpec((), tf.string)
        return tf.map_fn(
            lambda parts: one(parts, max_megapixels),
            files,
            fn_output_signature={"png_bytes": text, STATUS: text},
            parallel_iterations=None if tf.executing_eagerly() else _PARALLEL,
        )

    specs = tuple(tf.TensorSpec((None,), tf.string, name=name) for name in names)
    # Rounding flips single levels now and then.
    tolerance = {"float32": 0.05}
    return Endpoint(answer, specs, samples, tolerance, unit="levels", max_megapixels=MAX_MEGAPIXELS)


def feature_endpoints(network):
    """The signatures of an exported encoder, one output for each tap, ``{name: Endpoint}``; the first is the default.

    - ``features``: ``images``, uint8 (B, H, W, 3), sRGB.
    - ``features_float``: ``images``, float32 (B, H, W, 3), sRGB in [0, 1].

    Encoders of clips, pairs and sounds have ``features`` alone, which takes what they take.

    Args:
        network: an :class:`~tfssl.backbones.encoder.Encoder`, or a function ``(inputs, training=False)`` that stands
            for it and has it as its attribute ``model``; one without that takes images.
    """
    import keras
    import tensorflow as tf

    encoder = getattr(network, "model", network)
    modality = getattr(encoder, "modality", "image")

    def taps(inputs):
        return {name: tf.cast(values, tf.float32) for name, values in network(inputs, training=False).items()}

    def endpoint(function, specs, sample):
        def samples(images, size):
            return [{spec.name: sample(image, spec.shape) for spec in specs} for image in images]

        return Endpoint(function, tuple(specs), samples, unit="times its mean magnitude", error=relative)

    if modality == "image":
        levels, floats = (tf.TensorSpec((None, None, None, 3), kind, name="images") for kind in (tf.uint8, tf.float32))

        def from_levels(images):
            return taps(tf.cast(images, tf.float32) / 255.0)

        return {
            "features": endpoint(from_levels, [levels], lambda image, shape: np.asarray(image)[None]),
            "features_float": endpoint(taps, [floats], lambda image, shape: rgb(image)),
        }
    names = [modality] if len(encoder.inputs) == 1 else [tensor.name for tensor in encoder.inputs]
    specs = [tf.TensorSpec(t.shape, t.dtype, name=name) for name, t in zip(names, encoder.inputs, strict=True)]

    def packed(*inputs):
        return taps(keras.tree.pack_sequence_as(encoder.input, inputs))

    return {"features": endpoint(packed, specs, _sample)}


def _sample(image, shape):
    """A moving image (1, T, H, W, C), an image (1, H, W, C), or the sound (1, N, ...) of its rows."""
    shape = list(shape)
    if len(shape) < 4:
        wave = np.resize(np.asarray(image.convert("L"), np.float32) / 127.5 - 1.0, shape[1] or 16000)
        return np.broadcast_to(wave.reshape(1, -1, *[1] * (len(shape) - 2)), [1, wave.size, *shape[2:]]).copy()
    height, width = shape[-3] or image.height, shape[-2] or image.width
    pixels = np.asarray(image.convert("L" if shape[-1] == 1 else "RGB").resize((width, height)), np.float32) / 255.0
    pixels = pixels.reshape(height, width, -1)
    frames = [np.roll(pixels, 2 * t, axis=1) for t in range((shape[1] or 8) if len(shape) == 5 else 1)]
    return np.stack(frames)[None] if len(shape) == 5 else frames[0][None]
