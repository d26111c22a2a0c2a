"""Adversarial learning in one Keras model: a generator and a discriminator, trained at once by plain ``model.fit``."""

import keras
import tensorflow as tf
from keras import ops


class AdversarialModel(keras.Model):
    """A generator and a discriminator that learn from the same batch, each with an optimizer of its own.

    One forward pass serves both: the gradient of the generator's loss is taken with respect to the generator's
    weights, that of the discriminator's with respect to its own, and both updates are applied together. (Codes that
    update one after the other let the second see the first one's new weights; this one does not.)

    Subclasses give :attr:`metric_names`, :meth:`call`, :meth:`forward`, and the properties ``generators`` and
    ``discriminators``: lists of the networks whose trainable weights lower the generator's or the discriminator's loss.
    Others, or with ``trainable = False``, stay as they are.

    Args:
        networks: ``{name: keras.Model}``, functional, built. Each becomes the attribute of its name.
    """

    metric_names: tuple[str, ...] = ("loss",)
    """Keys of ``forward(...)["metrics"]``, as in the history. "loss" is what a run watches, lower is better."""

    # Keras files hold parts under the first attribute, by alphabet, that gives them: these names are those of the
    # files, and of all there are.
    generator = property(lambda self: self.generators)
    critic = property(lambda self: self.discriminators)
    critic_optimizer = property(lambda self: self.discriminator_optimizer)

    def __init__(self, networks, **kwargs):
        super().__init__(**kwargs)
        self._network_names = tuple(networks)
        for name, network in networks.items():
            setattr(self, name, network)
        self._means = [keras.metrics.Mean(name=name) for name in self.metric_names]
        self.discriminator_optimizer = None
        self.built = True  # functional networks are

    @property
    def networks(self):
        return {name: getattr(self, name) for name in self._network_names}

    def forward(self, inputs, targets, training):
        """One forward pass of everything on a batch.

        Returns:
            ``{"generator": loss, "discriminator": loss, "metrics": {name: value}}``, scalars that are means over
            examples.
        """
        raise NotImplementedError

    def compile(self, optimizer, discriminator_learning_rate_scale=1.0):
        """Give the generator this optimizer, and the discriminator another one with the same settings.

        ``discriminator_learning_rate_scale`` is its learning rate as a multiple of the generator's.
        """
        super().compile(optimizer=optimizer, jit_compile=False)  # XLA fails under MirroredStrategy on CPU devices
        self.discriminator_learning_rate_scale = discriminator_learning_rate_scale
        self.discriminator_optimizer = _scaled_copy(self.optimizer, discriminator_learning_rate_scale)

    def get_compile_config(self):
        optimizer = keras.saving.serialize_keras_object(self.optimizer)
        return {"optimizer": optimizer, "critic_rate": self.discriminator_learning_rate_scale}

    def compile_from_config(self, config):
        self.compile(keras.saving.deserialize_keras_object(config["optimizer"]), config["critic_rate"])
        for optimizer, variables in self.optimizers:  # their state is loaded next
            optimizer.build(variables)

    @property
    def optimizers(self):
        """``((optimizer, its trainable variables), ...)``: of the generator, then of the discriminator."""
        sides = (self.optimizer, self.generators), (self.discriminator_optimizer, self.discriminators)
        return tuple((o, [v for network in networks for v in network.trainable_variables]) for o, networks in sides)

    @property
    def metrics(self):
        return list(self._means)

    def train_step(self, data):
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        optimizers = self.optimizers
        with tf.GradientTape(persistent=True) as tape:
            results = self.forward(inputs, targets, training=True)
            # Gradients are summed over replicas, whose losses are means over a part of the batch each.
            losses = [
                optimizer.scale_loss(ops.cast(results[name], "float32") / replicas)
                for name, (optimizer, _) in zip(("generator", "discriminator"), optimizers, strict=True)
            ]
        gradients = [tape.gradient(loss, variables) for loss, (_, variables) in zip(losses, optimizers, strict=True)]
        del tape
        for gradient, (optimizer, variables) in zip(gradients, optimizers, strict=True):
            if variables:  # none where a side is frozen
                optimizer.apply_gradients(zip(gradient, variables, strict=True))
        return self._report(results, inputs)

    def test_step(self, data):
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._report(self.forward(inputs, targets, training=False), inputs)

    def _report(self, results, inputs):
        count = ops.shape(tf.nest.flatten(inputs)[0])[0]
        for mean in self._means:
            mean.update_state(results["metrics"][mean.name], sample_weight=count)
        return {mean.name: mean.result() for mean in self._means}

    def get_config(self):
        return {"networks": keras.saving.serialize_keras_object(self.networks), "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**keras.saving.deserialize_keras_object(config, custom_objects=custom_objects))


def _scaled_copy(optimizer, factor):
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of mixed_float16
    config = inner.get_config()
    learning_rate = config["learning_rate"]
    if isinstance(learning_rate, dict):
        learning_rate = ScaledSchedule(keras.saving.deserialize_keras_object(learning_rate), factor)
    else:
        learning_rate = learning_rate * factor
    copy = type(inner).from_config({**config, "learning_rate": learning_rate})
    return copy if inner is optimizer else keras.optimizers.LossScaleOptimizer(copy)


@keras.saving.register_keras_serializable(package="tfssl")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Another ``LearningRateSchedule`` times a factor."""

    def __init__(self, schedule, factor):
        self.schedule, self.factor = schedule, factor

    def __call__(self, step):
        return self.factor * self.schedule(step)

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])
