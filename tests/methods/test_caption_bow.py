"""Words of captions: the card's tests, the vocabulary, what is drawn, the networks, and what they learn."""

import itertools

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.data.captions import CaptionedSource
from tfssl.data.images import image_source
from tfssl.data.rendered_captions import GROUPS, captioned_shapes
from tfssl.data.source import Source
from tfssl.data.workers import ParallelSource
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.methods import CaptionBow
from tfssl.methods.caption_bow.data import choose, log_prior, tokens, vocabulary, word_balanced
from tfssl.methods.caption_bow.evaluate import Tally, precision
from tfssl.methods.caption_bow.network import build_scorer

RNG = np.random.default_rng(0)
TINY = {"backbone": "small", "fc": (), "words": 12, "drop": 1, "candidates": 6, "crop_size": 32, "resize": 40}


class Captions(Source):
    """Captions of images that nobody looks at."""

    def __init__(self, *captions):
        self.captions = tuple((text,) if isinstance(text, str) else tuple(text) for text in captions)

    def __len__(self):
        return len(self.captions)

    def example(self, index):
        return {"image": Image.new("RGB", (48, 40), (index % 256, 0, 0)), "captions": self.captions[index]}


class TestVocabulary:
    def test_order(self):
        """Card, test 6."""
        captions = ["the dog and the cat", "the dog runs", "the bird", "the ant"]
        found = vocabulary(Captions(*captions), 3, 1)
        assert found["words"].tolist() == ["dog", "and", "ant"] and found["counts"].tolist() == [2, 1, 1]
        assert found["images"] == 3
        assert vocabulary(Captions(*captions), 3, 0.2)["words"].tolist() == found["words"].tolist(), "1 of 7 words"
        again = vocabulary(Captions(*reversed(captions)), 3, 1)
        assert again["words"].tolist() == found["words"].tolist()

    def test_words_count_once_an_image(self):
        found = vocabulary(Captions(("dog dog", "Dog!", "dog"), "cat", "cat"), 2, 0)
        assert dict(zip(found["words"].tolist(), found["counts"].tolist(), strict=True)) == {"cat": 2, "dog": 1}

    def test_tokens(self):
        assert tokens("A dog's 2 balls, re-used_twice") == ["a", "dog", "s", "balls", "re", "used", "twice"]
        assert tokens("Ein MÄDCHEN läuft") == ["ein", "mädchen", "läuft"]
        assert tokens("Ma\u0308dchen") == tokens("Mädchen"), "composed and decomposed"
        assert tokens("लड़की दौड़ती है") == ["लड़की", "दौड़ती", "है"], "marks belong to their letters"
        assert tokens("狗 \u2764\ufe0fЖж!") == ["狗", "жж"], "a mark of a symbol is no word"
        assert tokens("") == tokens(" 12 .,") == []

    def test_nothing_left(self):
        with pytest.raises(SourceError, match=r"nothing is left of the 2 different words .* 500 most frequent"):
            CaptionBow().adapt(Captions("a dog"))

    def test_images_without_captions(self):
        with pytest.raises(SourceError, match="holds images without captions"):
            CaptionBow().adapt(image_source("builtin"))

    def test_is_learned_once(self):
        method = CaptionBow(**TINY)
        with pytest.raises(ConfigError, match="has no vocabulary"):
            method.sample({"captions": ("dog",), "image": Image.new("RGB", (48, 40))}, RNG, True)
        source = Captions("a dog", "a dog", "a cat")
        adapted = method.adapted(method.adapt(source))
        assert adapted.index == {"dog": 0, "cat": 1} and not method.statistics
        assert adapted.model().get_layer("word_vectors").units == 2
        with pytest.raises(ModelError, match="scores 12 words, the vocabulary holds 2: make the model of the method"):
            adapted.evaluate(method.model(), source)


