"""Two players in one Keras model: a generator and a critic, trained at the same time by plain ``model.fit``."""

import keras
import tensorflow as tf
from keras import ops


class AdversarialModel(keras.Model):
    """A generator and a critic that learn from the same batch, each with an optimizer of its own.

    One forward pass serves both: the gradient of the generator's loss is taken with respect to the generator's
    weights, that of the critic's loss with respect to the critic's, and both updates are applied together. (Codes that
    update one player after the other let the second see the first one's new weights; this one does not.)

    Subclasses say who plays and for what: :attr:`metric_names`, :attr:`generator`, :attr:`critic`, :meth:`call` and
    :meth:`play`. Networks in neither list, or with ``trainable = False``, stay as they are.

    Args:
        networks: ``{name: keras.Model}``, functional, built. Each becomes the attribute of its name.
        **kwargs: of ``keras.Model``.
    """

    metric_names: tuple[str, ...] = ("loss",)
    """Keys of ``play(...)["metrics"]``, in the order of the history. "loss" is what a run watches, lower is better."""

    def __init__(self, networks, **kwargs):
        super().__init__(**kwargs)
        self._network_names = tuple(networks)
        for name, network in networks.items():
            setattr(self, name, network)
        self._means = [keras.metrics.Mean(name=name) for name in self.metric_names]
        self.critic_optimizer = None
        self.built = True  # functional networks are

    @property
    def networks(self):
        """``{name: keras.Model}`` as given."""
        return {name: getattr(self, name) for name in self._network_names}

    @property
    def generator(self):
        """Networks whose trainable weights lower the generator's loss."""
        raise NotImplementedError

    @property
    def critic(self):
        """Networks whose trainable weights lower the critic's loss."""
        raise NotImplementedError

    def play(self, inputs, targets, training):
        """One forward pass of everything.

        Args:
            inputs: of a batch.
            targets: of a batch.
            training: whether batch normalization and dropout work as in training.

        Returns:
            ``{"generator": loss, "critic": loss, "metrics": {name: value}}``, scalars that are means over examples.
        """
        raise NotImplementedError

    def compile(self, optimizer, critic_rate=1.0):
        """Give both players an optimizer.

        Args:
            optimizer: the generator's; the critic gets another one with the same settings.
            critic_rate: learning rate of the critic as a multiple of the generator's.
        """
        super().compile(optimizer=optimizer, jit_compile=False)  # XLA fails under MirroredStrategy on CPU devices
        self.critic_rate = critic_rate
        self.critic_optimizer = _scaled_copy(self.optimizer, critic_rate)

    def get_compile_config(self):
        return {"optimizer": keras.saving.serialize_keras_object(self.optimizer), "critic_rate": self.critic_rate}

    def compile_from_config(self, config):
        self.compile(keras.saving.deserialize_keras_object(config["optimizer"]), config["critic_rate"])
        for optimizer, variables in self.players:  # their state is loaded next
            optimizer.build(variables)

    @property
    def players(self):
        """``((optimizer, its trainable variables), ...)``: of the generator, then of the critic."""
        return (
            (self.optimizer, _trainable(self.generator)),
            (self.critic_optimizer, _trainable(self.critic)),
        )

    @property
    def metrics(self):
        return list(self._means)

    def train_step(self, data):
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        players = self.players
        with tf.GradientTape(persistent=True) as tape:
            played = self.play(inputs, targets, training=True)
            # Gradients are summed over replicas, whose losses are means over a part of the batch each.
            losses = [
                optimizer.scale_loss(ops.cast(played[name], "float32") / replicas)
                for name, (optimizer, _) in zip(("generator", "critic"), players, strict=True)
            ]
        gradients = [tape.gradient(loss, variables) for loss, (_, variables) in zip(losses, players, strict=True)]
        del tape
        for gradient, (optimizer, variables) in zip(gradients, players, strict=True):
            if variables:  # none where a player is frozen
                optimizer.apply_gradients(zip(gradient, variables, strict=True))
        return self._report(played, inputs)

    def test_step(self, data):
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._report(self.play(inputs, targets, training=False), inputs)

    def _report(self, played, inputs):
        count = ops.shape(tf.nest.flatten(inputs)[0])[0]
        for mean in self._means:
            mean.update_state(played["metrics"][mean.name], sample_weight=count)
        return {mean.name: mean.result() for mean in self._means}

    def get_config(self):
        networks = {k: keras.saving.serialize_keras_object(v) for k, v in self.networks.items()}
        return {"networks": networks, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        networks = {
            k: keras.saving.deserialize_keras_object(v, custom_objects=custom_objects)
            for k, v in config["networks"].items()
        }
        return cls(**{**config, "networks": networks})


def _trainable(networks):
    return [variable for network in networks for variable in network.trainable_variables]


def _scaled_copy(optimizer, factor):
    """A new optimizer with the settings of ``optimizer``, its learning rate times ``factor``."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of mixed_float16
    config = inner.get_config()
    rate = config["learning_rate"]
    if isinstance(rate, dict):
        rate = ScaledSchedule(keras.saving.deserialize_keras_object(rate), factor)
    else:
        rate = rate * factor
    copy = type(inner).from_config({**config, "learning_rate": rate})
    if copy.weight_decay:
        copy.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return copy if inner is optimizer else keras.optimizers.LossScaleOptimizer(copy)


@keras.saving.register_keras_serializable(package="tfssl")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule times a factor.

    Args:
        schedule: a ``LearningRateSchedule``.
        factor: what its rates are multiplied by.
    """

    def __init__(self, schedule, factor):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        return self.factor * self.schedule(step)

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])
