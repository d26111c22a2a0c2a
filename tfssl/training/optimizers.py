"""Optimizers and learning-rate schedules from run settings."""

import difflib
import math

import keras
from keras import ops

from tfssl import optimizers
from tfssl.errors import ConfigError

_END, _LAST = 0.01, 0.9
"""A linear schedule ends at this fraction of the rate, after this fraction of the steps (Jenni and Favaro's code)."""


@keras.saving.register_keras_serializable(package="tfssl")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from zero to ``peak``, then a half cosine down to zero at ``total_steps``."""

    def __init__(self, peak, total_steps, warmup_steps=0):
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / max(self.warmup_steps, 1)
        fraction = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        falling = 0.5 * (1.0 + ops.cos(math.pi * ops.clip(fraction, 0.0, 1.0)))
        return self.peak * ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self):
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


@keras.saving.register_keras_serializable(package="tfssl")
class WarmupLinear(WarmupCosine):
    """Linear warm-up from zero to ``peak``, then a line down to 1 % of it, reached after 90 % of ``total_steps``."""

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / max(self.warmup_steps, 1)
        fraction = (step - self.warmup_steps) / max(_LAST * self.total_steps - self.warmup_steps, 1)
        falling = 1.0 - (1.0 - _END) * ops.clip(fraction, 0.0, 1.0)
        return self.peak * ops.where(step < self.warmup_steps, rising, falling)


@keras.saving.register_keras_serializable(package="tfssl")
class WarmupSteps(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from zero, then the values of the table ``{step: learning rate}``, which begins with step 0."""

    def __init__(self, rates, warmup_steps=0):
        self.rates = {int(step): float(rate) for step, rate in sorted(rates.items(), key=lambda item: int(item[0]))}
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rate = ops.convert_to_tensor(self.rates[0], "float32")
        for first, value in self.rates.items():
            rate = ops.where(step >= first, value, rate)
        return rate * ops.minimum(1.0, (step + 1.0) / max(self.warmup_steps, 1))

    def get_config(self):
        return {"rates": self.rates, "warmup_steps": self.warmup_steps}


def optimizers_of(model):
    """``((optimizer, the variables it changes), ...)`` of a compiled model: two of adversarial ones, none without.

    Under mixed_float16 ``compile`` has wrapped each optimizer in a ``LossScaleOptimizer``.
    """
    if hasattr(model, "optimizers"):
        return model.optimizers
    return ((model.optimizer, model.trainable_variables),) if model.optimizer is not None else ()


def build_optimizer(settings, total_steps, factor=1.0):
    """Make the optimizer of a run, or of a phase of it.

    Args:
        settings: a :class:`tfssl.config.TrainSettings`; ConfigError if its optimizer is unknown or does not take them.
        total_steps: steps that it takes; where the cosine ends.
        factor: multiple of the learning rate.
    """
    if settings.optimizer not in optimizers.BY_NAME:
        close = difflib.get_close_matches(settings.optimizer, optimizers.BY_NAME, n=1)
        raise ConfigError(
            f"`optimizer` must be one of {', '.join(optimizers.BY_NAME)}. Received: optimizer={settings.optimizer!r}"
            + (f"; did you mean {close[0]!r}?" if close else "")
        )
    rate = settings.learning_rate
    rate = {k: v * factor for k, v in rate.items()} if isinstance(rate, dict) else rate * factor
    if settings.schedule != "constant":
        if isinstance(rate, dict):
            raise ConfigError(f"`learning_rate` must be a number with `schedule: {settings.schedule}`, not a table")
        falling = {"cosine": WarmupCosine, "linear": WarmupLinear}[settings.schedule]
        rate = falling(rate, total_steps, settings.warmup_steps)
    elif isinstance(rate, dict) or settings.warmup_steps:
        rate = WarmupSteps(rate if isinstance(rate, dict) else {0: rate}, settings.warmup_steps)
    options = {
        "weight_decay": settings.weight_decay,
        "beta_1": settings.beta_1,
        "beta_2": settings.beta_2,
        "momentum": settings.momentum,
        "epsilon": settings.epsilon,
        "global_clipnorm": settings.clip_norm,
        "step_clip": settings.step_clip,
    }
    config = {"learning_rate": rate, **{k: v for k, v in options.items() if v is not None}}
    cls = optimizers.BY_NAME[settings.optimizer]
    if settings.weight_decay or settings.bias_learning_rate_scale != 1 or settings.learning_rate_scales:
        names = ("weight_decay_form", "bias_learning_rate_scale", "bias_weight_decay", "learning_rate_scales")
        config |= {name: getattr(settings, name) for name in names}
    elif settings.step_clip is None:  # a file of it asks for nothing but Keras
        cls = getattr(keras.optimizers, cls.__name__)
    try:
        return cls(**config)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`optimizer` {settings.optimizer!r} does not take these settings: {error}") from None
