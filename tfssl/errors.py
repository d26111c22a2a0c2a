"""Errors that a user can fix: each message is one line naming the argument, the value and the fix."""

import difflib
from collections.abc import Iterable


class TfsslError(Exception):
    """Base of the errors below. The command line prints them without a traceback and exits with 2."""


class SourceError(TfsslError, ValueError):
    """A source is empty, unreadable or of an unknown kind."""


class ConfigError(TfsslError, ValueError):
    """A configuration or a call has an unknown key or a value outside its range."""


class ArgumentError(TfsslError, TypeError):
    """An argument is of a type that cannot serve."""


class TrainingError(TfsslError, RuntimeError):
    """Training cannot go on, for example because the loss became NaN."""


class ModelError(TfsslError, ValueError):
    """A model, run directory or export is missing, incomplete or of another kind than asked for."""


def suggest(name: object, known: Iterable[str], noun: str = "known") -> str:
    """The fix for a misspelt name: the nearest of the known ones, or all of them after ``noun``."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"{noun}: {', '.join(known) or 'none'}"


def counted(number: int, noun: str) -> str:
    """``3 images``, ``1 image``: a number and what is counted, a plural that ends in s."""
    return f"{number} {noun.removesuffix('s') if number == 1 else noun}"


def reason_of(error: BaseException) -> str:
    """One line of an error that was raised inside a data pipeline, without what the graph wraps around it."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line.split("Error: ", 1)[1].strip() for line in lines if "Error: " in line), lines[0])
