"""What moves in a clip by itself: points that the motion of the camera does not explain, and boxes that follow them."""

import dataclasses

import numpy as np

from tfssl.data.media import require
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes

FRACTIONS = (0.25, 0.75)
"""Fewest and most of a frame's points that may move: fewer are noise, more are the motion of the camera."""

BOX = 227 / 448
"""Size of the box, a fraction of the shorter side of a frame: 227 pixels of frames of 448 (recalled)."""

REASONS = ("too short", "few points", "a cut", "few move", "most move", "spread", "left", "lost")
"""Why a place in a clip gives no track, in the order in which it is found out."""

_FEWEST = 20  # points of a frame
_FOLLOWED = 0.5  # least fraction of the points of a frame that are found in the next one
_EXPLAINED = 0.2  # and of these, that the motion of the camera explains
_RANSAC = 0.5  # pixels
_RETURNED = 0.5  # pixels between a point and where it comes back to when it is followed back
_CELL, _EACH = 0.2, 5  # size of a place, a fraction of the shorter side; points of each that the camera is fitted to
_CORNERS = {"qualityLevel": 0.01, "minDistance": 3}
_WINDOW = {"winSize": (15, 15), "maxLevel": 2}


class NoTrack(ValueError):
    """A place in a clip gives no track; the text is one of :data:`REASONS`."""


@dataclasses.dataclass(frozen=True)
class Miner:
    """How tracks are found in clips (Wang and Gupta 2015, section 3).

    Args:
        length: frames that a box is followed (30).
        box: size of the box in pixels; None for :data:`BOX` of the shorter side of a frame.
        threshold: a point moves if it is more pixels away from where the camera's motion takes it (0.5).
        fractions: fewest and most points of a frame that may move (:data:`FRACTIONS`), both ends allowed.
        points: most interest points of a frame.
    """

    length: int = 30
    box: int | None = None
    threshold: float = 0.5
    fractions: tuple[float, float] = FRACTIONS
    points: int = 500

    def __post_init__(self):
        check_integers(1, length=self.length)
        check_integers(_FEWEST, points=self.points)
        if self.box is not None:
            check_integers(8, box=self.box)
        if not self.threshold > 0:
            raise ConfigError(f"`threshold` must be above 0 pixels. Received: threshold={self.threshold!r}")
        if not 0 <= self.fractions[0] <= self.fractions[1] <= 1:
            raise ConfigError(f"`fractions` must be (fewest, most) in [0, 1]. Received: fractions={self.fractions!r}")

    def track(self, clip, start):
        """The track that begins in frame ``start`` of a clip.

        Returns:
            :class:`Track`.

        Raises:
            NoTrack: if there is none, with the reason.
            ValueError: if the clip cannot be read.
        """
        if start + self.length >= len(clip):
            raise NoTrack("too short")
        first, second = map(as_gray, clip.frames([start, start + 1]))
        size = self.box or round(BOX * min(first.shape))
        if size > min(first.shape):
            raise ValueError(f"its frames of {first.shape[1]}x{first.shape[0]} pixels are smaller than a box of {size}")
        points, moves = moving_points(first, second, threshold=self.threshold, count=self.points)
        check_fraction(moves.mean(), self.fractions)
        # Where a thing with many points has passed for the camera, it is the background that seems to move.
        if points[moves].var(axis=0).sum() >= points[~moves].var(axis=0).sum():
            raise NoTrack("spread")
        box = best_box(points[moves], size, first.shape)
        frames = clip.frames(np.arange(start, start + self.length + 1))
        last = follow_box(frames, box)
        crops = [cut_box(frame, b) for frame, b in ((frames[0], box), (frames[-1], last))]
        return Track(start, box, last, float(moves.mean()), len(points), frames[[0, -1]], np.stack(crops))


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """A box in the first and in the last frame of a track.

    Args:
        start: number of the first frame.
        first, last: boxes in pixels, float64 (4,).
        moving: fraction of the points of the first frame that move.
        points: how many those are.
        frames: uint8 (2, H, W, 3), the first and the last one.
        crops: uint8 (2, size, size, 3), what the boxes hold.
    """

    start: int
    first: np.ndarray
    last: np.ndarray
    moving: float
    points: int
    frames: np.ndarray
    crops: np.ndarray


