"""What the layers here have in common."""

import inspect
import types

from keras import constraints, initializers, layers

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_shapes


class Layer(layers.Layer):
    """A layer whose configuration is its arguments, kept as attributes, and whose output has the shape of its input.

    Inputs of another shape than :attr:`takes` are a ConfigError, a ValueError that names the layer, both shapes and
    what is wrong, when the layer is called and when it is asked for the shape of its output.
    """

    takes: tuple[tuple[str, str], ...] = (("inputs", "B H W C"),)
    """(input, its shape in the words of :func:`tfssl.ops.arguments.check_shapes`), ...; several are given as a list."""

    def __call__(self, inputs, *args, **kwargs):
        self._check_inputs(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _check_inputs(self, inputs):
        takes = dict(self.takes)
        given = [inputs] if len(takes) == 1 else inputs
        if not isinstance(given, (list, tuple)) or len(given) != len(takes):
            raise ConfigError(f"{self._title()} takes a list of {len(takes)} inputs: {', '.join(takes)}")
        try:
            check_shapes(**{name: (x, takes[name]) for name, x in zip(takes, given, strict=True)})
        except ConfigError as error:
            raise ConfigError(f"{self._title()}: {error}") from None

    def _title(self):
        return f"{type(self).__name__} {self.name!r}"

    def get_config(self):
        names = inspect.signature(type(self).__init__).parameters
        own = {name: _plain(getattr(self, name)) for name in names if hasattr(self, name)}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape):
        shapes = [input_shape] if len(self.takes) == 1 else input_shape
        arrays = [types.SimpleNamespace(shape=tuple(shape)) for shape in shapes]
        self._check_inputs(arrays[0] if len(self.takes) == 1 else arrays)
        return self._output_shape(input_shape)

    def _output_shape(self, input_shape):
        return input_shape


def check_positive(**values):
    """Raise ValueError unless all are positive integers."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")


def check_odd(**values):
    """Raise ValueError unless all are positive odd integers."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 1 or value % 2 == 0:
            raise ValueError(f"`{name}` must be a positive odd integer. Received: {name}={value!r}")


def _plain(value):
    if isinstance(value, initializers.Initializer):
        return initializers.serialize(value)
    if isinstance(value, constraints.Constraint):
        return constraints.serialize(value)
    return list(value) if isinstance(value, tuple) else value