class TestDrawing:
    def test_others_are_never_words_of_the_image(self):
        present = np.array([0, 3, 4, 9])
        seen = set()
        for seed in range(300):
            words, marks = choose(present, present, 10, 7, np.random.default_rng(seed))
            assert words[:4].tolist() == [0, 3, 4, 9] and marks.tolist() == [1] * 4 + [0] * 3
            assert len(set(words.tolist())) == 7
            seen |= set(words[4:].tolist())
        assert seen == {1, 2, 5, 6, 7, 8}

    def test_more_words_than_room_and_fewer_words_than_room(self):
        words, marks = choose(np.arange(9), np.arange(9), 20, 4, np.random.default_rng(0))
        assert marks.tolist() == [1] * 4 and len(set(words.tolist())) == 4
        words, marks = choose(np.array([1]), np.array([0, 1, 2]), 5, 6, np.random.default_rng(0))
        assert words[0] == 1 and set(words[1:3].tolist()) == {3, 4} and marks.tolist() == [1, 0, 0, -1, -1, -1]
        assert words[3:].tolist() == [-1] * 3

    def test_words_are_drawn_evenly(self):
        """Card, test 7: ten words with Zipfian counts, 10,000 draws, each image has the word that was drawn."""
        names = [f"word{'abcdefghij'[i]}" for i in range(10)]
        captions = [" ".join(names[: int(10 / (number + 1)) + 1]) for number in range(10)] * 4
        source = Captions(*captions)
        method = CaptionBow(**TINY | {"drop": 0, "words": 10})
        method = method.adapted(method.adapt(source))
        balanced = word_balanced(source, method.index)
        drawn = np.random.default_rng(0).integers(len(balanced), size=10_000)
        labels = []
        for index in drawn.tolist():
            example = balanced.example(index)
            labels.append(int(example["label"]))
            assert list(method.index)[labels[-1]] in example["captions"][0].split()
        assert np.abs(np.bincount(labels, minlength=10) / len(drawn) - 0.1).max() < 0.015
        assert len({balanced.name(i) for i in range(len(balanced))}) == len(source), "every image serves some word"

    def test_the_drawn_word_alone_is_told(self):
        method = CaptionBow(**TINY | {"drop": 0})
        source = Captions("red dog", "red cat", "blue cat", "blue bird")
        method = method.adapted(method.adapt(source))
        balanced = method.balanced(source)
        assert method.balanced(source) is balanced, "for the next epoch"
        for index in range(len(balanced)):
            example = balanced.example(index)
            _, words, marks = method.sample(example, np.random.default_rng(index), True)
            assert words[marks == 1].tolist() == [example["label"]]
            others = {method.index[word] for word in example["captions"][0].split()}
            assert not others & set(words[marks == 0].tolist())

    def test_batches_are_drawn_by_words(self):
        """Through the pipeline, with worker processes and without: one word to tell for each image, evenly drawn."""
        data = captioned_shapes(count=40, size=40, noise=0.0)
        method = CaptionBow(**TINY | {"drop": 0.5, "words": 12, "candidates": 4})
        method = method.adapted(method.adapt(data))
        told = []
        for inputs, marks in method.dataset(data, batch_size=20, seed=0, start=0, count=20):
            assert ((marks.numpy() == 1).sum(axis=1) == 1).all()
            told += inputs["words"].numpy()[marks.numpy() == 1].tolist()
        counts = np.bincount(told, minlength=len(method.index))
        assert counts.min() > 0.5 * counts.mean() and counts.max() < 1.6 * counts.mean()
        with ParallelSource(data, 1) as source:
            for theirs, ours in zip(
                method.dataset(source, batch_size=4, seed=0, start=0, count=2),
                method.dataset(data, batch_size=4, seed=0, start=0, count=2),
                strict=True,
            ):
                np.testing.assert_array_equal(theirs[1], ours[1])
                assert (theirs[1].numpy() == 1).sum() == 4

    def test_words_that_no_image_has_are_left_out(self):
        balanced = word_balanced(Captions("dog", "dog cat"), {"ant": 0, "cat": 1, "dog": 2})
        assert sorted({int(balanced.example(i)["label"]) for i in range(len(balanced))}) == [1, 2]
        with pytest.raises(SourceError, match="no word of its captions is in the vocabulary"):
            word_balanced(Captions("dog"), {"ant": 0})

    def test_center_or_random(self):
        ramp = Image.fromarray(np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8)).convert("RGB")
        example = {"image": ramp, "captions": ("dog",)}
        for position, count in (("center", 1), ("random", 8)):
            method = CaptionBow(**TINY | {"crop_position": position})
            method = method.adapted(method.adapt(Captions("a dog", "a cat", "a dog")))
            crops = {method.sample(example, np.random.default_rng(seed), True)[0].tobytes() for seed in range(8)}
            assert len(crops) == count
            assert len({method.sample(example, np.random.default_rng(s), False)[0].tobytes() for s in range(4)}) == 1


