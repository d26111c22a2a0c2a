"""The networks of synchrony: k-means as a model, and the encoder of whole images."""

import keras
from keras import layers, ops

from tfssl.backbones.encoder import Encoder
from tfssl.layers.synchrony import SynchronyProduct, Winner, synchrony_updates
from tfssl.layers.views import GrayViews
from tfssl.layers.whitening import PatchWhitening


@keras.saving.register_keras_serializable(package="tfssl")
class SynchronyKMeans(keras.Model):
    """Synchrony k-means: each step moves the filters by :func:`tfssl.layers.synchrony.synchrony_updates` of a batch.

    A pair that won nothing in the last ``restart_steps`` steps starts anew from an example of the batch, its two sides
    brought to length 1. ``loss`` is ``|x - u b|^2 + |y - v a|^2`` of the pair that won, mean over the batch. It trains
    on one device.

    Args:
        eta: step size, above 0.
        restart_steps: steps between restarts; 0 never restarts.
    """

    def __init__(self, *args, eta=0.05, restart_steps=100, **kwargs):
        super().__init__(*args, **kwargs)
        self.eta = eta
        self.restart_steps = restart_steps
        self.mean = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.mean]

    def train_step(self, data):
        x, y = data[0]
        product, winner = self.get_layer("product"), self.get_layer("codes")
        winners = winner(product([x, y]))
        of_x, of_y, losses = synchrony_updates(x, y, product.kernel_x, product.kernel_y, winners)
        product.kernel_x.assign_add(self.eta * of_x)
        if not product.tied:  # otherwise both changes are the same
            product.kernel_y.assign_add(self.eta * of_y)
        winner.wins.assign_add(ops.sum(winners, axis=0))
        winner.steps.assign_add(1.0)
        if self.restart_steps:
            self._restart(x, y, product, winner)
        self.mean.update_state(losses)
        return {"loss": self.mean.result()}

    def test_step(self, data):
        x, y = data[0]
        product = self.get_layer("product")
        winners = self.get_layer("codes")(product([x, y]))
        self.mean.update_state(synchrony_updates(x, y, product.kernel_x, product.kernel_y, winners)[2])
        return {"loss": self.mean.result()}

    def _restart(self, x, y, product, winner):
        """Draw dead pairs anew, if it is time to: most steps skip it."""
        sides = (x,) if product.tied else (x, y)
        kernels = (product.kernel_x,) if product.tied else (product.kernel_x, product.kernel_y)
        state = (*kernels, winner.wins, winner.steps)

        def restarted():
            dead = ops.cast(winner.wins == 0, x.dtype)  # (K,)
            # The batch is drawn at random: the first dead pair takes its first example, and so on.
            turn = ops.cast(ops.maximum(ops.cumsum(dead) - 1.0, 0.0), "int32") % ops.shape(x)[0]
            rows = (ops.take(side, turn, axis=0) for side in sides)
            fresh = (ops.transpose(row / ops.maximum(ops.norm(row, axis=1, keepdims=True), 1e-6)) for row in rows)
            drawn = (ops.where(dead > 0, new, old) for new, old in zip(fresh, kernels, strict=True))
            return (*drawn, ops.zeros_like(winner.wins), ops.zeros_like(winner.steps))

        due = winner.steps >= self.restart_steps
        found = ops.cond(due, restarted, lambda: tuple(ops.convert_to_tensor(part) for part in state))
        for variable, value in zip(state, found, strict=True):
            variable.assign(value)

    def get_config(self):
        return {**super().get_config(), "eta": self.eta, "restart_steps": self.restart_steps}


def build_kmeans(components, units, tied=False, eta=0.05, restart_steps=100):
    """A :class:`SynchronyKMeans`: ``(x, y)``, (B, components) each -> one for the pair that won, (B, units)."""
    x, y = (layers.Input((components,), name=name) for name in ("x", "y"))
    products = SynchronyProduct(units, tied, name="product")([x, y])
    won = Winner(dtype="float32", name="codes")(products)
    return SynchronyKMeans((x, y), won, eta=eta, restart_steps=restart_steps, name="synchrony_kmeans")


def build_encoder(method, model, mean, matrix):
    """The filters of a trained model at every position of whole images; see :meth:`Synchrony.encoder`."""
    size = method.patch_size
    modality = "clip" if method.form == "motion" else "pair"  # one camera, or two
    views = layers.Input((method.views, None, None, 3), name=modality)
    ranges = [half.indices(method.views)[:2] for half in method.halves]
    whitening = PatchWhitening(size, method.components, name="whitening")
    sides = [whitening(side) for side in GrayViews(*ranges, method.offset, name="sides")(views)]
    whitening.adapt_to(mean, matrix)
    products = SynchronyProduct(method.units, method.tied, name="product")
    found = products(sides)
    for ours, theirs in zip(products.weights, model.get_layer("product").weights, strict=True):
        ours.assign(theirs)
    codes = Winner(name="codes") if method.learner == "kmeans" else layers.Activation("sigmoid", name="codes")
    outputs = {"products": layers.Identity(name="products")(found), "codes": codes(found)}
    return Encoder(
        views, outputs, modality=modality, smallest=size + method.offset, value_range=(0.0, 1.0), name="encoder"
    )
