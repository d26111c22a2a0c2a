"""Words of captions: the card's tests, the vocabulary, what is drawn, the networks, and what they learn."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.captioned_shapes import GROUPS, captioned_shapes
from tfssl.data.captions import CaptionedSource
from tfssl.data.source import Source
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import CaptionBow
from tfssl.methods.caption_bow.data import choose, log_prior, tokens, vocabulary, word_balanced
from tfssl.methods.caption_bow.evaluate import precision, word_metrics
from tfssl.methods.caption_bow.loss import OneVersusAll, SampledCrossEntropy, WordCrossEntropy
from tfssl.methods.caption_bow.network import build_network, build_scorer

RNG = np.random.default_rng(0)
TINY = {"backbone": "small", "fc": (), "words": 12, "drop": 1, "candidates": 6, "crop_size": 32, "resize": 40}
LOGITS = np.array([[2.0, 1.0, 0.0, -1.0]], np.float32)


class Captions(Source):
    """Captions of images that nobody looks at."""

    def __init__(self, *captions):
        self.captions = tuple((text,) if isinstance(text, str) else tuple(text) for text in captions)

    def __len__(self):
        return len(self.captions)

    def example(self, index):
        return {"image": Image.new("RGB", (48, 40), (index % 256, 0, 0)), "captions": self.captions[index]}


def told(*words):
    return np.array([words])


class TestLosses:
    def test_by_hand(self):
        """Card, test 1."""
        assert float(np.log(np.exp(LOGITS).sum())) == pytest.approx(2.440190, abs=1e-6)
        assert float(WordCrossEntropy()(told(0), LOGITS)) == pytest.approx(0.440190, abs=1e-6)
        assert float(WordCrossEntropy()(told(0, 2, -1), LOGITS)) == pytest.approx(2.880379, abs=1e-6)

    def test_sampled_softmax_never_overestimates(self):
        """Card, test 2: the mean of log sum_C over all C of a size, and the lower bound for sizes below all."""
        means, bounds = [], []
        total = np.exp(LOGITS).sum()
        for size in range(1, 5):
            sums = [np.exp(LOGITS[0, list(chosen)]).sum() for chosen in itertools.combinations(range(4), size)]
            # With a mark of 1 at the first word the loss is log sum_C - s, so s is added back.
            losses = [
                float(SampledCrossEntropy()(told(1, *[0] * (size - 1)), LOGITS[:, list(chosen)])) + LOGITS[0, chosen[0]]
                for chosen in itertools.combinations(range(4), size)
            ]
            np.testing.assert_allclose(losses, np.log(sums), atol=1e-6)
            means.append(np.mean(losses))
            likely = np.mean([value / size >= total / 4 for value in sums])
            bounds.append(likely * (np.log(size / 4) + np.log(total)))
        np.testing.assert_allclose(means, [0.5, 1.540371, 2.083518, 2.440190], atol=1e-6)
        np.testing.assert_allclose(bounds[:3], [0.263474, 0.873521, 1.614380], atol=1e-6)
        assert all(mean >= bound for mean, bound in zip(means[:3], bounds[:3], strict=True))

    def test_sampled_is_the_whole_where_all_words_are_scored(self):
        """Card, test 3: loss and gradient; a subset that holds the positives never costs more."""
        scores = RNG.normal(size=(3, 9)).astype(np.float32)
        words = np.array([[0, 4, -1], [8, -1, -1], [1, 2, 3]])
        marks = np.zeros((3, 9), np.int8)
        for row, present in enumerate(words):
            marks[row, present[present >= 0]] = 1
        variable = tf.constant(scores)
        results = []
        for loss, target in ((WordCrossEntropy(), words), (SampledCrossEntropy(), marks)):
            with tf.GradientTape() as tape:
                tape.watch(variable)
                value = loss(target, variable)
            results.append((float(value), tape.gradient(value, variable).numpy()))
        (whole, gradient), (same, as_well) = results
        assert whole == pytest.approx(same, abs=1e-6)
        np.testing.assert_allclose(gradient, as_well, atol=1e-6)
        fewer = np.where((marks == 0) & (RNG.random(marks.shape) < 0.5), -1, marks)
        assert float(SampledCrossEntropy()(fewer, scores)) <= whole

    def test_gradient(self):
        """Card, test 4: m p - y, which sums to zero over the words."""
        scores = tf.constant(LOGITS)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            value = WordCrossEntropy()(told(0, 2), scores)
        gradient = tape.gradient(value, scores).numpy()
        expected = 2 * np.exp(LOGITS) / np.exp(LOGITS).sum() - np.array([[1, 0, 1, 0]])
        np.testing.assert_allclose(gradient, expected, atol=1e-6)
        assert abs(gradient.sum()) < 1e-6

    def test_one_versus_all(self):
        """Card, test 5: the first of four images has the word; the sum over images is the objective's negative."""
        scores = np.array([[1.0], [-1.0], [0.0], [-2.0]], np.float32)
        loss = OneVersusAll((1,), 4)(np.array([[0], [-1], [-1], [-1]]), scores)
        assert float(loss) == pytest.approx(0.691041, abs=1e-6)

    def test_a_constant_changes_nothing(self):
        """Card, test 8."""
        loss = WordCrossEntropy()
        assert float(loss(told(1), LOGITS + 3)) == pytest.approx(float(loss(told(1), LOGITS)), abs=1e-6)

    def test_one_versus_all_is_restored(self):
        loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(OneVersusAll((1, 2), 5)))
        assert (loss.counts, loss.images) == ((1, 2), 5)


