"""A SavedModel in graph mode, as a model server runs it."""

import numpy as np
import tensorflow as tf

from tfssl.errors import ModelError


class GraphModel:
    """A version folder loaded by TensorFlow's graph-mode loader into a Session, the way a model server holds it."""

    def __init__(self, version):
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            try:
                loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(version))
            except Exception as error:  # whatever a damaged file makes of the loader
                self._session.close()
                reason = " ".join(str(error).split())[:200]
                raise ModelError(f"the graph-mode loader cannot load it: {reason}") from None
        self.signatures = {k: v for k, v in loaded.signature_def.items() if not k.startswith("__")}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._session.close()

    def check_inputs(self, name, specs):
        """Raise ModelError unless the signature has exactly the inputs ``specs``."""
        found = {key: tf.as_dtype(value.dtype).name for key, value in self.signatures[name].inputs.items()}
        wanted = {spec.name: spec.dtype.name for spec in specs}
        if found != wanted:
            raise ModelError(f"signature {name} takes {_inputs(found)} instead of {_inputs(wanted)}")

    def run(self, name, inputs):
        """Run a signature: ``{input: array} -> {output: array}``."""
        signature = self.signatures.get(name)
        if signature is None:
            raise ModelError(f"no signature {name!r}; there are {', '.join(sorted(self.signatures))}")
        if set(inputs) != set(signature.inputs):
            raise ModelError(f"signature {name} takes {', '.join(signature.inputs)}. Received: {', '.join(inputs)}")
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        try:
            answer = self._session.run({key: info.name for key, info in signature.outputs.items()}, feed)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            # What went wrong, without the graph's own account of where.
            text = " ".join(str(getattr(error, "message", error)).split()).removeprefix("Graph execution error: ")
            reason = text.partition(" [[")[0].partition(" Original stack trace")[0][:200]
            raise ModelError(f"signature {name} fails: {reason}") from None
        return {key: np.asarray(value) for key, value in answer.items()}


def _inputs(types):
    return ", ".join(f"{name} ({dtype})" for name, dtype in sorted(types.items()))
