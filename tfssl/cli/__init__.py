"""The command line. Each command is a thin call of a Python function; heavy imports happen inside it."""

import contextlib
import itertools
import logging
import os
import signal
import sys
import warnings

import typer

# Each registers its commands, in the order of --help: what a newcomer wants first.
from tfssl.cli import images, grouping, learning, discovering, looking, realism, exporting  # noqa: F401  # isort: skip
from tfssl.cli.app import app, say
from tfssl.cli.streams import open_streams
from tfssl.errors import TfsslError
from tfssl.files import OneLine, printable
from tfssl.imports import around_import
from tfssl.interrupts import exit_on_signals
from tfssl.quiet import quiet_stderr
from tfssl.runtime import ignore_user_settings

_INTERRUPTED = 130
_AGAIN = "the same command begins anew"
_KEPT = "what is written is whole, and the same command goes on with the rest"
_RESUME = {"train": "the same command goes on from the last checkpoint", "colorize": _KEPT, "inpaint": _KEPT}


def main(arguments=None):
    """Run the command line and exit: 0 done, 1 some inputs failed, 2 wrong use, 128 + the number of a signal."""
    open_streams()
    # Start-up notes of TensorFlow and its libraries would drown the one line that a user needs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    around_import("tensorflow", _starting_tensorflow)
    ignore_user_settings()
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # a run's own log file takes the rest
    handler.setFormatter(OneLine())
    logging.basicConfig(handlers=[handler])
    # What matters of Pillow's comes back as an image's reason; Keras' and TensorFlow's speak to who writes code.
    warnings.filterwarnings("ignore", module=r"(PIL|keras|tensorflow)\..*")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments):
    """The exit code of a command, whose errors are told in one line."""
    command = next((word for word in arguments if not word.startswith("-")), None)
    try:
        with exit_on_signals():
            code = app(args=arguments, prog_name="tfssl", standalone_mode=False) or 0
            if code == _INTERRUPTED:  # Typer takes Ctrl-C for itself and says nothing
                raise KeyboardInterrupt
            sys.stdout.flush()
            return code
    except TfsslError as error:
        return _complain(str(error))
    except OSError as error:
        where = _out(arguments) if error.filename is None else error.filename
        return _complain(f"{error.strerror or error}{'' if where is None else f': {printable(where)}'}")
    except (KeyboardInterrupt, typer.Abort):
        return _complain(f"interrupted; {_RESUME.get(command, _AGAIN)}", _INTERRUPTED)
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code > 128:  # of a signal
            _complain(f"ended by {signal.Signals(stop.code - 128).name}; {_RESUME.get(command, _AGAIN)}")
        raise
    except Exception as error:
        # Typer's own usage errors; their classes are not public and moved between its releases.
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        path = "tfssl" if context is None else context.command_path
        return _complain(f"{error.format_message().rstrip('.')} (see {path} --help)")


def _out(arguments):
    """The folder of results that a command was given, None without one: where a disk is full that says no more."""
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--out=") else [word])]
    return next((value for word, value in itertools.pairwise(words) if word == "--out"), None)


@contextlib.contextmanager
def _starting_tensorflow():
    with quiet_stderr():
        yield
        import tensorflow as tf

        tf.config.list_physical_devices()  # the C++ side writes more notes when it looks for GPUs


def _complain(message, code=2):
    say(f"tfssl: {' '.join(message.split())}", err=True)
    return code
