"""Clips of two cameras: video files, or sequences of images, in two folders of equal names."""

import dataclasses

from tfssl.data import listing
from tfssl.data.clips import EXTENSIONS, Clip, ImageClip, video_stream
from tfssl.data.decode import check_header
from tfssl.data.media import container, require
from tfssl.data.source import Source
from tfssl.data.stereo import FOLDERS
from tfssl.errors import SourceError
from tfssl.files import printable
from tfssl.ops.arguments import check_integers


@dataclasses.dataclass(frozen=True, eq=False)
class StereoClipSource(listing.GroupSource):
    """Rectified pairs of video files, ``{"left": Clip, "right": Clip}``, frame by frame of the same moments."""

    noun = "stereo clips"
    roles = ("left", "right")

    def example(self, index):
        group = self.groups[index]
        listing.whole(group)
        left, right = (Clip(group[role]) for role in self.roles)
        if len(left) != len(right):
            raise ValueError(f"the left clip has {len(left)} frames, the right one {len(right)}; cut them alike")
        return {"left": left, "right": right}

    def check(self, index):
        group = self.groups[index]
        listing.whole(group)
        for role in self.roles:
            with container(group[role]) as opened:
                video_stream(opened, group[role])


@dataclasses.dataclass(frozen=True, eq=False)
class StereoFrameSource(Source):
    """Windows of consecutive images of rectified sequences, ``{"left": ImageClip, "right": ImageClip}``.

    A sequence of N moments gives N - frames + 1 of them, one from each moment on.
    """

    sequences: tuple[tuple[dict, ...], ...]
    windows: int

    noun = "stereo clips"

    def __len__(self):
        return sum(self._counts)

    @property
    def _counts(self):
        return [len(sequence) - self.windows + 1 for sequence in self.sequences]

    def _moments(self, index):
        for sequence, count in zip(self.sequences, self._counts, strict=True):
            if index < count:
                return sequence[index : index + self.windows]
            index -= count
        raise IndexError(index)

    def example(self, index):
        moments = self._moments(index)
        for group in moments:
            listing.whole(group)
        return {role: ImageClip(tuple(group[role] for group in moments)) for role in ("left", "right")}

    def name(self, index):
        return printable(next(path for path in self._moments(index)[0].values() if path is not None))

    def check(self, index):
        for group in self._moments(index):
            listing.whole(group)
            for path in group.values():
                check_header(path)


def stereo_clip_source(data, *, frames=1):
    """Clips of two cameras, as :class:`StereoClipSource` of video files, or :class:`StereoFrameSource` of images.

    Args:
        data: a folder with two folders of clips of equal names, see :data:`tfssl.data.stereo.FOLDERS`; or with two
            folders of images, the moments of one sequence in the order of their numbers; or a folder of such sequences,
            perhaps in ``sequences/``, as KITTI has them.
        frames: consecutive images that make a clip, at least 1; video files are clips as they are.

    Raises:
        SourceError: if there is no such folder, no pair in it, or no sequence of as many images; a missing partner is
            named when it is read.
    """
    check_integers(1, frames=frames)
    if isinstance(data, (StereoClipSource, StereoFrameSource)):
        return data
    root = listing.folder(data, "")
    pair = listing.folder_pair(root, FOLDERS)
    if pair is not None:
        clips = _matched(root, pair, EXTENSIONS)
        if clips:
            require("av", "video")
            listing.check_groups(clips, data, StereoClipSource.noun)
            return StereoClipSource(clips)
    sequences = _sequences(root)
    if not sequences and pair is None:
        known = ", ".join("/ and ".join(names) + "/" for names in FOLDERS)
        raise SourceError(f"`data` must hold two folders of clips: {known}. Received: data={listing.short(data)}")
    listing.check_groups([group for sequence in sequences for group in sequence], data, StereoFrameSource.noun)
    long = tuple(sequence for sequence in sequences if len(sequence) >= frames)
    if not long:
        most = max(map(len, sequences))
        raise SourceError(f"`data` has no sequence of {frames} images, at most of {most}; take fewer `frames`")
    return StereoFrameSource(long, frames)


def _matched(root, pair, extensions):
    roles = {role: listing.by_stem(root / name, extensions) for role, name in zip(("left", "right"), pair, strict=True)}
    return tuple(listing.match(roles).values())


def _sequences(root):
    """Pairs of images of each sequence that a folder is or holds, those without any left out."""
    root = root / "sequences" if (root / "sequences").is_dir() else root
    found = []
    for folder in [root, *sorted(path for path in root.iterdir() if path.is_dir())]:
        pair = listing.folder_pair(folder, FOLDERS)
        if pair is not None:
            found.append(_matched(folder, pair, listing.EXTENSIONS))
    return [sequence for sequence in found if sequence]
