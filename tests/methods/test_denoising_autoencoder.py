"""Settings, pipeline, losses, networks and phases of denoising autoencoders."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.config import load_config
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ConfigError
from tfssl.layers.corruption import Corrupt
from tfssl.layers.dense import TiedDense
from tfssl.methods import DenoisingAutoencoder
from tfssl.methods.denoising_autoencoder.data import cut_patches, prepare
from tfssl.methods.denoising_autoencoder.loss import ReconstructionLoss
from tfssl.methods.denoising_autoencoder.network import UpperLayer, stack_of
from tfssl.ops.whitening import FLAT

TINY = {"crop_size": 12, "resize": 16, "units": (20,), "noise": (0.25,)}
STACK = TINY | {"units": (20, 10, 6), "noise": (0.1, 0.2, 0.3)}
IMAGES = list(np.random.default_rng(0).integers(0, 256, (9, 20, 24, 3), np.uint8))


@pytest.fixture(scope="module")
def photos():
    """Real photographs of 40 pixels, so that there is something to learn from."""
    found = []
    for path in builtin_photographs():
        with Image.open(path) as image:
            found.append(np.asarray(image.convert("RGB").resize((60, 40))))
    return found


def batches(method, **options):
    return [[np.asarray(x) for x in batch] for batch in method.dataset(IMAGES, **{"batch_size": 3} | options)]


class TestCounts:
    """Card, test 8."""

    def test_dense(self):
        assert DenoisingAutoencoder().model().count_params() == 393_284
        assert DenoisingAutoencoder(tied=False).model().count_params() == 393_284 + 784 * 500

    def test_convolutional(self):
        network = DenoisingAutoencoder(backbone="conv", color=True, crop_size=32).model()
        assert network.count_params() == 1_077_635
        assert sum(network.get_layer(f"conv{i}_conv").count_params() for i in range(1, 5)) == 388_416
        maps = keras.Model(network.input, [network.get_layer(f"conv{i}").output for i in (1, 4)])
        assert [tuple(m.shape) for m in maps(np.zeros((2, 32, 32, 3)))] == [(2, 32, 32, 32), (2, 4, 4, 256)]
        assert network(np.zeros((2, 32, 32, 3))).shape == (2, 32, 32, 3)

    def test_batch_normalization_takes_the_place_of_biases(self):
        plain, normal = (
            DenoisingAutoencoder(backbone="small", crop_size=32, batch_norm=b).model() for b in (False, True)
        )
        channels = 32 + 64 + 96 * 3 + 64 + 32 + 16
        assert normal.count_params() - plain.count_params() == 3 * channels


class TestData:
    def test_targets_are_clean(self):
        method = DenoisingAutoencoder(**TINY)
        for noisy, clean in batches(method):
            assert noisy.shape == clean.shape == (3, 12, 12, 1) and clean.dtype == np.float32
            hit = noisy != clean
            assert (noisy[hit] == 0).all() and (clean[hit] > 0).all()
            assert (hit.sum(axis=(1, 2, 3)) == 36).all(), "a quarter, exactly"

    def test_every_presentation_is_corrupted_anew(self):
        """Card, test 6: two passes of training differ, two of evaluation agree."""
        method = DenoisingAutoencoder(**TINY, corruption="gaussian")
        data = method.dataset([IMAGES[0]], batch_size=1)
        first, second = (next(np.asarray(n - c) for n, c in data) for _ in range(2))
        assert abs(first - second).max() > 0.1
        data = method.dataset(IMAGES, batch_size=3, training=False)
        for (a, _), (b, _) in zip(data, data, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("patches", [1, 4])
    def test_stream_can_start_anywhere(self, patches):
        method = DenoisingAutoencoder(**TINY, patches=patches)
        stream = batches(method, start=0, count=8)
        assert len(stream) == 8
        for start in (1, 4, 7):
            ours = batches(method, start=start, count=8 - start)
            assert len(ours) == 8 - start
            for part, expected in zip(ours, stream[start:], strict=True):
                np.testing.assert_array_equal(part, expected)

    def test_length_of_an_epoch(self):
        method = DenoisingAutoencoder(**TINY, patches=4)
        data = method.dataset(IMAGES, batch_size=5)
        assert int(data.cardinality()) == 7 == len(list(data))
        assert len(list(method.dataset(IMAGES, batch_size=5, training=False))) == 8
        assert sum(len(clean) for _, clean in batches(method, training=False)) == 36

    def test_weights_of_an_emphasized_loss(self):
        method = DenoisingAutoencoder(**TINY, alpha=1.0, beta=0.5)
        for noisy, clean, weights in batches(method):
            np.testing.assert_array_equal(weights, np.where(noisy != clean, 1.0, 0.5))

    def test_plain_autoencoder(self):
        for noisy, clean in batches(DenoisingAutoencoder(**TINY, corruption="none")):
            np.testing.assert_array_equal(noisy, clean)

    @pytest.mark.parametrize("preprocess", ["standardize", "whiten"])
    def test_prepared_patches(self, preprocess):
        options = TINY | {"resize": None, "crop_size": 8}
        method = DenoisingAutoencoder(
            **options, preprocess=preprocess, output="linear", loss="squared", corruption="none", patches=5
        )
        for _, clean in batches(method, batch_size=15):
            assert clean.shape == (15, 8, 8, 1)
            np.testing.assert_allclose(clean.mean(axis=(1, 2, 3)), 0, atol=1e-5)
            assert 0.9 < clean.std(axis=(1, 2, 3)).min() <= clean.std(axis=(1, 2, 3)).max() < 1

    def test_standardizing_spares_flat_patches(self):
        """Deviation s becomes s / sqrt(s^2 + s0^2)."""
        rows = np.linspace(-1, 1, 8, dtype=np.float32)[:, None, None] * np.ones((1, 8, 3), np.float32)
        for amplitude in (0.0, 0.005, 0.3):
            picture = 0.5 + amplitude * rows[None]
            deviation = amplitude * rows.std()
            expected = deviation / np.sqrt(deviation**2 + FLAT["standardize"] ** 2)
            prepared = np.asarray(prepare(picture, color=False, preprocess="standardize"))
            assert prepared.std() == pytest.approx(expected, abs=1e-4)

    def test_patches_and_crops(self):
        picture = Image.fromarray(np.arange(30 * 40, dtype=np.uint16).reshape(30, 40).astype(np.uint8)).convert("RGB")

        def cut(crop_size, patches, training, seed=0):
            method = DenoisingAutoencoder(crop_size=crop_size, resize=None, patches=patches)
            return cut_patches(method, picture, np.random.default_rng(seed), training)

        np.testing.assert_array_equal(cut(10, 1, False)[0], np.asarray(picture)[10:20, 15:25])
        assert len({p.tobytes() for p in cut(10, 50, True)}) > 40
        assert cut(64, 2, True).shape == (2, 64, 64, 3), "enlarged where it is too small"

    def test_crops_do_not_depend_on_the_corruption(self):
        kinds = [{"corruption": "none"}, {"corruption": "gaussian"}, {"corruption": "block", "block": 3}]
        none, gaussian, block = (batches(DenoisingAutoencoder(**TINY, **kind)) for kind in kinds)
        for one, two, three in zip(none, gaussian, block, strict=True):
            np.testing.assert_array_equal(one[1], two[1])
            np.testing.assert_array_equal(one[1], three[1])
            assert (one[0] != two[0]).all()

    def test_noise_of_the_batches(self):
        """Gaussian noise of all positions together: its mean, deviation and tails, and no two examples alike."""
        method = DenoisingAutoencoder(**TINY | {"noise": (0.25,)}, corruption="gaussian", patches=8)
        noise = np.concatenate([noisy - clean for noisy, clean in batches(method, start=0, count=100)])
        assert noise.mean() == pytest.approx(0, abs=0.005) and noise.std() == pytest.approx(0.25, rel=0.02)
        assert np.mean(np.abs(noise) > 0.5) == pytest.approx(0.0455, abs=0.004)
        correlation = np.corrcoef(noise.reshape(300, -1)) - np.eye(300)
        assert np.abs(correlation).max() < 0.5


@pytest.fixture(scope="module")
def trained():
    method, models = DenoisingAutoencoder(**STACK), [None]
    data = method.dataset(IMAGES, batch_size=3, start=0, count=30)
    before, losses = [], []
    for phase in method.phases:
        keras.utils.set_random_seed(len(models))
        models.append(phase.model(keras.optimizers.Adam(1e-2), models[-1]))
        before.append(stack_of(models[-1]).get_weights())
        losses.append(models[-1].fit(data, epochs=3, verbose=0).history["loss"])
    return method, models[1:], before, losses


class TestStack:
    def test_lower_layers_stay(self, trained):
        """Card, test 11."""
        _, models, before, _ = trained
        for level, model in enumerate(models[1:], start=2):
            assert isinstance(model, UpperLayer)
            below = stack_of(models[level - 2])
            for number in range(1, level + 1):
                ours = stack_of(model).get_layer(f"layer{number}").get_weights()
                if number < level:
                    for a, b in zip(ours, below.get_layer(f"layer{number}").get_weights(), strict=True):
                        np.testing.assert_array_equal(a, b)
            assert any((a != b).any() for a, b in zip(stack_of(model).get_weights(), before[level - 1], strict=True))
            assert {v.path.split("/")[0] for v in model.trainable_variables} == {f"layer{level}"}

    def test_every_phase_learns(self, trained):
        method, _, _, losses = trained
        assert [phase.name for phase in method.phases] == ["layer1", "layer2", "layer3"]
        assert sum(phase.fraction for phase in method.phases) == pytest.approx(1)
        for history in losses:
            assert history[-1] < 0.99 * history[0]

    def test_target_is_the_clean_code(self, trained):
        method, models, *_ = trained
        noisy, clean = batches(method, training=False)[0]
        model = models[2]
        below = keras.Model(stack_of(model).input, stack_of(model).get_layer("code2").output)
        code = below(clean)
        np.testing.assert_allclose(model.clean_code(clean), code, atol=1e-6)
        expected = ReconstructionLoss()(code, model.restore(code))
        result = model.evaluate(noisy, clean, verbose=0)
        assert result == pytest.approx(float(expected), rel=1e-5), "validation does not corrupt codes"
        losses = {float(model.compute_loss(noisy, clean, None, training=True)) for _ in range(3)}
        assert len(losses) == 3, "training does, anew each time"

    def test_emphasis_inside_the_stack(self):
        method = DenoisingAutoencoder(**STACK | {"noise": (0.0, 0.0, 0.0)}, alpha=1.0, beta=0.25)
        model = method.model()
        clean = batches(method, training=False)[0][1]
        full = ReconstructionLoss()(model.clean_code(clean), model.restore(model.clean_code(clean)))
        assert float(model.compute_loss(clean, clean, None, training=True)) == pytest.approx(
            0.25 * float(full), rel=1e-5
        )

    def test_saves_in_safe_mode(self, trained, tmp_path):
        method, models, *_ = trained
        models[-1].save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        noisy = batches(method, training=False)[0][0]
        np.testing.assert_allclose(loaded(noisy), models[-1](noisy), atol=1e-6)
        assert {v.path for v in loaded.trainable_variables} == {v.path for v in models[-1].trainable_variables}
        assert len(loaded.variables) == len(models[-1].variables)

    def test_last_phase_has_every_weight(self, trained):
        _, models, *_ = trained
        names = {v.path.split("/")[0] for v in models[-1].variables}
        assert {"layer1", "layer2", "layer3"} <= names
        assert any("corrupt_generator" in v.path for v in models[-1].variables), "resumed runs draw the same noise"


class TestLinear:
    """Card, tests 9 and 10: what a linear denoising autoencoder must become, known in closed form."""

    @staticmethod
    def train(covariance, corruption, *, tied, units=2, steps=1500, learning_rate=0.02, **options):
        size = len(covariance)
        rng = np.random.default_rng(0)
        x = (rng.normal(size=(20_000, size)) @ np.linalg.cholesky(covariance).T).astype(np.float32)
        keras.utils.set_random_seed(0)
        inputs = keras.Input((size,))
        layer = TiedDense(units, tied, keras.initializers.RandomNormal(stddev=0.5))
        noisy, _ = Corrupt(corruption, exact=False, **options)(inputs)
        model = keras.Model(inputs, layer(layer(noisy), transposed=True))
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        model.compile(keras.optimizers.Adam(schedule), ReconstructionLoss("squared"), jit_compile=False)
        data = tf.data.Dataset.from_tensor_slices((x, x)).batch(256, drop_remainder=True).repeat().take(steps)
        model.fit(data, verbose=0)
        back = layer.kernel.numpy().T if tied else layer.transposed_kernel.numpy()
        return x, layer.kernel.numpy() @ back

    @pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
    def test_gaussian_optimum(self, tied):
        """W'W = S (S + sigma^2 I)^-1: diag(0.8, 0.5) for S = diag(4, 1), sigma = 1."""
        _, product = self.train(np.diag([4.0, 1.0]), "gaussian", tied=tied, amount=1.0)
        np.testing.assert_allclose(product, np.diag([0.8, 0.5]), atol=0.03)

    @pytest.mark.parametrize(
        "covariance, expected",
        [
            ([[2.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]]),
            ([[1.0, 0.5], [0.5, 1.0]], [[0.93333, 0.26667], [0.26667, 0.93333]]),
        ],
    )
    @pytest.mark.slow
    def test_masking_optimum(self, covariance, expected):
        """A = p S (p^2 S + p (1 - p) diag S)^-1, p = 0.5."""
        covariance = np.array(covariance)
        closed = 0.5 * covariance @ np.linalg.inv(0.25 * covariance + 0.25 * np.diag(np.diag(covariance)))
        np.testing.assert_allclose(closed, expected, atol=1e-5)
        _, product = self.train(covariance, "masking", tied=False, amount=0.5)
        np.testing.assert_allclose(product, closed.T, atol=0.03)

    @pytest.mark.slow
    def test_no_noise_spans_the_principal_subspace(self):
        rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))[0]
        covariance = rotation @ np.diag([5.0, 3.0, 2.0, 0.5, 0.3, 0.1]) @ rotation.T
        x, product = self.train(covariance, "none", tied=True, units=3)
        values, vectors = np.linalg.eigh(np.cov(x.T))
        top = vectors[:, np.argsort(values)[-3:]]
        np.testing.assert_allclose(product, top @ top.T, atol=0.03)


