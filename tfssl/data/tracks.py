"""Windows of consecutive stereo frames with their poses, of one sequence or many."""

import dataclasses
import functools
import logging
import os

import numpy as np

from tfssl.data.corridors import corridor_source
from tfssl.data.listing import folder, short
from tfssl.data.posed import posed_source
from tfssl.data.source import Source
from tfssl.errors import SourceError
from tfssl.files import printable
from tfssl.ops.arguments import check_integers

log = logging.getLogger("tfssl")

BUILTIN_DRIVES, BUILTIN_FRAMES = 80, 40
"""Rendered from the builtin photographs where data is ``"builtin"``: drives, and frames of each."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrackSource(Source):
    """Windows of consecutive frames: ``{"left", "right": list of PIL.Image, "pose": float64 (frames, 4, 4)}``.

    A sequence of N frames has N - frames + 1 windows, one from each frame on. A sequence that cannot be used stands for
    one item, which says why when it is read. Make it by :func:`track_source`.

    Args:
        sequences: sources of frames that have ``poses``, such as :class:`tfssl.data.posed.PosedSource`.
        names: of the sequences.
        frames: of a window.
        faults: ``{name: reason}`` of the sequences that cannot be used.
    """

    sequences: tuple[Source, ...]
    names: tuple[str, ...]
    frames: int
    faults: dict

    noun = "windows"

    def __post_init__(self):
        counts = [len(sequence) - self.frames + 1 for sequence in self.sequences]
        object.__setattr__(self, "firsts", np.concatenate([[0], np.cumsum(counts)]).astype(int))

    def __len__(self):
        return int(self.firsts[-1]) + len(self.faults)

    def place(self, index):
        """``(sequence, frame)``: numbers of the sequence of a window and of its first frame; None of a faulty one."""
        if index >= self.firsts[-1]:
            return None
        sequence = int(np.searchsorted(self.firsts, index, side="right")) - 1
        return sequence, int(index - self.firsts[sequence])

    def example(self, index):
        place = self.place(index)
        if place is None:
            raise ValueError(list(self.faults.values())[index - self.firsts[-1]])
        sequence, first = self.sequences[place[0]], place[1]
        frames = [sequence.example(number) for number in range(first, first + self.frames)]
        left, right, pose = ([frame[role] for frame in frames] for role in ("left", "right", "pose"))
        return {"left": left, "right": right, "pose": np.stack(pose)}

    def name(self, index):
        place = self.place(index)
        if place is None:
            return list(self.faults)[index - self.firsts[-1]]
        return f"{self.names[place[0]]}, frame {place[1]}"

    def check(self, index):
        place = self.place(index)
        if place is None:
            raise ValueError(list(self.faults.values())[index - self.firsts[-1]])
        for number in range(place[1], place[1] + self.frames):
            self.sequences[place[0]].check(number)


def track_source(data, *, frames=5):
    """Windows of stereo sequences with poses, as :class:`TrackSource`.

    Args:
        data: folder of one sequence, see :func:`tfssl.data.posed.posed_source`; folder of such folders, or with
            ``sequences/`` as KITTI has it; a sequence with ``poses``, or a list of them; ``"builtin"`` for drives
            rendered from the builtin photographs.
        frames: of a window, at least 2.

    Raises:
        SourceError: in one line, if no sequence can be used. Of several, those that cannot are told, and skipped.
    """
    check_integers(2, frames=frames)
    if isinstance(data, TrackSource):
        return data
    if isinstance(data, Source):
        data = [data]
    if isinstance(data, (str, os.PathLike)):
        if os.fspath(data) == "builtin":
            data = _builtin_drives()
        else:
            return _of_folder(folder(data, " of sequences"), data, frames)
    if not (isinstance(data, (list, tuple)) and data and all(hasattr(sequence, "poses") for sequence in data)):
        raise SourceError(f"`data` must be a folder of sequences, or sequences with poses. Received: {short(data)}")
    found, faults = {}, {}
    for number, sequence in enumerate(data):
        _sort_in(f"sequence {number}", lambda own=sequence: own, frames, found, faults)
    return _source(found, faults, frames, data)


@functools.lru_cache(maxsize=1)  # a run opens its data several times, and the drives keep what they have rendered
def _builtin_drives():
    return [corridor_source(frames=BUILTIN_FRAMES, seed=seed) for seed in range(BUILTIN_DRIVES)]


def _of_folder(root, data, frames):
    if (root / "sequences").is_dir():
        root = root / "sequences"
    below = [path for path in sorted(root.iterdir()) if (path / "calib.txt").is_file()]
    if (root / "calib.txt").is_file() or not below:
        below = [root]
    found, faults = {}, {}
    for path in below:
        _sort_in(printable(path.name), lambda own=path: posed_source(own, stereo=True), frames, found, faults)
    return _source(found, faults, frames, data)


def _sort_in(name, opened, frames, found, faults):
    """Put a sequence among those that can be used, or the reason why not among the faults."""
    try:
        sequence = opened()
        if getattr(sequence, "baseline", None) is None:
            raise SourceError("a sequence of one camera has no stereo frames")
        if len(sequence) < frames:
            raise SourceError(f"a sequence of {len(sequence)} frames has no window of {frames}")
        found[name] = sequence
    except SourceError as error:
        faults[name] = str(error)


def _source(found, faults, frames, data):
    if not found:
        name, reason = next(iter(faults.items()))
        raise SourceError(reason if len(faults) == 1 else f"`data`: no sequence can be used ({name}: {reason})")
    for name, reason in faults.items():
        log.warning("%s is left out: %s", name, reason)
    return TrackSource(tuple(found.values()), tuple(found), frames, faults)
