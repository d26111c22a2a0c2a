"""Examples from all over a source: which images they come from."""

import numpy as np
import pytest

from tfssl.data.examples import spread_examples
from tfssl.data.images import ArraySource
from tfssl.errors import SourceError

SOURCE = ArraySource([np.full((4, 4, 3), number, np.uint8) for number in range(20)])


def chosen(count, unfit=()):
    """Numbers of the images, and their seeds."""

    def cut(example, seed):
        number = example["image"].getpixel((0, 0))[0]
        if number in unfit:
            raise ValueError("does not serve")
        return number, seed

    return [list(part) for part in zip(*spread_examples(SOURCE, count, cut), strict=True)]


def test_spread_evenly_with_a_seed_of_their_own():
    assert chosen(4) == [[0, 5, 10, 15], [1, 6, 11, 16]]


def test_others_take_the_place_of_those_that_do_not_serve():
    assert chosen(4, unfit={0, 10, 11})[0] == [1, 5, 12, 15]


def test_none_is_taken_twice_and_the_end_is_the_end():
    assert chosen(4, unfit=set(range(17)))[0] == [17, 18, 19]
    assert chosen(50)[0] == list(range(20))


def test_nothing_that_serves_is_an_error():
    with pytest.raises(SourceError, match="no readable images among 20"):
        chosen(4, unfit=set(range(20)))