def test_denoising_gain(photos):
    """Card, test 12, and the target of the project: at most half of the noisy images' error is left."""
    keras.utils.set_random_seed(0)
    method = DenoisingAutoencoder(
        units=(64,), crop_size=8, resize=40, patches=64, corruption="gaussian", noise=(0.3,), activation="relu",
        output="linear", loss="squared",
    )  # fmt: skip
    model = method.model(keras.optimizers.Adam(3e-3))
    model.fit(method.dataset(photos[1:], batch_size=128, start=0, count=600), verbose=0)
    result = method.evaluate(model, photos[:1]).flat()
    assert result["noisy_mse_denoised"] == pytest.approx(0.09, rel=0.1)
    assert result["mse_denoised"] < 0.5 * result["noisy_mse_denoised"]
    assert result["psnr_denoised"] > result["noisy_psnr_denoised"] + 2
    assert result["mse_clean"] < result["mse_denoised"]


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"noise": (0.1, 0.2)}, "`noise` must hold one number"),
        ({"units": ()}, "`units`"),
        ({"units": (10, 10), "noise": (0.1, 1.2)}, "`noise` must be a fraction"),
        ({"output": "linear"}, "cross_entropy needs output: sigmoid"),
        ({"preprocess": "whiten", "loss": "squared"}, "`output` must be linear"),
        ({"preprocess": "whiten", "loss": "squared", "output": "linear", "color": True}, "`color`"),
        ({"backbone": "small"}, "`crop_size` must be a multiple of 8"),
        ({"resize": 20}, "`resize` must be at least 28"),
        ({"alpha": 0, "beta": 0}, "must not both be 0"),
        ({"corruption": "fog"}, "`corruption`"),
    ],
)
def test_wrong_settings(fields, words):
    with pytest.raises(ConfigError) as error:
        DenoisingAutoencoder(**fields)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("preset", ["cpu", "paper", "patches"])
def test_configurations(preset):
    config = load_config(f"denoising_autoencoder/{preset}")
    assert config.method.baseline > 0
    assert len(config.method.phases) == (3 if preset == "paper" else 1)


def test_baselines():
    """A constant cannot do better; ln 2 a unit of a sigmoid code is what 1/2 gives."""
    method = DenoisingAutoencoder(**STACK)
    assert method.phases[1].baseline == pytest.approx(20 * np.log(2))
    assert method.baseline == method.phases[2].baseline == pytest.approx(10 * np.log(2))
    assert DenoisingAutoencoder(alpha=1, beta=0).baseline == pytest.approx(0.3 * DenoisingAutoencoder().baseline)
    assert 0.6 * 784 < DenoisingAutoencoder().baseline < 0.7 * 784
