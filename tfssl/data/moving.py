"""What moves in a clip by itself: points that the motion of the camera does not explain, and boxes that follow them."""

import dataclasses

import numpy as np

from tfssl.data.kcf import CorrelationTracker
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes
from tfssl.ops.flow import follow_points, interest_points
from tfssl.ops.homography import apply_homography, ransac_homography

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
_CELL = 0.2  # of places that count once in the fit of the camera, a fraction of the shorter side
_SURE = 0.5  # least response of the tracker, as the threshold of OpenCV's
_SEED = 0  # of the draws of RANSAC: the same in each frame, so that a track follows from its frames alone


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
        first, second = (as_gray(frame) for frame in clip.frames([start, start + 1]))
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
        last, sure = follow_box([as_gray(frame) for frame in frames], box)
        crops = [cut_box(frame, b) for frame, b in ((frames[0], box), (frames[-1], last))]
        return Track(start, box, last, float(moves.mean()), len(points), sure, frames[[0, -1]], np.stack(crops))


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """A box in the first and in the last frame of a track.

    Args:
        start: number of the first frame.
        first, last: boxes in pixels, float64 (4,).
        moving: fraction of the points of the first frame that move.
        points: how many those are.
        sure: least response of the tracker on the way.
        frames: uint8 (2, H, W, 3), the first and the last one.
        crops: uint8 (2, size, size, 3), what the boxes hold.
    """

    start: int
    first: np.ndarray
    last: np.ndarray
    moving: float
    points: int
    sure: float
    frames: np.ndarray
    crops: np.ndarray


def as_gray(frame):
    """Luma of Rec. 601 of RGB levels 0 to 255, (H, W, 3), as float32 (H, W) in [0, 1]."""
    return (np.asarray(frame, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)) / 255.0


def moving_points(first, second, *, threshold=0.5, count=500):
    """Interest points of a frame, and which of them move by more than the camera does.

    The motion of the camera is the homography that most points agree with; a point moves if it ends more than
    ``threshold`` away from where that takes it.

    Args:
        first, second: float (H, W), levels in [0, 1].
        threshold: pixels.
        count: most points.

    Returns:
        ``(points, moves)``: float64 (N, 2), bool (N,), of those points that were found again.

    Raises:
        NoTrack: if there are too few points, or the second frame is another scene.
    """
    points = interest_points(first, count=count)
    if len(points) < _FEWEST:
        raise NoTrack("few points")
    moved, followed = follow_points(first, second, points)
    if followed.mean() < _FOLLOWED:
        raise NoTrack("a cut")
    points, moved = points[followed], moved[followed]
    if len(points) < _FEWEST:
        raise NoTrack("few points")
    # A textured thing has many points: so that it does not pass for the camera, each place counts once.
    cells = (points // (_CELL * min(first.shape))).astype(int)
    _, cell, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    rng, weights = np.random.default_rng(_SEED), 1 / counts[cell.ravel()]
    try:
        camera, explained = ransac_homography(points, moved, rng, threshold=_RANSAC, weights=weights)
    except ValueError:
        raise NoTrack("a cut") from None
    if explained.mean() < _EXPLAINED:
        raise NoTrack("a cut")
    return points, np.linalg.norm(apply_homography(camera, points) - moved, axis=1) > threshold


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
    """Follow a box from the first of some gray frames to the last.

    Returns:
        ``(box, sure)``: where it is in the last frame, float64 (4,), and the tracker's least response on the way.

    Raises:
        NoTrack: ``"left"`` once the middle of the box is outside of the frame, ``"lost"`` where nothing is like it.
    """
    tracker, sure = CorrelationTracker(frames[0], box), 1.0
    for frame in frames[1:]:
        sure = min(sure, tracker.update(frame))
        middle = (tracker.box[:2] + tracker.box[2:]) / 2
        if not ((middle >= 0) & (middle <= frame.shape[::-1])).all():
            raise NoTrack("left")
        if sure < _SURE:
            raise NoTrack("lost")
    return tracker.box, sure


def cut_box(frame, box):
    """What a box holds, (size, size, 3); one that reaches out of the frame is moved into it."""
    size = round(box[2] - box[0])
    left, top = (
        int(np.clip(round(low), 0, most - size)) for low, most in zip(box[:2], frame.shape[1::-1], strict=True)
    )
    return frame[top : top + size, left : left + size]
