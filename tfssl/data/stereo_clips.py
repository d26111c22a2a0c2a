"""Clips of two cameras, in two folders of equal names."""

import dataclasses

from tfssl.data import listing
from tfssl.data.clips import EXTENSIONS, Clip, video_stream
from tfssl.data.media import container, require
from tfssl.data.stereo import FOLDERS
from tfssl.errors import SourceError


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


def stereo_clip_source(data):
    """Pairs of clips, as :class:`StereoClipSource`.

    Args:
        data: a folder with two folders of clips of equal names, see :data:`tfssl.data.stereo.FOLDERS`.

    Raises:
        SourceError: if there is no such folder or no pair in it; a missing partner is named when it is read.
    """
    require("av", "video")
    if isinstance(data, StereoClipSource):
        return data
    root = listing.folder(data, "")
    pair = listing.folder_pair(root, FOLDERS)
    if pair is None:
        known = ", ".join("/ and ".join(names) + "/" for names in FOLDERS)
        raise SourceError(f"`data` must hold two folders of clips: {known}. Received: data={listing.short(data)}")
    roles = {
        role: listing.by_stem(root / name, EXTENSIONS) for role, name in zip(StereoClipSource.roles, pair, strict=True)
    }
    groups = tuple(listing.match(roles).values())
    listing.check_groups(groups, data, StereoClipSource.noun)
    return StereoClipSource(groups)
