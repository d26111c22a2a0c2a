"""How long training waits for data."""

import time

import tensorflow as tf


class WaitClock:
    """Adds up the time between asking for a batch and getting it.

    Under MirroredStrategy a background thread fetches ahead, and the figure is a lower bound.
    """

    def __init__(self, arrival):
        self._arrival = arrival
        self._asked = time.time()
        self.seconds = 0.0

    def asking(self):
        """Call when the step before has ended."""
        self._asked = time.time()

    def arrived(self):
        """Call when the step has ended: adds the time from asking() to the batch's arrival."""
        self.seconds += max(0.0, float(self._arrival.numpy()) - self._asked)


def measure_wait(batches):
    """Note the time at which each batch reaches its consumer.

    Args:
        batches: a ``tf.data.Dataset`` that ends in a prefetch.

    Returns:
        ``(dataset, clock)``: the same batches, and a :class:`WaitClock`.
    """
    with tf.device("/CPU:0"):
        arrival = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def stamp(*batch):
        # Runs in the consumer's own call, after the prefetch buffer has handed the batch over.
        arrival.assign(tf.timestamp())
        return batch

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # it would move the stamp ahead of the consumer
    return batches.map(stamp).with_options(options), WaitClock(arrival)
