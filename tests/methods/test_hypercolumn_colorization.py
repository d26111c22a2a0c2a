"""Hypercolumn colorization: targets, losses and decoders by hand-worked numbers, the two forms of the network."""

import keras
import numpy as np
import pytest
from PIL import Image

import tfssl
from tfssl.color.predict import predict_cells
from tfssl.config import load_config
from tfssl.errors import ConfigError, ModelError
from tfssl.methods import HypercolumnColorization
from tfssl.methods.hypercolumn_colorization import data
from tfssl.methods.hypercolumn_colorization.decode import circular_mean, decode, fade, point
from tfssl.methods.hypercolumn_colorization.loss import (
    AbRegression,
    HistogramDivergence,
    HueChromaDivergence,
    divergence,
    gray_weight,
)
from tfssl.methods.hypercolumn_colorization.network import build_network, map_strides
from tfssl.ops.bytes_lab import ab
from tfssl.ops.hue_chroma import even_bin, even_centers, rgb_to_hcv

TINY = {
    "backbone": "small",
    "crop_size": 32,
    "resize": (32, 40),
    "image_size": 32,
    "margin": 0,
    "locations": 12,
    "hidden": 16,
    "bins": 8,
    "window": 3,
}


def histogram(bins=32, **masses):
    """``b0=0.5``: the probability of bin 0; float32 (1, bins)."""
    p = np.zeros((1, bins), np.float32)
    for name, mass in masses.items():
        p[0, int(name[1:])] = mass
    return p


class TestTargets:
    def pixels(self):
        return np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), dtype=np.uint8)

    @pytest.mark.parametrize("size", [1, 7])
    def test_windows_are_counted_as_by_hand_and_cut_at_the_border(self, size):
        pixels, k, half = self.pixels(), 16, size // 2
        at = np.array([[[0, 0], [19, 23], [10, 12], [1, 22]]] * 2, np.int32)
        method = HypercolumnColorization(bins=k, window=size)
        found = data.targets(method, pixels, at)
        assert found.shape == (2, 4, 2 * k + 2) and found.dtype == np.float32
        for image, (y, x), row in ((i, at[i, n], found[i, n]) for i in range(2) for n in range(4)):
            part = pixels[image, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] / 255
            bins = even_bin(rgb_to_hcv(part)[..., :2], k).reshape(-1, 2)
            for channel in (0, 1):
                expected = np.bincount(bins[:, channel], minlength=k) / len(bins)
                np.testing.assert_allclose(row[channel * k : (channel + 1) * k], expected, atol=1e-6)
            own = pixels[image, y, x] / 255
            np.testing.assert_allclose(row[2 * k :], [own.max() - own.min(), own.mean()], atol=1e-6)

    def test_lab_histograms_of_both_kinds_agree(self):
        pixels, at = self.pixels(), np.array([[[3, 4], [0, 23]]] * 2, np.int32)
        options = {"target": "lab_histogram", "bins": 16, "window": 5}
        joint = data.targets(HypercolumnColorization(joint=True, **options), pixels, at).reshape(2, 2, 16, 16)
        both = data.targets(HypercolumnColorization(**options), pixels, at)
        np.testing.assert_allclose(np.concatenate([joint.sum(axis=3), joint.sum(axis=2)], axis=-1), both, atol=1e-6)
        own = data.targets(HypercolumnColorization(target="lab_regression"), pixels, at)
        np.testing.assert_array_equal(own[1, 1], ab(pixels[1, 0, 23]))

    def test_locations_keep_away_from_the_border(self):
        method = HypercolumnColorization()
        image = Image.fromarray(self.pixels()[0]).resize((400, 380))
        pixels, at = method.sample({"image": image}, np.random.default_rng(0), True)
        assert pixels.shape == (352, 352, 3) and at.shape == (128, 2) and at.dtype == np.int32
        assert at.min() >= 96 and at.max() < 256 and at.max() - at.min() > 140


