"""The network of the prototypes: its ``train_step`` applies a rule, ``model.fit`` stays the verb."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tests")
class OnlineKMeans(keras.Model):
    """Squared distances to prototypes; each patch moves its nearest one by a tenth of the way."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mean = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.mean]

    def train_step(self, data):
        flat = self.get_layer("flat")(self.get_layer("centered")(data[0]))
        centers = self.get_layer("prototypes").kernel
        distances = ops.sum((flat[:, :, None] - centers[None]) ** 2, axis=1)
        nearest = ops.one_hot(ops.argmin(distances, axis=-1), centers.shape[1])
        moved = ops.transpose(flat) @ nearest - centers * ops.sum(nearest, axis=0)
        self.get_layer("prototypes").kernel.assign_add(0.1 * moved)
        self.mean.update_state(ops.min(distances, axis=-1))
        return {"loss": self.mean.result()}


def build_network(size, prototypes, mean):
    """Patches (B, s, s, 3) -> scores (B, prototypes)."""
    patches = layers.Input((size, size, 3), name="patches")
    x = layers.Normalization(mean=mean, variance=(1.0, 1.0, 1.0), name="centered")(patches)
    x = layers.Dense(prototypes, use_bias=False, kernel_initializer="zeros", name="prototypes")(
        layers.Flatten(name="flat")(x)
    )
    model = OnlineKMeans(patches, x, name="prototypes")
    model.compile(optimizer=None)
    return model
