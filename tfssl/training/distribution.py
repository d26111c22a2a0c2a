"""One device or several: the strategy of a run."""

import functools

import tensorflow as tf

from tfssl.errors import ConfigError


def make_strategy(devices, batch_size):
    """The ``tf.distribute`` strategy for so many devices: the default one for 1, else MirroredStrategy.

    It is over GPUs, or where there is none over logical CPU devices (slower than one, for tests). ConfigError if there
    are fewer devices, or the batch cannot be divided.
    """
    if devices == 1:
        return tf.distribute.get_strategy()
    if batch_size % devices:
        raise ConfigError(
            f"`batch_size` must be a multiple of devices. Received: batch_size={batch_size}, devices={devices}"
        )
    gpus = tf.config.list_logical_devices("GPU")
    available = gpus or _logical_cpus(devices)
    if len(available) < devices:
        raise ConfigError(f"`devices`: this machine has {len(available)}. Received: devices={devices}")
    return _mirrored(tuple(device.name for device in available[:devices]))


@functools.cache
def _mirrored(names):
    # One strategy for all models of a process: each new one numbers its collective operations from the start again,
    # and TensorFlow, which remembers their shapes by number, refuses those of the second model.
    return tf.distribute.MirroredStrategy(names)


def _logical_cpus(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        if not tf.config.get_logical_device_configuration(cpu):
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:  # TensorFlow is already running: its devices can no longer be divided
        pass
    return tf.config.list_logical_devices("CPU")
