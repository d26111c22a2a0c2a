"""Training of a network on a task: stochastic gradient descent as the transfer protocols use it."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError, TrainingError

_REPORT_EVERY = 10  # steps between looks at the loss, which waits for the device


@dataclasses.dataclass(frozen=True)
class Pretext:
    """The task an encoder was pretrained on, for ``"joint"``.

    Args:
        model: its compiled ``keras.Model``, which shares the variables of the trunk.
        batches: ``tf.data.Dataset`` of its (inputs, targets), repeated for ever.
    """

    model: keras.Model
    batches: tf.data.Dataset

    def __post_init__(self):
        if not self.model.compiled or hasattr(self.model, "optimizers"):
            raise ConfigError(
                f"`pretext`: {self.model.name} cannot be trained beside a task; strategy='joint' needs a model with "
                f"one loss, adversarial ones have two"
            )


def train_head(
    model,
    batches,
    loss,
    *,
    steps,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    drops=(0.6, 0.85),
    drop_factor=0.1,
    clip_norm=10.0,
    bias_learning_rate_scale=1.0,
    pretext=None,
    weight=1.0,
    progress=None,
):
    """Train what is trainable of a network, with momentum and a learning rate that drops in steps.

    Weight decay is Caffe's: ``weight_decay * w`` joins the gradient of every kernel, biases and normalizations are
    left out. The defaults of momentum, decay and clipping are those of the VOC protocols (Fast R-CNN, FCN: 0.9, 5e-4;
    Kraehenbuehl's classification: norm 10).

    Args:
        model: ``keras.Model``; its ``trainable_variables`` are changed.
        batches: ``tf.data.Dataset`` of (inputs, targets), repeated for ever; batches may differ in size.
        loss: function (targets, outputs) -> scalar.
        steps: batches to take.
        learning_rate: at the beginning.
        momentum, weight_decay: of the optimizer.
        drops: after which fractions of the steps the learning rate is multiplied by ``drop_factor``, in (0, 1].
        clip_norm: largest norm of the whole gradient; None for none.
        bias_learning_rate_scale: multiple of the learning rate for biases; Caffe's nets have 2.
        pretext: :class:`Pretext`, trained at the same time: the gradient is that of
            ``loss + weight * pretext's loss``, and also changes the pretext model's own layers.
        weight: lambda. With 0 the pretext model is not run.
        progress: called with (steps done, steps, text) now and then.

    Returns:
        list of float: the task's loss every ten steps.

    Raises:
        ConfigError: if nothing is trainable, or a number is out of range.
        TrainingError: if the loss becomes NaN or infinite.
    """
    if steps < 1 or weight < 0:
        raise ConfigError(f"`steps` must be at least 1, `weight` at least 0. Received: steps={steps!r}, {weight=!r}")
    pretext, variables = pretext if weight else None, list(model.trainable_variables)
    if pretext is not None:
        known = {id(v) for v in variables}
        variables += [v for v in pretext.model.trainable_variables if id(v) not in known]
    if not variables:
        raise ConfigError("`model` has nothing to train")
    boundaries = [max(1, round(share * steps)) for share in drops]
    rates = [learning_rate * drop_factor**number for number in range(len(drops) + 1)]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates) if drops else learning_rate
    optimizer = keras.optimizers.SGD(schedule, momentum=momentum)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(inputs, targets, *others):
        with tf.GradientTape() as tape:
            value = total = loss(targets, model(inputs, training=True))
            if others:
                predicted = pretext.model(others[0], training=True)
                total = value + weight * pretext.model.compute_loss(*others, predicted, training=True)
        gradients = tape.gradient(total, [v.value for v in variables])
        # A nested encoder may have layers above the taps that are used; they have no gradient.
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        optimizer.apply_gradients(_caffe_steps(pairs, weight_decay, clip_norm, bias_learning_rate_scale))
        return value

    # Traced once, for batches of any size; a function that TensorFlow traces at the call would warn after a few runs.
    specs = () if pretext is None else pretext.batches.element_spec
    step = step.get_concrete_function(*batches.element_spec, *specs)
    others = iter(pretext.batches) if pretext is not None else None
    losses = []
    for number, (inputs, targets) in zip(range(1, steps + 1), batches, strict=False):
        value = step(inputs, targets, *(next(others) if others is not None else ()))
        if number % _REPORT_EVERY == 0 or number == steps:
            losses.append(float(value))
            if not np.isfinite(losses[-1]):
                raise TrainingError(
                    f"the loss became {losses[-1]} at step {number}; lower `learning_rate` (it was {learning_rate:g})"
                )
            if progress is not None:
                progress(number, steps, f"loss {losses[-1]:.4g}")
    return losses


def _caffe_steps(pairs, weight_decay, clip_norm, bias_learning_rate_scale):
    """Gradients clipped, then with weight decay, then multiplied by the variable's own factor, as Caffe's solver does.

    A multiple of the gradient is one of the step, for momentum is linear.
    """
    gradients, variables = zip(*pairs, strict=True)
    if clip_norm is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
    for gradient, variable in zip(gradients, variables, strict=True):
        if variable.name in ("kernel", "depthwise_kernel"):
            gradient = gradient + weight_decay * variable
        yield gradient * (bias_learning_rate_scale if variable.name == "bias" else 1.0), variable
