"""What this library needs of the process it runs in: Keras as it comes, and TensorFlow that was not forked."""

import contextlib
import functools
import os
import sys

from tfssl.errors import ConfigError
from tfssl.imports import around_import

_forked = False
"""Whether this process is a fork of one in which TensorFlow had run: its threads are gone, and calls would hang."""


def check() -> None:
    """ConfigError in a process where networks would hang, or be built of another shape than they are written for."""
    if _forked:
        raise ConfigError(
            "this process was forked after TensorFlow ran, where it would hang; call tfssl in a fresh process: "
            "multiprocessing.get_context('spawn')"
        )
    try:
        import keras
    except ImportError as error:
        raise ConfigError(f"Keras does not start ({error}); set KERAS_BACKEND=tensorflow in the environment") from None
    if keras.config.image_data_format() != "channels_last":
        raise ConfigError(
            "networks here are channels_last; call keras.config.set_image_data_format('channels_last') first. "
            f"Received: image_data_format={keras.config.image_data_format()!r}"
        )


def checked(build):
    """``build``, run only after :func:`check`."""

    @functools.wraps(build)
    def run(*arguments, **options):
        check()
        return build(*arguments, **options)

    return run


def check_backend() -> None:
    """:func:`check`, and ConfigError where Keras does not compute with TensorFlow."""
    check()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            "this needs Keras on TensorFlow; set KERAS_BACKEND=tensorflow before keras is imported. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )


@contextlib.contextmanager
def precision(policy: str = "float32"):
    """:func:`check`; then this dtype policy and floatx float32 within the block, whatever the user has set."""
    check()
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


@contextlib.contextmanager
def measuring():
    """:func:`check_backend`; then :func:`precision`, in which a network is run and new layers are trained on it."""
    check_backend()
    with precision():
        yield


def ignore_user_settings() -> None:
    """Let Keras start with TensorFlow and its own defaults, whatever the environment and keras.json say."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    around_import("keras", _then_set_defaults)


@contextlib.contextmanager
def _then_set_defaults():
    yield
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


def _note_fork():
    global _forked
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "context_safe", lambda: None)()
    _forked = _forked or bool(getattr(context, "_initialized", False))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