class TestEvaluation:
    def test_precision_by_hand(self):
        scores = -np.arange(12.0)[None].repeat(2, axis=0)
        truth = np.zeros((2, 12), bool)
        truth[0, [0, 3, 11]] = truth[1, 10] = True
        assert precision(scores, truth) == pytest.approx(0.1)

    def test_frequencies_are_added_back(self):
        """Bayes' rule: from P(word | image) of balanced draws to the natural one."""
        statistics = {"words": np.array(["dog", "cat"]), "counts": np.array([30, 10]), "images": np.array(40)}
        balanced = CaptionBow(**TINY).adapted(statistics)
        np.testing.assert_allclose(log_prior(balanced), np.log([0.75, 0.25]))
        plain = CaptionBow(**TINY | {"sampling": "images", "candidates": None}).adapted(statistics)
        assert not log_prior(plain).any()
        against = CaptionBow(**TINY | {"sampling": "images", "candidates": None, "objective": "one_vs_all"})
        np.testing.assert_allclose(log_prior(against.adapted(statistics)), np.log([3, 1 / 3]))
        tally = Tally(plain)
        for _ in range(2):
            tally.add(np.log([[3.0, 1.0]]), np.array([[True, False]]))
        values, kinds = tally.metrics()
        assert tally.images == tally.words == 2
        assert values["nats_per_word"] == pytest.approx(-np.log(0.75)) == pytest.approx(values["frequency_nats"])
        assert "precision_at_10_plain" not in kinds
        with pytest.raises(ModelError, match="the model predicts NaN"):
            tally.add(np.full((1, 2), np.nan), np.ones((1, 2), bool))

    def test_baselines(self):
        statistics = {"words": np.array(["b", "c"]), "counts": np.array([30, 20]), "images": np.array(40)}
        assert CaptionBow().baseline == pytest.approx(np.log(128))
        assert CaptionBow(**TINY).adapted(statistics).baseline == pytest.approx(np.log(2))
        images = TINY | {"sampling": "images", "candidates": None}
        assert CaptionBow(**images).adapted(statistics).baseline == pytest.approx(50 / 40 * np.log(2))
        assert CaptionBow(**images | {"objective": "one_vs_all"}).baseline == pytest.approx(24 * np.log(2))

    def test_what_cannot_be_used_is_named_and_the_rest_is_measured(self, tmp_path):
        """A missing image, empty captions, words outside of the vocabulary, two spellings of Unicode."""
        for number in range(8):
            pixels = RNG.integers(0, 256, (40, 48, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"é{number}.png")
        lines = [f"é{n}.png\tein Mädchen {w}" for n, w in enumerate(("rot", "blau", "rot", "Ma\u0308dchen rot"))]
        lines += ["é4.png\t ", "é4.png\t", "é5.png\t...", "é6.png\txylophon", "gone.png\tein Mädchen rot"]
        lines += ["é0.png\tein Mädchen rot"]  # twice
        (tmp_path / "captions.tsv").write_text("\n".join(lines), encoding="utf-8")
        method = CaptionBow(**TINY | {"words": 3, "candidates": 2})
        source = method.open(tmp_path)
        assert isinstance(source, CaptionedSource) and len(source) == 8
        method = method.adapted(method.adapt(source))
        assert list(method.index) == ["mädchen", "rot", "blau"]
        record = method.evaluate(method.model(), tmp_path, out=tmp_path / "out")
        assert float(record["images"]) == 4 and float(record["images_skipped"]) == 4
        reasons = {name.rpartition("/")[2]: reason for name, reason in record.skipped.items()}
        assert reasons["é4.png"] == "all of its captions are empty"
        assert reasons["é5.png"] == reasons["é6.png"] == "no word of its captions is in the vocabulary"
        assert "gone.png" in reasons
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"metrics.json", "sheet.png", "words.vec"}

    def test_word_files(self, tmp_path):
        """Similarity, analogies and vectors of others, through the options of the command line."""
        method = CaptionBow(**TINY | {"words": 20, "drop": 0})
        data = captioned_shapes(count=30, size=40)
        method = method.adapted(method.adapt(data))
        words = list(method.index)
        (tmp_path / "My Set.csv").write_text(
            "first,second,score\n" + "".join(f"{a},{b},{i}\n" for i, (a, b) in enumerate(itertools.pairwise(words)))
        )
        (tmp_path / "questions.txt").write_text(": size\n{} {} {} {}\nabsent a b c\n".format(*words[:4]))
        vectors = "".join(f"{word} {i} 1 {i * i}\n" for i, word in enumerate(words[:15]))
        (tmp_path / "others.vec").write_text("15 3\n" + vectors)
        record = method.evaluate(
            method.model(),
            data,
            out=tmp_path / "out",
            similarity=str(tmp_path / "My Set.csv"),
            analogies=tmp_path / "questions.txt",
            vectors=tmp_path / "others.vec",
        )
        assert {"chance", "vectors"} <= set(record["similarity_my_set"].baselines)
        assert {"vectors", "captions"} <= set(record["analogies_questions_combined"].baselines)
        assert float(record["analogies_questions_counted"]) == 1 and float(record["words_with_vectors"]) == 15
        assert float(record["similarity_my_set_counted"]) == 14
        assert (tmp_path / "out" / "words.png").stat().st_size > 5000
        assert (tmp_path / "out" / "words.vec").read_text().startswith("20 128\n")
        with pytest.raises(ConfigError, match="`similarity` must be a file"):
            method.evaluate(method.model(), data, similarity="nowhere.tsv")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"objective": "one_vs_all"}, "set candidates=null sampling=images"),
        ({"candidates": None}, "`sampling` words leaves words of an image out"),
        ({"drop": 1.5}, "`drop` must be a number of words, or a fraction below 1"),
        ({"drop": -0.5}, "`drop`: input should be greater than or equal to 0"),
        ({"resize": 100}, r"`resize` must be at least crop_size \(224\)"),
        ({"crop_size": 40}, "`crop_size` must be at least 63 for backbone 'alexnet'"),
        ({"crop_area": (0.5, 1.0)}, "`crop_area` is of random crops"),
        ({"backbone": "alexnett"}, "did you mean 'alexnet'"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        CaptionBow(**fields)


@pytest.mark.slow
def test_words_of_shapes_are_told():
    """Card, test 10: precision at 3 of other images more than twice that of frequencies."""
    keras.utils.set_random_seed(0)
    fields = {"backbone": "small", "fc": (), "words": 30, "drop": 0, "candidates": 16, "crop_size": 48, "resize": 48}
    method = CaptionBow(**fields, dropout=0.2)
    data, others = captioned_shapes(count=2000, size=48), captioned_shapes(count=300, size=48, seed=1)
    method = method.adapted(method.adapt(data))
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, 500)))
    model.fit(method.dataset(data, batch_size=32, seed=0, start=0, count=500), verbose=0)
    images = np.stack([np.asarray(others.example(i)["image"]) for i in range(len(others))]) / 255.0
    informing = [word for group in GROUPS.values() for word in group]
    columns = [method.index[word] for word in informing]
    scores = np.asarray(build_scorer(model)(images.astype(np.float32), training=False))[:, columns]
    truth = np.array([[word in others.words(i).values() for word in informing] for i in range(len(others))])
    top = np.argsort(-scores, axis=1)[:, :3]
    frequent = np.argsort(-truth.mean(axis=0))[:3]
    assert np.take_along_axis(truth, top, axis=1).mean() > 2 * truth[:, frequent].mean()