def as_gray(frame):
    """Luma of Rec. 601 of an RGB frame, uint8 (H, W, 3) -> (H, W)."""
    cv2 = require("cv2", "detection")
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def moving_points(first, second, *, threshold=0.5, count=500):
    """Interest points of a frame, and which of them move by more than the camera does.

    Corners (Shi and Tomasi) are followed by the pyramidal method of Lucas and Kanade, there and back. The motion of the
    camera is the homography that most of them agree with; a point moves if it ends more than ``threshold`` away from
    where that takes it.

    Args:
        first, second: uint8 (H, W).
        threshold: pixels.
        count: most points.

    Returns:
        ``(points, moves)``: float32 (N, 2), x and y, and bool (N,), of those points that were found again.

    Raises:
        NoTrack: if there are too few points, or the second frame is another scene.
    """
    check_shapes(first=(first, "H W"), second=(second, "H W"))
    cv2 = require("cv2", "detection")
    found = cv2.goodFeaturesToTrack(first, maxCorners=count, **_CORNERS)
    if found is None or len(found) < _FEWEST:
        raise NoTrack("few points")
    points = found.reshape(-1, 2)
    moved, good, _ = cv2.calcOpticalFlowPyrLK(first, second, points, None, **_WINDOW)
    back, good_back, _ = cv2.calcOpticalFlowPyrLK(second, first, moved, None, **_WINDOW)
    followed = (good & good_back).ravel() > 0
    followed &= np.linalg.norm(back - points, axis=1) <= _RETURNED
    if followed.mean() < _FOLLOWED:
        raise NoTrack("a cut")
    points, moved = points[followed], moved[followed]
    if len(points) < _FEWEST:
        raise NoTrack("few points")
    chosen = _spread(points, _CELL * min(first.shape))
    camera, explained = cv2.findHomography(points[chosen], moved[chosen], cv2.RANSAC, _RANSAC)
    if camera is None or explained.mean() < _EXPLAINED:
        raise NoTrack("a cut")
    expected = cv2.perspectiveTransform(points[:, None], camera)[:, 0]
    return points, np.linalg.norm(expected - moved, axis=1) > threshold


def _spread(points, size):
    """Numbers of the first points of each place: a textured thing has many, and would pass for the camera."""
    cells, seen, chosen = (points // size).astype(int).tolist(), {}, []
    for number, cell in enumerate(map(tuple, cells)):  # the strongest come first
        seen[cell] = seen.get(cell, 0) + 1
        if seen[cell] <= _EACH:
            chosen.append(number)
    return chosen


def check_fraction(fraction, allowed=FRACTIONS):
    """Refuse a frame by the fraction of its points that move: NoTrack; both ends of ``allowed`` are allowed."""
    if fraction < allowed[0]:
        raise NoTrack("few move")
    if fraction > allowed[1]:
        raise NoTrack("most move")


def best_box(points, size, shape):
    """The square of ``size`` pixels inside of a frame with the most points, float64 (4,).

    Of several the one whose center is nearest to the mean of its points: what is smaller than the box lies in its
    middle.

    Args:
        points: (N, 2), x and y; one at least.
        size: pixels.
        shape: (height, width) of the frame.
    """
    check_shapes(points=(points, "N 2"))
    height, width = shape
    columns, rows = np.clip(np.asarray(points), 0, [width - 1, height - 1]).astype(int).T
    sums = []
    for weights in (np.ones(len(points)), columns, rows):
        table = np.zeros((height + 1, width + 1))
        np.add.at(table, (rows + 1, columns + 1), weights)
        table = table.cumsum(axis=0).cumsum(axis=1)
        sums.append(table[size:, size:] - table[:-size, size:] - table[size:, :-size] + table[:-size, :-size])
    counts, across, along = sums
    tops, lefts = np.nonzero(counts == counts.max())
    x, y = (part[tops, lefts] / counts.max() for part in (across, along))
    middle = (size - 1) / 2
    nearest = np.argmin((lefts + middle - x) ** 2 + (tops + middle - y) ** 2)
    left, top = int(lefts[nearest]), int(tops[nearest])
    return np.array([left, top, left + size, top + size], np.float64)


def follow_box(frames, box):
    """Follow a box from the first of some frames, uint8 (T, H, W, 3), to the last, by kernelized correlation filters.

    Returns:
        Where it is in the last frame, float64 (4,).

    Raises:
        NoTrack: ``"left"`` once the middle of the box is outside of the frame, ``"lost"`` where nothing is like it.

    Reference:
        J. Henriques, R. Caseiro, P. Martins, J. Batista: High-speed tracking with kernelized correlation filters. TPAMI
        2015, as OpenCV has it.
    """
    tracker = require("cv2", "detection").TrackerKCF_create()
    box = np.round(box)
    size = box[2:] - box[:2]
    tracker.init(_bgr(frames[0]), np.concatenate([box[:2], size]).astype(int).tolist())
    for frame in frames:  # the tracker learns from the first one when it is shown again
        good, (left, top, width, height) = tracker.update(_bgr(frame))
        if not good:
            raise NoTrack("lost")
        middle = np.array([left + width / 2, top + height / 2])
        if not ((middle >= 0) & (middle <= frame.shape[1::-1])).all():
            raise NoTrack("left")
    return np.concatenate([middle - size / 2, middle + size / 2])  # what the tracker gives ends at the frame's border


def _bgr(frame):
    return np.ascontiguousarray(frame[..., ::-1])  # color names, which the tracker looks at, are of this order


def cut_box(frame, box):
    """What a box holds, (size, size, 3); one that reaches out of the frame is moved into it."""
    size = round(box[2] - box[0])
    left, top = (
        int(np.clip(round(low), 0, most - size)) for low, most in zip(box[:2], frame.shape[1::-1], strict=True)
    )
    return frame[top : top + size, left : left + size]
