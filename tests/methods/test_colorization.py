"""Networks, losses, prior and wiring of colorization, against the numbers of the method card."""

import math
import tarfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfssl.color.predict import compiled_predictor, predict_ab, predict_cells
from tfssl.color.prior import SHIPPED, class_weights, estimate_prior, load_prior, smooth_prior
from tfssl.config import load_config
from tfssl.errors import ConfigError
from tfssl.methods import Colorization
from tfssl.methods.colorization.loss import ColorCrossEntropy, ColorRegression, colored_mask
from tfssl.methods.colorization.network import build_network
from tfssl.ops.ab_bins import CENTERS, GRAY_BIN, NUM_BINS, soft_encode_reference


def convolutions(model):
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    return [layer for layer in model._flatten_layers() if isinstance(layer, kinds)]


def block(method, model, name):
    return keras.Model(model.input, model.get_layer(name).output)


class TestNetworks:
    def test_paper_counts(self):
        found = convolutions(build_network("paper"))
        assert len(found) == 23
        assert sum(layer.count_params() for layer in found) == 32_230_393
        model = build_network("paper")
        # Batch normalization in conv1..conv7: scale and offset of 2496 channels.
        assert sum(math.prod(v.shape) for v in model.trainable_variables) == 32_235_385

    def test_paper_layer_counts(self):
        expected = [640, 36_928, 73_856, 147_584, 295_168, 590_080, 590_080, 1_180_160, *[2_359_808] * 11]
        expected += [2_097_408, 590_080, 590_080, 80_441]
        assert sorted(layer.count_params() for layer in convolutions(build_network("paper"))) == sorted(expected)

    @pytest.mark.parametrize("side, sizes", [(176, (88, 44, 22, 22, 22, 22, 22)), (224, (112, 56, 28, 28, 28, 28, 28))])
    def test_paper_shapes(self, side, sizes):
        model = build_network("paper")
        for number, size in enumerate(sizes, start=1):
            tap = keras.Model(model.input, model.get_layer(f"conv{number}").output)
            assert tap.compute_output_shape((1, side, side, 1))[1:3] == (size, size)
        assert model.compute_output_shape((1, side, side, 1)) == (1, side // 4, side // 4, NUM_BINS)

    def test_alexnet_counts_and_grid(self):
        model = build_network("alexnet")
        assert sum(layer.count_params() for layer in convolutions(model)) == 58_127_353
        taps = {
            name: model.get_layer(name).output for name in ("conv1", "pool1", "conv2", "pool2", "pool5", "fc6", "fc7")
        }
        shapes = keras.Model(model.input, taps).compute_output_shape((1, 180, 180, 1))
        assert {name: shape[1] for name, shape in shapes.items()} == {
            "conv1": 45, "pool1": 23, "conv2": 23, "pool2": 12, "pool5": 12, "fc6": 12, "fc7": 12,
        }  # fmt: skip
        assert model.compute_output_shape((1, 180, 180, 1)) == (1, 23, 23, NUM_BINS)

    def test_kernels_start_different(self):
        kernels = [
            layer.kernel for layer in convolutions(build_network("paper")) if layer.kernel.shape == (3, 3, 512, 512)
        ]
        values = [float(np.asarray(k[0, 0, 0, 0])) for k in kernels]
        assert len(set(values)) == len(values)

    @pytest.mark.parametrize("outputs, channels", [("bins", NUM_BINS), ("ab", 2)])
    def test_small_network(self, outputs, channels):
        model = build_network("small", outputs)
        assert model.count_params() < 3_300_000
        assert model(np.zeros((1, 64, 96, 1))).shape == (1, 16, 24, channels)

    @pytest.mark.slow
    def test_receptive_field_of_the_paper_network(self):
        # A random network without batch statistics: what a conv7 unit depends on spans 325 pixels.
        model = build_network("paper")
        tap = keras.Model(model.input, model.get_layer("conv7").output)
        x = tf.Variable(tf.random.stateless_uniform((1, 400, 400, 1), (1, 2), 0, 100))
        with tf.GradientTape() as tape:
            y = tap(x, training=False)
            unit = tf.reduce_sum(y[0, 25, 25])
        touched = np.flatnonzero(np.abs(tape.gradient(unit, x).numpy()[0, :, :, 0]).sum(axis=1))
        assert touched.max() - touched.min() + 1 <= 325
        assert touched.max() - touched.min() + 1 > 250  # dead ReLUs may hide the outermost rows


class TestLosses:
    def scores(self, shape=(2, 3, 4, NUM_BINS)):
        return np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def colors(self, shape=(2, 3, 4, 2)):
        return np.random.default_rng(1).uniform(-60, 60, shape).astype(np.float32)

    def test_uniform_prediction_costs_log_313(self):
        loss = ColorCrossEntropy()(self.colors(), np.zeros((2, 3, 4, NUM_BINS), np.float32))
        assert float(loss) == pytest.approx(5.746203, abs=1e-5)

    def test_floor_is_the_entropy_of_the_target(self):
        ab = np.full((1, 1, 2, 2), 0.0, np.float32)
        ab[0, 0, 1] = 100.0  # keeps the image from counting as gray
        indices, weights = soft_encode_reference(ab, 5)
        logits = np.full((1, 1, 2, NUM_BINS), -50.0, np.float32)
        np.put_along_axis(logits, indices, np.log(weights).astype(np.float32), axis=-1)
        per_pixel = ColorCrossEntropy(neighbors=5, reduction="none")(ab, logits)
        assert float(per_pixel[0, 0, 0]) == pytest.approx(1.135082, abs=1e-5)

    def test_equals_the_dense_weighted_cross_entropy(self):
        ab, scores = self.colors(), self.scores()
        weights = np.random.default_rng(2).uniform(0.1, 6, NUM_BINS)
        indices, soft = soft_encode_reference(ab, 10)
        target = np.zeros(scores.shape)
        np.put_along_axis(target, indices, soft, axis=-1)
        log_softmax = scores - np.log(np.exp(scores.astype(np.float64)).sum(axis=-1, keepdims=True))
        expected = np.mean(weights[indices[..., 0]] * -(target * log_softmax).sum(axis=-1))
        assert float(ColorCrossEntropy(weights)(ab, scores)) == pytest.approx(expected, rel=1e-5)

    def test_gradient_is_weight_times_softmax_minus_target(self):
        ab, scores = self.colors((1, 1, 1, 2)), tf.constant(self.scores((1, 1, 1, NUM_BINS)))
        weights = np.random.default_rng(2).uniform(0.1, 6, NUM_BINS)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = ColorCrossEntropy(weights)(ab, scores)
        indices, soft = soft_encode_reference(ab[0, 0, 0], 10)
        target = np.zeros(NUM_BINS)
        target[indices] = soft
        expected = weights[indices[0]] * (np.asarray(ops.softmax(scores))[0, 0, 0] - target)
        np.testing.assert_allclose(tape.gradient(loss, scores).numpy()[0, 0, 0], expected, atol=1e-5)

    @pytest.mark.parametrize("loss", [ColorCrossEntropy(), ColorRegression()])
    def test_gray_images_train_nothing(self, loss):
        ab = self.colors()
        ab[0] = np.clip(ab[0], -5, 5)
        shape = ab.shape if isinstance(loss, ColorRegression) else (2, 3, 4, NUM_BINS)
        output = tf.constant(self.scores(shape))
        with tf.GradientTape() as tape:
            tape.watch(output)
            value = loss(ab, output)
        gradient = tape.gradient(value, output).numpy()
        assert not gradient[0].any() and gradient[1].any()
        assert np.asarray(colored_mask(ab)).ravel().tolist() == [0.0, 1.0]

    def test_regression_by_hand(self):
        ab = np.full((1, 1, 1, 2), 55.0, np.float32)
        assert float(ColorRegression()(ab, np.zeros_like(ab))) == pytest.approx(0.25)

    def test_losses_survive_saving(self):
        for loss in (ColorCrossEntropy(np.ones(NUM_BINS), 5, 4.0, "table"), ColorRegression()):
            copy = keras.losses.deserialize(keras.losses.serialize(loss))
            assert copy.get_config() == loss.get_config()

    def test_wrong_weights_are_named(self):
        with pytest.raises(ValueError, match="class_weights"):
            ColorCrossEntropy(np.ones(12))


class TestPrior:
    def test_toy_weights(self):
        prior = np.array([0.7, 0.2, 0.1])
        np.testing.assert_allclose(class_weights(prior, 0.5), (0.754170, 1.461204, 1.798405), atol=1e-6)
        np.testing.assert_allclose(class_weights(prior, 0.0), (0.476190, 1.666667, 3.333333), atol=1e-6)
        np.testing.assert_allclose(class_weights(prior, 1.0), 1)

    def test_weight_identities(self):
        prior = load_prior("photographs")
        weights = class_weights(prior, 0.5)
        assert prior @ weights == pytest.approx(1)
        order = np.argsort(prior)
        assert (np.diff(weights[order]) <= 1e-12).all()

    def test_bins_that_never_occur_get_a_finite_weight(self):
        weights = class_weights(np.array([0.5, 0.5, 0.0]), 0.0)
        assert np.isfinite(weights).all()

    def test_the_authors_prior_is_used_as_it_is(self):
        """The released code's weights: 0.0965 for gray, the commonest bin, to 6.175; smoothed twice, gray: 0.123."""
        method = load_config("colorization/paper").method
        weights = method.loss().class_weights
        assert weights[GRAY_BIN] == weights.min() == pytest.approx(0.0965032, rel=1e-5)
        assert weights.max() == pytest.approx(6.174868, rel=1e-5)
        assert load_prior("imagenet").max() == pytest.approx(0.2012340, rel=1e-6)
        # Ours, of other photographs, has the same shape: neutral first, and strongly correlated.
        ours, theirs = load_prior("photographs"), load_prior("imagenet")
        assert ours.argmax() == theirs.argmax() == GRAY_BIN
        assert np.corrcoef(np.log(ours + 1e-9), np.log(theirs + 1e-9))[0, 1] > 0.95

    def test_the_authors_file_is_the_prior_that_ships(self, shared_data, tmp_path):
        with tarfile.open(shared_data / "reference_arrays.tar") as archive:
            name = next(n for n in archive.getnames() if n.endswith("prior_probs.npy"))
            (tmp_path / "prior_probs.npy").write_bytes(archive.extractfile(name).read())
        np.testing.assert_array_equal(load_prior(tmp_path / "prior_probs.npy"), load_prior("imagenet"))
        np.testing.assert_array_equal(np.load(tmp_path / "prior_probs.npy"), np.load(SHIPPED["imagenet"][0]))

    def test_smoothing_belongs_to_the_prior(self, tmp_path):
        raw = np.load(SHIPPED["photographs"][0])
        np.testing.assert_allclose(load_prior("photographs"), smooth_prior(raw, 5.0))
        np.save(tmp_path / "mine.npy", raw)
        np.testing.assert_allclose(load_prior(tmp_path / "mine.npy"), raw / raw.sum())
        former = Colorization(prior=str(tmp_path / "mine.npy"), prior_sigma=5.0)  # as runs of plain counts say
        np.testing.assert_allclose(former.smoothed_prior(), smooth_prior(raw, 5.0))

    def test_smoothing_keeps_the_sum_and_spreads(self):
        prior = np.zeros(NUM_BINS)
        prior[GRAY_BIN] = 1
        smooth = smooth_prior(prior, 5.0)
        assert smooth.sum() == pytest.approx(1)
        # One neighbor 10 units away has exp(-2) of the center's kernel value.
        assert smooth[GRAY_BIN + 1] / smooth[GRAY_BIN] == pytest.approx(math.exp(-2), rel=1e-6)

    def test_estimate_counts_every_image_equally_and_leaves_gray_out(self):
        red = np.zeros((40, 40, 3), np.uint8)
        red[..., 0] = 255
        blue = np.zeros((400, 300, 3), np.uint8)
        blue[..., 2] = 255
        gray = np.full((64, 64, 3), 99, np.uint8)
        prior = estimate_prior([red, blue, gray], size=16)
        assert sorted(prior[prior > 0].tolist()) == pytest.approx([0.5, 0.5])
        assert {tuple(c) for c in CENTERS[prior > 0].astype(int).tolist()} == {(80, 70), (80, -110)}

    def test_bad_files_are_named(self, tmp_path):
        (tmp_path / "prior.npy").write_bytes(b"nonsense")
        for path in (tmp_path / "prior.npy", tmp_path / "missing.npy"):
            with pytest.raises(ConfigError, match="prior"):
                load_prior(path)


class TestMethod:
    def test_defaults_are_the_released_code(self):
        method = Colorization()
        assert (method.backbone, method.objective, method.crop_size, method.neighbors) == (
            "paper",
            "rebalanced",
            176,
            10,
        )
        assert (method.sigma, method.rebalance_mix, method.temperature, method.resize) == (5.0, 0.5, 0.38, 256)

    @pytest.mark.parametrize(
        "fields, words",
        [
            ({"crop_sise": 64}, "did you mean `crop_size`"),
            ({"crop_size": 100}, "multiple of 8"),
            ({"resize": 64}, "at least crop_size"),
            ({"temperature": 0}, "temperature"),
            ({"crop_area": (0.9, 0.1)}, "crop_area"),
            ({"backbone": "huge"}, "backbone"),
        ],
    )
    def test_wrong_fields_are_named_in_one_line(self, fields, words):
        with pytest.raises(ConfigError, match=words) as caught:
            Colorization(**fields)
        assert "\n" not in str(caught.value)

    def test_baselines_are_losses_of_constant_predictions(self):
        """Each baseline is reached by the best constant output on colors drawn from the prior."""
        rng = np.random.default_rng(0)
        for objective in ("classification", "rebalanced", "regression"):
            method = Colorization(objective=objective, neighbors=1)
            prior = method.smoothed_prior()
            ab = CENTERS[rng.choice(NUM_BINS, size=(1, 200, 200), p=prior)]
            if objective == "regression":
                constant = np.broadcast_to(prior @ CENTERS, ab.shape).astype(np.float32)
            else:
                weights = class_weights(prior, 0.5) if objective == "rebalanced" else np.ones(NUM_BINS)
                constant = np.broadcast_to(np.log(prior * weights + 1e-30), (*ab.shape[:-1], NUM_BINS)).astype(
                    np.float32
                )
            assert float(method.loss()(ab, constant)) == pytest.approx(method.baseline, rel=0.03)

    def test_predict_ab_of_any_size(self):
        method = Colorization(backbone="small", resize=None, crop_size=64)
        model = method.model()
        predict = compiled_predictor(method, model)
        for height, width in ((1, 1), (17, 40), (64, 64)):
            lightness = np.random.default_rng(0).uniform(0, 100, (2, height, width, 1)).astype(np.float32)
            assert predict_ab(method, model, lightness).shape == (2, height, width, 2)
            np.testing.assert_allclose(predict(lightness), predict_cells(method, model, lightness), atol=1e-3)

    def test_temperature_is_a_choice_at_call_time(self):
        method = Colorization(backbone="small", resize=None, crop_size=64)
        predict = compiled_predictor(method, method.model())
        lightness = np.random.default_rng(0).uniform(0, 100, (1, 32, 32, 1)).astype(np.float32)
        assert np.abs(predict(lightness, 1.0) - predict(lightness, 0.1)).max() > 0.1

    @pytest.mark.slow
    def test_overfits_eight_images(self):
        """Eight flat colors on eight textures: the loss comes within 5 % of the targets' entropy."""
        rng = np.random.default_rng(0)
        lightness = rng.uniform(20, 80, (8, 32, 32, 1)).astype(np.float32)
        ab = np.tile(rng.uniform(-50, 50, (8, 1, 1, 2)), (1, 8, 8, 1)).astype(np.float32)
        method = Colorization(backbone="small", resize=None, crop_size=32, objective="classification")
        keras.utils.set_random_seed(0)
        model = method.model(keras.optimizers.Adam(2e-3))
        data = tf.data.Dataset.from_tensors((lightness, ab)).cache().repeat(60)
        model.fit(data, verbose=0)
        weights = soft_encode_reference(ab, 10)[1]
        floor = -np.mean(np.sum(weights * np.log(weights), axis=-1))
        loss = model.fit(data, verbose=0).history["loss"][0]
        assert loss < 1.05 * floor
