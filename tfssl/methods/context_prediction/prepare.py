"""What patches look like to the network: colors dropped or projected, mean removed, one root mean square.

In NumPy, one patch after the other: each fits into a processor's cache, where the same steps on a whole batch wait for
memory.
"""

import functools

import numpy as np

from tfssl.ops.patches import projection_matrix

_PAPER_DEVIATION = 1 / 100  # of the kept channel's
_TABLE_ROWS = 2**19
_TABLE_SEED = 0


def prepare(planes, kept, starts, *, color, noise, rms):
    """Make the network's input of cut patches.

    Args:
        planes: uint8; with dropping (N, s, s), the kept channel, otherwise (N, 3, s, s).
        kept: int (N,), number of the channel that is kept; without dropping it has no effect.
        starts: int (N,), see :func:`draw_starts`; without dropping they have no effect.
        color: what is done about chromatic aberration: ``"dropping"``, see :func:`drop_channels`, ``"projection"`` or
            ``"none"``, see :func:`center_colors`.
        noise: as :func:`drop_channels`.
        rms: root mean square of a prepared patch (released code: 50); None for no scaling.

    Returns:
        float32 (N, s, s, 3).
    """
    if color == "dropping":
        return drop_channels(planes, kept, starts, noise=noise, rms=rms)
    return center_colors(planes, project=color == "projection", rms=rms)


def draw_starts(rng, count, patch_size):
    """Where in the table of noise the noise of each patch begins, int32 (count,)."""
    return rng.integers(0, _TABLE_ROWS - patch_size**2 + 1, count, np.int32)


def drop_channels(planes, kept, starts, *, noise, rms):
    """Patches of one channel, its mean removed, and noise in the place of the other two.

    The noise is cut from a long table at a random place: as independent of the picture as fresh noise, and free.

    Args:
        planes: (N, s, s), the kept channel in gray levels.
        kept: int (N,), its number.
        starts: int (N,), where in the table the noise of each patch begins.
        noise: ``"code"``, uniform in +-1/2 gray level, or ``"paper"``, Gaussian with 1/100 of the deviation of the
            kept channel.
        rms: root mean square over all three channels; None for no scaling.

    Returns:
        float32 (N, s, s, 3).
    """
    count, side = planes.shape[:2]
    pixels = side * side
    x = planes.reshape(count, pixels).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    energy = np.vecdot(x, x)
    table, energy_before = _noise_table(noise)
    strength = _PAPER_DEVIATION * np.sqrt(energy / pixels) if noise == "paper" else np.ones(count, np.float32)
    of_channels = energy_before[starts + pixels] - energy_before[starts]  # (N, 3)
    of_channels[np.arange(count), kept] = 0
    scale = _scale(energy + strength**2 * of_channels.sum(axis=1), 3 * pixels, rms)
    prepared = np.empty((count, pixels, 3), np.float32)
    for i, (start, channel) in enumerate(zip(starts.tolist(), kept.tolist(), strict=True)):
        np.multiply(table[start : start + pixels], strength[i] * scale[i], out=prepared[i])
        np.multiply(x[i], scale[i], out=prepared[i, :, channel])
    return prepared.reshape(count, side, side, 3)


def center_colors(planes, *, project, rms):
    """Patches with all channels, the mean of each removed.

    Args:
        planes: (N, 3, s, s) in gray levels.
        project: whether every pixel is first multiplied by B, see :func:`tfssl.ops.patches.projection_matrix`.
        rms: root mean square over all channels; None for no scaling.

    Returns:
        float32 (N, s, s, 3).
    """
    count, channels, side = planes.shape[:3]
    x = planes.reshape(count, channels, side * side).astype(np.float32)
    if project:
        x = projection_matrix().astype(np.float32) @ x  # B is symmetric
    x -= x.mean(axis=2, keepdims=True)
    x *= _scale(np.vecdot(x, x).sum(axis=1), channels * side * side, rms)[:, None, None]
    return np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(count, side, side, channels)


def _scale(energy, count, rms):
    """Factor of each patch, float32 (N,), 1 without rms; a patch in which nothing varies stays zero."""
    if rms is None:
        return np.ones(len(energy), np.float32)
    return (rms / np.sqrt(np.maximum(energy / count, 1e-12))).astype(np.float32)


@functools.lru_cache(maxsize=2)
def _noise_table(noise):
    """Noise of three channels, float32 (R, 3), and the energy before each row, float64 (R + 1, 3)."""
    rng = np.random.default_rng(_TABLE_SEED)
    shape = (_TABLE_ROWS, 3)
    table = rng.random(shape, np.float32) - 0.5 if noise == "code" else rng.standard_normal(shape, np.float32)
    energy = np.cumsum(np.square(table, dtype=np.float64), axis=0)
    return table, np.concatenate([np.zeros((1, 3)), energy])