class TestLosses:
    def test_uniform_predictions(self):
        y, s = histogram(b5=1.0)[None], np.zeros((1, 1, 64), np.float32)
        assert float(divergence(y, s[..., :32])[0, 0]) == pytest.approx(3.465736, abs=1e-5)
        y_true = np.concatenate([y, y, [[[0.6, 0.5]]]], axis=-1).astype(np.float32)
        assert float(HueChromaDivergence()(y_true, s)) == pytest.approx(13.8629, abs=1e-4)
        assert float(HistogramDivergence()(np.concatenate([y, y], axis=-1), s)) == pytest.approx(6.931472, abs=1e-5)
        assert float(HistogramDivergence((64,))(np.full((1, 1, 64), 1 / 64), s)) == pytest.approx(0, abs=1e-6)
        assert float(AbRegression()(np.array([[[25.0, 0]]]), np.array([[[0, -50.0]]]))) == pytest.approx(5.0)

    def test_gray_weights(self):
        found = gray_weight(np.array([0, 0.05, 0.2, 1 / 3, 0.5, 2 / 3, 0.9, 1], np.float32))
        np.testing.assert_allclose(found, [0, 0.15, 0.6, 1, 1, 1, 0.3, 0], atol=1e-6)

    def test_gray_pixels_teach_no_hue_and_dark_ones_no_chroma(self):
        rng = np.random.default_rng(0)
        y, scores = histogram(8, b1=1.0), keras.Variable(rng.normal(size=(1, 2, 16)).astype(np.float32))
        rows = [[*y[0], *y[0], 0.0, 0.5], [*y[0], *y[0], 0.4, 0.1]]
        gradient = self.gradient(HueChromaDivergence(8), np.float32([rows]), scores)[0]
        p = np.asarray(keras.ops.softmax(keras.ops.reshape(scores, (2, 2, 8))))
        weights = np.array([[0, 1.0], [5 * 0.4, 0.3]])[..., None]
        np.testing.assert_allclose(gradient, (weights * (p - y)).reshape(2, 16) / 2, atol=1e-6)  # mean over 2 pixels
        assert (gradient[0, :8] == 0).all()
        even = self.gradient(HueChromaDivergence(8, gray_weighting=False), np.float32([rows]), scores)[0]
        np.testing.assert_allclose(even[1, 8:], gradient[1, 8:] / 0.3, atol=1e-6)

    def gradient(self, loss, y_true, scores):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(y_true, scores.value)
        return tape.gradient(value, scores.value).numpy()


