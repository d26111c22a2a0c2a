"""The application that the commands belong to, and what they share."""

import glob
import os
from pathlib import Path
from typing import Annotated

import typer
import typer.core

from tfssl.data.captions import parted
from tfssl.errors import ConfigError, ModelError, SourceError, suggest
from tfssl.files import check_folder, printable
from tfssl.options import as_path, is_name
from tfssl.resources import method_of


class _App(typer.Typer):
    def command(self, name=None, *, cls=None, **options):
        return super().command(name, cls=cls or Command, **options)


app = _App(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn to see without labels, and colorize photographs.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

DATA_HELP = "builtin, a folder, a glob, *.tfrecord or tfds:NAME:SPLIT"


class Command(typer.core.TyperCommand):
    """A command whose paths may begin with ``~``: shells leave it in ``--out=~/here``."""

    def __init__(self, *arguments, help=None, **options):
        # Each example stays a line of its own, to be copied: \b keeps a paragraph from being filled.
        help = None if help is None else help.replace("\n\nExample:", "\n\n\b\nExample:")
        super().__init__(*arguments, help=help, **options)

    def parse_args(self, ctx, args):
        rest = super().parse_args(ctx, args)
        for name, value in ctx.params.items():
            if isinstance(value, Path):
                ctx.params[name] = as_path(f"--{name}", value)
        return rest


class TakesOptions(Command):
    """A command whose last argument is ``[NAME=VALUE]...``: every ``--name value`` that it does not know is one.

    A subclass may list them for ``--help``: :meth:`options_help`.
    """

    def options_help(self, words):
        """Text about the options of what the words of a command line are about; empty where they do not say it."""
        return ""

    def is_switch(self, name, words):
        """Whether an option of what the words are about is off by default: ``--name`` alone turns it on."""
        return False

    def get_help(self, ctx):
        return "\n\n".join(filter(None, (super().get_help(ctx), self.options_help(ctx.meta.get(_WORDS, [])))))

    def parse_args(self, ctx, args):
        ctx.meta[_WORDS] = list(args)
        flags = {flag: parameter for parameter in self.get_params(ctx) for flag in parameter.opts}
        kept, more, rest = [], {}, list(args)
        while rest:
            word = rest.pop(0)
            flag, equals, value = word.partition("=")
            if flag in flags or not word.startswith("--"):
                kept.append(word)
                if flag in flags and not equals and not getattr(flags[flag], "is_flag", False):
                    kept += rest[:1]
                    del rest[:1]
                continue
            name = flag[2:].replace("-", "_")
            if not equals and (not rest or rest[0] not in ("true", "false")) and self.is_switch(name, args):
                value = "true"
            elif not equals:
                if not rest or rest[0].startswith("--"):
                    raise ConfigError(f"`{flag}` needs a value: {flag} VALUE, see tfssl {ctx.info_name} --help")
                value = rest.pop(0)
            more.setdefault(name, []).append(value)
        ctx.meta[_FLAGS] = [(name, v[0] if len(v) == 1 else v) for name, v in more.items()]
        return super().parse_args(ctx, kept)


_FLAGS, _WORDS = "tfssl.flags", "tfssl.words"

TEXT_OPTIONS = (
    "test", "train_split", "test_split", "pretext_data", "cache", "proposals", "similarity", "analogies", "vectors",
    "split", "transfer",
)  # fmt: skip
"""Options of tasks that are names and paths: taken as they are, a folder 2024 too."""


def given_options(context, options):
    """What a command of :class:`TakesOptions` was given, for :func:`tfssl.config.read_overrides`."""
    return [*(options or ()), *context.meta.get(_FLAGS, ())]


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


def check_data(data, name="--data", fix=""):
    """Refuse data that is not there, before TensorFlow starts; ``fix`` ends the message."""
    if data is not None and not is_name(data):
        folder, _ = parted(data)  # a split of captions is looked for when they are opened
        check_files(folder if os.path.exists(os.path.expanduser(folder)) else data, name, fix)


def check_files(text, name, fix=""):
    """Refuse a path or glob of files that are not there."""
    path = os.path.expanduser(text)
    if not os.path.exists(path) and next(glob.iglob(path, recursive=True), None) is None:
        raise SourceError(f"`{name}` is no folder, file or matching glob. Received: {name}={text!r}{fix}")


def check_choice(name, value, known):
    """Refuse a value that is none of the known ones."""
    if value is not None and value not in known:
        raise ConfigError(f"`{name}` {value!r} is unknown; {suggest(value, known)}")


def check_inputs(inputs, out, format, model, *wanted):
    """Refuse what cannot be read, written, or is another method's model, before TensorFlow starts."""
    check_choice("--format", format, ("jpg", "png"))
    for source in inputs:
        check_files(source, "IN")
    check_model(model, *wanted)
    check_folder(out, "--out")


def check_model(source, *wanted):
    """Refuse a model that is not there, or belongs to none of the methods wanted, before it is loaded."""
    found = method_of(source)
    if found is not None and found not in wanted:
        raise ModelError(f"`--model` {source!r} is a {found} model; give a {' or '.join(wanted)} model")


def say(text, err=False):
    """Print a line: names of files in it do not steer the terminal."""
    typer.echo(printable(text), err=err)


def print_record(record):
    """The metrics of an evaluation, one a line, and on stderr what was skipped."""
    for line in record.lines():
        say(line)
    report_skipped(record.skipped)


def report_skipped(reasons):
    """Name each unreadable file and why, on stderr."""
    for name, reason in reasons.items():
        say(f"skipped {name}: {reason}", err=True)


def listing(out):
    """What lies in a folder of results and when it was written, for :func:`report_written`; {} without one."""
    folder = None if out is None else Path(out).expanduser()
    return {} if folder is None or not folder.is_dir() else {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}


def report_written(out, before):
    """Name what was written to a folder of results since it had the listing ``before``: what is older stays unsaid."""
    written = sorted(name for name, when in listing(out).items() if before.get(name) != when)
    say(f"written to {out}: " + ", ".join(written))


def report_gallery(numbers, failed, out, before):
    """Say the numbers of a page, ``{title: {name: number}}``, and what did not serve, which ends with exit code 1."""
    for title, column in numbers.items():
        for name, value in column.items():
            say(f"{title:24s}  {name:44s} {'none' if value is None else format(value, '.4g')}")
    report_written(out, before)
    for path, reason in failed.items():
        say(f"failed {path}: {reason}", err=True)
    if failed:
        raise typer.Exit(1)
