"""The zero-bias autoencoder: by hand, its whitening and start, its encoder, its schedule, what it learns."""

import keras
import numpy as np
import pytest

from tfssl.config import load_config
from tfssl.errors import ConfigError
from tfssl.methods import ZeroBiasAutoencoder
from tfssl.methods.zero_bias_autoencoder.data import whitened
from tfssl.methods.zero_bias_autoencoder.evaluate import METRICS, filters_of
from tfssl.methods.zero_bias_autoencoder.loss import HalfSquaredError
from tfssl.methods.zero_bias_autoencoder.network import build_network

TINY = {"crop_size": 5, "units": 12, "patches": 50, "resize": 60}


@pytest.fixture(scope="module")
def adapted():
    method = ZeroBiasAutoencoder(**TINY)
    return method.adapted(method.adapt(method.open("builtin")))


class TestByHand:
    """Card, test 10."""

    @pytest.mark.parametrize("form", ["trec", "tlin"])
    @pytest.mark.parametrize(
        "x, code, reconstruction, cost", [((2, 1), (2, 2), (3.2, 1.6), 0.9), ((0.5, 0.5), (0, 0), (0, 0), 0.25)]
    )
    def test_forward(self, form, x, code, reconstruction, cost):
        model = build_network(2, 2, form)
        model.get_layer("filters").set_weights([np.array([[1, 0.6], [0, 0.8]]), np.zeros(2)])
        x = np.array([x], np.float32)
        codes = keras.Model(model.input, model.get_layer("codes").output)
        np.testing.assert_allclose(codes(x), [code], atol=1e-6)
        np.testing.assert_allclose(model(x), [reconstruction], atol=1e-6)
        assert float(HalfSquaredError()(x, model(x))) == pytest.approx(cost, abs=1e-6)

    def test_negative_responses_count_in_tlin_alone(self):
        x = np.array([[-2.0, 0.0]], np.float32)
        for form, expected in (("trec", 0.0), ("tlin", -2.0), ("relu", 0.0)):
            model = build_network(2, 1, form)
            model.get_layer("filters").kernel.assign([[1.0], [0.0]])
            np.testing.assert_allclose(model(x), [[expected, 0.0]])

    def test_an_active_unit_gives_all_of_its_response(self):
        """Where the ordinary autoencoder's bias has to be negative to silence a unit, the rest is taken away."""
        x = np.array([[3.0]], np.float32)
        for form, weights, expected in (
            ("trec", [[[1.0]], [0.0]], 3.0),
            ("relu", [[[1.0]], [-1.0], [0.0]], 2.0),
        ):
            model = build_network(1, 1, form)
            model.get_layer("filters").set_weights([np.array(w) for w in weights])
            np.testing.assert_allclose(model(x), [[expected]])

    def test_there_is_no_hidden_bias_but_in_the_ordinary_one(self):
        assert build_network(30, 255).count_params() == 30 * 255 + 30
        assert build_network(30, 255, "tlin").count_params() == 30 * 255 + 30
        assert build_network(30, 255, "relu").count_params() == 30 * 255 + 30 + 255

    def test_dropped_units_leave_the_others_larger(self):
        model = build_network(1, 4000, dropout=0.5)
        model.get_layer("filters").kernel.assign(np.full((1, 4000), 1e-3))
        x = np.full((1, 1), 2000.0, np.float32)
        plain, dropped = (float(model(x, training=training)[0, 0]) for training in (False, True))
        assert plain == pytest.approx(4000 * 2 * 1e-3, rel=1e-4)
        assert dropped == pytest.approx(plain, rel=0.06) and dropped != pytest.approx(plain, rel=1e-5)

    def test_sparsity_is_a_sum_of_codes_for_each_case(self):
        model = build_network(1, 2, "relu", sparsity=0.1)
        model.get_layer("filters").set_weights([np.array([[1.0, 2.0]]), np.zeros(2), np.zeros(1)])
        model(np.array([[1.0], [2.0], [-1.0], [0.0]], np.float32))
        assert float(model.losses[0]) == pytest.approx(0.1 * (3 + 6) / 4)


