"""What a method hands on: a network that says what it takes and what it gives."""

import bisect

import keras
import numpy as np
from keras import layers, ops

from tfssl.backbones.adapting import adapt_layers, image_batches, no_vocabulary, vocabularies
from tfssl.errors import ConfigError, ModelError
from tfssl.ops.arguments import check_values, dtype_name

MODALITIES = ("image", "clip", "pair", "sound")
_SIZES = [2**i for i in range(17)]  # tried to find the smallest input
_ABOUT = "_tfssl_encoder"
_VALUE_RANGE = {"image": (0.0, 1.0), "clip": (0.0, 1.0)}  # by modality, where nothing else is said


@keras.saving.register_keras_serializable(package="tfssl")
class Encoder(keras.Model):
    """A functional ``keras.Model`` whose outputs are named taps, also when it is saved and loaded, cloned or exported.

    It knows the range of its input: uint8 pixels are scaled to it exactly, other integers are refused, and so are
    values far outside it wherever they can be seen, which is not inside a graph (``fit``, ``tf.function``).

    Args:
        inputs: KerasTensor: of an image (B, H, W, 3), RGB in [0, 1]; of a clip (B, T, H, W, 3) likewise; of a sound
            (B, N) or (B, N, C); of a pair whatever its method says.
        outputs: ``{tap: KerasTensor}``: maps (B, h, w, c) and vectors (B, c).
        name: of the model.
        modality: one of :data:`MODALITIES`; None: that of the encoder that gave ``outputs``, or ``"image"``.
        smallest: pixels that the shorter side of an input needs at least, of a sound samples; None: as ``modality``, or
            found from the shapes of the taps.
        value_range: (lowest, highest) value that an input is meant to have; None for any, and then uint8 is refused
            too. ``"auto"`` is that of the encoder that is cloned, or [0, 1] for images and clips and any for the rest.

    Raises:
        ConfigError: when it is called, for values or a type of an input that do not fit ``value_range``.
    """

    def __init__(self, inputs, outputs, name=None, *, modality=None, smallest=None, value_range="auto", **kwargs):
        if not isinstance(outputs, dict) or not outputs:
            raise ValueError(f"`outputs` must be a dict of taps. Received: outputs={outputs!r}")
        # keras.models.clone_model hands over tensors and the name alone: so the tensors carry the rest.
        about = getattr(next(iter(outputs.values())), _ABOUT, {})
        modality = modality or about.get("modality", "image")
        if modality not in MODALITIES:
            raise ValueError(f"`modality` must be one of {', '.join(MODALITIES)}. Received: modality={modality!r}")
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.modality = modality
        self._smallest = smallest or about.get("smallest")
        if value_range == "auto":  # behind other layers the encoder that gave the outputs says nothing about inputs
            direct = "inputs" in about and _same(about["inputs"], inputs)
            value_range = about["value_range"] if direct else _VALUE_RANGE.get(modality)
        self.value_range = value_range

    @property
    def taps(self):
        """``{name: rank}`` of the outputs: 4 for maps (B, h, w, c), 2 for vectors (B, c)."""
        return {name: len(tensor.shape) for name, tensor in self.output.items()}

    @property
    def smallest(self):
        """Pixels that the shorter side of an input needs at least; of a sound, samples."""
        if self._smallest is None:
            self._smallest = _smallest(self)
        return self._smallest

    @property
    def value_range(self):
        """(lowest, highest) value that an input is meant to have; None for any."""
        return self._value_range

    @value_range.setter
    def value_range(self, value):
        self._value_range = _checked_range(value)
        self._mark(self.input, self.output)

    @property
    def takes(self):
        """One line for people: what an input is, such as ``image (None, None, None, 3), float in [0, 1] or uint8``."""
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in self.inputs)
        if self.value_range is None:
            return f"{self.modality} {shapes}, float"
        low, high = self.value_range
        return f"{self.modality} {shapes}, float in [{low:g}, {high:g}] or uint8"

    def __repr__(self):
        return f"<Encoder {self.name!r}: {self.takes} -> {', '.join(self.taps)}>"

    def summary(self, *args, print_fn=None, **kwargs):
        """``keras.Model.summary``, and a line that says what the encoder takes."""
        super().summary(*args, print_fn=print_fn, **kwargs)
        (print_fn or print)(f" Takes: {self.takes}")

    @property
    def adapted(self):
        """Whether its layers have learned what they take from data; True where no layer takes anything."""
        return all(layer.adapted for layer in vocabularies(self))

    def adapt(self, images, seed=0):
        """Learn what layers take from data, such as the vocabulary of :func:`tfssl.local.encoders.local_encoder`.

        Nothing happens where no layer takes anything. Encoders of an ensemble that have learned already stay as they
        are.

        Args:
            images: of the training part, uint8 or in ``value_range``: an array (N, H, W, 3), or an iterable of batches
                (B, H, W, 3) that can be read again, such as a list or a ``tf.data.Dataset``.
            seed: fixes what is drawn by chance.

        Raises:
            ConfigError: for an iterator, which can be read once, or no images.
            SourceError: if the images give too few descriptors.
        """
        if any(True for _ in vocabularies(self)):
            adapt_layers(self, _Scaled(self._in_range, image_batches(images)), seed)

    def __call__(self, inputs, *args, **kwargs):
        known = any(isinstance(tensor, keras.KerasTensor) for tensor in keras.tree.flatten(inputs)) or self.adapted
        if not known:
            raise no_vocabulary(self.name)
        return super().__call__(self._in_range(inputs), *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """``keras.Model.predict``: arrays are checked before they go into the graph, where nobody sees their values."""
        return super().predict(self._in_range(x) if isinstance(x, np.ndarray) else x, *args, **kwargs)

    def predict_on_batch(self, x):
        """``keras.Model.predict_on_batch``, checked as :meth:`predict`."""
        return super().predict_on_batch(self._in_range(x))

    def _in_range(self, inputs):
        return keras.tree.map_structure(self._tensor_in_range, np.asarray(inputs) if _is_numbers(inputs) else inputs)

    def _tensor_in_range(self, inputs):
        if not hasattr(inputs, "dtype"):
            return inputs
        kind = dtype_name(inputs)
        if kind == "uint8" and self.value_range is not None:
            low, high = self.value_range
            levels = ops.cast(inputs, "float32") / 255.0
            return levels if (low, high) == (0.0, 1.0) else low + (high - low) * levels
        if not kind.startswith(("float", "bfloat")):
            fix = "set the encoder's value_range, then it scales uint8" if self.value_range is None else "convert them"
            raise ConfigError(f"encoder {self.name!r} takes {self.takes}; {fix}. Received: inputs of dtype {kind}")
        if self.value_range is not None:
            fix = "divide levels of 0 to 255 by 255, or set the encoder's value_range"
            check_values(*self.value_range, f"{self.modality}s", fix, inputs=inputs)
        return inputs

    def get_config(self):
        own = {"modality": self.modality, "smallest": self._smallest, "value_range": self.value_range}
        return {**super().get_config(), **own}

    def compute_output_spec(self, inputs, *args, **kwargs):
        return self._mark(inputs, super().compute_output_spec(inputs, *args, **kwargs))

    def _run_through_graph(self, inputs, *args, **kwargs):
        return self._mark(inputs, super()._run_through_graph(inputs, *args, **kwargs))

    def _mark(self, inputs, outputs):
        for tensor in keras.tree.flatten(outputs):
            if isinstance(tensor, keras.KerasTensor):
                about = {"modality": self.modality, "smallest": self._smallest, "value_range": self.value_range}
                setattr(tensor, _ABOUT, {**about, "inputs": inputs})
        return outputs


class _Scaled:
    """Batches as an encoder takes them, each time that they are read."""

    def __init__(self, scale, batches):
        self._scale, self._batches = scale, batches

    def __iter__(self):
        return map(self._scale, self._batches)


def _same(first, second):
    """Whether two structures hold the very same tensors."""
    first, second = keras.tree.flatten(first), keras.tree.flatten(second)
    return len(first) == len(second) and all(a is b for a, b in zip(first, second, strict=True))


def _checked_range(value):
    if value is None:
        return None
    numbers = np.shape(value) == (2,) and all(isinstance(n, (int, float)) for n in value)
    if not numbers or not -np.inf < value[0] < value[1] < np.inf:
        raise ValueError(f"`value_range` must be (lowest, highest), or None. Received: value_range={value!r}")
    return tuple(map(float, value))


def _is_numbers(value):
    """Whether a value is nested lists of numbers, which Keras takes for one array."""
    flat = keras.tree.flatten(value)
    return isinstance(value, (list, tuple)) and bool(flat) and all(isinstance(n, (int, float)) for n in flat)


def as_encoder(network, name=None):
    """An encoder as it is, or one made of any model of RGB images, with its variables; ModelError for others.

    Args:
        network: ``keras.Model``: RGB images (B, H, W, 3) in [0, 1] -> a dict of maps (B, h, w, c) and vectors (B, c),
            several of them, or one. Where it takes one size only, images are resized to it.
        name: what to call it in the message.

    Returns:
        :class:`Encoder`; the tap of a single output is called ``features``, of several ``output1`` ...
    """
    if isinstance(network, Encoder):
        return network
    name = name or repr(getattr(network, "name", network))
    shapes = [tuple(tensor.shape) for tensor in getattr(network, "inputs", None) or ()]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
        raise ModelError(
            f"{name} is no encoder: it must take RGB (B, H, W, 3); give its run. Received: inputs {shapes}"
        )
    inputs, outputs = network.inputs[0], network.output
    if None not in shapes[0][1:3]:
        inputs = layers.Input((None, None, 3), name="rgb")
        outputs = network(layers.Resizing(*shapes[0][1:3], dtype="float32", name="to_its_size")(inputs))
    if not isinstance(outputs, dict):
        flat = keras.tree.flatten(outputs)
        outputs = {"features": flat[0]} if len(flat) == 1 else {f"output{i}": one for i, one in enumerate(flat, 1)}
    wrong = [tap for tap, tensor in outputs.items() if len(tensor.shape) not in (2, 4)]
    if wrong:
        raise ModelError(f"{name} is no encoder: its output {wrong[0]!r} is no map (B, h, w, c) or vector (B, c)")
    return Encoder(inputs, outputs, name=network.name)


def _smallest(encoder):
    """The smallest size at which no tap is empty, by the shapes that the layers infer; that of an input of one size."""
    axes = {"clip": (2, 3), "sound": (1,)}.get(encoder.modality, (1, 2))
    sizes = [tensor.shape[axis] for tensor in encoder.inputs for axis in axes if axis < len(tensor.shape) - 1]
    if None not in sizes:
        return min(sizes, default=1)

    def works(size):
        def sized(tensor):
            return tuple(size if n is None and i in axes else n for i, n in enumerate(tensor.shape))

        try:
            found = encoder.compute_output_shape(keras.tree.map_structure(sized, encoder.input))
        except (ValueError, TypeError):  # a window larger than its map
            return False
        return all(n is None or n > 0 for shape in found.values() for n in shape[1:])

    high = next((size for size in _SIZES if works(size)), _SIZES[-1])
    return bisect.bisect_left(range(high), True, high // 2, key=works)
