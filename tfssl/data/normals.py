"""Images with the direction of the surface seen at each pixel: how directions are stored, and made from depth."""

import dataclasses
import struct
import zlib
from pathlib import Path

import numpy as np

from tfssl.data.decode import check_file, open_image
from tfssl.data.listing import check_inside
from tfssl.data.orientation import annotation_turn, check_unturned, turn
from tfssl.data.voc import SplitImages, images_of_folder
from tfssl.errors import ConfigError, SourceError
from tfssl.files import writing

_LEAST_FRACTION = 0.25  # of the window's pixels; a corner of the image has a little more
_LEAST_SPREAD = 1e-6  # of the second variance to the first: points on a line span no plane


@dataclasses.dataclass(frozen=True, eq=False)
class NormalsImages(SplitImages):
    """Images with ``normals``, float32 (H, W, 3), of length 1, or 0 where nothing is known; turned upright as these."""

    beside = ("files",)

    files: tuple[str, ...]

    def annotation(self, index):
        normals = read_normals(self.files[index])
        orientation = annotation_turn(self.images.paths[index], normals.shape[1::-1], "normals")
        return {"normals": turn(normals, orientation, vectors=True)}


def normals_images(root, split):
    """List a folder that holds ``SPLIT/`` with images and ``SPLITnormals/`` with files of the same names.

    SourceError if a folder or a file is missing, or there are no images.
    """
    root = Path(root).expanduser()
    check_inside(split, "the name of the split")
    folder = root / f"{split}normals"
    for needed in (root / split, folder):
        if not needed.is_dir():
            raise SourceError(f"`data` must hold {split}/ and {split}normals/; there is no {str(needed)!r}")
    images, files = images_of_folder(root / split), []
    for path in images.paths:
        stem = Path(path).stem
        found = next((f for end in (".npy", ".png") if (f := folder / f"{stem}{end}").is_file()), None)
        if found is None:
            raise SourceError(f"`data`: {path!r} has neither {stem}.npy nor {stem}.png in {str(folder)!r}")
        files.append(str(found))
    return NormalsImages(str(root), split, images, tuple(files))


def read_normals(path):
    """Read a map of normals as float32 (H, W, 3), vectors of length 1.

    Zeros where nothing is known: where the file's vector is shorter than 0.5 (zeros; mid-gray in a PNG), longer than
    1.5 (black or white in a PNG), or not finite.

    Args:
        path: ``.npy`` of floats (H, W, 3), or an RGB PNG of 8 or 16 bits that holds ``(n + 1) / 2`` of its range.

    Raises:
        SourceError: if it is no such file.
    """
    vectors = _read_array(path) if str(path).lower().endswith(".npy") else _read_png(path)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        known = (length > 0.5) & (length < 1.5)
    return np.where(known, vectors / np.where(known, length, 1.0), 0.0).astype(np.float32)


def write_normals(path, normals):
    """Write normals, float (H, W, 3) of length 1 or 0, as a 16-bit PNG, whole or not at all; zeros become mid-gray."""
    values = np.round((np.asarray(normals, np.float64) + 1.0) * 32767.5).astype(">u2")
    height, width = values.shape[:2]
    rows = np.diff(values.view(np.uint8).reshape(height, -1), axis=0, prepend=np.zeros((1, 6 * width), np.uint8))
    rows = np.pad(rows, [(0, 0), (1, 0)], constant_values=2)  # PNG's filter "up": differences from the row above
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    with writing(path) as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _read_array(path):
    try:
        check_file(path)
        vectors = np.load(path, allow_pickle=False)
    except Exception as error:  # of damaged files zipfile and NumPy raise almost anything
        raise SourceError(f"normals {str(path)!r} cannot be read: {error}") from None
    if vectors.ndim != 3 or vectors.shape[-1] != 3 or vectors.dtype.kind != "f":
        raise SourceError(f"normals {str(path)!r} must be floats (H, W, 3); found {vectors.dtype} {vectors.shape}")
    return vectors.astype(np.float64)


def _read_png(path):
    try:
        check_unturned(path, "normals would point elsewhere then")
        high = _unpacked(path, "B")
        low = _unpacked(path, "L")
    except Exception as error:  # as Pillow's readers do
        raise SourceError(f"normals {str(path)!r} cannot be read: {error}") from None
    return (256.0 * high + low) / 32767.5 - 1.0


