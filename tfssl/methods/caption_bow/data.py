"""Words of captions: the vocabulary, what a network is to tell of an image, and images drawn by their words."""

import collections
import dataclasses
import logging
import re
import unicodedata

import numpy as np

from tfssl.data.source import Source
from tfssl.errors import SourceError

log = logging.getLogger("tfssl")

MOST = 128
"""Words of an image that count; of those with more, so many are drawn."""

_ASCII_WORD = re.compile("[a-z]+")
_WORD = re.compile("L[LM]*")  # in the classes of characters: a letter, then letters and the marks that belong to them
_DRAWS = 2**24  # pairs of a word and an image that a pass over the words may have


def tokens(text):
    """The words of a text: runs of letters with their marks, of any script, in lower case, as NFC composes them."""
    text = unicodedata.normalize("NFC", text.lower())
    if text.isascii():
        return _ASCII_WORD.findall(text)
    kinds = "".join(unicodedata.category(c)[0] for c in text)
    return [text[m.start() : m.end()] for m in _WORD.finditer(kinds)]


def caption_tokens(source):
    """The set of words of each image of a source."""
    source = getattr(source, "source", source)  # of worker processes
    captions = getattr(source, "captions", None)
    if captions is None:
        if "captions" not in source.example(0):
            raise SourceError("`data` holds images without captions; give a file of captions or its folder")
        captions = (source.example(index)["captions"] for index in range(len(source)))
    for texts in captions:
        yield set().union(*map(tokens, texts))


def vocabulary(source, words, drop):
    """The ``words`` most frequent words after the ``drop`` most frequent ones, counted once an image.

    ``drop`` below 1 is a fraction of the different words, rounded down.

    Returns:
        ``words``, str (K,) by falling count, ties by the word; ``counts``, int64 (K,), images that have each;
        ``images``, int64, how many have one of them.

    Raises:
        SourceError: if no word is left.
    """
    found = list(caption_tokens(source))
    counts = collections.Counter(word for present in found for word in sorted(present))
    drop = int(drop * len(counts)) if drop < 1 else int(drop)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[drop : drop + words]
    if not ranked:
        raise SourceError(
            f"`data`: nothing is left of the {len(counts)} different words of its captions when the {drop} most "
            f"frequent are dropped; lower drop"
        )
    first, last = ranked[0], ranked[-1]
    log.info(
        "vocabulary: %d of %d different words, from %r in %d images to %r in %d",
        len(ranked),
        len(counts),
        *first,
        *last,
    )
    kept = {word for word, _ in ranked}
    return {
        "words": np.array([word for word, _ in ranked]),
        "counts": np.array([count for _, count in ranked], np.int64),
        "images": np.array(sum(not kept.isdisjoint(present) for present in found), np.int64),
    }


def word_numbers(index, captions):
    """Numbers of the words of captions in a vocabulary ``{word: number}``, sorted, int64 (n,)."""
    found = set().union(*map(tokens, captions))
    return np.array(sorted(index[word] for word in found if word in index), np.int64)


def draw(method, example, rng, training):
    """One image and what is to be told of it.

    Returns:
        uint8 (s, s, 3); int32 (T,), words of the vocabulary, -1 where there are no more; with candidates also int8
        (T,): 1 for the words to tell, 0 for others, -1 for no word.
    """
    present = word_numbers(method.index, example["captions"])
    if not len(present):
        raise ValueError("no word of its captions is in the vocabulary")
    crop = method.crop.apply(example["image"], rng if training and method.crop_position == "random" else None)
    drawn = example.get("label")
    told = present if drawn is None else np.array([drawn])
    if method.candidates is None:
        return crop, _padded(_some(told, MOST, rng), MOST)
    size = min(method.candidates, method.words)
    return crop, *choose(told, present, len(method.index), size, rng)


def choose(told, present, words, size, rng):
    """The words C of an image that are scored: those to tell, and others that it has not, drawn at random.

    Args:
        told: numbers of words to tell, int (m,); where they are more than ``size``, so many of them are drawn.
        present: numbers of all words of the image, sorted; those that are not told are never drawn as others.
        words: K, size of the vocabulary.
        size: T, of the arrays returned.

    Returns:
        int32 (T,) and int8 (T,), see :func:`draw`.
    """
    told = _some(told, size, rng)
    # Numbers among the words that are absent become numbers of words: each present one before them counts up.
    absent = rng.choice(words - len(present), min(size - len(told), words - len(present)), replace=False)
    absent = absent + np.searchsorted(present - np.arange(len(present)), absent, side="right")
    marks = np.repeat(np.array([1, 0, -1], np.int8), (len(told), len(absent), size - len(told) - len(absent)))
    return _padded(np.concatenate([told, absent]), size), marks


def _some(words, most, rng):
    return words if len(words) <= most else rng.choice(words, most, replace=False)


def _padded(words, size):
    found = np.full(size, -1, np.int32)
    found[: len(words)] = words
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class WordBalanced(Source):
    """A word drawn evenly, then an image that has it: as many items for each word, ``label`` is its number.

    Args:
        captioned: images with captions.
        words: numbers of the words, int64 (W,).
        images: numbers of images, those of each word behind each other, int64 (n,).
        starts: where those of each word begin, and the end, int64 (W + 1,).
        slots: items for each word; its images are spread evenly over them.
    """

    captioned: Source  # not `source`, which is what a pipeline looks for in worker processes
    words: np.ndarray
    images: np.ndarray
    starts: np.ndarray
    slots: int

    @property
    def noun(self):
        return self.captioned.noun

    def __len__(self):
        return len(self.words) * self.slots

    def example(self, index):
        return {**self.captioned.example(self._image(index)), "label": np.int32(self.words[index // self.slots])}

    def name(self, index):
        return self.captioned.name(self._image(index))

    def check(self, index):
        self.captioned.check(self._image(index))

    def _image(self, index):
        word, slot = divmod(index, self.slots)
        start, end = self.starts[word], self.starts[word + 1]
        return int(self.images[start + slot * (end - start) // self.slots])


def word_balanced(source, index):
    """A :class:`WordBalanced` of a source and a vocabulary ``{word: number}``; words of no image are left out.

    Each word has as many items as the most frequent one has images.
    """
    pairs = [
        (index[word], number)
        for number, present in enumerate(caption_tokens(source))
        for word in present
        if word in index
    ]
    if not pairs:
        raise SourceError("`data`: no word of its captions is in the vocabulary; give other captions")
    words, images = np.array(sorted(pairs), np.int64).T
    words, counts = np.unique(words, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)])
    slots = int(max(1, min(counts.max(), _DRAWS // len(words))))
    return WordBalanced(source, words, images, starts, slots)


def log_prior(method):
    """What the natural frequency of words adds to scores of a network that learned from a balanced one, float64 (K,).

    The paper's balanced draws and one-versus-all weights make all words equally frequent, up to Bayes' rule.
    """
    counts, images = method.statistics["counts"].astype(np.float64), float(method.statistics["images"])
    if method.objective == "one_vs_all":
        return np.log(counts) - np.log(np.maximum(images - counts, 1))
    return np.log(counts / counts.sum()) if method.sampling == "words" else np.zeros(len(counts))
