"""The command line. Each command is a thin call of a Python function; heavy imports happen inside it."""

import contextlib
import logging
import os
import sys
import warnings

import typer

# Each registers its commands, in the order of --help.
from tfssl.cli import exporting, images, learning, looking  # noqa: F401
from tfssl.cli.app import app
from tfssl.errors import TfsslError
from tfssl.imports import around_import
from tfssl.interrupts import exit_on_signals
from tfssl.quiet import quiet_stderr
from tfssl.runtime import ignore_user_settings

_INTERRUPTED = 130


def main(arguments=None):
    """Run the command line and exit: 0 done, 1 some inputs failed, 2 wrong use, 128 + the number of a signal."""
    exit_on_signals()
    # Start-up notes of TensorFlow and its libraries would drown the one line that a user needs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    around_import("tensorflow", _starting_tensorflow)
    ignore_user_settings()
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # a run's own log file takes the rest
    logging.basicConfig(format="%(message)s", handlers=[handler])
    # What matters of Pillow's comes back as an image's reason; Keras' and TensorFlow's speak to who writes code.
    warnings.filterwarnings("ignore", module=r"(PIL|keras|tensorflow)\..*")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == _INTERRUPTED:  # Typer takes Ctrl-C for itself and says nothing
            _complain("interrupted")
    except TfsslError as error:
        code = _complain(str(error))
    except OSError as error:
        code = _complain(f"{error.strerror or error}: {error.filename or ''}")
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted", _INTERRUPTED)
    except Exception as error:
        # Typer's own usage errors; their classes are not public and moved between its releases.
        if not hasattr(error, "format_message"):
            raise
        code = _complain(f"{error.format_message()} (see tfssl --help)")
    sys.exit(code or 0)


@contextlib.contextmanager
def _starting_tensorflow():
    with quiet_stderr():
        yield
        import tensorflow as tf

        tf.config.list_physical_devices()  # the C++ side writes more notes when it looks for GPUs


def _complain(message, code=2):
    typer.echo(f"tfssl: {' '.join(message.split())}", err=True)
    return code
