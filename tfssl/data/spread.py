"""A few examples from all over a source, to look at."""

import numpy as np

from tfssl.errors import ConfigError, SourceError


def spread_examples(source, count, cut):
    """Cut examples from items that are spread evenly over a source, always the same ones.

    An item that cannot be read or does not serve gives way to the next one that was not tried yet.

    Args:
        source: a :class:`~tfssl.data.source.Source`.
        count: how many to take; fewer where there are fewer.
        cut: function of an example and of a seed, the number of the item counted from 1, that returns anything;
            ValueError where the item does not serve.

    Returns:
        List of what ``cut`` returned, not empty.

    Raises:
        SourceError: if no item serves.
    """
    found, following = [], 0
    for start in np.linspace(0, len(source), min(count, len(source)), endpoint=False).astype(int).tolist():
        following = max(start, following)
        while following < len(source):
            following += 1
            try:
                found.append(cut(source.example(following - 1), following))
                break
            except ConfigError:  # no fault of the example
                raise
            except (ValueError, OSError):
                continue
    if not found:
        raise SourceError(f"`data` has no readable {source.noun} among {len(source)}; give others")
    return found
