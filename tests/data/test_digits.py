"""Moving digits: where they go, what they look like, and the files that they are taken from."""

import gzip
import pickle
import struct

import numpy as np
import pytest

from tfssl.data.digits import moving_digits, read_digits
from tfssl.errors import ConfigError, SourceError

WHITE = np.full((3, 28, 28), 255, np.uint8)


def frames_of(source, index=0):
    return source.example(index)["clip"].frames(np.arange(source.frames))


def test_places_and_speed():
    """Card, test 1: inside always; 0.1 of 36 pixels a frame between bounces; the other way round it is a clip too."""
    source = moving_digits(WHITE, count=50, frames=40)
    for index in range(len(source)):
        _, places = source.path(index)
        assert places.shape == (40, 2, 2) and places.min() >= 0 and places.max() <= 1
        steps = np.diff(places, axis=0)
        free = ((places > 0) & (places < 1)).all(axis=-1)
        free = free[1:] & free[:-1]  # neither frame at a wall
        speeds = 36 * np.linalg.norm(steps, axis=-1)
        np.testing.assert_allclose(speeds[free], 3.6)
        np.testing.assert_allclose(speeds[::-1][free[::-1]], 3.6)
        assert (speeds < 3.6 + 1e-9).all()
    turned = np.sign(np.diff(source.path(0)[1][:, 0], axis=0))
    assert set(turned.ravel()) >= {-1, 1}, "it bounces"


def test_frames():
    source = moving_digits(WHITE, count=2, objects=1)
    frames, (_, places) = frames_of(source), source.path(0)
    assert frames.shape == (20, 64, 64, 3) and frames.dtype == np.uint8
    for frame, (x, y) in zip(frames, (36 * places[:, 0]).astype(int), strict=True):
        expected = np.zeros((64, 64), np.uint8)
        expected[y : y + 28, x : x + 28] = 255
        np.testing.assert_array_equal(frame[..., 1], expected)


def test_the_brighter_digit_is_seen_where_they_overlap():
    digits = np.stack([np.full((28, 28), level, np.uint8) for level in (100, 200)])
    source = moving_digits(digits, count=40)
    both = next(i for i in range(40) if len(set(source.path(i)[0])) == 2)
    assert set(np.unique(frames_of(source, both))) == {0, 100, 200}
    both_places = source.path(both)[1]
    levels = digits[source.path(both)[0]][:, 0, 0]
    bright = both_places[:, levels.argmax()]
    x, y = (36 * bright[0]).astype(int)
    assert (frames_of(source, both)[0, y : y + 28, x : x + 28] == 200).all()


def test_clips_follow_from_the_seed():
    first, again, other = (moving_digits(count=3, frames=4, size=32, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(frames_of(first, 2), frames_of(pickle.loads(pickle.dumps(again)), 2))
    assert (frames_of(first, 2) != frames_of(other, 2)).any()
    assert (frames_of(first, 0) != frames_of(first, 2)).any()
    assert first.digits.shape == (1437, 14, 14)


def test_builtin_digits():
    train, test = read_digits("builtin"), read_digits("builtin:test")
    assert train.shape == (1437, 8, 8) and test.shape == (360, 8, 8) and train.max() == 255
    alike = {digit.tobytes() for digit in train} & {digit.tobytes() for digit in test}
    assert not alike


def idx(digits, count=None):
    return struct.pack(">IIII", 0x803, len(digits) if count is None else count, *digits.shape[1:]) + digits.tobytes()


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "mnist.npz", "mnist.npy"])
def test_files_of_mnist(tmp_path, name):
    digits = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, x_test=digits[:1], x_train=digits)
    elif name.endswith("npy"):
        np.save(path, digits)
    else:
        path.write_bytes(gzip.compress(idx(digits)) if name.endswith("gz") else idx(digits))
    np.testing.assert_array_equal(read_digits(path), digits)
    assert frames_of(moving_digits(path, count=1)).max() > 0


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "does not begin as MNIST's images do"),
        (struct.pack(">IIII", 0x801, 5, 28, 28), "does not begin as MNIST's images do"),
        (idx(WHITE, count=4), "announces 4 images of 28x28 and ends before"),
    ],
)
def test_other_files_are_refused(tmp_path, content, reason):
    for name in ("digits-ubyte", "digits-ubyte.gz"):
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        with pytest.raises(SourceError, match=reason):
            read_digits(tmp_path / name)
    (tmp_path / "digits.npz").write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read as digits"):
        read_digits(tmp_path / "digits.npz")


def test_arrays_of_another_kind_are_refused(tmp_path):
    np.save(tmp_path / "digits.npy", np.zeros((3, 28, 28)))
    for digits in (np.zeros((28, 28), np.uint8), tmp_path / "digits.npy"):
        with pytest.raises(SourceError, match=r"must be uint8 \(N, h, w\)"):
            read_digits(digits)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"digit_size": 65}, "`digit_size` must be an integer from 4 to 64"),
        ({"speed": 1.0}, r"`speed` must be in \[0, 1\)"),
        ({"objects": 0}, "`objects` must be an integer of at least 1"),
        ({"count": 0}, "`count` must be an integer of at least 1"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        moving_digits(WHITE, **options)
