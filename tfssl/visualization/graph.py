"""Walking a functional network against its arrows, into the networks inside it."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """A tensor of a graph, seen from the outermost network.

    Args:
        tensor: a ``keras.KerasTensor``.
        inputs: what stands for the inputs of the inner network that the tensor belongs to, ``{id: Place}``; None in
            the outermost one.
    """

    tensor: keras.KerasTensor
    inputs: dict | None = None

    @property
    def key(self):
        """Equal for two places, of one :class:`Graph`, that hold the same values."""
        return id(self.tensor), id(self.inputs)


class Graph:
    """The operations of a functional network, from its outputs to its input."""

    def __init__(self):
        self._entered = {}  # each use of an inner network: what stands for its inputs

    def producer(self, place):
        """The operation that makes a tensor, and what it reads; inner networks are stepped into.

        Args:
            place: a :class:`Place`.

        Returns:
            ``(operation, [Place, ...])``; ``(None, [])`` for an input of the outermost network.
        """
        while True:
            operation, node_number, output_number = place.tensor._keras_history
            node = operation._inbound_nodes[node_number]
            if node.is_input:
                outer = (place.inputs or {}).get(id(place.tensor))
                if outer is None:
                    return None, []
                place = outer
                continue
            read = [Place(tensor, place.inputs) for tensor in node.input_tensors]
            if not isinstance(operation, keras.Model) or not getattr(operation, "inputs", None):
                return operation, read
            use = (id(operation), node_number, id(place.inputs))
            if use not in self._entered:
                own = keras.tree.flatten(operation.inputs)
                self._entered[use] = {id(tensor): there for tensor, there in zip(own, read, strict=True)}
            place = Place(keras.tree.flatten(operation.outputs)[output_number], self._entered[use])

    def upstream(self, places):
        """Yield (operation, what it reads) for all that tensors depend on, each tensor once, outputs first."""
        waiting, seen = list(places), set()
        while waiting:
            place = waiting.pop()
            if place.key in seen:
                continue
            seen.add(place.key)
            operation, read = self.producer(place)
            if operation is not None:
                yield operation, read
            waiting += read
