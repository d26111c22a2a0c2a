"""From positions of a pipeline to arrays of examples: NumPy only, so that worker processes start in no time.

Position p of the training stream is always the same example: the item follows from a permutation seeded by (seed,
epoch), everything drawn for it from a generator seeded by (seed, p). To resume at step s is to start at example
``s * batch_size``.
"""

import logging
import threading

import numpy as np

from tfssl.data.source import PartError
from tfssl.errors import ConfigError, SourceError, TfsslError

log = logging.getLogger("tfssl")

_MAX_SUBSTITUTES = 64
_MAX_BLANKS = 1000  # items that are tried before a source is said to hold nothing to learn from
_DRAWS, _AUGMENTATION = 1, 2  # which generator of a position


class Skipped:
    """Thread-safe record of the images that could not be read: ``{name: reason}``."""

    def __init__(self, callback=None):
        self.reasons = {}
        self.blank = None
        self._callback = callback
        self._lock = threading.Lock()

    def add(self, name, reason):
        with self._lock:
            if name in self.reasons:
                return
            self.reasons[name] = reason
            if self._callback is not None:
                self._callback(name, reason)

    def add_blank(self, reason):
        """Note that there is nothing to learn from a whole batch, why of its last example; the first one is told."""
        with self._lock:
            first, self.blank = self.blank is None, reason
        if first:
            log.warning("there is nothing to learn from all examples of a batch: of the last one %s", reason)