class TestWhitening:
    def test_patches_are_white(self, adapted):
        source = adapted.open("builtin")
        rng = np.random.default_rng(5)
        rows = np.concatenate(
            [whitened(adapted, adapted.sample(source.example(i), rng, True)[0]) for i in range(len(source))]
        )
        assert 3 < rows.shape[1] < 40 and adapted.statistics["kept"] >= 0.9
        assert abs(rows.mean(axis=0)).max() < 0.3
        assert np.cov(rows.T).trace() / rows.shape[1] == pytest.approx(1, abs=0.2)
        assert adapted.baseline == 0.5 * rows.shape[1]

    def test_each_number_has_the_same_say(self):
        """A column of pixels that hardly varies is stretched before directions are found."""
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (12, 30, 30, 3), np.uint8)
        method = ZeroBiasAutoencoder(**TINY | {"crop_size": 3, "resize": None}, whiten=1.0)
        method = method.adapted(method.adapt(method.open(images)))
        assert method.statistics["matrix"].shape == (27, 26), "all directions but that of the mean"
        np.testing.assert_allclose(method.statistics["matrix"].sum(axis=0), 0, atol=1e-4)

    def test_filters_start_as_patches(self, adapted):
        starts = []
        for seed in (0, 0, 1):
            keras.utils.set_random_seed(seed)
            starts.append(np.asarray(adapted.model().get_layer("filters").kernel))
        np.testing.assert_array_equal(starts[0], starts[1])
        assert (starts[0] != starts[2]).any()
        distance = abs(starts[0].T[:, None] - 0.1 * adapted.statistics["examples"]).max(axis=2).min(axis=1)
        assert distance.max() < 1e-6

    def test_without_statistics_nothing_is_whitened(self, caplog):
        method = ZeroBiasAutoencoder(**TINY)
        model = method.model()
        assert "patches are not whitened" in caplog.text and model.input_shape == (None, 75)
        patches = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), np.uint8)
        rows, _ = method.prepare(patches)
        plain = patches.reshape(3, -1) / 255.0
        plain -= plain.mean(axis=1, keepdims=True)
        plain /= np.sqrt(np.square(plain).mean(axis=1, keepdims=True) + 0.025**2)
        np.testing.assert_allclose(rows, plain, atol=1e-5)


@pytest.mark.parametrize("form", ["trec", "tlin", "relu"])
def test_the_encoder_prepares_as_training_does(adapted, form):
    method = ZeroBiasAutoencoder(**TINY, form=form, stride=2).adapted(adapted.statistics)
    model = method.model()
    if form == "relu":
        model.get_layer("filters").bias.assign(np.linspace(-1, 1, 12))
    image = np.random.default_rng(1).integers(0, 256, (2, 12, 14, 3), np.uint8)
    taps = method.encoder(model)(image)
    assert taps["codes"].shape == (2, 4, 5, 12)
    patch = whitened(method, image[:, 2:7, 4:9])
    np.testing.assert_allclose(taps["whitened"][:, 1, 2], patch, atol=2e-3)
    filters = np.asarray(model.get_layer("filters")(patch))
    np.testing.assert_allclose(taps["codes"][:, 1, 2], np.maximum(filters, 0), atol=2e-3)  # no threshold, both forms


def test_filters_are_brought_back_to_pixels(adapted):
    model = adapted.model()
    filters = filters_of(adapted, model)
    assert filters.shape == (12, 5, 5, 3)
    again = filters.reshape(12, -1) @ adapted.statistics["matrix"]
    np.testing.assert_allclose(again.T, model.get_layer("filters").kernel, atol=1e-4)


def test_paper_has_the_schedule_of_the_released_code():
    config = load_config("zero_bias_autoencoder/paper")
    settings, method = config.settings, config.method
    epoch = 1000 * 400 // 100
    assert (settings.steps_per_epoch, settings.batch_size, settings.momentum) == (epoch, 100, 0.9)
    assert settings.learning_rate == {0: 1e-4, 3 * epoch: 0.01}
    assert settings.epochs == 3 + 100 and settings.optimizer == "sgd"
    assert (method.crop_size, method.units, method.whiten, method.patches) == (10, 255, 0.9, 400)
    assert (method.form, method.dropout, method.sparsity) == ("trec", 0, 0)
    assert method == ZeroBiasAutoencoder(), "the defaults are the paper's"


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"form": "TRec"}, "`form`.*Received: form='TRec'"),
        ({"sparsity": 0.1}, "`sparsity` is for form: relu. Received: form='trec'"),
        ({"resize": 8}, r"`resize` must be at least crop_size \(10\)"),
        ({"dropout": 1.0}, "`dropout`.*Received: dropout=1.0"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        ZeroBiasAutoencoder(**fields)


def test_learns(adapted, tmp_path):
    """Few active units bring most of an unseen patch back, where hardly anything passed the threshold at the start."""
    method = ZeroBiasAutoencoder(**TINY | {"units": 60, "patches": 500})
    method = method.adapted(method.adapt(method.open("builtin")))
    keras.utils.set_random_seed(0)
    model = method.model()
    start = method.evaluate(model, "builtin")["reconstruction_error"]
    rows, _ = next(iter(method.dataset("builtin", batch_size=4000)))
    model.fit(np.asarray(rows), np.asarray(rows), batch_size=100, epochs=12, verbose=0)
    record = method.evaluate(model, "builtin", out=tmp_path)
    error = record["reconstruction_error"]
    assert error.value < 0.5 * error.baselines["constant"] < start.value
    assert 0.02 < float(record["codes_active"]) < 0.5 < float(record["features_active"]) + 0.1
    assert list(record)[: len(METRICS)] == list(METRICS)
    assert {p.name for p in tmp_path.iterdir()} == {"metrics.json", "filters.png"}
