"""What a method hands on: a network that says what it takes and what it gives."""

import bisect

import keras

from tfssl.errors import ModelError

MODALITIES = ("image", "clip", "pair", "sound")
_SIZES = [2**i for i in range(17)]  # tried to find the smallest input
_ABOUT = "_tfssl_encoder"


@keras.saving.register_keras_serializable(package="tfssl")
class Encoder(keras.Model):
    """A functional ``keras.Model`` whose outputs are named taps.

    It stays what it is when it is saved and loaded, cloned or exported, and another one can be built on it.

    Args:
        inputs: KerasTensor: of an image (B, H, W, 3), RGB in [0, 1]; of a clip (B, T, H, W, 3) likewise; of a sound
            (B, N) or (B, N, C); of a pair whatever its method says.
        outputs: ``{tap: KerasTensor}``: maps (B, h, w, c) and vectors (B, c).
        name: of the model.
        modality: one of :data:`MODALITIES`; None: that of the encoder that gave ``outputs``, or ``"image"``.
        smallest: pixels that the shorter side of an input needs at least, of a sound samples; None: as ``modality``, or
            found from the shapes of the taps.

    Raises:
        ValueError: for an unknown modality, or outputs that are no dict of taps.
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
        """Configuration for saving."""
        return {**super().get_config(), "modality": self.modality, "smallest": self._smallest}

    def compute_output_spec(self, *args, **kwargs):
        """The taps of symbolic inputs."""
        return self._mark(super().compute_output_spec(*args, **kwargs))

    def _run_through_graph(self, *args, **kwargs):
        return self._mark(super()._run_through_graph(*args, **kwargs))

    def _mark(self, outputs):
        for tensor in keras.tree.flatten(outputs):
            if isinstance(tensor, keras.KerasTensor):
                setattr(tensor, _ABOUT, {"modality": self.modality, "smallest": self._smallest})
        return outputs


def as_encoder(network, name=None):
    """An encoder as it is, or one made of a functional model that has the shape of one, with the same variables.

    Files written before there was this class hold such models, and so do those of other libraries.

    Args:
        network: ``keras.Model``: RGB images (B, H, W, 3) in [0, 1] -> a dict of maps (B, h, w, c) and vectors (B, c).
        name: what to call it in the message.

    Raises:
        ModelError: if it is something else.
    """
    if isinstance(network, Encoder):
        return network
    inputs, outputs = getattr(network, "input", None), getattr(network, "output", None)
    rgb = len(getattr(inputs, "shape", ())) == 4 and inputs.shape[-1] == 3
    if rgb and isinstance(outputs, dict) and all(len(tap.shape) in (2, 4) for tap in outputs.values()):
        return Encoder(inputs, outputs, name=network.name)
    name = name or repr(getattr(network, "name", network))
    raise ModelError(f"{name} is no encoder: it must take RGB (B, H, W, 3) and give a dict of taps; give its run")


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
