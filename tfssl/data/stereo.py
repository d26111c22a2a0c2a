"""Rectified stereo pairs, perhaps with the disparity of their left image."""

import dataclasses

from tfssl.data import listing, maps
from tfssl.data.decode import decode_image
from tfssl.data.listing import EXTENSIONS
from tfssl.errors import SourceError

FOLDERS = (("left", "right"), ("image_l", "image_r"), ("image_2", "image_3"), ("image_0", "image_1"))
"""Pairs of folders that are known, best first."""

_DISPARITY_FOLDERS = ("disparity", "disp", "disp_occ_0", "disp_occ", "disp_noc_0", "disp_noc")
# Endings of names in one folder: left, right, disparities of the left. Middlebury has im0 to im6 in one folder too.
_ENDINGS = (
    ("left", "right", ("disp", "disparity")),
    ("im2", "im6", ("disp2",)),
    ("im0", "im1", ("disp0", "disp0gt")),
    ("view1", "view5", ("disp1",)),
    ("_l", "_r", ("_gt", "_disp")),
    ("l", "r", ("gt", "disp")),
)
_ROLES = ("left", "right")
_QUARTER_UNITS = "im2"  # the only layout whose 8-bit maps are known to hold four units a pixel (Middlebury 2003)


@dataclasses.dataclass(frozen=True, eq=False)
class StereoSource(listing.GroupSource):
    """Pairs, ``{"left": PIL.Image, "right": PIL.Image}``, with ``disparity`` where the source has it.

    ``disparity`` is float32 (H, W) in pixels: what is at x in the left image is at x - disparity in the right one. NaN
    where it is unknown. Images are decoded at full size always: a scaled one would have other disparities.
    """

    noun = "stereo pairs"
    roles = _ROLES

    def example(self, index):
        group = self.groups[index]
        listing.whole(group)
        example = {role: decode_image(group[role]) for role in _ROLES}
        if "disparity" in group:
            values = maps.read_map(group["disparity"])
            example["disparity"] = maps.scaled_map(values, self.scale or _scale(values, group["left"]))
        maps.same_size(**example)
        return example


def stereo_source(data, *, disparity=None, scale=None):
    """Rectified stereo pairs, as :class:`StereoSource`.

    Args:
        data: a folder with two folders of equal names (see :data:`FOLDERS`, and perhaps a folder of disparities); or
            one whose scenes hold ``im0``/``im1``, ``im2``/``im6``, ``view1``/``view5``, ``*left``/``*right`` or
            ``*L``/``*R``, each perhaps with its disparity; or a list of (left, right) or (left, right, disparity).
        disparity: True takes pairs that have one only, False leaves it out, None gives it if all pairs have it.
        scale: units of PNG disparities in a pixel. None: 256 for 16 bits (KITTI), 4 for ``im2``/``im6`` (Middlebury
            2003), 1 for other maps of 8 bits and for files of floats.

    Raises:
        SourceError: if no pair is found, or a partner is missing everywhere; a single one is named when it is read.
    """
    if isinstance(data, StereoSource):
        return data
    if isinstance(data, (list, tuple)):
        groups = listing.listed_groups(data, ("left", "right", "disparity"))
    else:
        groups = _found(listing.folder(data, " or a list of (left, right)"))
    pairs = [{role: group[role] for role in _ROLES} for group in groups]
    listing.check_groups(pairs, data, StereoSource.noun)
    having = [group for group in groups if group.get("disparity")]
    if disparity and not having:
        raise SourceError(f"`disparity`: no pair has one, see docs/data.md. Received: data={listing.short(data)}")
    if disparity:
        groups = having
    elif disparity is False or len(having) < len(groups):
        groups = pairs
    return StereoSource(tuple(groups), scale)


def _scale(values, left):
    if values.dtype.kind == "f":
        return 1.0
    return 256.0 if values.dtype.itemsize > 1 else 4.0 if listing.stem(left) == _QUARTER_UNITS else 1.0


def _found(root):
    pair = listing.folder_pair(root, FOLDERS)
    if pair is None:
        return [group for folder in listing.folders_below(root) for group in _by_endings(folder)]
    roles = {role: listing.by_stem(root / name, EXTENSIONS) for role, name in zip(_ROLES, pair, strict=True)}
    folder = next((root / name for name in _DISPARITY_FOLDERS if (root / name).is_dir()), None)
    disparities = {} if folder is None else listing.by_stem(folder, maps.EXTENSIONS)
    return [{**group, "disparity": disparities.get(name)} for name, group in listing.match(roles).items()]


def _by_endings(folder):
    images = listing.by_stem(folder, EXTENSIONS)
    files = {**listing.by_stem(folder, maps.EXTENSIONS), **images}
    best = []
    for left, right, disparities in _ENDINGS:
        pairs = listing.match({"left": listing.strip(images, left), "right": listing.strip(images, right)})
        groups = [
            {**group, "disparity": next((files[name + end] for end in disparities if name + end in files), None)}
            for name, group in pairs.items()
        ]
        if any(group["left"] and group["right"] for group in groups):
            return groups
        best = best or groups
    return best
