"""Sequences of images with the pose of the camera, in the layout of KITTI's odometry benchmark."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from tfssl.data.decode import check_header, decode_image
from tfssl.data.listing import EXTENSIONS, by_stem, folder, refuse_options, short
from tfssl.data.maps import same_size
from tfssl.data.orientation import check_unturned
from tfssl.data.source import Source
from tfssl.errors import SourceError
from tfssl.files import printable, writing
from tfssl.ops.poses import relative_pose

# Folder of the left images, of the right ones, and the rows of calib.txt that belong to them.
CAMERAS = (("image_l", "image_r", 0, 1), ("image_2", "image_3", 2, 3), ("image_0", "image_1", 0, 1))
_ROTATION_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class PosedSource(Source):
    """One sequence: ``{"image", "pose"}``, or ``{"left", "right", "pose"}`` where it has two cameras.

    ``pose`` is float64 (4, 4): points of KITTI's camera 0 at that moment to those of its first frame, in meters. Images
    are decoded at full size always, which is what ``intrinsics``, float64 (3, 3) in pixels for both cameras, are for.
    ``baseline`` is the distance of the right camera from the left one in meters, None for one camera.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    poses: np.ndarray
    intrinsics: np.ndarray
    baseline: float | None

    noun = "frames"

    def __len__(self):
        return len(self.left)

    def example(self, index):
        for paths in filter(None, (self.left, self.right)):
            check_unturned(paths[index], "camera and pose are those of the image as it is stored")
        left, pose = decode_image(self.left[index]), self.poses[index].copy()
        if not self.right:
            return {"image": left, "pose": pose}
        right = decode_image(self.right[index])
        same_size(left=left, right=right)
        return {"left": left, "right": right, "pose": pose}

    def name(self, index):
        return printable(self.left[index])

    def check(self, index):
        for paths in filter(None, (self.left, self.right)):
            check_header(paths[index])

    def relative_pose(self, first, second):
        """Motion between two frames, float64 (4, 4): points of camera ``second`` to those of camera ``first``."""
        return relative_pose(self.poses[first], self.poses[second])


def posed_source(data, *, poses=None, stereo=None):
    """A sequence of images with poses, as :class:`PosedSource`, frames in the order of their numbers.

    Args:
        data: folder of the sequence: ``image_l/``, ``image_2/`` or ``image_0/`` with the frames (perhaps ``image_r/``,
            ``image_3/`` or ``image_1/`` beside it), and ``calib.txt`` with one row of a 3x4 projection a camera.
        poses: file with one row of a 3x4 matrix a frame; None: ``poses.txt`` in the folder, or
            ``../../poses/NAME.txt`` as KITTI has them.
        stereo: False leaves the right camera out, True demands it, None takes it where it is.

    Raises:
        SourceError: in one line, if files are missing or damaged, or there are not as many poses as frames.
    """
    if isinstance(data, PosedSource):
        refuse_options(poses=poses, stereo=stereo)
        return data
    root = folder(data, " of a sequence")
    received = f"Received: data={short(os.fspath(data))}"
    camera = next((camera for camera in CAMERAS if (root / camera[0]).is_dir()), None)
    if camera is None:
        raise SourceError(f"`data` must hold one of {', '.join(name + '/' for name, *_ in CAMERAS)}. {received}")
    left, right = by_stem(root / camera[0], EXTENSIONS), {}
    if stereo or (stereo is None and (root / camera[1]).is_dir()):
        if not (root / camera[1]).is_dir():
            raise SourceError(f"`stereo` needs {camera[1]}/ beside {camera[0]}/. {received}")
        right = by_stem(root / camera[1], EXTENSIONS)
        alone = sorted(left.keys() ^ right.keys())
        if alone:
            raise SourceError(
                f"`data`: {len(alone)} frames are in {camera[0]}/ or {camera[1]}/ only, the first {alone[0]!r}; remove "
                f"them or set stereo=False. {received}"
            )
    beside = root.resolve().parent.parent / "poses" / f"{root.resolve().name}.txt"
    path = Path(poses).expanduser() if poses else next((p for p in (root / "poses.txt", beside) if p.is_file()), None)
    if path is None:
        raise SourceError(f"`poses` is missing: there is no poses.txt in the folder. {received}")
    matrices = _matrices(path, "poses")
    if len(matrices) != len(left) or not left:
        raise SourceError(f"`poses` has {len(matrices)} rows for {len(left)} frames in {camera[0]}/. {received}")
    turns = matrices[:, :, :3]
    crooked = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2)) > _ROTATION_TOLERANCE
    if crooked.any():
        raise SourceError(f"`poses`: row {crooked.argmax() + 1} of {path.name} is no rotation and shift. {received}")
    bottom = np.tile([[[0.0, 0.0, 0.0, 1.0]]], (len(matrices), 1, 1))
    projections = _matrices(root / "calib.txt", "data")
    if len(projections) <= (camera[3] if right else camera[2]):
        raise SourceError(f"`data`: calib.txt has {len(projections)} rows, too few for {camera[0]}/. {received}")
    baseline = None
    if right:
        shifts = projections[:, 0, 3] / projections[:, 0, 0]
        baseline = float(shifts[camera[2]] - shifts[camera[3]])
    return PosedSource(
        tuple(left.values()),
        tuple(right[name] for name in left) if right else (),
        np.concatenate([matrices, bottom], axis=1),
        projections[camera[2]][:, :3].copy(),
        baseline,
    )


def write_sequence(sequence, out):
    """Write frames, as PNG, poses and cameras in the layout that :func:`posed_source` reads.

    Args:
        sequence: source of stereo frames with ``poses``, ``intrinsics`` and ``baseline``, such as a
            :class:`PosedSource` of two cameras or a :class:`tfssl.data.corridors.CorridorSource`.
        out: folder; made where it is missing, its files of these names are replaced.
    """
    out = Path(out)
    digits = max(6, len(str(len(sequence) - 1)))
    for number in range(len(sequence)):
        example = sequence.example(number)
        for name, role in (("image_l", "left"), ("image_r", "right")):
            with writing(out / name / f"{number:0{digits}}.png") as file:
                example[role].save(file, format="PNG")
    shift = np.zeros((3, 1))
    shift[0] = -sequence.baseline * sequence.intrinsics[0, 0]
    cameras = [np.hstack([sequence.intrinsics, offset]) for offset in (np.zeros((3, 1)), shift)]
    for name, rows in (("poses.txt", sequence.poses[:, :3]), ("calib.txt", cameras)):
        text = "".join(" ".join(f"{value:.9e}" for value in row.ravel()) + "\n" for row in rows)
        with writing(out / name) as file:
            file.write(text.encode())


def _matrices(path, argument):
    """Rows of 12 numbers, with a name such as ``P0:`` before them or without; other names are left out."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"`{argument}`: {printable(path)} cannot be read ({error})") from None
    rows = []
    for number, line in enumerate(lines, 1):
        name, colon, values = line.rpartition(":")
        if not line.strip() or (colon and not name.strip().startswith("P")):
            continue
        try:
            row = np.array(values.split(), np.float64)
        except ValueError:
            row = np.zeros(0)
        if row.size != 12 or not np.isfinite(row).all():
            raise SourceError(f"`{argument}`: line {number} of {printable(path)} must hold 12 numbers")
        rows.append(row.reshape(3, 4))
    return np.array(rows, np.float64).reshape(-1, 3, 4)
