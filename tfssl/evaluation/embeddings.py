"""What vectors of words are worth: similarity and analogies on test sets in their usual files, and files of vectors."""

import os

import numpy as np
from scipy.stats import spearmanr

from tfssl.errors import ConfigError, SourceError
from tfssl.files import printable
from tfssl.options import as_path

_LONGEST_WORD = 1000  # bytes; a file of another format has no blank for far longer


def read_pairs(path):
    """Pairs of words and how alike people find them: ``[(word, word, score), ...]``, words in lower case.

    Lines are ``word<TAB>word<TAB>score``, or with commas or blanks; further columns are left alone (SimLex-999's own
    file has its score in the fourth, headed ``SimLex999``); ``#`` begins a comment; the first line may be a header.
    WordSim-353 and MEN (``lemma``) are such files.

    Raises:
        SourceError: for a file that cannot be read, and a line that is no pair, by its number.
    """
    found, column = [], 2
    for place, (number, line) in enumerate(_lines(path)):
        mark = next((mark for mark in ("\t", ",") if mark in line), None)
        cells = [cell.strip() for cell in line.split(mark)]
        try:
            found.append((cells[0].lower(), cells[1].lower(), float(cells[column])))
        except (ValueError, IndexError):
            if place:
                raise SourceError(
                    f"{str(path)!r}: line {number} must be two words and a number. Received: {line[:60]!r}"
                ) from None
            column = cells.index("SimLex999") if "SimLex999" in cells else column
    if not found:
        raise SourceError(f"{str(path)!r} holds no pairs of words with a number")
    return found


def read_questions(path):
    """Analogies, ``[(a, b, c, d), ...]``, a is to b as c is to d, in lower case: the layout of questions-words.txt.

    Lines that begin with ``:`` name sections. SourceError as :func:`read_pairs`.
    """
    found = []
    for number, line in _lines(path):
        if line.startswith(":"):
            continue
        words = line.lower().split()
        if len(words) != 4:
            raise SourceError(f"{str(path)!r}: line {number} must be four words. Received: {line[:60]!r}")
        found.append(tuple(words))
    if not found:
        raise SourceError(f"{str(path)!r} holds no analogies")
    return found


def similarity(vectors, pairs):
    """Spearman's rank correlation of cosines with human scores.

    Args:
        vectors: ``{word: (D,)}``.
        pairs: of :func:`read_pairs`; those with a word that is not there do not count.

    Returns:
        ``(correlation, pairs counted)``; the former NaN for fewer than 3, or where all scores are equal.
    """
    known = [pair for pair in pairs if pair[0] in vectors and pair[1] in vectors]
    if len(known) < 3:
        return float("nan"), len(known)
    cosines = [float(unit(vectors[first]) @ unit(vectors[second])) for first, second, _ in known]
    scores = [score for *_, score in known]
    if len(set(scores)) == 1 or len(set(cosines)) == 1:
        return float("nan"), len(known)
    return float(spearmanr(cosines, scores).statistic), len(known)


def analogies(vectors, questions):
    """How often the word nearest to ``b - a + c`` by its cosine is the right one; a, b and c are no answers.

    Args:
        vectors: ``{word: (D,)}``, scaled to length 1 before anything else.
        questions: of :func:`read_questions`; those with a word that is not there do not count.

    Returns:
        ``(fraction right, questions counted)``; the former NaN for none.
    """
    known = [question for question in questions if all(word in vectors for word in question)]
    if not known:
        return float("nan"), 0
    places = {word: number for number, word in enumerate(vectors)}
    units = unit(np.stack(list(vectors.values())))
    right = 0
    for question in known:
        a, b, c, d = (places[word] for word in question)
        cosines = units @ unit(units[b] - units[a] + units[c])
        cosines[[a, b, c]] = -np.inf
        right += int(np.argmax(cosines) == d)
    return right / len(known), len(known)


