"""Percepts of clips: what a network makes of each frame, one file of vectors for each clip."""

import dataclasses

import numpy as np

from tfssl.data.listing import PathSource, list_files
from tfssl.data.media import title


@dataclasses.dataclass(frozen=True)
class PerceptClip:
    """A ``.npy`` file, float (frames, numbers), of which only the frames that are asked for are read."""

    path: str

    def __len__(self):
        return len(self._rows())

    def frames(self, indices):
        """Vectors by the numbers of their frames, float32 (n, numbers); ValueError if they hold NaN or infinity."""
        found = np.asarray(self._rows()[np.asarray(indices)], np.float32)
        if not np.isfinite(found).all():
            raise ValueError(f"{title(self.path)}: holds NaN or infinity")
        return found

    def _rows(self):
        try:
            rows = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{title(self.path)}: cannot be read as an array ({reason})") from None
        if rows.ndim != 2 or rows.dtype.kind != "f" or not rows.size:
            raise ValueError(f"{title(self.path)}: must be float (frames, numbers), is {rows.dtype} {rows.shape}")
        return rows


@dataclasses.dataclass(frozen=True)
class PerceptSource(PathSource):
    """Files of vectors, ``{"clip": PerceptClip}``."""

    paths: tuple[str, ...]

    noun = "clips"

    def example(self, index):
        return {"clip": PerceptClip(self.paths[index])}

    def check(self, index):
        len(PerceptClip(self.paths[index]))


def percept_source(data):
    """A :class:`PerceptSource` of ``.npy`` files, a folder, a glob, a file or a list of them.

    SourceError if there are none.
    """
    return data if isinstance(data, PerceptSource) else PerceptSource(list_files(data, (".npy",), "clips"))
