"""Sources: random access to examples of any kind.

The example of any step follows from (seed, step) alone, which makes training resume exactly. Sources import NumPy,
Pillow and what reads their files, never TensorFlow, and can be pickled: worker processes read them too.
"""

import logging
from collections.abc import Sequence

import numpy as np

from tfssl.errors import SourceError

log = logging.getLogger("tfssl")

_SHOWN_REASONS = 3

FIELDS = (
    "image", "label", "captions", "clip", "sound", "left", "right", "depth", "disparity", "pose", "mask", "boxes",
    "difficult", "normals", "actions", "states", "other",
)  # fmt: skip
"""Names of the fields of examples."""


class PartError(ValueError):
    """A part of an example that cannot be read though others can: told and counted under its own name.

    For sources whose items share files, so that one broken file is not told once for each item that it is part of.
    """

    def __init__(self, name, reason):
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self):
        return self.reason


class Source(Sequence):
    """A random-access list of examples; an example is a dict with names from :data:`FIELDS`."""

    noun = "examples"
    """What the items are called in messages, in the plural."""

    def __len__(self):
        raise NotImplementedError

    def example(self, index):
        """Read example ``index``; ValueError or OSError with the reason, if it cannot be read."""
        raise NotImplementedError

    def name(self, index):
        """What to call example ``index`` in messages and tables."""
        return f"{self.noun.removesuffix('s')} {index}"

    def sized(self, min_size):
        """This source, its images decoded no smaller than ``min_size`` pixels a side."""
        return self

    def check(self, index):
        """Raise ValueError with the reason if example ``index`` is plainly unreadable; cheaper than reading it."""
        self.example(index)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.example(index)


def check_source(source, sample=256):
    """Refuse a source of which most examples cannot be read, before a long job starts on it.

    Checks ``sample`` random examples, always the same ones, by :meth:`Source.check`.

    Raises:
        SourceError: if more than half of them fail; names a few with reasons.
    """
    size = min(sample, len(source))
    failed, count = {}, 0
    for index in np.random.default_rng(0).choice(len(source), size, replace=False, shuffle=False).tolist():
        try:
            source.check(index)
        except (ValueError, OSError) as error:
            failed[error.name if isinstance(error, PartError) else source.name(index)] = str(error)
            count += 1
    if count > size / 2:
        few = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:_SHOWN_REASONS])
        raise SourceError(
            f"`data` is mostly unreadable: {count} of {size} {source.noun} tried cannot be opened ({few}); "
            f"give other {source.noun}"
        )
