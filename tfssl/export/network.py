"""A network as an export stores it: float32 computation, weights in float32 or float16, each under its Keras path."""

import keras
import numpy as np
import tensorflow as tf

from tfssl.errors import ModelError
from tfssl.training.runs import assign_weights

SCOPE = "network"
"""Name scope of the operators of a :class:`StoredNetwork`, below it one scope a layer."""


def float32_network(method, model):
    """The network of ``method`` with the weights of ``model``, computing in float32.

    A model trained with mixed_bfloat16 holds its weights in float32 but computes in bfloat16, which few CPUs and no
    phone can do. It is built anew and every weight copied by its path.

    Args:
        method: the :class:`~tfssl.methods.base.Method` the model belongs to.
        model: a built ``keras.Model``.

    Returns:
        ``model`` itself if every layer computes in float32, otherwise a new one.

    Raises:
        ModelError: if the weights do not match the method's network one to one.
    """
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    rebuilt = _build_float32(method)
    values = {variable.path: variable for variable in model.variables}
    if len(values) != len(rebuilt.variables):
        raise ModelError(f"the model has {len(values)} weights, the method's network {len(rebuilt.variables)}")
    assign_weights(rebuilt, values, "the model")
    return rebuilt


def network_from_values(method, values, source):
    """The network of ``method`` in float32 with the given weights; refuses a partial match.

    Args:
        method: a :class:`~tfssl.methods.base.Method`.
        values: ``{variable path: array}``.
        source: where they come from, for the message.

    Raises:
        ModelError: with the counts of matching and missing weights.
    """
    model = _build_float32(method)
    assign_weights(model, values, source)
    unknown = sorted(set(values) - {variable.path for variable in model.variables})
    if unknown:
        raise ModelError(
            f"{str(source)!r} fits {len(model.variables)} weights but holds {len(unknown)} unknown ones: "
            f"{', '.join(unknown[:3])}{' ...' if len(unknown) > 3 else ''}"
        )
    return model


def _build_float32(method):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return method.model()
    finally:
        keras.config.set_dtype_policy(policy)


class StoredNetwork:
    """A callable stand-in for a ``keras.Model`` whose weights are ``tf.Variable`` objects named by Keras path.

    A graph-mode loader and a converter find these variables; those of a Keras 3 model inside another module they
    do not. With float16 weights each call casts them to float32 first, which takes a fraction of a millisecond.

    Args:
        model: a built ``keras.Model`` in float32.
        weights: ``"float32"`` or ``"float16"``. Kernels are halved; vectors (biases, scales, statistics) are few
            and decide the offset of whole channels, so they stay in float32.

    Raises:
        ModelError: if a kernel does not fit into float16.
    """

    def __init__(self, model, weights="float32"):
        self._model = model
        self.variables = [_store(variable, weights) for variable in model.variables]
        names = [variable.name.partition(":")[0] for variable in self.variables]
        if len(set(names)) != len(names):
            raise ModelError("two weights of the model have the same path; give its layers distinct names")
        position = {id(variable): i for i, variable in enumerate(model.variables)}
        self._trainable = [position[id(variable)] for variable in model.trainable_variables]
        self._fixed = [position[id(variable)] for variable in model.non_trainable_variables]

    def __call__(self, inputs, training=False):
        values = [tf.cast(stored, own.dtype) for stored, own in zip(self.variables, self._model.variables, strict=True)]
        with tf.name_scope(SCOPE):
            outputs, _ = self._model.stateless_call(
                [values[i] for i in self._trainable], [values[i] for i in self._fixed], inputs, training=training
            )
        return outputs


def _store(variable, weights):
    value = np.asarray(variable)
    if weights == "float16" and value.ndim >= 2 and value.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        if not np.isfinite(half).all():
            raise ModelError(
                f"weight {variable.path} reaches {np.abs(value).max():.3g}, more than float16 holds; use "
                f'weights="float32"'
            )
        value = half
    return tf.Variable(value, trainable=False, name=variable.path)
