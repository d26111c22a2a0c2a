"""A few examples from all over a source, to look at."""

import numpy as np

from tfssl.errors import SourceError


def spread_examples(source, count, cut, *, min_side=None):
    """Cut examples from pictures that are spread evenly over a source, always the same ones.

    A picture that cannot be read or does not serve gives way to the next one that was not tried yet.

    Args:
        source: an :class:`~tfssl.data.images.ImageSource`.
        count: how many to take; fewer where there are fewer.
        cut: function of a ``PIL.Image`` and of a seed, the number of the picture counted from 1, that returns an
            example; ValueError where the picture does not serve.
        min_side: as :meth:`tfssl.data.images.ImageSource.open`.

    Returns:
        List of examples, not empty.

    Raises:
        SourceError: if no picture serves.
    """
    found, following = [], 0
    for start in np.linspace(0, len(source), min(count, len(source)), endpoint=False).astype(int).tolist():
        following = max(start, following)
        while following < len(source):
            following += 1
            try:
                found.append(cut(source.open(following - 1, min_side=min_side), following))
                break
            except (ValueError, OSError):
                continue
    if not found:
        raise SourceError(f"`source` has no readable picture among {len(source)}; give photographs")
    return found
