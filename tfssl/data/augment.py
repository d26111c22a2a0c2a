"""Augmentation of the source: Keras layers on the 8-bit image, before a method's sampler.

Layers over a method's dataset would move inputs and leave targets behind; here the method sees an image that is
changed already. What a layer draws follows from the position of the example alone.
"""

import difflib
import importlib
import inspect
import random
import threading

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError

IMAGE_FIELDS = ("image", "label", "captions")
"""Fields of examples that may be there: others lie on the image's pixels and would not follow it."""

_MIXES_IMAGES = ("MixUp", "CutMix", "Mosaic", "FourierMix")
_OF_THE_RUN = ("name", "seed", "dtype", "trainable", "autocast", "activity_regularizer")
_PROBE = 48  # pixels of the image that layers are tried on

# One for all: layers keep their random state in variables, which are set before each call.
_lock = threading.RLock()


class Augmentation:
    """Changes the image of an example by Keras layers; pickles, and builds its layers in the process that calls it.

    Args:
        spec: list of layers, applied in this order. Each is ``{NAME: {argument: value}}`` or ``NAME`` alone, where NAME
            is a class of ``keras.layers``, ``keras_cv:NAME`` or ``keras_hub:NAME`` (of their ``layers``), or
            ``module:NAME`` for any class that can be imported; or, in Python, a layer, of which the arguments are
            taken. Layers get and give RGB in 0 ... 255; their seeds are those of the run. The size may change.

    Raises:
        ConfigError: for another form. Names and arguments are checked by :meth:`check`, which needs Keras.
    """

    def __init__(self, spec):
        layers = [spec] if isinstance(spec, (str, dict)) else spec
        try:
            self.spec = [_entry(layer) for layer in layers]
        except TypeError:
            raise ConfigError(f"`augment` must be a list of layers. Received: augment={spec!r}") from None
        if not self.spec:
            raise ConfigError("`augment` must hold a layer, or be null. Received: augment=[]")
        self._layers = None

    def __getstate__(self):
        return {"spec": self.spec, "_layers": None}

    def __call__(self, example, rng):
        """A new example, its image (a ``PIL.Image``) changed; the same state of ``rng`` gives the same image.

        Raises:
            ConfigError: as :meth:`check`, and where the example has fields that would have to follow the image.
        """
        others = [field for field in example if field not in IMAGE_FIELDS]
        if others or "image" not in example:
            raise ConfigError(
                f"`augment` changes images alone, and would leave {', '.join(map(repr, others)) or 'everything'} of "
                "these examples behind; leave it out"
            )
        pixels = np.asarray(example["image"].convert("RGB"))
        return {**example, "image": Image.fromarray(self._apply(pixels, rng))}

    def check(self):
        """Build the layers and try them.

        Raises:
            ConfigError: in one line, for an unknown layer or argument, values outside 0 ... 255, or a layer that draws
                numbers which no seed controls.
        """
        with _lock:
            if self._layers is None:
                layers = [(name, _build(name, options)) for entry in self.spec for name, options in entry.items()]
                for name, layer in layers:
                    _try(name, layer)
                self._layers = [layer for _, layer in layers]

    def _apply(self, pixels, rng):
        self.check()
        for layer, seed in zip(self._layers, rng.integers(2**31, size=len(self._layers)), strict=True):
            pixels = np.clip(np.rint(_call(layer, pixels, int(seed))), 0, 255).astype(np.uint8)
        return pixels


def _entry(layer):
    if isinstance(layer, str):
        return {layer: {}}
    if isinstance(layer, dict):
        name, options = next(iter(layer.items()), (None, None))
        if len(layer) != 1 or not isinstance(name, str) or not isinstance(options or {}, dict):
            raise ConfigError(f"`augment`: a layer must be {{NAME: {{argument: value}}}}. Received: {layer!r}")
        return {name: dict(options or {})}
    if hasattr(layer, "get_config") and callable(layer):
        config = {key: value for key, value in layer.get_config().items() if key not in _OF_THE_RUN}
        return {_name_of(type(layer)): config}
    raise ConfigError(f"`augment`: layers are names, {{NAME: {{argument: value}}}}, or of Keras. Received: {layer!r}")


