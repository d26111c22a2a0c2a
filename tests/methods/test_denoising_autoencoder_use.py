"""What a trained denoising autoencoder is used for: encoder, evaluation, sheets, classifier."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.backbones import Encoder
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import DenoisingAutoencoder
from tfssl.methods.denoising_autoencoder.data import prepare
from tfssl.methods.denoising_autoencoder.evaluate import denoising_metrics, first_filters, write_sheet
from tfssl.methods.denoising_autoencoder.finetune import Patience, classifier, finetune, labeled_batches

IMAGES = list(np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), np.uint8))
TINY = DenoisingAutoencoder(units=(20, 9), noise=(0.25, 0.25), crop_size=12, resize=16)


@pytest.fixture(scope="module")
def tiny():
    keras.utils.set_random_seed(0)
    return TINY.model()


class TestEncoder:
    @pytest.mark.parametrize("preprocess", ["none", "standardize", "whiten"])
    def test_dense_sees_a_patch_as_the_network_does(self, preprocess):
        plain = preprocess == "none"
        method = DenoisingAutoencoder(
            units=(20, 9), noise=(0.0, 0.0), crop_size=12, resize=None, preprocess=preprocess, corruption="none",
            output="sigmoid" if plain else "linear", loss="cross_entropy" if plain else "squared",
        )  # fmt: skip
        model = method.model()
        encoder = method.encoder(model)
        picture = np.random.default_rng(1).random((1, 40, 50, 3)).astype(np.float32)
        taps = encoder(picture)
        cut = 12 + (8 if preprocess == "whiten" else 0)
        assert type(encoder) is Encoder
        rows, columns = ((side - cut) // 3 + 1 for side in (40, 50))
        assert taps["conv1"].shape == (1, rows, columns, 20) and taps["conv2"].shape == (1, rows, columns, 9)
        patch = prepare(picture[:, 6 : 6 + cut, 9 : 9 + cut], color=False, preprocess=preprocess)
        codes = keras.Model(model.network.input, [model.network.get_layer(f"code{k}").output for k in (1, 2)])(patch)
        for name, code in zip(("conv1", "conv2"), codes, strict=True):
            np.testing.assert_allclose(taps[name][0, 2, 3], code[0], atol=1e-5)

    @pytest.mark.parametrize("backbone, count", [("small", 5), ("conv", 4)])
    @pytest.mark.parametrize("color", [True, False])
    def test_convolutional_shares_its_trunk(self, backbone, count, color):
        method = DenoisingAutoencoder(backbone=backbone, crop_size=32, color=color)
        model = method.model()
        encoder = method.encoder(model)
        assert type(encoder) is Encoder
        picture = np.random.default_rng(1).random((2, 48, 40, 3)).astype(np.float32)
        taps = encoder(picture)
        assert list(taps) == [f"conv{i}" for i in range(1, count + 1)]
        assert taps[f"conv{count}"].shape[1:3] == (6, 5)
        seen = prepare(picture, color=color, preprocess="none")
        expected = keras.Model(model.input, model.get_layer(f"conv{count}").output)(seen)
        np.testing.assert_allclose(taps[f"conv{count}"], expected, atol=1e-5)
        assert {id(v) for v in encoder.variables} < {id(v) for v in model.variables}

    def test_odd_sizes(self):
        method = DenoisingAutoencoder(backbone="small", crop_size=32)
        assert method.encoder(method.model())(np.zeros((1, 45, 37, 3)))["conv5"].shape == (1, 6, 5, 96)


class TestEvaluate:
    def test_metrics_from_errors(self):
        errors = {"noisy": np.array([0.1, 0.001]), "denoised": np.array([0.01, 0.001]), "clean": np.array([0.0, 1e-3])}
        result = denoising_metrics(errors)
        assert result["mse_noisy"] == pytest.approx(0.0505) and result["mse_ratio"] == pytest.approx(0.0055 / 0.0505)
        assert result["psnr_noisy"] == pytest.approx(20) and result["psnr_denoised"] == pytest.approx(25)
        assert result["psnr_clean"] == pytest.approx((100 + 30) / 2)
        assert not any("psnr" in name for name in denoising_metrics(errors, peak=None))

    def test_against_the_network_itself(self, tiny, tmp_path):
        record = TINY.evaluate(tiny, IMAGES, out=tmp_path / "out", batch_size=2)
        result = record.flat()
        noisy, clean = (
            np.concatenate(x) for x in zip(*TINY.dataset(IMAGES, batch_size=2, training=False), strict=True)
        )
        assert result["noisy_mse_denoised"] == pytest.approx(np.mean((noisy - clean) ** 2), rel=1e-5)
        assert result["mse_denoised"] == pytest.approx(np.mean((np.asarray(tiny(noisy)) - clean) ** 2), rel=1e-5)
        assert result["mse_clean"] == pytest.approx(np.mean((np.asarray(tiny(clean)) - clean) ** 2), rel=1e-5)
        assert result["images"] == 5 and result["filters"] == 20 and record.skipped == {}
        stored = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert stored["metrics"]["mse_ratio"]["value"] == result["mse_ratio"] and stored["config"]["units"] == [20, 9]
        assert {p.name for p in (tmp_path / "out").iterdir()} == {"metrics.json", "sheet.png", "filters.png"}
        assert TINY.evaluate(tiny, IMAGES, limit=2)["images"].value == 2

    def test_plain_autoencoder_has_no_ratio(self, tmp_path):
        method = DenoisingAutoencoder(units=(4,), crop_size=12, resize=16, corruption="none")
        result = method.evaluate(method.model(), IMAGES, out=tmp_path).flat()
        assert np.isnan(result["mse_ratio"]) and result["mse_clean"] == result["mse_denoised"]
        assert json.loads((tmp_path / "metrics.json").read_text())["metrics"]["mse_ratio"]["value"] is None

    def test_unreadable_images(self, tiny, tmp_path):
        Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
        (tmp_path / "b.png").write_bytes(b"no picture")
        result = TINY.evaluate(tiny, str(tmp_path))
        assert result["images"].value == 1 and next(iter(result.skipped)).endswith("b.png")
        (tmp_path / "a.png").write_bytes(b"neither")
        with pytest.raises(SourceError):
            TINY.evaluate(tiny, str(tmp_path))
        with pytest.raises(ConfigError, match="`limit`"):
            TINY.evaluate(tiny, IMAGES, limit=0)

    def test_filters_are_kernel_columns(self, tiny):
        filters = first_filters(TINY, tiny)
        kernel = np.asarray(tiny.network.get_layer("layer1").kernel)
        assert filters.shape == (20, 12, 12, 1)
        np.testing.assert_array_equal(filters[3].ravel(), kernel[:, 3])

    @pytest.mark.parametrize("backbone", ["dense", "small"])
    def test_sheet(self, backbone, tmp_path):
        method = DenoisingAutoencoder(backbone=backbone, units=(4,), crop_size=16, resize=16, color=True)
        write_sheet(method, method.model(), IMAGES, tmp_path / "sheet.png", count=3)
        with Image.open(tmp_path / "sheet.png") as sheet:
            assert sheet.width > 3 * 128 and sheet.height > 3 * 128


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two classes that can be told apart: bright above or bright below."""
    root, rng = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    for part, count in (("train", 24), ("validation", 12)):
        for number, name in enumerate(("above", "below")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                ramp = np.linspace(220, 30, 16)[:: -1 if number else 1, None, None]
                picture = np.clip(ramp + rng.normal(0, 40, (16, 16, 1)), 0, 255).astype(np.uint8)
                Image.fromarray(np.repeat(picture, 3, axis=-1)).save(folder / f"{i}.png")
    return root / "train", root / "validation"


class TestClassifier:
    def test_parameters(self):
        """Card, test 8: 784-1000-1000-1000-10."""
        method = DenoisingAutoencoder(units=(1000, 1000, 1000), noise=(0.1, 0.2, 0.3))
        network = classifier(method, method.model(), 10)
        assert network.count_params() == 2_797_010
        assert not np.asarray(network.get_layer("scores").kernel).any(), "the softmax starts at zero"

    def test_starts_from_the_codes(self, tiny):
        network = classifier(TINY, tiny, 3)
        x = np.random.default_rng(0).random((4, 12, 12, 1)).astype(np.float32)
        ours = keras.Model(network.input, network.get_layer("code2").output)(x)
        theirs = keras.Model(tiny.network.input, tiny.network.get_layer("code2").output)(x)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)

    def test_finetune(self, tiny, folders):
        before = [np.array(w) for w in tiny.get_weights()]
        keras.utils.set_random_seed(0)
        network, history = finetune(TINY, tiny, *folders, epochs=40, batch_size=4)
        held_out = list(labeled_batches(TINY, folders[1]))
        wrong = np.concatenate([np.asarray(network(x)).argmax(axis=1) != y.numpy() for x, y in held_out]).mean()
        assert wrong == history.history["validation_error"][-1] < 0.1, "the weights of the best validation"
        for ours, theirs in zip(tiny.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_labeled_images_are_clean_and_prepared(self, folders):
        pixels, labels = next(iter(labeled_batches(TINY, folders[0], batch_size=48)))
        assert pixels.shape == (48, 12, 12, 1) and labels.numpy().sum() == 24
        ramps = pixels.numpy()[..., 0].mean(axis=2)
        np.testing.assert_array_equal(ramps[:, 0] < ramps[:, -1], labels.numpy() == 1)

    def test_other_backbones_have_no_classifier(self):
        method = DenoisingAutoencoder(backbone="small", crop_size=16)
        with pytest.raises(ConfigError, match="`backbone`"):
            classifier(method, method.model(), 3)


class Errors(Patience):
    """Validation errors from a list instead of a network."""

    def __init__(self, errors, **options):
        super().__init__(None, **options)
        self.errors = iter(errors)

    def error(self):
        return next(self.errors)


class Counter:
    """Weights that are the number of minibatches so far."""

    stop_training, weights = False, 0

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def train(callback, steps):
    model = Counter()
    callback.set_model(model)
    for step in range(1, steps + 1):
        model.weights = step
        callback.on_train_batch_end(step)
        if model.stop_training:
            break
    callback.on_train_end()
    return model


class TestPatience:
    """The tutorial's rule by hand: 10 minibatches an epoch, patience 20, validation after each epoch."""

    def test_improvement_prolongs(self):
        stopping = Errors([0.5, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3], steps=10, patience=20)
        model = train(stopping, 100)
        # At minibatch 20 the error falls to 0.4: patience 40; at 30 to 0.3: patience 60; then nothing.
        assert stopping.stopped == 60 and stopping.best == 0.3 and model.weights == 30

    def test_small_improvement_does_not_prolong(self):
        stopping = Errors([0.5, 0.499, 0.498], steps=10, patience=20)
        model = train(stopping, 100)
        assert stopping.stopped == 20 and stopping.best == 0.499 and model.weights == 20, "but counts as the best"

    def test_validates_at_least_twice_within_the_patience(self):
        assert Patience(None, 1000, patience=100).frequency == 50
        assert Patience(None, 10).patience == 100 and Patience(None, 10).frequency == 10

    def test_training_may_end_first(self):
        stopping = Errors([0.5], steps=10)
        assert train(stopping, 12).weights == 10 and stopping.stopped is None

    def test_wrong_steps(self):
        with pytest.raises(ConfigError, match="`steps`"):
            Patience(None, 0)