def _unpacked(path, order):
    """One byte of each number of an RGB PNG, (H, W, 3): of 16 bits Pillow keeps the first, or the last if it is told
    that they are little-endian; of 8 bits there is one, which stands for both (255 is 65535)."""
    with open_image(path) as image:
        if image.mode not in ("RGB", "RGBA"):
            raise ValueError(f"it is {image.mode}, normals are RGB")
        image.tile = [tile._replace(args=str(tile.args).replace(";16B", f";16{order}")) for tile in image.tile]
        return np.asarray(image)[..., :3]


def points_from_depth(depth, fx, fy, cx, cy):
    """Points ``((u - cx) z / fx, (v - cy) z / fy, z)``, float64 (H, W, 3): x to the right, y down, z into the scene.

    Args:
        depth: float (H, W), distance along the optical axis in any unit, which is that of the points.
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in pixels, (0, 0) being the center of the upper left pixel.
    """
    z = np.asarray(depth, np.float64)
    v, u = np.indices(z.shape)
    return np.stack([(u - cx) * z / fx, (v - cy) * z / fy, z], axis=-1)


def normals_from_depth(depth, fx, fy, cx, cy, *, window=15, jump=0.05):
    """Normal of the plane that fits the points around each pixel best (total least squares).

    The normal is the direction in which the points of a window vary least: the eigenvector of the smallest eigenvalue
    of their covariance. Of its two signs it has the one that faces the camera. Points across a jump in depth belong to
    another surface and are left out.

    Args:
        depth: float or int (H, W), distance along the optical axis in any unit; 0, negative or not finite: unknown.
        fx, fy, cx, cy: intrinsics in pixels, see :func:`points_from_depth`.
        window: size of the window in pixels, odd. Larger ones smooth more: in a frame of 640x480 pixels from a
            structured-light sensor the normals of a floor lay 2.9, 1.8, 1.4 and 1.1 degrees from their mean on average
            with 7, 11, 15 and 21 pixels.
        jump: fraction of a pixel's depth by which a neighbor's may differ.

    Returns:
        float32 (H, W, 3), vectors of length 1 with x to the right, y down and z into the scene, so that a wall seen
        from the front has (0, 0, -1); zeros where the depth is unknown, or known for less than a quarter of the
        window.

    Raises:
        ConfigError: for a window that is even or less than 3, a negative jump, or a depth that is not (H, W).
    """
    depth = np.asarray(depth, np.float64)
    if depth.ndim != 2:
        raise ConfigError(f"`depth` must have the shape (H, W). Received: shape={depth.shape}")
    if window < 3 or window % 2 == 0 or jump < 0:
        raise ConfigError(f"`window` must be odd and at least 3, `jump` at least 0. Received: {window=}, {jump=}")
    known = np.isfinite(depth) & (depth > 0)
    points = points_from_depth(np.where(known, depth, 0.0), fx, fy, cx, cy)
    count, covariance = _covariances(points, known, window, jump)
    spread, axes = np.linalg.eigh(covariance)
    normals = axes[..., 0]
    toward = np.sum(normals * points, axis=-1, keepdims=True)
    normals = np.where(toward > 0, -normals, normals)
    good = known & (count >= _LEAST_FRACTION * window**2) & (spread[..., 1] > _LEAST_SPREAD * spread[..., 2])
    return np.where(good[..., None], normals, 0.0).astype(np.float32)


def _covariances(points, known, window, jump):
    """How many points each window holds, (H, W), and their covariance, (H, W, 3, 3)."""
    height, width = known.shape
    reach = window // 2
    wide = np.pad(points, [(reach, reach), (reach, reach), (0, 0)])
    wide_known = np.pad(known, reach)
    count, first, second = np.zeros((height, width)), np.zeros_like(points), np.zeros((height, width, 3, 3))
    for top in range(window):
        for left in range(window):
            place = slice(top, top + height), slice(left, left + width)
            apart = wide[place] - points  # about the center: nothing cancels
            near = wide_known[place] & (np.abs(apart[..., 2]) <= jump * points[..., 2])
            apart *= near[..., None]
            count += near
            first += apart
            second += apart[..., :, None] * apart[..., None, :]
    whole = np.maximum(count, 1)[..., None]
    mean = first / whole
    return count, second / whole[..., None] - mean[..., :, None] * mean[..., None, :]
