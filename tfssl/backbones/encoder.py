"""What a method hands on: a network that says what it takes and what it gives."""

import bisect

import keras
from keras import layers

from tfssl.errors import ModelError

MODALITIES = ("image", "clip", "pair", "sound")
_SIZES = [2**i for i in range(17)]  # tried to find the smallest input
_ABOUT = "_tfssl_encoder"


@keras.saving.register_keras_serializable(package="tfssl")
class Encoder(keras.Model):
    """A functional ``keras.Model`` whose outputs are named taps, also when it is saved and loaded, cloned or exported.

    Args:
        inputs: KerasTensor: of an image (B, H, W, 3), RGB in [0, 1]; of a clip (B, T, H, W, 3) likewise; of a sound
            (B, N) or (B, N, C); of a pair whatever its method says.
        outputs: ``{tap: KerasTensor}``: maps (B, h, w, c) and vectors (B, c).
        name: of the model.
        modality: one of :data:`MODALITIES`; None: that of the encoder that gave ``outputs``, or ``"image"``.
        smallest: pixels that the shorter side of an input needs at least, of a sound samples; None: as ``modality``, or
            found from the shapes of the taps.
    """

    def __init__(self, inputs, outputs, name=None, *, modality=None, smallest=None, **kwargs):
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
        self._mark(self.output)

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

    def get_config(self):
        return {**super().get_config(), "modality": self.modality, "smallest": self._smallest}

    def compute_output_spec(self, *args, **kwargs):
        return self._mark(super().compute_output_spec(*args, **kwargs))

    def _run_through_graph(self, *args, **kwargs):
        return self._mark(super()._run_through_graph(*args, **kwargs))

    def _mark(self, outputs):
        for tensor in keras.tree.flatten(outputs):
            if isinstance(tensor, keras.KerasTensor):
                setattr(tensor, _ABOUT, {"modality": self.modality, "smallest": self._smallest})
        return outputs


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
