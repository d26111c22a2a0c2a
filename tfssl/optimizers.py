"""Keras' optimizers with what the solvers of the papers have besides: decay in the gradient, a rate for biases.

Each has the arguments of the Keras optimizer of its name, and three more:

- ``weight_decay_form``: ``"decoupled"``, Keras' form: ``w -= learning_rate * weight_decay * w`` beside the update; or
  ``"coupled"``, that of Caffe and Torch: ``weight_decay * w`` is added to the gradient, so that it goes through
  momentum and adaptive scaling. With a momentum of 0.9 it is ten times as strong.
- ``bias_learning_rate_scale``: learning rate of biases as a multiple of that of the other weights (Caffe's models: 2).
- ``bias_weight_decay``: whether biases decay too. Scales and offsets of normalizations never do.

Gradients are clipped before the decay is added, as in Caffe. All state is in the optimizer's variables, as Keras' is.
"""

import keras
from keras import ops

FORMS = ("decoupled", "coupled")


class _Solver:
    def __init__(
        self, *args, weight_decay_form="decoupled", bias_learning_rate_scale=1.0, bias_weight_decay=False, **kwargs
    ):
        super().__init__(*args, **kwargs)
        if weight_decay_form not in FORMS:
            raise ValueError(
                "`weight_decay_form` must be 'decoupled' or 'coupled'. "
                f"Received: weight_decay_form={weight_decay_form!r}"
            )
        if not bias_learning_rate_scale > 0:
            raise ValueError(
                "`bias_learning_rate_scale` must be positive. Received: "
                f"bias_learning_rate_scale={bias_learning_rate_scale!r}"
            )
        if weight_decay_form == "coupled" and isinstance(self, keras.optimizers.AdamW):
            raise ValueError("AdamW is Adam with decoupled decay; take Adam for weight_decay_form='coupled'")
        self.weight_decay_form = weight_decay_form
        self.bias_learning_rate_scale = bias_learning_rate_scale
        self.bias_weight_decay = bias_weight_decay
        # Keras does not save what is excluded: here it follows from the arguments.
        self.exclude_from_weight_decay(var_names=["gamma", "beta"] + ([] if bias_weight_decay else ["bias"]))

    def _apply_weight_decay(self, variables):
        if self.weight_decay_form == "decoupled":
            super()._apply_weight_decay(variables)

    def update_step(self, gradient, variable, learning_rate):
        if self.weight_decay_form == "coupled" and self.weight_decay and self._use_weight_decay(variable):
            gradient = ops.convert_to_tensor(gradient)
            gradient = gradient + ops.cast(self.weight_decay * variable, gradient.dtype)
        if "bias" in variable.name:
            learning_rate = learning_rate * self.bias_learning_rate_scale
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        names = ("weight_decay_form", "bias_learning_rate_scale", "bias_weight_decay")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="tfssl")
class Adam(_Solver, keras.optimizers.Adam):
    """``keras.optimizers.Adam`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class AdamW(_Solver, keras.optimizers.AdamW):
    """``keras.optimizers.AdamW`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class SGD(_Solver, keras.optimizers.SGD):
    """``keras.optimizers.SGD`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class RMSprop(_Solver, keras.optimizers.RMSprop):
    """``keras.optimizers.RMSprop`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Lamb(_Solver, keras.optimizers.Lamb):
    """``keras.optimizers.Lamb`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Lion(_Solver, keras.optimizers.Lion):
    """``keras.optimizers.Lion`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Adagrad(_Solver, keras.optimizers.Adagrad):
    """``keras.optimizers.Adagrad`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Adadelta(_Solver, keras.optimizers.Adadelta):
    """``keras.optimizers.Adadelta`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Nadam(_Solver, keras.optimizers.Nadam):
    """``keras.optimizers.Nadam`` with the three arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Adafactor(_Solver, keras.optimizers.Adafactor):
    """``keras.optimizers.Adafactor`` with the three arguments of this module."""


BY_NAME = {
    cls.__name__.lower(): cls for cls in (Adam, AdamW, SGD, RMSprop, Lamb, Lion, Adagrad, Adadelta, Nadam, Adafactor)
}
"""Name in a configuration -> class."""
