"""Posed sequences as clips: of every camera its frames, read when they are asked for, and its poses."""

import dataclasses

import numpy as np

from tfssl.data.clips import ImageClip
from tfssl.data.decode import check_header
from tfssl.data.listing import folder, short
from tfssl.data.posed import CAMERAS, posed_source
from tfssl.data.source import Source
from tfssl.errors import SourceError
from tfssl.files import printable


@dataclasses.dataclass(frozen=True, eq=False)
class PosedClipSource(Source):
    """Sequences of images with poses, ``{"clip": ImageClip, "pose": float64 (T, 4, 4)}``: one camera, all its frames.

    There is an item for each frame of each camera, the whole sequence every time: drawn at random, sequences come in
    proportion to their lengths. A sequence that cannot be used is one item that says why. Poses are those of the
    camera itself: of the right one, those of the left one moved by the baseline.
    """

    clips: tuple[ImageClip, ...]
    poses: tuple[np.ndarray, ...]
    broken: tuple[tuple[str, str], ...]

    noun = "frames"

    def __len__(self):
        return sum(map(len, self.clips)) + len(self.broken)

    def example(self, index):
        number, _ = self._at(index)
        return {"clip": self.clips[number], "pose": self.poses[number].copy()}

    def name(self, index):
        last = index - sum(map(len, self.clips))
        if last >= 0:
            return self.broken[last][0]
        number, frame = self._at(index)
        return printable(self.clips[number].paths[frame])

    def check(self, index):
        number, frame = self._at(index)
        check_header(self.clips[number].paths[frame])

    def _at(self, index):
        """Number of the sequence and of the frame in it; ValueError for one that cannot be used."""
        for number, clip in enumerate(self.clips):
            if index < len(clip):
                return number, index
            index -= len(clip)
        raise ValueError(self.broken[index][1])


def posed_clip_source(data):
    """Posed sequences, as :class:`PosedClipSource`.

    Args:
        data: folder of one sequence, see :func:`tfssl.data.posed.posed_source`; or a folder that holds such folders,
            perhaps in ``sequences/``, as KITTI's odometry benchmark does. Where there are two cameras, both are taken.

    Raises:
        SourceError: if there is no sequence, or none that can be used; a single reason is that of the sequence.
    """
    if isinstance(data, PosedClipSource):
        return data
    root = folder(data, " of posed sequences")
    names = [name for camera in CAMERAS for name in camera[:1]]
    here = [root / "sequences", root]
    found = [root] if _holds(root, names) else []
    found = found or [f for place in here if place.is_dir() for f in sorted(place.iterdir()) if _holds(f, names)]
    if not found:
        known = ", ".join(f"{name}/" for name in names)
        raise SourceError(f"`data` must hold sequences, folders with one of {known}. Received: data={short(str(data))}")
    clips, poses, broken = [], [], []
    for place in found:
        try:
            sequence = posed_source(place)
            if len(sequence) < 2:
                raise SourceError("a sequence of 1 frame has no pairs; give sequences of 2 frames at least")
        except SourceError as error:
            broken.append((printable(str(place)), str(error)))
            continue
        clips.append(ImageClip(sequence.left))
        poses.append(sequence.poses)
        if sequence.right:
            beside = np.eye(4)
            beside[0, 3] = sequence.baseline
            clips.append(ImageClip(sequence.right))
            poses.append(sequence.poses @ beside)
    if not clips:
        name, reason = broken[0]
        raise SourceError(reason if len(broken) == 1 else f"`data`: no sequence can be used, {name}: {reason}")
    return PosedClipSource(tuple(clips), tuple(poses), tuple(broken))


def _holds(place, names):
    return any((place / name).is_dir() for name in names)
