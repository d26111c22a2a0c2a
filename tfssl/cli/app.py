"""The application that the commands belong to, and what they share."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tfssl.quiet import quiet_stderr

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn to see without labels, and colorize photographs.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DATA_HELP = "builtin, a folder, a glob, *.tfrecord or tfds:NAME:SPLIT"


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
):
    if version:
        from tfssl import __version__

        typer.echo(f"tfssl {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    elif not {"-h", "--help"} & set(sys.argv):
        _start_tensorflow()


def _start_tensorflow():
    """Import TensorFlow without its start-up notes, which its C++ side writes past every log setting."""
    with quiet_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


def progress_bar(unit):
    """Progress of a count of ``unit``, on a terminal or in plain lines."""
    from tfssl.training.progress import CountProgress

    return CountProgress(unit)


def print_metrics(metrics):
    """The figures of a dict, one a line."""
    for key, value in metrics.items():
        if isinstance(value, (int, float, str)):
            typer.echo(f"{key:40s} {value if isinstance(value, str) else format(value, '.6g')}")


def report_skipped(reasons):
    """Name each unreadable file and why, on stderr."""
    for name, reason in reasons.items():
        typer.echo(f"skipped {name}: {reason}", err=True)


def read_json(path):
    """The content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