class TestDecoders:
    def test_median_of_the_code_and_of_the_paper(self):
        p, centers = histogram(b0=0.4, b5=0.3, b10=0.3), even_centers(32)
        assert float(point(p, centers, "median")[0, 0]) == pytest.approx(0.171875)
        assert float(point(p, centers, "interpolated_median")[0, 0]) == pytest.approx(0.166667, abs=1e-6)
        assert float(point(p, centers, "mode")[0, 0]) == pytest.approx(0.5 / 32)
        mean = (0.4 * 0.5 + 0.3 * 5.5 + 0.3 * 10.5) / 32
        assert float(point(p, centers, "expectation")[0, 0]) == pytest.approx(mean, abs=1e-6)

    def test_interpolation_of_a_single_bin_is_its_center_for_uneven_bins_too(self):
        centers = np.array([-50.0, -10.0, 0.0, 30.0])
        for k in range(4):
            found = point(np.eye(4, dtype=np.float32)[k : k + 1], centers, "interpolated_median")
            assert float(found[0, 0]) == pytest.approx(centers[k], abs=1e-4)

    def test_draws_give_each_bin_as_often_as_its_probability(self):
        p, draws = histogram(b0=0.4, b5=0.3, b10=0.3), (np.arange(100) + 0.5) / 100
        found = [round(float(point(p, np.arange(32), "sample", u)[0, 0])) for u in draws]
        assert [found.count(k) for k in (0, 5, 10)] == [40, 30, 30]

    @pytest.mark.parametrize(
        "masses, length, hue, factor",
        [
            ({"b3": 1.0}, 1 / 32, 3.5 / 32, 1.0),
            ({"b0": 0.5, "b1": 0.5}, 0.0311, 0.03125, 1.0),
            ({"b0": 0.5, "b8": 0.5}, 0.02210, 0.140625, 0.7366),
            ({"b31": 0.5, "b0": 0.5}, 0.0311, 0.0, 1.0),
            ({"b2": 0.5, "b18": 0.5}, 0.0, None, 0.0),
            ({f"b{k}": 1 / 32 for k in range(32)}, 0.0, None, 0.0),
        ],
    )
    def test_circular_mean_and_fading(self, masses, length, hue, factor):
        found, z = circular_mean(histogram(**masses))
        assert float(z[0, 0]) == pytest.approx(length, abs=5e-5)
        if hue is not None:
            apart = abs(float(found[0, 0]) - hue)
            assert min(apart, 1 - apart) < 1e-5
        assert float(fade(0.8, z, 0.03)[0, 0]) == pytest.approx(0.8 * factor, abs=5e-5)

    def test_fading_means_the_same_for_fewer_bins(self):
        scores = np.full((1, 1, 1, 32), -30.0, np.float32)
        scores[..., [0, 4]] = 0.0  # hues a quarter of a turn apart, as bins 0 and 8 of 32
        scores[..., 16 + 8] = 30.0
        options = {"target": "hue_chroma", "decoder": "expectation", "bins": 16}
        light = np.full((1, 4, 4, 1), 60.0, np.float32)
        plain, faded = (np.asarray(decode(scores, light, fading=f, **options))[0, 0, 0] for f in (0, 0.03))
        assert np.hypot(*faded) / np.hypot(*plain) == pytest.approx(0.7366, abs=0.06)  # Lab is not linear in chroma
        assert np.hypot(*plain) > 20

    @pytest.mark.parametrize("lightness", [0.0, 100.0])
    def test_black_and_white_stay_so(self, lightness):
        scores = np.random.default_rng(0).normal(size=(1, 2, 2, 64)).astype(np.float32)
        light = np.full((1, 8, 8, 1), lightness, np.float32)
        assert np.isfinite(np.asarray(decode(scores, light, target="hue_chroma", decoder="median"))).all()

    def test_a_known_color_comes_back(self):
        """One-hot histograms of a pixel give its ab, but for the width of the bins and the two kinds of gray."""
        pixel = np.array([[[[204, 102, 51]]]], np.uint8)
        method = HypercolumnColorization(bins=256, window=1, gray="lightness")
        row = data.targets(method, pixel, np.zeros((1, 1, 2), np.int32))[0, 0, :512]
        light = data.network_lightness(pixel, "lightness")
        scores = np.where(row > 0, 30.0, 0.0).astype(np.float32).reshape(1, 1, 1, 512)
        found = np.asarray(method.decode(scores, np.broadcast_to(light, (1, 4, 4, 1)), 1.0))[0, 0, 0]
        np.testing.assert_allclose(found, ab(pixel)[0, 0, 0], atol=6)


