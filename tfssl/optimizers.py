"""Keras' optimizers with what the solvers of the papers have besides: decay in the gradient, a rate for biases.

Each has the arguments of the Keras optimizer of its name, and four more:

- ``weight_decay_form``: ``"decoupled"``, Keras' form: ``w -= learning_rate * weight_decay * w`` beside the update; or
  ``"coupled"``, that of Caffe and Torch: ``weight_decay * w`` is added to the gradient, so that it goes through
  momentum and adaptive scaling. With a momentum of 0.9 it is ten times as strong.
- ``bias_learning_rate_scale``: learning rate of biases as a multiple of that of the other weights (Caffe's models: 2).
- ``learning_rate_scales``: ``{pattern of layer names: multiple of the learning rate}``, as Caffe's ``lr_mult``; of
  several patterns that match a layer the first counts. Layers that start from trained weights want less than new ones.
- ``bias_weight_decay``: whether biases decay too. Scales and offsets of normalizations never do.

Gradients are clipped before the decay is added, as in Caffe. All state is in the optimizer's variables, as Keras' is.
"""

import fnmatch

import keras
from keras import ops

from tfssl.errors import ConfigError

FORMS = ("decoupled", "coupled")


class _Solver:
    def __init__(
        self,
        *args,
        weight_decay_form="decoupled",
        bias_learning_rate_scale=1.0,
        bias_weight_decay=False,
        learning_rate_scales=None,
        **kwargs,
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
        for pattern, scale in (learning_rate_scales or {}).items():
            if not scale > 0:
                raise ValueError(f"`learning_rate_scales` must be positive. Received: {{{pattern!r}: {scale!r}}}")
        if weight_decay_form == "coupled" and isinstance(self, keras.optimizers.AdamW):
            raise ValueError("AdamW is Adam with decoupled decay; take Adam for weight_decay_form='coupled'")
        self.weight_decay_form = weight_decay_form
        self.bias_learning_rate_scale = bias_learning_rate_scale
        self.bias_weight_decay = bias_weight_decay
        self.learning_rate_scales = dict(learning_rate_scales or {})
        # Keras does not save what is excluded: here it follows from the arguments.
        self.exclude_from_weight_decay(var_names=["gamma", "beta"] + ([] if bias_weight_decay else ["bias"]))

    def build(self, variables):
        super().build(variables)
        layers = [variable.path.split("/")[:-1] for variable in variables]
        for pattern in self.learning_rate_scales:
            if not any(fnmatch.filter(names, pattern) for names in layers):
                raise ConfigError(f"`learning_rate_scales`: no layer's name matches the pattern {pattern!r}")
        self._scales = [
            next((s for pattern, s in self.learning_rate_scales.items() if fnmatch.filter(names, pattern)), 1.0)
            for names in layers
        ]

    def _apply_weight_decay(self, variables):
        if self.weight_decay_form == "decoupled":
            super()._apply_weight_decay(variables)

    def update_step(self, gradient, variable, learning_rate):
        if self.weight_decay_form == "coupled" and self.weight_decay and self._use_weight_decay(variable):
            gradient = ops.convert_to_tensor(gradient)
            gradient = gradient + ops.cast(self.weight_decay * variable, gradient.dtype)
        if "bias" in variable.name:
            learning_rate = learning_rate * self.bias_learning_rate_scale
        if self.learning_rate_scales:
            learning_rate = learning_rate * self._scales[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        names = ("weight_decay_form", "bias_learning_rate_scale", "bias_weight_decay", "learning_rate_scales")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="tfssl")
class Adam(_Solver, keras.optimizers.Adam):
    """``keras.optimizers.Adam`` with the four arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class AdamW(_Solver, keras.optimizers.AdamW):
    """``keras.optimizers.AdamW`` with the four arguments of this module."""


class _ClippedSGD(keras.optimizers.SGD):
    """Keras' SGD whose steps, momentum included, are clipped number by number, and go on from there clipped."""

    def __init__(self, *args, step_clip=None, **kwargs):
        super().__init__(*args, **kwargs)
        if step_clip is not None and not (step_clip > 0 and self.momentum and not self.nesterov):
            raise ValueError(
                "`step_clip` must be positive, and needs a `momentum`, not Nesterov's. "
                f"Received: step_clip={step_clip!r}, momentum={self.momentum}, nesterov={self.nesterov}"
            )
        self.step_clip = step_clip

    def update_step(self, gradient, variable, learning_rate):
        if self.step_clip is None:
            super().update_step(gradient, variable, learning_rate)
            return
        step = self.momentums[self._get_variable_index(variable)]
        change = ops.cast(learning_rate, variable.dtype) * ops.cast(gradient, variable.dtype)
        self.assign(step, ops.clip(self.momentum * step - change, -self.step_clip, self.step_clip))
        self.assign_add(variable, step)

    def get_config(self):
        return {**super().get_config(), "step_clip": self.step_clip}


@keras.saving.register_keras_serializable(package="tfssl")
class SGD(_Solver, _ClippedSGD):
    """``keras.optimizers.SGD`` with the four arguments of this module, and one more.

    Args:
        step_clip: largest change of a weight in a step; the momentum is clipped to it, and goes on from there. None
            for no limit. (Srivastava, Mansimov and Salakhutdinov's code calls it ``gradient_clip``.)
    """


@keras.saving.register_keras_serializable(package="tfssl")
class RMSprop(_Solver, keras.optimizers.RMSprop):
    """``keras.optimizers.RMSprop`` with the four arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Lamb(_Solver, keras.optimizers.Lamb):
    """``keras.optimizers.Lamb`` with the four arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Lion(_Solver, keras.optimizers.Lion):
    """``keras.optimizers.Lion`` with the four arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Adagrad(_Solver, keras.optimizers.Adagrad):
    """``keras.optimizers.Adagrad`` with the four arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Adadelta(_Solver, keras.optimizers.Adadelta):
    """``keras.optimizers.Adadelta`` with the four arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Nadam(_Solver, keras.optimizers.Nadam):
    """``keras.optimizers.Nadam`` with the four arguments of this module."""


@keras.saving.register_keras_serializable(package="tfssl")
class Adafactor(_Solver, keras.optimizers.Adafactor):
    """``keras.optimizers.Adafactor`` with the four arguments of this module."""


BY_NAME = {
    cls.__name__.lower(): cls for cls in (Adam, AdamW, SGD, RMSprop, Lamb, Lion, Adagrad, Adadelta, Nadam, Adafactor)
}
"""Name in a configuration -> class."""