class TestVocabulary:
    def test_order(self):
        """Card, test 6."""
        captions = ["the dog and the cat", "the dog runs", "the bird", "the ant"]
        found = vocabulary(Captions(*captions), 3, 1)
        assert found["words"].tolist() == ["dog", "and", "ant"] and found["counts"].tolist() == [2, 1, 1]
        assert found["images"] == 3
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
        assert tokens("狗 \u2764\ufe0fλόγος!") == ["狗", "λόγος"], "a mark of a symbol is no word"
        assert tokens("") == tokens(" 12 .,") == []

    def test_nothing_left(self):
        with pytest.raises(SourceError, match=r"nothing is left of the 2 different words .* 500 most frequent"):
            CaptionBow().adapt(Captions("a dog"))

    def test_is_learned_once(self):
        method = CaptionBow(**TINY)
        with pytest.raises(ConfigError, match="has no vocabulary"):
            method.sample({"captions": ("dog",), "image": Image.new("RGB", (48, 40))}, RNG, True)
        source = Captions("a dog", "a dog", "a cat")
        adapted = method.adapted(method.adapt(source))
        assert adapted.index == {"dog": 0, "cat": 1} and not method.statistics
        assert adapted.model().get_layer("word_vectors").units == 2


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
        for index in range(len(balanced)):
            example = balanced.example(index)
            _, words, marks = method.sample(example, np.random.default_rng(index), True)
            assert words[marks == 1].tolist() == [example["label"]]
            others = {method.index[word] for word in example["captions"][0].split()}
            assert not others & set(words[marks == 0].tolist())

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


class TestNetwork:
    def test_counts(self):
        """By hand: AlexNet without its classifier, and 4096 weights a word without offsets."""
        network = build_network("alexnet", size=224, words=1000)
        trunk, dense = 2_334_080, 9216 * 4096 + 4096 + 4096 * 4096 + 4096
        assert network.count_params() == trunk + dense + 4096 * 1000 == 60_964_224

    def test_last_layers_of_the_paper(self):
        """Card: 4.1, 41 and 410 million weights for 1,000, 10,000 and 100,000 words of 4096 numbers."""
        from tfssl.layers.dense import SelectedDense

        for words, weights in ((1000, 4_096_000), (10_000, 40_960_000), (100_000, 409_600_000)):
            layer = SelectedDense(words, kernel_initializer="zeros")
            assert layer.compute_output_shape((None, 4096)) == (None, words)
            assert words * 4096 == weights

    def test_words_outside_are_not_touched(self):
        """Card, test 3: their weights get no gradient at all."""
        method = CaptionBow(**TINY)
        model = method.model(keras.optimizers.SGD(0.1))
        images = RNG.random((2, 32, 32, 3)).astype(np.float32)
        words = np.array([[0, 1, 2, 3, -1, -1], [1, 4, 5, 6, 7, -1]], np.int32)
        marks = np.array([[1, 0, 0, 0, -1, -1], [1, 1, 0, 0, 0, -1]], np.int8)
        kernel = model.get_layer("word_vectors").kernel
        before = np.asarray(kernel)
        model.train_on_batch({"image": images, "words": words}, marks)
        changed = np.abs(np.asarray(kernel) - before).max(axis=1) > 0
        assert changed.tolist() == [True] * 8 + [False] * 4

    def test_all_words_are_scored_by_the_same_weights(self):
        model = build_network("small", size=32, words=9, candidates=4, fc=(8,), dropout=0.5)
        images = RNG.random((2, 32, 32, 3)).astype(np.float32)
        words = np.array([[3, 1, 0, 8], [2, 2, 5, 7]], np.int32)
        some = np.asarray(model({"image": images, "words": words}, training=False))
        every = np.asarray(build_scorer(model)(images, training=False))
        np.testing.assert_allclose(some, np.take_along_axis(every, words, axis=1), atol=1e-6)

    @pytest.mark.parametrize("backbone", ["alexnet", "googlenet", {"applications": "MobileNetV2", "alpha": 0.35}])
    def test_other_backbones(self, backbone):
        network = build_network(backbone, size=64, words=5, fc=(6,))
        assert network(np.zeros((1, 64, 64, 3), np.float32)).shape == (1, 5)

    def test_encoder_ends_in_what_scores_are_made_of(self):
        method = CaptionBow(**TINY)
        model = method.model()
        images = RNG.random((2, 32, 32, 3)).astype(np.float32)
        taps = method.encoder(model)(images)
        assert list(taps) == [*(f"conv{i}" for i in range(1, 6)), "features"]
        scores = np.asarray(taps["features"]) @ np.asarray(model.get_layer("word_vectors").kernel).T
        np.testing.assert_allclose(scores, build_scorer(model)(images, training=False), atol=1e-5)


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
        values, kinds = word_metrics(plain, np.log([[3.0, 1.0]]), np.array([[True, False]]), np.zeros(2))
        assert values["nats_per_word"] == pytest.approx(-np.log(0.75)) == pytest.approx(values["frequency_nats"])
        assert "precision_at_10_plain" not in kinds

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
        assert (tmp_path / "out" / "words.vec").read_text().startswith("20 256\n")
        with pytest.raises(ConfigError, match="`similarity` must be a file"):
            method.evaluate(method.model(), data, similarity="nowhere.tsv")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"objective": "one_vs_all"}, "set candidates=null sampling=images"),
        ({"candidates": None}, "`sampling` words leaves words of an image out"),
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
