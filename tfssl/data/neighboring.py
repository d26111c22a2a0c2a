"""Photographs that were taken after each other: pairs of neighbors in the order of their names, or of time."""

import dataclasses

from tfssl.data.decode import open_image
from tfssl.data.images import FileSource
from tfssl.data.listing import short
from tfssl.data.source import PartError, Source, check_source
from tfssl.errors import ConfigError, SourceError, counted

_EXIF, _TAKEN, _CHANGED = 0x8769, 0x9003, 0x0132  # the sub-directory, DateTimeOriginal, DateTime

ORDERS = ("name", "time")


@dataclasses.dataclass(frozen=True, eq=False)
class NeighboringPhotographs(Source):
    """Pairs of photographs at most ``within`` places from each other: ``{"image": PIL.Image, "other": PIL.Image}``.

    All such pairs are items, the earlier one first; those one place apart come before those two apart.

    Args:
        photographs: a source of images.
        order: their numbers, one after the other.
        within: places, at least 1.
    """

    photographs: Source
    order: tuple[int, ...]
    within: int

    noun = "pairs of photographs"

    def __len__(self):
        return sum(len(self.order) - gap for gap in range(1, self._reach + 1))

    def example(self, index):
        found = [self._part(number, self.photographs.example) for number in self._pair(index)]
        return {"image": found[0]["image"], "other": found[1]["image"]}

    def name(self, index):
        return self.photographs.name(self._pair(index)[0])

    def check(self, index):
        for number in self._pair(index):
            self._part(number, self.photographs.check)

    def sized(self, min_size):
        return dataclasses.replace(self, photographs=self.photographs.sized(min_size))

    @property
    def _reach(self):
        return min(self.within, len(self.order) - 1)

    def _pair(self, index):
        for gap in range(1, self._reach + 1):
            if index < len(self.order) - gap:
                return self.order[index], self.order[index + gap]
            index -= len(self.order) - gap
        raise IndexError(index)

    def _part(self, number, read):
        try:
            return read(number)
        except (ValueError, OSError) as error:
            raise PartError(self.photographs.name(number), str(error)) from error


def neighboring_photographs(source, *, within=4, order="name"):
    """A :class:`NeighboringPhotographs` of a source of images.

    Args:
        source: of images; for ``order="time"`` of files, see :func:`tfssl.data.images.image_source`.
        within: most places from one photograph to its neighbor.
        order: ``"name"``, that of the source; or ``"time"``, that of EXIF's DateTimeOriginal, else DateTime. A file
            without either has no place and is left out.

    Raises:
        ConfigError: for an unknown order.
        SourceError: if fewer than two photographs have a place.
    """
    if order not in ORDERS:
        raise ConfigError(f"`order` must be one of {', '.join(ORDERS)}. Received: order={order!r}")
    check_source(source)
    if order == "name":
        numbers = range(len(source))
    elif isinstance(source, FileSource):
        times = [_time(path) for path in source.paths]
        numbers = sorted((n for n, time in enumerate(times) if time), key=lambda n: (times[n], n))
    else:
        raise SourceError(f"`data`: order=time needs files with EXIF; take order=name. Received: {short(source)}")
    if len(numbers) < 2:
        found = counted(len(numbers), "photographs")
        why = "with a time in their EXIF; take order=name" if order == "time" else "; give two at least"
        raise SourceError(f"`data` holds {found} {why}")
    return NeighboringPhotographs(source, tuple(numbers), within)


def _time(path):
    """When a photograph was taken, text that sorts by time, or None."""
    try:
        with open_image(path) as image:
            exif = image.getexif()
            return exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_CHANGED)
    except ValueError:
        return None  # told when it is read
