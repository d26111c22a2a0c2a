"""Vectors of words: the scorers by hand, the files of test sets and vectors, and what is wrong with one."""

import numpy as np
import pytest

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.embeddings import (
    analogies,
    combined,
    files,
    read_pairs,
    read_questions,
    read_vectors,
    similarity,
    write_vectors,
)

MAN, WOMAN, CROWN = np.eye(3)
ROYAL = {"man": MAN, "woman": WOMAN, "king": MAN + CROWN, "queen": WOMAN + CROWN, "rose": np.array([0.1, 0.1, 0.2])}


def test_analogies():
    """Card, test 9: queen, never an input word, and absent words leave the question out."""
    assert analogies(ROYAL, [("man", "king", "woman", "queen")]) == (1.0, 1)
    assert analogies(ROYAL, [("man", "king", "woman", "queen"), ("man", "king", "boy", "prince")]) == (1.0, 1)
    # The nearest of all to man - man + king is king itself, which is no answer.
    assert analogies(ROYAL, [("man", "man", "king", "king")])[0] == 0.0
    assert np.isnan(analogies(ROYAL, [("a", "b", "c", "d")])[0])


def test_similarity():
    vectors = {"a": [1, 0], "b": [1, 0.1], "c": [1, 1], "d": [0, 1]}
    pairs = [("a", "b", 9.0), ("a", "c", 5.0), ("a", "d", 1.0), ("a", "absent", 7.0)]
    assert similarity(vectors, pairs) == (pytest.approx(1.0), 3)
    assert similarity(vectors, [(a, b, -score) for a, b, score in pairs])[0] == pytest.approx(-1.0)
    scaled = vectors | {"b": [50, 5]}
    assert similarity(scaled, pairs) == similarity(vectors, pairs), "lengths do not matter (card, test 8)"
    assert np.isnan(similarity(vectors, pairs[:2])[0])
    assert np.isnan(similarity(vectors, [("a", "b", 1.0)] * 3)[0])


def test_combined_vectors_weigh_the_same():
    both = combined({"a": [3, 0], "b": [0, 1]}, {"b": [0, 0, 9], "c": [1, 1, 1]})
    assert list(both) == ["b"]
    np.testing.assert_allclose(both["b"], [0, 1, 0, 0, 1])


@pytest.mark.parametrize(
    "text",
    [
        "# WordSim\n# Word 1\tWord 2\tHuman (mean)\nlove\tsex\t6.77\nTiger\tcat\t7.35\n",
        "Word 1,Word 2,Human (mean)\r\nlove,sex,6.77\r\ntiger,cat,7.35\r\n",
        "\ufefflove sex 6.77\ntiger cat 7.35",
        "word1\tword2\tPOS\tSimLex999\nlove\tsex\tN\t6.77\ntiger\tcat\tN\t7.35\n",
    ],
)
def test_pairs(tmp_path, text):
    (tmp_path / "pairs").write_text(text, encoding="utf-8")
    assert read_pairs(tmp_path / "pairs") == [("love", "sex", 6.77), ("tiger", "cat", 7.35)]


def test_questions(tmp_path):
    (tmp_path / "q.txt").write_text(": capitals\nAthens Greece Baghdad Iraq\n\n: family\nboy girl man woman\n")
    assert read_questions(tmp_path / "q.txt") == [
        ("athens", "greece", "baghdad", "iraq"),
        ("boy", "girl", "man", "woman"),
    ]


@pytest.mark.parametrize(
    "read, content, message",
    [
        (read_pairs, b"a b 1\nc d\n", "line 2 must be two words and a number"),
        (read_pairs, b"first,second,score\n", "holds no pairs"),
        (read_pairs, b"a b \xff", "must be UTF-8"),
        (read_questions, b"a b c\n", "line 1 must be four words"),
        (read_questions, b": only a title\n", "holds no analogies"),
    ],
)
def test_what_is_wrong_with_a_test_set_is_said(tmp_path, read, content, message):
    (tmp_path / "set").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "set")


def binary(words):
    rows = (word.encode() + b" " + np.asarray(vector, "<f4").tobytes() + b"\n" for word, vector in words)
    return f"{len(words)} 2\n".encode() + b"".join(rows)


@pytest.mark.parametrize(
    "name, content",
    [
        ("w2v.vec", b"4 2\nDog 9 9\ndog 1 2\ncat -1 0.5\nb\xffd 1 1\n"),
        ("glove.txt", b"dog 1 2\ncat -1 0.5\nnew york 3 3\n"),
        ("w2v.bin", binary([("Dog", (9, 9)), ("dog", (1, 2)), ("cat", (-1, 0.5)), ("other", (0, 0))])),
    ],
)
def test_files_of_vectors(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = read_vectors(tmp_path / name, ["dog", "cat", "bird"])
    assert sorted(found) == ["cat", "dog"]
    np.testing.assert_allclose(found["dog"], [1, 2])
    np.testing.assert_allclose(found["cat"], [-1, 0.5])


def test_vectors_are_written_as_they_are_read(tmp_path):
    vectors = {"dög": np.array([1.5, -2e-7]), "cat": np.array([0.0, 123456.0])}
    write_vectors(tmp_path / "mine.vec", vectors)
    for word, vector in read_vectors(tmp_path / "mine.vec", vectors).items():
        np.testing.assert_allclose(vector, vectors[word], rtol=1e-4)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.vec", b"dog 1 2 3\ncat 1 2\n", "line 2 holds 2 numbers, 3 are due"),
        ("a.vec", b"dog 1 x\n", "no file of word vectors"),
        ("a.vec", b"dog 1 2\n", "holds none of the 1 words"),
        ("a.bin", b"3 2\ncat \0\0", "it ends early"),
        ("a.bin", b"no numbers", "no file of word vectors"),
        ("a.bin", b"1 99999999999\n", "vectors of 99999999999 numbers"),
    ],
)
def test_what_is_wrong_with_vectors_is_said(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_vectors(tmp_path / name, ["cat" if "holds none" in message else "dog"][:1] if "x" not in message else [])


def test_several_files(tmp_path):
    for name in "ab":
        (tmp_path / name).touch()
    text = f"{tmp_path / 'a'},{tmp_path / 'b'}"
    assert files("similarity", text) == files("similarity", [tmp_path / "a", str(tmp_path / "b")])
    assert files("similarity", None) == [] and files("similarity", tmp_path / "a") == [tmp_path / "a"]
    with pytest.raises(ConfigError, match="`similarity` must be a file"):
        files("similarity", "nowhere")
