# LEAD: cv2 is installed in the venv now (see AAA_MESSAGE_FROM_LEAD.txt): use OpenCV instead of this file.
"""Points worth following, and where they are in the next image, in NumPy."""

import numpy as np
from scipy import ndimage

from tfssl.ops.arguments import check_floating, check_integers, check_shapes

_SMOOTHING = 1.5  # deviation of the Gaussian that gradients are summed over, pixels
_BORDER = 3  # pixels in which no point is looked for: their gradients are those of the border
_MOVED = 0.01  # pixels below which an iteration ends
_STEEP = 1e-4  # least smaller eigenvalue of a window, mean squared slope of levels in [0, 1]
_EDGE = 0.5  # pixels that a followed point may lie outside


def interest_points(gray, *, count=500, quality=0.01, distance=3):
    """Corners: where the smaller eigenvalue of the matrix of the gradients is largest, float64 (N, 2), x and y.

    Args:
        gray: float (H, W), levels in [0, 1].
        count: most points that are given, the strongest first.
        quality: of the largest smaller eigenvalue, the fraction that a point has at least (0.01).
        distance: pixels within which a point is the strongest one.

    Reference:
        J. Shi, C. Tomasi: Good features to track. CVPR 1994.
    """
    check_shapes(gray=(gray, "H W"))
    check_floating(gray=gray)
    check_integers(1, count=count, distance=distance)
    dy, dx = _gradients(np.asarray(gray, np.float32))
    xx, yy, xy = (ndimage.gaussian_filter(product, _SMOOTHING) for product in (dx * dx, dy * dy, dx * dy))
    smaller = (xx + yy) / 2 - np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    strongest = smaller == ndimage.maximum_filter(smaller, 2 * distance + 1)
    found = strongest & (smaller > max(quality * float(smaller.max()), 1e-7))
    for edge in (np.s_[:_BORDER], np.s_[-_BORDER:]):
        found[edge] = found[:, edge] = False
    rows, columns = np.nonzero(found)
    order = np.argsort(-smaller[rows, columns], kind="stable")[:count]
    return np.stack([columns[order], rows[order]], axis=1).astype(np.float64)


def follow_points(first, second, points, *, window=15, levels=3, iterations=8, tolerance=0.5):
    """Where points of an image are in the next one, by the pyramidal method of Lucas and Kanade.

    The shift of a window is the one with the smallest squared difference of levels; it is found on a small image first.
    A point counts as followed if it comes back to within ``tolerance`` of where it was when it is followed back.

    Args:
        first, second: float (H, W), levels in [0, 1].
        points: (N, 2), x and y.
        window: pixels along a side, odd (15).
        levels: images, each of half the size of the one before (3): of coarse texture shifts of 15 pixels are found.
        iterations: on each level, at most.
        tolerance: pixels (0.5).

    Returns:
        ``(moved, followed)``: float64 (N, 2), bool (N,).

    Reference:
        J.-Y. Bouguet: Pyramidal implementation of the Lucas Kanade feature tracker. Intel, 2000; the way back of
        Z. Kalal, K. Mikolajczyk, J. Matas: Forward-backward error. ICPR 2010.
    """
    check_shapes(first=(first, "H W"), second=(second, "H W"), points=(points, "N 2"))
    check_floating(first=first, second=second)
    check_integers(1, levels=levels, iterations=iterations, window=window)
    pyramids = [_pyramid(np.asarray(image, np.float32), levels) for image in (first, second)]
    points = np.asarray(points, np.float64)
    options = {"window": window, "iterations": iterations}
    moved, good = _follow(*pyramids, points, **options)
    back, _ = _follow(*pyramids[::-1], moved, **options)
    limits = np.array(first.shape[::-1]) - 1 + _EDGE
    inside = ((moved >= -_EDGE) & (moved <= limits)).all(axis=1)
    return moved, good & inside & (np.linalg.norm(back - points, axis=1) <= tolerance)


def _gradients(image):
    """Slopes along rows and columns, (2, H, W), by Sobel's kernels."""
    return np.stack([ndimage.sobel(image, axis, mode="nearest") / 8 for axis in (0, 1)])


def _pyramid(image, levels):
    found = [ndimage.gaussian_filter(image, 0.5)]
    for _ in range(levels - 1):
        if min(found[-1].shape) < 16:
            break
        found.append(ndimage.gaussian_filter(found[-1], 1.0)[::2, ::2])
    return found


def _follow(first, second, points, *, window, iterations):
    """Points followed from the smallest image to the largest, and whether each window has slopes both ways."""
    axis = np.arange(window) - (window - 1) / 2
    dy, dx = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    shift, steep = np.zeros_like(points), np.zeros(len(points), bool)
    for level in reversed(range(len(first))):
        x, y = (points[:, number, None] / 2**level + offset for number, offset in ((0, dx), (1, dy)))
        here, *slopes = (_values(part, y, x) for part in (first[level], *_gradients(first[level])))
        down, right = slopes
        xx, yy, xy = (np.mean(a * b, axis=1) for a, b in ((right, right), (down, down), (right, down)))
        steep = (xx + yy) / 2 - np.sqrt((xx - yy) ** 2 / 4 + xy**2) > _STEEP / 16
        divisor = np.where(steep, xx * yy - xy**2, 1.0)
        shift, going = shift * 2, np.flatnonzero(steep)
        for _ in range(iterations):
            if not len(going):
                break
            missing = here[going] - _values(second[level], y[going] + shift[going, 1:], x[going] + shift[going, :1])
            u, v = (np.mean(missing * part[going], axis=1) for part in (right, down))
            step = np.stack([yy[going] * u - xy[going] * v, xx[going] * v - xy[going] * u], axis=1)
            step /= divisor[going, None]
            shift[going] += step
            going = going[np.abs(step).max(axis=1) > _MOVED]
    return points + shift, steep


def _values(image, rows, columns):
    """Levels between pixels, linearly; outside of the image those of its border."""
    return ndimage.map_coordinates(image, [rows, columns], order=1, mode="nearest")
