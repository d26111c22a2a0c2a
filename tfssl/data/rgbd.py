"""Color images with the depth of each pixel, or with their HHA."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data import listing, maps
from tfssl.data.decode import decode_image
from tfssl.data.listing import EXTENSIONS
from tfssl.data.orientation import annotation_turn, turn
from tfssl.errors import ConfigError, SourceError
from tfssl.files import check_folder, printable, writing
from tfssl.options import as_path

FOLDERS = (("color", "depth"), ("rgb", "depth"), ("image", "depth"), ("images", "depth"))
"""Pairs of folders that are known."""

HHA_FOLDERS = tuple((first, "hha") for first, _ in FOLDERS)
"""Pairs of folders that are known of images with HHA."""

_ENDINGS = (("color", "depth"), ("rgb", "depth"))  # of names in one folder
_MILLIMETERS = 1000.0
_KINECT_SPAN, _KINECT_ZERO, _KINECT_FARTHEST = 351.3, 1092.5, 10.0


@dataclasses.dataclass(frozen=True, eq=False)
class RGBDSource(listing.GroupSource):
    """``{"image": PIL.Image, "depth": float32 (H, W)}``; depth in meters, NaN where it is unknown.

    Images are decoded at full size always, as depth has one value for each pixel. Where they are stored turned (EXIF
    orientation), depth of the stored size is turned with them; depth that does not tell is refused.
    """

    noun = "images with depth"

    def example(self, index):
        group = self.groups[index]
        listing.whole(group)
        image, depth = decode_image(group["image"]), read_depth(group["depth"], self.scale)
        return {"image": image, "depth": turn(depth, annotation_turn(group["image"], depth.shape[::-1], "depth"))}


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
        listing.refuse_options(scale=scale)
        return data
    if isinstance(data, (list, tuple)):
        groups = listing.listed_groups(data, ("image", "depth"))
    else:
        groups = _found(listing.folder(data, " or a list of (image, depth)"))
    listing.check_groups(groups, data, RGBDSource.noun)
    return RGBDSource(tuple(groups), scale)


@dataclasses.dataclass(frozen=True, eq=False)
class HHASource(listing.GroupSource):
    """``{"image": PIL.Image, "hha": PIL.Image}``, of one size: an image, and its depth as the channels of HHA."""

    noun = "images with HHA"
    roles = ("image", "hha")

    def example(self, index):
        group = self.groups[index]
        listing.whole(group)
        found = {role: decode_image(group[role]) for role in self.roles}
        if found["image"].size != found["hha"].size:
            sizes = " and ".join(f"{role} {part.width}x{part.height}" for role, part in found.items())
            raise ValueError(f"an image and its HHA must have one size, not {sizes}; make the HHA anew")
        return found


def hha_source(data):
    """Color images with HHA, as :class:`HHASource`.

    Args:
        data: a folder with two folders of equal names, ``color/`` (or as in :data:`FOLDERS`) and ``hha/``, as
            :func:`write_hha` makes them; or a list of (image, hha).

    Raises:
        SourceError: if no pair is found; an image that lacks its partner is named when it is read.
    """
    if isinstance(data, HHASource):
        return data
    if isinstance(data, (list, tuple)):
        groups = listing.listed_groups(data, HHASource.roles)
    else:
        root = listing.folder(data, " or a list of (image, hha)")
        pair = listing.folder_pair(root, HHA_FOLDERS)
        files = [listing.by_stem(root / name, EXTENSIONS) for name in pair or ()]
        groups = list(listing.match(dict(zip(HHASource.roles, files, strict=True))).values()) if pair else []
    listing.check_groups(groups, data, HHASource.noun)
    return HHASource(tuple(groups))


def write_hha(data, out, *, fx, fy, cx, cy, scale=None, progress=None):
    """Write color images with their depth as HHA, ``OUT/color/000000.png`` and ``OUT/hha/000000.png`` and so on.

    Encoding takes a second for 640x480 pixels: too long for each step of a training. Files that are there already are
    kept, so that it goes on where it was. (The Python code for HHA that is around writes files whose channels
    stand in the order of OpenCV; these are disparity, height, angle as red, green, blue.)

    Args:
        data: see :func:`rgbd_source`; also its ``scale``.
        out: folder for the images.
        fx, fy, cx, cy: intrinsics in pixels of the camera of the depth, see :func:`tfssl.data.hha.encode_hha`.
        progress: called with images done and in all.

    Returns:
        ``{name: reason}`` of the images that were left out.

    Raises:
        SourceError: if no image can be read.
    """
    from tfssl.data.hha import encode_hha  # SciPy, which reading alone does not need

    source, out, skipped = rgbd_source(data, scale=scale), as_path("out", out), {}
    check_folder(out)
    for index in range(len(source)):
        color, hha = (Path(out) / folder / f"{index:06d}.png" for folder in HHA_FOLDERS[0])
        try:
            if not (color.exists() and hha.exists()):
                example = source[index]
                encoded = encode_hha(example["depth"], fx, fy, cx, cy)
                if encoded.shape[1::-1] != example["image"].size:
                    raise ValueError(f"the depth has {encoded.shape[1]}x{encoded.shape[0]} pixels, not as the image")
                for path, image in ((hha, Image.fromarray(encoded)), (color, example["image"])):
                    with writing(path) as file:
                        image.save(file, "PNG")
        except (ConfigError, ValueError, OSError) as error:
            skipped[source.name(index)] = str(error)
        if progress is not None:
            progress(index + 1, len(source))
    if len(skipped) == len(source):
        raise SourceError(f"`data` holds no readable {source.noun}: {printable(next(iter(skipped.values())))}")
    return skipped


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
