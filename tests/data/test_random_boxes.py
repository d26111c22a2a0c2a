import numpy as np
import tensorflow as tf

from tfssl.data.random_boxes import crop_and_mirror

RAMP = np.broadcast_to(np.arange(33, dtype=np.float32)[None, None, :, None], (64, 33, 33, 1))


def test_parts_lie_inside_and_are_neither_too_small_nor_bent():
    """Of a picture whose values are its columns, each row goes straight from one end of the part to the other."""
    parts = crop_and_mirror(RAMP, tf.constant([0, 1], tf.int64), area=(0.5, 1.0)).numpy()
    ends = np.sort(parts[:, 0, [0, -1], 0], axis=1)
    width = (ends[:, 1] - ends[:, 0]) / 32
    assert (ends >= 0).all() and (ends <= 32).all()
    assert (width >= np.sqrt(0.5 * 3 / 4) - 1e-5).all() and (width <= 1 + 1e-6).all() and np.ptp(width) > 0.1
    np.testing.assert_allclose(np.abs(np.diff(parts[:, 0, :, 0])), (32 * width / 32)[:, None].repeat(32, 1), atol=1e-4)
    mirrored = parts[:, 0, 0, 0] > parts[:, 0, -1, 0]
    assert 16 < mirrored.sum() < 48


def test_the_key_decides():
    first, again, other = (
        crop_and_mirror(RAMP, tf.constant(key, tf.int64), area=(0.5, 1.0)).numpy() for key in ((3, 4), (3, 4), (3, 5))
    )
    assert (first == again).all() and (first != other).any()