class TestNetwork:
    def test_a_hypercolumn_of_vgg_has_12417_numbers(self):
        small = build_network("vgg16", 64, fc=8, hidden=4)
        assert small.get_layer("hypercolumn").output.shape == (None, None, 12_417 - 2 * (4096 - 8))
        assert len(map_strides("vgg16")) == 16

    @pytest.mark.slow
    def test_parameters_of_the_paper(self):
        assert HypercolumnColorization().model().count_params() == 147_041_024

    def test_both_forms_agree_where_an_image_is_smooth(self):
        """Weights that hand the image through: the forms differ by where they think cells lie, not by more."""
        network = build_network("small", 1, hidden=1, dropout=0, normalization=None)
        for variable in network.weights:
            value = np.zeros(variable.shape, np.float32)
            if variable.path.endswith("_conv/kernel"):
                value[1, 1, 0, 0] = 1
            elif variable.path == "h_fc1/kernel":
                first = np.cumsum([0] + [layer.shape[-1] for layer in network.get_layer("hypercolumn").input[:-1]])
                value[first] = 1 / len(first)
            elif variable.path == "scores/kernel":
                value[:] = 1
            variable.assign(value)
        y, x = np.mgrid[:64, :64]
        level = 0.6 + (y + 2 * x) / 1000
        light = data.network_lightness(np.uint8(np.rint(255 * level))[None, ..., None].repeat(3, -1), "mean")
        cells = np.arange(5, 11)
        at = np.stack(np.meshgrid(4 * cells + 1, 4 * cells + 1, indexing="ij"), axis=-1).reshape(1, -1, 2)
        sparse = np.asarray(network([light, at.astype(np.int32)]))[0, :, 0].reshape(6, 6)
        method = HypercolumnColorization(**TINY)
        dense = np.asarray(method.served(network)(light))[0, 5:11, 5:11, 0]
        assert np.ptp(sparse) > 0.05
        np.testing.assert_allclose(dense, sparse, atol=8 * 3 / 1000)  # half a cell of the coarsest map
        assert np.corrcoef(dense.ravel(), sparse.ravel())[0, 1] > 0.99

    def test_the_served_form_is_made_once(self):
        method = HypercolumnColorization(**TINY)
        served = method.served(method.model())
        assert method.served(served) is served and len(served.inputs) == 1

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"target": "lab_histogram"},
            {"target": "lab_histogram", "joint": True},
            {"target": "lab_regression"},
        ],
    )
    def test_every_target_colors_images_of_any_size(self, options):
        method = HypercolumnColorization(**TINY, **options)
        model = method.model()
        inputs, targets = next(iter(method.dataset("builtin", batch_size=2)))
        assert np.isfinite(float(method.loss()(targets, model(inputs))))
        served = method.served(model)
        light = np.random.default_rng(0).uniform(0, 100, (1, 21, 34, 1)).astype(np.float32)
        for decoder in ("median", "interpolated_median", "expectation", "mode", "sample") if method.groups else (None,):
            other = HypercolumnColorization(**TINY, **options, decoder=decoder)
            found = np.asarray(predict_cells(other, served, light))
            assert found.shape == (1, 21, 34, 2) and np.isfinite(found).all()


class TestUse:
    def test_colorize_takes_a_run_and_refuses_other_methods(self, monkeypatch):
        method = HypercolumnColorization(**TINY)
        model = method.model()
        monkeypatch.setattr("tfssl.api.load", lambda source: (method, model))
        monkeypatch.setattr("tfssl.api.model_state", lambda name, source: (source, 0))
        gray = np.linspace(0, 255, 50 * 70).reshape(50, 70).astype(np.uint8)
        colored = tfssl.colorize(gray, model="runs/hypercolumns")
        assert colored.size == (70, 50) and np.ptp(np.asarray(colored, int), axis=-1).max() > 0
        other = tfssl.methods.SplitBrain(backbone="small", crop_size=32, fc=8)
        monkeypatch.setattr("tfssl.api.load", lambda source: (other, None))
        with pytest.raises(ModelError, match="split_brain"):
            tfssl.colorize(gray, model="runs/other")

    def test_evaluate_decodes_as_it_is_told(self, tmp_path, tiny_data):
        keras.utils.set_random_seed(0)
        method, photos = HypercolumnColorization(**TINY), tiny_data("images")
        model = method.model()
        plain = method.evaluate(model, photos, limit=2, fading=0.0, compare=[(method, model)], out=tmp_path)
        assert (tmp_path / "per_image.csv").is_file() and (tmp_path / "sheet.png").is_file()
        colorfulness = plain["colorfulness"]
        assert colorfulness.value > colorfulness.baselines["hue_chroma"] > 0 == plain["fading"].value
        with pytest.raises(ConfigError, match="decoder"):
            method.evaluate(model, photos, limit=2, decoder="best")

    @pytest.mark.parametrize(
        "fields, word",
        [
            ({"crop_size": 48}, "crop_size"),
            ({"resize": (300, 600)}, "resize"),
            ({"resize": (600, 400)}, "resize"),
            ({"margin": 176}, "margin"),
            ({"window": 4}, "window"),
            ({"joint": True}, "joint"),
            ({"joint": True, "target": "lab_histogram", "bins": 64}, "bins"),
            ({"target": "lab_regression", "decoder": "mode"}, "decoder"),
        ],
    )
    def test_wrong_fields_are_named(self, fields, word):
        with pytest.raises(ConfigError, match=f"`{word}`"):
            HypercolumnColorization(**fields)

    def test_the_paper_configuration_is_the_defaults_with_batch_normalization(self):
        method = load_config("hypercolumn_colorization/paper").method
        assert method == HypercolumnColorization(normalization="batch_without_affine", decoder="median")
