"""One image, or film, to read and the file to write, where other commands may write too."""

import dataclasses
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from tfssl.data.origin import CHANGED, SAME, SETTINGS, compare, origin_of
from tfssl.data.photo import save_photo
from tfssl.files import printable


@dataclasses.dataclass(eq=False)
class Job:
    """One image, or film, to read and the file to write.

    Args:
        source, target: the two; :meth:`save` may choose another target.
        settings: text that says how the image is worked on, see :mod:`tfssl.data.origin`.
        renamed: whether the name that it would have had belongs to another image.
        there: what is at ``target`` already: "" for nothing, :data:`SAME` for just this result, else why it is another.
        names: more names that the result may have, in order of preference.
    """

    source: Path
    target: Path
    settings: str = ""
    renamed: bool = False
    there: str = ""
    names: Iterator[Path] = dataclasses.field(default_factory=lambda: iter(()))

    def save(self, rows, size, **options):
        """Write an image with its origin: :func:`tfssl.data.photo.save_photo`."""
        self.place(lambda target, **origin: save_photo(rows, size, target, **origin, **options))

    def place(self, write):
        """Have ``write(target, comment=text, replace=bool)`` write the result; the comment says its origin.

        Other commands may work into the same folder at once: a name that one of them has taken meanwhile for another
        image is left to it, and where it has made just this result, that stays.
        """
        while not self.made():
            try:
                write(self.target, comment=self.origin.comment(), replace=bool(self.there))
                return
            except FileExistsError:
                if not os.path.lexists(self.target):  # it is a folder above that exists as a file
                    raise

    def made(self):
        """Whether another command has made just this result since it was planned.

        Chooses another target where it has made one of another image; ValueError where it is of this one.
        """
        while not self.there and os.path.lexists(self.target):
            found, name = compare(self.target, self.origin), next(self.names, None)
            if found == SAME:
                return True
            if found in (CHANGED, SETTINGS) or name is None:
                raise ValueError(f"another command has just made {printable(self.target)!r}, {found}")
            self.target, self.renamed = name, True
        return False

    @functools.cached_property
    def origin(self):
        """The :class:`Origin` of the result; OSError if the source cannot be read."""
        return origin_of(self.source, self.settings)
