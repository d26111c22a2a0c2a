"""Keeping C++ libraries from writing over what a user should read."""

import contextlib
import os
import sys
import warnings


@contextlib.contextmanager
def quiet_stderr():
    """Throw away what is written to stderr meanwhile, past Python's logging too: notes and progress bars."""
    sys.stderr.flush()
    with warnings.catch_warnings(), open(os.devnull, "w", encoding="utf-8") as devnull:
        warnings.simplefilter("ignore")
        saved = os.dup(2)
        os.dup2(devnull.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
