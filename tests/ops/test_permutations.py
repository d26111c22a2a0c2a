"""Permutation sets against the bounds and the small cases of the method card."""

import hashlib
import itertools
import tarfile
import time

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.methods import Jigsaw
from tfssl.ops.permutations import (
    KINDS,
    all_permutations,
    hamming,
    load_permutations,
    mean_distance_bound,
    permutation_set,
    permutation_statistics,
)

BOUNDS = {9: 9.0, 24: 8.3152174, 64: 8.125, 100: 8.08, 1000: 8.008}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 64])
def test_rows_are_distinct_permutations(kind, count):
    found = permutation_set(count, kind, seed=5)
    assert found.shape == (count, 9) and found.dtype == np.uint8
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(9), (count, 1)))
    assert len(np.unique(found, axis=0)) == count
    if count > 1:
        statistics = permutation_statistics(found)
        assert statistics["min"] >= 2, "distance 1 is impossible"
        assert sum(statistics["histogram"]) == count * (count - 1) // 2


def test_all_permutations_of_four():
    assert all_permutations(4).tolist() == [list(p) for p in itertools.permutations(range(4))]


def test_hamming_examples():
    straight = np.arange(9)
    assert hamming(straight, straight[::-1]) == 8, "the center stays"
    assert hamming(straight, np.roll(straight, 1)) == 9
    assert hamming(straight, straight) == 0
    assert hamming(straight, [straight, straight[::-1]]).tolist() == [0, 8]


@pytest.mark.parametrize("count, bound", BOUNDS.items())
def test_bound_of_the_card(count, bound):
    assert mean_distance_bound(count) == pytest.approx(bound, abs=1e-7)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("count", [9, 24, 64, 100])
def test_greedy_mean_reaches_the_bound(count, seed):
    statistics = permutation_statistics(permutation_set(count, seed=seed))
    assert statistics["mean"] == pytest.approx(BOUNDS[count], abs=1e-7)
    assert statistics["mean"] == pytest.approx(statistics["bound"], abs=1e-12)


def test_thousand_reach_the_bound_well_under_a_minute():
    started = time.process_time()
    statistics = permutation_statistics(permutation_set(1000, seed=3))
    assert time.process_time() - started < 60
    assert statistics["mean"] == pytest.approx(8.008, abs=1e-9)
    assert statistics["max"] == 9


@pytest.mark.parametrize("count, smallest", [(9, 9), (24, 7), (64, 7), (100, 6)])
def test_max_min_keeps_all_apart(count, smallest):
    spread = permutation_statistics(permutation_set(count, "max_min"))
    assert spread["min"] == smallest
    if count > 9:
        assert spread["min"] > permutation_statistics(permutation_set(count, "max_mean"))["min"]
        assert spread["mean"] <= spread["bound"]


def test_kinds_are_ordered_by_their_mean():
    means = [permutation_statistics(permutation_set(100, kind))["mean"] for kind in ("min", "middle", "max_mean")]
    assert means[0] < 4.5 and 7.9 < means[1] < 8.08 and means[2] == pytest.approx(8.08)


def test_middle_is_a_uniform_sample():
    """Ordered pairs of distinct permutations differ in 8 * 9! / (9! - 1) = 8.000022 places on average."""
    statistics = permutation_statistics(permutation_set(1000, "middle", seed=1))
    assert statistics["mean"] == pytest.approx(8.000022, abs=0.02)  # four standard errors of the 1000