def combined(first, second):
    """Vectors of length 1 behind each other, of the words that both know: ``{word: (D1 + D2,)}``."""
    return {word: np.concatenate([unit(first[word]), unit(second[word])]) for word in first if word in second}


def unit(vectors):
    """Vectors (..., D) scaled to length 1, float64; zeros stay."""
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def read_vectors(path, words):
    """Vectors of some words out of a file of word2vec, fastText or GloVe: ``{word: float32 (D,)}``.

    ``.bin`` is word2vec's binary format; else lines are a word and its numbers, with a first line ``count size`` or
    without. Of a word in several spellings that of lower case counts, else the first.

    Args:
        path: of the file.
        words: those wanted, in lower case; nothing else is kept in memory.

    Raises:
        SourceError: if the file cannot be read, or holds none of the words.
    """
    path, wanted, found = as_path("vectors", path), set(words), {}
    try:
        for word, vector in (_binary if path.suffix == ".bin" else _text)(path):
            lower = word.lower()
            if lower in wanted and (lower not in found or word == lower):
                found[lower] = vector()
    except OSError as error:
        raise SourceError(f"`vectors` {str(path)!r} cannot be read ({error.strerror})") from None
    except (ValueError, OverflowError) as error:
        raise SourceError(f"`vectors` {str(path)!r} is no file of word vectors: {error}") from None
    if not found:
        raise SourceError(f"`vectors` {str(path)!r} holds none of the {len(wanted)} words")
    return found


def write_vectors(path, vectors):
    """Write vectors as word2vec's text format, whole or not at all, to be read by gensim and by others."""
    from tfssl.files import write_text

    size = len(next(iter(vectors.values())))
    lines = [" ".join((word, *(f"{value:.5g}" for value in vector))) for word, vector in vectors.items()]
    write_text(path, "\n".join([f"{len(vectors)} {size}", *lines, ""]))


def files(name, value):
    """Paths out of an option: one, several in a list, or in a text with commas; a ConfigError for what is no path."""
    if value is None:
        return []
    given = value.split(",") if isinstance(value, str) else [value] if isinstance(value, os.PathLike) else list(value)
    paths = [as_path(name, part) for part in given]
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"`{name}` must be a file. Received: {name}={str(path)!r}")
    return paths


def _lines(path):
    """Numbered lines with something in them, without comments."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{printable(path)} must be UTF-8") from None
    except OSError as error:
        raise SourceError(f"{printable(path)} cannot be read ({error.strerror})") from None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            yield number, line


def _text(path):
    with open(path, encoding="utf-8", errors="replace") as file:  # published files hold broken words
        size = None
        for number, line in enumerate(file, 1):
            cells = line.rstrip().split(" ")
            if number == 1 and len(cells) == 2 and all(cell.isdigit() for cell in cells):
                size = int(cells[1])
                continue
            size = len(cells) - 1 if size is None else size
            if len(cells) <= size or size < 2:  # words of GloVe may hold blanks
                raise ValueError(f"line {number} holds {len(cells) - 1} numbers, {size} are due")
            numbers = cells[-size:]
            yield " ".join(cells[:-size]), lambda numbers=numbers: np.array(numbers, np.float32)


def _binary(path):
    with open(path, "rb") as file:
        count, size = (int(part) for part in file.readline(_LONGEST_WORD).split())
        if not 1 <= size <= 100_000:
            raise ValueError(f"vectors of {size} numbers")
        for _ in range(count):
            word = bytearray()
            while (letter := file.read(1)) != b" ":
                if not letter or len(word) > _LONGEST_WORD:
                    raise ValueError("it ends early")
                if letter != b"\n":
                    word += letter
            raw = file.read(4 * size)
            if len(raw) < 4 * size:
                raise ValueError("it ends early")
            yield word.decode("utf-8", "replace"), lambda raw=raw: np.frombuffer(raw, "<f4")
