"""Reconstruction losses."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes

EPSILON = 1e-7
"""Reconstructions are kept that far from 0 and 1 in the cross-entropy."""


@keras.saving.register_keras_serializable(package="tfssl")
class ReconstructionLoss(keras.losses.Loss):
    """How far reconstructions z are from the clean x.

    - ``"cross_entropy"``: ``l = -x log z - (1 - x) log(1 - z)``, x and z in [0, 1];
    - ``"squared"``: ``l = (x - z)^2``.

    Summed over the components of an example (papers) or averaged (convolutional networks, whose number of components
    depends on the crop), then averaged over the batch. A sample weight of the shape of x weighs components: alpha where
    J = 1 and beta elsewhere give the emphasized losses of 2010.

    Args:
        kind: ``"cross_entropy"`` or ``"squared"``.
        components: ``"sum"`` or ``"mean"``.

    Call: ``y_true`` x and ``y_pred`` z, (B, ...).
    """

    def __init__(
        self, kind="cross_entropy", components="sum", name="reconstruction", reduction="sum_over_batch_size", **kwargs
    ):
        if kind not in ("cross_entropy", "squared"):
            raise ValueError(f"`kind` must be 'cross_entropy' or 'squared'. Received: kind={kind!r}")
        if components not in ("sum", "mean"):
            raise ValueError(f"`components` must be 'sum' or 'mean'. Received: components={components!r}")
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.kind = kind
        self.components = components

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "... B n"), y_pred=(y_pred, "... B n"))
        x, z = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        losses = ops.square(x - z) if self.kind == "squared" else cross_entropy(x, z)
        if self.components == "mean":
            return losses
        # Keras averages over all elements: times their number in an example makes that a sum over it.
        return losses * ops.cast(ops.prod(ops.shape(losses)[1:]), "float32")

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "components": self.components}


def cross_entropy(x, z):
    """``-x log z - (1 - x) log(1 - z)`` of each component, z clipped to [1e-7, 1 - 1e-7]."""
    check_shapes(x=(x, "... n"), z=(z, "... n"))
    z = ops.clip(z, EPSILON, 1.0 - EPSILON)
    return -(x * ops.log(z) + (1.0 - x) * ops.log(1.0 - z))
