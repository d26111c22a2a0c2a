"""What the layers here have in common."""

import inspect

from keras import initializers, layers


class Layer(layers.Layer):
    """A layer whose configuration is its arguments, kept as attributes, and whose output has the shape of its input."""

    def get_config(self):
        own = {
            name: getattr(self, name)
            for name in inspect.signature(type(self).__init__).parameters
            if hasattr(self, name)
        }
        return {**super().get_config(), **{name: _plain(value) for name, value in own.items()}}

    def compute_output_shape(self, input_shape):
        return input_shape


def check_positive(**values):
    """Raise ValueError unless all are positive integers."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")


def _plain(value):
    if isinstance(value, initializers.Initializer):
        return initializers.serialize(value)
    return list(value) if isinstance(value, tuple) else value