class Examples:
    """Positions -> arrays of examples; can be sent to a worker process.

    Args:
        source: a :class:`~tfssl.data.source.Source`.
        sample: function ``(example, rng, training) -> tuple of arrays``, see :meth:`tfssl.methods.base.Method.sample`.
        convert: function of the batched arrays that returns a nest of arrays; None for as they are.
        training: shuffled, with substitutes for items that cannot be read; otherwise in order, and these are left out.
        seed: of order and draws.
        per_item: examples that ``sample`` takes from one item: its arrays then have that many rows.
        augment: function ``(example, rng) -> example`` that changes training examples before ``sample``; None for none.
        blank: function of the arrays of an example that says why there is nothing to learn from it, or None, see
            :meth:`tfssl.methods.base.Method.blank`; None where that does not matter.
    """

    def __init__(self, source, sample, convert=None, *, training, seed=0, per_item=1, augment=None, blank=None):
        self.source, self.training, self.per_item = source, training, per_item
        self._sample, self._convert, self._augment, self.seed = sample, convert, augment, seed
        self._blank = blank
        self.after_each = _nothing
        """Called after each item that was read: how a worker tells that it is at work."""
        self._order = _Order(len(source), seed)

    def __call__(self, first, count):
        """For a worker: the flat arrays, and what ``skipped`` of :meth:`load` has collected."""
        skipped = Skipped()
        return self.load(first, count, skipped) or [], (skipped.reasons, skipped.blank)

    def load(self, first, count, skipped):
        """The arrays of examples ``first`` to ``first + count - 1``, flat.

        In evaluation fewer, where items cannot be read; None where there are none.
        """
        item, offset = divmod(int(first), self.per_item)
        items = range(item, -(-(int(first) + int(count)) // self.per_item))
        read = [arrays for position in items if (arrays := self.arrays(position, skipped)) is not None]
        if not read:
            return None
        if self.training and self._blank is not None:
            for arrays in read:  # up to the first that has something: mostly one
                if (reason := self._blank(*arrays)) is None:
                    break
            else:
                skipped.add_blank(reason)
        if self.per_item == 1:
            batched = [np.stack(parts) for parts in zip(*read, strict=True)]
        else:
            batched = [np.concatenate(parts)[offset : offset + int(count)] for parts in zip(*read, strict=True)]
        return batched if self._convert is None else flatten(self._convert(*batched))

    def arrays(self, position, skipped):
        """What ``sample`` makes of the item at a position; None in evaluation if it cannot be read."""
        source, training = self.source, self.training
        first = self._order(position) if training else position
        for attempt in range(min(_MAX_SUBSTITUTES, len(source)) if training else 1):
            index = (first + attempt) % len(source)
            if (arrays := self._read(index, position, skipped)) is not None:
                return arrays
        if training:
            name, reason = list(skipped.reasons.items())[-1]
            raise SourceError(
                f"`data` is mostly unreadable: {len(skipped.reasons)} {source.noun} failed, the last one "
                f"{name!r}: {reason}"
            )
        return None

    def _read(self, index, position, skipped):
        try:
            return self.sampled(self.source.example(index), position)
        except ConfigError:  # no fault of the example
            raise
        except (ValueError, OSError) as error:
            skipped.add(error.name if isinstance(error, PartError) else self.source.name(index), str(error))
            return None
        except TfsslError:
            raise
        except Exception as error:  # a fault of the program: the graph would keep of it neither traceback nor file
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SourceError(f"`data`: {self.source.name(index)!r} cannot be used ({reason})") from error
        finally:
            self.after_each()

    def sampled(self, example, *position):
        """The arrays of one example, drawn by the generator of its position."""
        if self._augment is not None and self.training:
            example = self._augment(example, np.random.default_rng((self.seed, _AUGMENTATION, *position)))
        return self._sample(example, np.random.default_rng((self.seed, _DRAWS, *position)), self.training)

    def check_blank(self):
        """Refuse a source without anything to learn from, by items that are spread over it: SourceError."""
        if self._blank is None:
            return
        count, reason, tried = len(self.source), None, 0
        for position in np.linspace(0, count, min(count, _MAX_BLANKS), endpoint=False).astype(int).tolist():
            arrays = self._read(position, position, Skipped())
            if arrays is None:
                continue
            reason, tried = self._blank(*arrays), tried + 1
            if reason is None:
                return
            name = self.source.name(position)
        if reason is not None:
            raise SourceError(
                f"`data` holds nothing to learn from: none of the {tried} {self.source.noun} tried serves, of the last "
                f"one {reason} ({name}); give others"
            )

    def probe(self):
        """One batch of one item, as ``sample`` and ``convert`` give it: what there is to know of types and shapes."""
        skipped = Skipped()
        for position in range(min(_MAX_SUBSTITUTES, len(self.source))):
            if (arrays := self._read(position, position, skipped)) is None:
                continue
            arrays = [np.asarray(a)[None] if self.per_item == 1 else np.asarray(a) for a in arrays]
            return tuple(arrays) if self._convert is None else self._convert(*arrays)
        name, reason = next(iter(skipped.reasons.items()))
        raise SourceError(
            f"`data` has no readable {self.source.noun} among the first {len(skipped.reasons)} of {len(self.source)} "
            f"({name}: {reason})"
        )


def _nothing():
    pass


def flatten(nest):
    """The arrays of a nest of tuples, lists and dicts (in the order of their sorted keys), as ``tf.nest``."""
    if isinstance(nest, dict):
        return [array for key in sorted(nest) for array in flatten(nest[key])]
    if isinstance(nest, (tuple, list)):
        return [array for part in nest for array in flatten(part)]
    return [nest]


class _Order:
    """Position -> item: a seeded permutation for each epoch."""

    def __init__(self, count, seed):
        self._count, self._seed = count, seed
        self._lock = threading.Lock()
        self._permutations = {}

    def __reduce__(self):
        return _Order, (self._count, self._seed)

    def __call__(self, position):
        epoch, offset = divmod(position, self._count)
        with self._lock:
            if epoch not in self._permutations:
                # Two epochs at most are in flight at once, where prefetching crosses the border.
                for old in [e for e in self._permutations if e < epoch - 1]:
                    del self._permutations[old]
                self._permutations[epoch] = np.random.default_rng((self._seed, epoch)).permutation(self._count)
            return int(self._permutations[epoch][offset])


def spread_examples(source, count, cut):
    """Cut ``count`` examples from items that are spread evenly over a source, always the same ones.

    An item that cannot be read or does not serve gives way to the next one that was not tried yet; there may be fewer.

    Args:
        cut: function of an example and of a seed, the number of the item counted from 1, that returns anything;
            ValueError where the item does not serve.

    Returns:
        List of what ``cut`` returned; SourceError if no item serves.
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
