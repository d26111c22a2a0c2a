"""Words of captions: losses over all words and over a few by hand, and the networks that score them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.methods import CaptionBow
from tfssl.methods.caption_bow.loss import OneVersusAll, SampledCrossEntropy, WordCrossEntropy
from tfssl.methods.caption_bow.network import build_network, build_scorer

RNG = np.random.default_rng(0)
TINY = {"backbone": "small", "fc": (), "words": 12, "drop": 1, "candidates": 6, "crop_size": 32, "resize": 40}
LOGITS = np.array([[2.0, 1.0, 0.0, -1.0]], np.float32)


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
