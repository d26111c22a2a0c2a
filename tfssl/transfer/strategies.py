"""The four ways to use a pretrained network for another task."""

import contextlib

import keras
from keras import layers

from tfssl.errors import ConfigError

STRATEGIES = ("fine_tune", "freeze", "augment", "joint")
"""``"fine_tune"``: start from the pretrained weights and train all of them. ``"freeze"``: leave them as they are and
train only what is put on top. ``"augment"``: train another network from nothing, which sees the frozen one's maps
beside its own. ``"joint"``: one trunk under both tasks, ``L = L_task + lambda L_pretext``."""


def transfer(encoder, head, strategy="fine_tune", *, taps=None, train_from=None, seed=0):
    """A network for another task: a head on what an encoder has learned.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        head: function of ``{tap: KerasTensor}`` that gives the outputs of the new network; its layers are new.
        strategy: one of :data:`STRATEGIES`.
        taps: names of the taps that the head gets, in this order; None for all.
        train_from: with ``"fine_tune"``, the first tap whose layers are trained; None trains all.
        seed: of the weights of the other network in ``"augment"``.

    Returns:
        ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> what ``head`` gives, not compiled. ``encoder`` itself stays as
        it is, but in ``"joint"``, where the network shares its variables: train that with
        :func:`tfssl.transfer.training.train_head` and its ``pretext``.

    Raises:
        ConfigError: for an unknown strategy or tap, or ``train_from`` where nothing of the encoder is trained.

    Example:
        >>> encoder = tfssl.load_encoder("runs/jigsaw")
        >>> head = lambda maps: keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(maps["conv5"]))
        >>> model = transfer(encoder, head, "freeze")
        >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    """
    rgb = keras.Input((None, None, 3), name="rgb")
    maps = trunk(encoder, strategy, taps=taps, train_from=train_from, seed=seed)(rgb)
    return keras.Model(rgb, head(maps), name=f"{strategy}_{encoder.name}")


def trunk(encoder, strategy="fine_tune", *, taps=None, train_from=None, seed=0):
    """The part of :func:`transfer` below the head: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: map}``.

    Its ``trainable_variables`` are those that the strategy trains. Maps of ``"augment"`` have twice the channels: those
    of the new network, then those of the frozen one.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"`strategy` must be one of {', '.join(STRATEGIES)}. Received: strategy={strategy!r}")
    taps = check_taps(encoder, taps)
    if train_from is not None:
        if strategy != "fine_tune":
            raise ConfigError(f"`train_from` belongs to strategy='fine_tune'. Received: strategy={strategy!r}")
        check_taps(encoder, [train_from], argument="train_from")
    if strategy == "joint":
        return _restrict(encoder, taps, "shared")
    if strategy == "freeze":
        return _frozen(encoder, taps)
    if strategy == "augment":
        keras.utils.set_random_seed(seed)
        own = _restrict(keras.models.clone_model(encoder), taps, "own")
        rgb = keras.Input((None, None, 3), name="rgb")
        mine, given = own(rgb), _frozen(encoder, taps)(rgb)
        joined = {tap: layers.Concatenate(name=f"both_{tap}")([mine[tap], given[tap]]) for tap in taps}
        return keras.Model(rgb, joined, name="augmented")
    copied = copy(encoder)
    if train_from is not None:
        names = list(encoder.output)
        _freeze(copied, names[: names.index(train_from)])
    return _restrict(copied, taps, "trunk")


def copy(encoder):
    """The same network with the same weights, in variables of its own, all trainable."""
    copied = keras.models.clone_model(encoder)
    copied.set_weights(encoder.get_weights())
    copied.trainable = True
    return copied


@contextlib.contextmanager
def unchanged(*models):
    """Give models their weights back afterwards, which joint training changes."""
    kept = [model.get_weights() for model in models]
    try:
        yield
    finally:
        for model, weights in zip(models, kept, strict=True):
            model.set_weights(weights)


def check_taps(encoder, taps=None, argument="taps"):
    """The taps that were asked for, as a tuple, all for None; ConfigError if the encoder lacks one."""
    unknown = sorted(set(taps or ()) - set(encoder.output))
    if unknown:
        raise ConfigError(f"`{argument}`: there is no {unknown[0]!r}; the encoder has {', '.join(encoder.output)}")
    return tuple(taps or encoder.output)


@keras.saving.register_keras_serializable(package="tfssl")
class Frozen(layers.Layer):
    """A network that is applied as it is: its weights, moving statistics and dropout never take part in training.

    Setting ``trainable`` alone leaves dropout and noise active in training.
    """

    def __init__(self, network, **kwargs):
        super().__init__(**{**kwargs, "trainable": False})
        self.network = network
        network.trainable = False

    def call(self, inputs):
        return self.network(inputs, training=False)

    def compute_output_shape(self, input_shape):
        return self.network.compute_output_shape(input_shape)

    def compute_output_spec(self, inputs):
        return self.network.compute_output_spec(inputs, training=False)

    def get_config(self):
        return {**super().get_config(), "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("network")), **config)


def _frozen(encoder, taps):
    rgb = keras.Input((None, None, 3), name="rgb")
    return keras.Model(rgb, Frozen(_restrict(copy(encoder), taps, "pretrained"), name="frozen")(rgb), name="trunk")


def _restrict(network, taps, name):
    """The same variables, without what only other taps need."""
    return keras.Model(network.input, {tap: network.output[tap] for tap in taps}, name=name)


def _freeze(network, taps):
    """Make the layers that ``taps`` depend on untrainable; a nested network's own taps are followed into it."""
    below = keras.Model(network.input, [network.output[tap] for tap in taps]) if taps else None
    for layer in below.layers if below else ():
        inner = getattr(layer, "output", None) if isinstance(layer, keras.Model) else None
        if isinstance(inner, dict):
            _freeze(layer, [tap for tap in taps if tap in inner])
        else:
            layer.trainable = False