def _name_of(kind):
    from keras import layers

    library = kind.__module__.split(".")[0]
    if getattr(layers, kind.__name__, None) is kind:
        return kind.__name__
    return f"{library if library in ('keras_cv', 'keras_hub') else kind.__module__}:{kind.__name__}"


def _build(name, options):
    kind = _class(name)
    if kind.__name__ in _MIXES_IMAGES:
        raise ConfigError(f"`augment`: {name} mixes the images of a batch, and examples are augmented one by one")
    if "seed" in options:
        raise ConfigError(f"`augment`: {name} gets its seed from the run; leave `seed` out")
    known = inspect.signature(kind.__init__).parameters
    for key in options:
        if key not in known and key not in ("data_format",):
            raise ConfigError(f"`augment`: {name} has no argument {key!r}{_nearest(key, list(known)[1:])}")
    try:
        import keras

        with keras.device("cpu:0"):
            if any(isinstance(value, dict) for value in options.values()):  # objects, as get_config gives them
                return kind.from_config({**options, "dtype": "float32"})
            return kind(**options, dtype="float32")
    except (TypeError, ValueError, KeyError, AssertionError) as error:
        raise ConfigError(f"`augment`: {name} does not take {options}: {' '.join(str(error).split())}") from None


def _class(name):
    module, _, attribute = name.rpartition(":")
    module = {"": "keras.layers", "keras_cv": "keras_cv.layers", "keras_hub": "keras_hub.layers"}.get(module, module)
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        fix = "; pip install 'tfssl[interop]'" if module.startswith("keras_") else ""
        raise ConfigError(f"`augment`: {name!r} cannot be imported ({error}){fix}") from None
    kind = getattr(found, attribute, None)
    if not (isinstance(kind, type) and hasattr(kind, "from_config")):
        names = [
            each for each, value in vars(found).items() if isinstance(value, type) and hasattr(value, "from_config")
        ]
        raise ConfigError(f"`augment`: {module} has no layer {attribute!r}{_nearest(attribute, names)}")
    return kind


def _nearest(name, known):
    close = difflib.get_close_matches(str(name), known, n=1)
    listed = f"; there are {', '.join(known)}" if len(known) < 20 else ""
    return f", did you mean {close[0]!r}?" if close else listed


def _try(name, layer):
    pixels = np.random.default_rng(0).integers(0, 256, (_PROBE, _PROBE, 3), dtype=np.uint8)
    try:
        results = [_call(layer, pixels, seed) for seed in (0, 1, 2, 0, 1, 2)]
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"`augment`: {name} cannot be applied to one image (H, W, 3): {reason}") from None
    for result in results:
        if result.ndim != 3 or result.shape[-1] != 3 or not np.isfinite(result).all():
            raise ConfigError(f"`augment`: {name} must give an image (H, W, 3). Received: shape {result.shape}")
    if max(result.max() for result in results) <= 2.0:
        raise ConfigError(f"`augment`: {name} gives values in [0, 1]; layers must keep 0 ... 255 (value_range)")
    pairs = zip(results[:3], results[3:], strict=True)
    if not all(first.shape == second.shape and np.array_equal(first, second) for first, second in pairs):
        raise ConfigError(f"`augment`: {name} draws numbers that no seed of Keras controls; runs could not resume")


def _call(layer, pixels, seed):
    """A layer on one image in training, its random state set, float32 (H, W, 3)."""
    import keras

    with _lock, keras.device("cpu:0"):
        for part in layer._flatten_layers():
            for generator in part._seed_generators:
                generator.state.assign(np.array([seed, 0], np.uint32))
        if type(layer).__module__.startswith("keras_cv"):  # it draws from TensorFlow's own, older generators
            import tensorflow as tf

            tf.random.set_seed(seed)
            tf.random.get_global_generator().reset_from_seed(seed)
        kept = random.getstate()
        random.seed(seed)  # of RandAugment and its like
        try:
            return np.asarray(layer(pixels[None].astype(np.float32), training=True), np.float32)[0]
        finally:
            random.setstate(kept)
