"""Color images with the depth of each pixel."""

import dataclasses

import numpy as np

from tfssl.data import listing, maps
from tfssl.data.decode import decode_image
from tfssl.data.listing import EXTENSIONS

FOLDERS = (("color", "depth"), ("rgb", "depth"), ("image", "depth"), ("images", "depth"))
"""Pairs of folders that are known."""

_ENDINGS = (("color", "depth"), ("rgb", "depth"))  # of names in one folder
_MILLIMETERS = 1000.0
_KINECT_SPAN, _KINECT_ZERO, _KINECT_FARTHEST = 351.3, 1092.5, 10.0


@dataclasses.dataclass(frozen=True, eq=False)
class RGBDSource(listing.GroupSource):
    """``{"image": PIL.Image, "depth": float32 (H, W)}``; depth in meters, NaN where it is unknown.

    Images are decoded at full size always, as depth has one value for each pixel.
    """

    noun = "images with depth"

    def example(self, index):
        group = self.groups[index]
        listing.whole(group)
        example = {"image": decode_image(group["image"]), "depth": read_depth(group["depth"], self.scale)}
        maps.same_size(**example)
        return example


def rgbd_source(data, *, scale=None):
    """Color images with depth, as :class:`RGBDSource`.

    Args:
        data: a folder with two folders of equal names (see :data:`FOLDERS`); or one whose folders hold
            ``NAMEcolor.*`` or ``NAMErgb.*`` beside ``NAMEdepth.*`` (upper or lower case); or a list of (image, depth).
        scale: units of the depth files in a meter, such as 5000 for TUM. None: 1000 (millimeters) for whole numbers,
            1 for floats, and Kinect's raw values, their bytes swapped, in ``.pgm`` as NYU gives them.

    Raises:
        SourceError: if no pair is found; an image that lacks its partner is named when it is read.
    """
    if isinstance(data, RGBDSource):
        return data
    if isinstance(data, (list, tuple)):
        groups = listing.listed_groups(data, ("image", "depth"))
    else:
        groups = _found(listing.folder(data, " or a list of (image, depth)"))
    listing.check_groups(groups, data, RGBDSource.noun)
    return RGBDSource(tuple(groups), scale)


def read_depth(path, scale=None):
    """Depth in meters, float32 (H, W), NaN where it is unknown; ``scale`` as in :func:`rgbd_source`.

    Raw values of a Kinect (0 to 2047) become ``351.3 / (1092.5 - raw)`` meters, unknown beyond 10 (toolbox of NYU Depth
    V2, camera_params.m; Silberman et al., ECCV 2012). ValueError if the file is damaged.
    """
    raw = scale is None and path.lower().endswith(".pgm")
    values = maps.read_map(path, swapped=raw)
    if not raw:
        return maps.scaled_map(values, scale or (1.0 if values.dtype.kind == "f" else _MILLIMETERS))
    if values.max() > 2047:
        raise ValueError(f"a PGM without `scale` must hold a Kinect's raw values, at most 2047, not {values.max()}")
    depth = maps.scaled_map(_KINECT_SPAN / (_KINECT_ZERO - values.astype(np.float64)), 1.0)
    depth[depth > _KINECT_FARTHEST] = np.nan
    return depth


def _found(root):
    pair = listing.folder_pair(root, FOLDERS)
    if pair is not None:
        images, depths = listing.by_stem(root / pair[0], EXTENSIONS), listing.by_stem(root / pair[1], maps.EXTENSIONS)
        return list(listing.match({"image": images, "depth": depths}).values())
    groups = []
    for below in listing.folders_below(root):
        images, depths = listing.by_stem(below, EXTENSIONS), listing.by_stem(below, maps.EXTENSIONS)
        for color, depth in _ENDINGS:
            pairs = listing.match({"image": listing.strip(images, color), "depth": listing.strip(depths, depth)})
            if any(group["image"] for group in pairs.values()):
                groups += pairs.values()
                break
    return groups