def test_mean_distance_of_all_pairs():
    everything = all_permutations(6)
    distances = hamming(everything, everything[0])
    assert distances.sum() / (len(everything) - 1) == pytest.approx(5 * 720 / 719)
    nine = hamming(all_permutations(9), np.arange(9))
    assert nine.sum() / (len(nine) - 1) == pytest.approx(8.000022, abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_three_tiles_by_hand(seed):
    """From any start the second and third are its two cyclic shifts, at distance 3 of it and of each other."""
    first, *others = permutation_set(3, tiles=3, seed=seed).tolist()
    shifts = [np.roll(first, 1).tolist(), np.roll(first, 2).tolist()]
    assert sorted(others) == sorted(shifts)
    assert permutation_statistics([first, *others])["mean"] == 3.0


def test_three_tiles_least_distance():
    first, second = permutation_set(2, "min", tiles=3, seed=0)
    assert hamming(first, second) == 2


def test_seed_decides_and_stays():
    """The rows are labels of trained models: this set must never change."""
    np.testing.assert_array_equal(permutation_set(64, seed=7), permutation_set.__wrapped__(64, seed=7))
    assert (permutation_set(64, seed=7) != permutation_set(64, seed=8)).any()
    assert permutation_set(64)[0].tolist() == [3, 0, 4, 2, 6, 8, 7, 5, 1]
    assert hashlib.sha256(permutation_set(64).tobytes()).hexdigest()[:16] == "9961805ebbd3de0a"


def test_a_smaller_set_is_the_start_of_a_larger_one():
    np.testing.assert_array_equal(permutation_set(24), permutation_set(64)[:24])


def test_sets_cannot_be_changed_by_their_users():
    with pytest.raises(ValueError, match="read-only"):
        permutation_set(9)[0, 0] = 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"count": 0}, "count"),
        ({"count": 7, "tiles": 3}, "1 to 6"),
        ({"count": 5, "kind": "max"}, "max_mean"),
        ({"count": 5, "tiles": 10}, "tiles"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        permutation_set(**arguments)


class TestFiles:
    @pytest.mark.parametrize("first", [0, 1])
    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
    def test_npy(self, tmp_path, first, dtype):
        np.save(tmp_path / "set.npy", permutation_set(24).astype(dtype) + dtype(first))
        found = load_permutations(tmp_path / "set.npy")
        np.testing.assert_array_equal(found, permutation_set(24))
        assert found.dtype == np.uint8

    def test_bin_as_the_released_files(self, tmp_path):
        table = permutation_set(24)
        content = np.array([24, 9, *(table.astype(int) + 1).ravel()], "<i4").tobytes()
        (tmp_path / "set.bin").write_bytes(content)
        np.testing.assert_array_equal(load_permutations(tmp_path / "set.bin"), table)
        np.testing.assert_array_equal(
            Jigsaw(permutations=24, permutation_set=str(tmp_path / "set.bin")).permutation_table, table
        )
        for damaged in (content[:-4], content[:-1], content + bytes(4), content[:4], b"", bytes(8), content[4:]):
            (tmp_path / "set.bin").write_bytes(damaged)
            with pytest.raises(ConfigError, match="rows x columns") as error:
                load_permutations(tmp_path / "set.bin")
            assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name, rows, mean, smallest", [("100_max", 100, 8.08, 2), ("701", 701, 7.999, 3)])
    def test_the_released_files(self, shared_data, tmp_path, name, rows, mean, smallest):
        with tarfile.open(shared_data / "reference_arrays.tar") as archive:
            member = next(n for n in archive.getnames() if n.endswith(f"permutations_{name}.bin"))
            (tmp_path / "released.bin").write_bytes(archive.extractfile(member).read())
        found = load_permutations(tmp_path / "released.bin")
        statistics = permutation_statistics(found)
        assert found.shape == (rows, 9) and found.min() == 0 and found.max() == 8
        assert statistics["mean"] == pytest.approx(mean, abs=1e-3) and statistics["min"] == smallest

    @pytest.mark.parametrize("separator", [" ", ",", "\t", "; "])
    def test_text(self, tmp_path, separator):
        rows = [separator.join(str(n + 1) for n in row) for row in permutation_set(10)]
        (tmp_path / "set.txt").write_text("\n".join(rows) + "\n\n")
        np.testing.assert_array_equal(load_permutations(tmp_path / "set.txt"), permutation_set(10))

    @pytest.mark.parametrize(
        "text, message",
        [
            ("", "two rows"),
            ("1 2 3\n3 2 1\n", "two rows of 9"),
            ("0 1 2 3 4 5 6 7 8\n0 1 2 3 4 5 6 7 7\n", "row 2 is no permutation"),
            ("0 1 2 3 4 5 6 7 8\n1 2 3 4 5 6 7 8 9\n", "row 2 is no permutation"),
            ("0 1 2 3 4 5 6 7 8\n0 1 2 3 4 5 6 7 8\n", "some are equal"),
            ("0 1 2 3 4 5 6 7 8\n0 1 2\n", "cannot be read"),
            ("a b c\n", "cannot be read"),
        ],
    )
    def test_bad_text_is_one_line(self, tmp_path, text, message):
        (tmp_path / "set.txt").write_text(text)
        with pytest.raises(ConfigError, match=message) as error:
            load_permutations(tmp_path / "set.txt")
        assert "\n" not in str(error.value) and "set.txt" in str(error.value)

    def test_missing_and_damaged(self, tmp_path):
        with pytest.raises(ConfigError, match="No such file"):
            load_permutations(tmp_path / "none.npy")
        (tmp_path / "bad.npy").write_bytes(b"not an array")
        with pytest.raises(ConfigError, match="cannot be read"):
            load_permutations(tmp_path / "bad.npy")
