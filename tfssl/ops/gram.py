"""Gram matrices of feature maps: of a map with itself, with itself shifted, and with itself mirrored or turned."""

from keras import ops

from tfssl.errors import ConfigError, suggest
from tfssl.ops.arguments import check_floating, check_integers, check_shapes

FLIPS = {
    "left-right": lambda maps: ops.flip(maps, axis=2),
    "up-down": lambda maps: ops.flip(maps, axis=1),
    "half-turn": lambda maps: ops.flip(maps, axis=(1, 2)),
    "quarter-turn": lambda maps: ops.flip(ops.transpose(maps, (0, 2, 1, 3)), axis=1),
}
"""What maps (B, h, w, C) can be laid upon themselves by; the quarter turn, counterclockwise, where h = w."""


def gram(maps):
    """Gram matrices ``G_ij = 1/M sum_k F_ik F_jk`` over the M positions of maps: float (B, h, w, C) -> (B, C, C).

    The division by M, which the paper has in the loss, makes maps of different sizes comparable.

    Reference:
        L. A. Gatys, A. S. Ecker, M. Bethge: Texture synthesis using convolutional neural networks. NIPS 2015.
    """
    return _product(_checked(maps), maps)


def shifted_gram(maps, down=0, right=0):
    """Gram matrices of maps and the same maps shifted: which features occur at a distance from each other.

    ``G_ij = 1/M' sum_k A_ik B_jk``, where A is the map without its first ``down`` rows and ``right`` columns, B the
    map without its last ones, M' the positions that are left. Not symmetric: the opposite shift gives the transpose.

    Args:
        maps: float (B, h, w, C).
        down, right: of the shift, in positions: 0 ... h - 1 and 0 ... w - 1. Both 0 give :func:`gram`.

    Returns:
        Float (B, C, C).

    Raises:
        ConfigError: if nothing of the map is left.

    Reference:
        G. Berger, R. Memisevic: Incorporating long-range consistency in CNN-based texture generation. ICLR 2017.
    """
    height, width = _checked(maps).shape[1:3]
    check_integers(0, None if height is None else height - 1, down=down)
    check_integers(0, None if width is None else width - 1, right=right)
    return _product(maps[:, down:, right:], maps[:, : _end(height, down), : _end(width, right)])


def flipped_gram(maps, flip):
    """Gram matrices of maps and the same maps mirrored or turned: float (B, h, w, C) -> (B, C, C).

    Which features occur at mirrored positions; the mean squared difference there is ``2 trace(gram - flipped_gram)``.

    Args:
        flip: a key of :data:`FLIPS`.

    Raises:
        ConfigError: for another one, and for a quarter turn of maps that are not square.

    Reference:
        As :func:`shifted_gram`.
    """
    if flip not in FLIPS:
        raise ConfigError(f"`flip` {flip!r} is unknown; {suggest(flip, FLIPS)}")
    height, width = _checked(maps).shape[1:3]
    if flip == "quarter-turn" and height != width:
        raise ConfigError(f"`maps` must be square for a quarter turn. Received: maps.shape={tuple(maps.shape)}")
    return _product(maps, FLIPS[flip](maps))


def gram_distance(first, second):
    """``E = 1 / (4 C^2) sum_ij (G_ij - G'_ij)^2`` of Gram matrices (B, C, C) or (1, C, C): (B,) (equation 4)."""
    check_shapes(first=(first, "B C C"), second=(second, "N C C"))
    check_floating(first=first, second=second)
    return ops.mean(ops.square(first - second), axis=(1, 2)) / 4


def _checked(maps):
    check_shapes(maps=(maps, "B h w C"))
    check_floating(maps=maps)
    return maps


def _end(length, shift):
    """The end of a slice without the last ``shift``; None where there is no shift, for -0 would leave nothing."""
    return -shift if shift else length


def _product(first, second):
    channels = first.shape[-1]
    first, second = (ops.reshape(maps, (ops.shape(maps)[0], -1, channels)) for maps in (first, second))
    return ops.matmul(ops.transpose(first, (0, 2, 1)), second) / ops.cast(ops.shape(first)[1], first.dtype)
