"""Errors that a user can mend: each message is one line naming the argument, the value and the mend."""


class TfsslError(Exception):
    """Base of the errors below. The command line prints them without a traceback and exits with 2."""


class SourceError(TfsslError, ValueError):
    """An image source is empty, unreadable or of an unknown kind."""


class ConfigError(TfsslError, ValueError):
    """A configuration has an unknown key or a value outside its range."""


class TrainingError(TfsslError, RuntimeError):
    """Training cannot go on, for example because the loss became NaN."""


class ModelError(TfsslError, ValueError):
    """A model, run directory or export is missing, incomplete or of another kind than asked for."""
