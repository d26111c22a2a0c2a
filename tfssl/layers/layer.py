"""What the layers here have in common."""

import inspect

from keras import initializers, layers


class Layer(layers.Layer):
    """A layer whose configuration is its arguments, kept as attributes, and whose output has the shape of its input."""

    def get_config(self):
        names = inspect.signature(type(self).__init__).parameters
        own = {name: _plain(getattr(self, name)) for name in names if hasattr(self, name)}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape):
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
    return list(value) if isinstance(value, tuple) else value
