"""Evaluation of colorization with predictors whose results are known, and with an untrained network."""

import csv
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.color import rgb2lab

from tfssl.color.photographs import Photograph
from tfssl.color.predict import Colorizer, network_lightness, predict_ab
from tfssl.color.report import choose
from tfssl.data.builtin import builtin_photographs
from tfssl.data.images import decode_image
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.evaluation.record import read_record
from tfssl.methods import Colorization
from tfssl.methods.colorization.evaluate import evaluate, write_sheet
from tfssl.ops.ab_bins import NUM_BINS, nearest_bin

SOLID = [(255, 0, 0), (0, 200, 0), (200, 120, 60), (40, 60, 220), (250, 230, 80)]


class Fake:
    """Stands for a regression network: ``function`` of the lightness at every 4th pixel -> ab."""

    def __init__(self, function):
        self.function = function

    def __call__(self, lightness, training=False):
        return self.function(lightness[:, ::4, ::4, 0])


def constant(a, b):
    return Fake(lambda cells: tf.ones_like(cells)[..., None] * tf.constant([a, b]))


def oracle(colors):
    """Knows the color of each lightness among ``colors``."""
    lab = rgb2lab(np.array([colors], np.uint8))[0].astype(np.float32)
    assert np.diff(np.sort(lab[:, 0])).min() > 2

    def look_up(cells):
        nearest = tf.argmin(tf.abs(cells[..., None] - lab[:, 0]), axis=-1)
        return tf.gather(tf.constant(lab[:, 1:]), nearest)

    return Fake(look_up)


@pytest.fixture(scope="module")
def method():
    return Colorization(backbone="small", objective="regression", resize=None, crop_size=32, image_size=48)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)  # how far temperatures lie apart depends on the weights
    method = Colorization(backbone="small", resize=None, crop_size=32, image_size=48)
    return method, method.model()


@pytest.fixture
def solid(tmp_path):
    """One color a file, each of another size."""
    for number, color in enumerate(SOLID):
        Image.new("RGB", (60 + 13 * number, 70 - 9 * number), color).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The builtin photographs at about 100 pixels, with a gray one and two damaged files among them."""
    folder = tmp_path_factory.mktemp("photos")
    for number, path in enumerate(builtin_photographs()):
        image = decode_image(str(path), min_size=100)
        image.thumbnail((100 + number, 90))
        image.save(folder / f"photo_{number}.png")
    image.convert("L").save(folder / "gray.png")
    (folder / "a_damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    (folder / "empty.png").write_bytes(b"")
    return folder


def read_table(folder):
    with open(folder / "per_image.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestKnownPredictors:
    def test_perfect(self, method, solid):
        metrics = evaluate(method, oracle(SOLID), str(solid)).flat()
        assert metrics["auc_raw"] == pytest.approx(1.0, abs=1e-6)
        assert metrics["auc_macro"] == metrics["auc_inverse_frequency"] == pytest.approx(1.0, abs=1e-6)
        assert metrics["rmse_ab"] == pytest.approx(0.0, abs=1e-4)
        assert metrics["colorfulness_ratio"] == pytest.approx(1.0)
        assert metrics["psnr"] == math.inf and metrics["psnr_infinite"] == metrics["images"] == len(SOLID)

    def test_gray_equals_the_gray_baseline(self, method, photos):
        metrics = evaluate(method, constant(0.0, 0.0), str(photos)).flat()
        names = [name for name in metrics if f"gray_{name}" in metrics]
        assert len(names) >= 12
        for name in names:
            assert metrics[name] == pytest.approx(metrics[f"gray_{name}"], nan_ok=True)
        assert all(metrics[f"{name}_gain"] == 0 for name in ("auc_raw", "auc_macro", "auc_inverse_prior"))

    @pytest.mark.parametrize(
        "color, score", [((255, 0, 0), 0.30299), ((0, 255, 0), 0.20149), ((200, 120, 60), 0.65180)]
    )
    def test_gray_for_solid_colors(self, method, color, score):
        metrics = evaluate(method, constant(0.0, 0.0), np.full((1, 40, 52, 3), color, np.uint8)).flat()
        assert metrics["gray_auc_raw"] == pytest.approx(score, abs=5e-6)
        assert metrics["gray_auc_macro"] == pytest.approx(score, abs=5e-6)  # 10 x 13 sampled pixels in one bin

    def test_pixels_count_alike_whatever_the_image_size(self, method):
        red, orange = np.full((40, 80, 3), (255, 0, 0), np.uint8), np.full((40, 20, 3), (200, 120, 60), np.uint8)
        metrics = evaluate(method, constant(0.0, 0.0), [red, orange]).flat()
        assert metrics["pixels"] == 10 * 25
        assert metrics["auc_raw"] == pytest.approx(0.8 * 0.30299 + 0.2 * 0.65180, abs=1e-5)
        assert metrics["auc_inverse_frequency"] == pytest.approx((0.30299 + 0.65180) / 2, abs=1e-5)


@pytest.fixture(scope="module")
def results(method, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "deep"
    compare = {"vivid": (method, constant(20.0, 40.0))}
    seen = []
    record = evaluate(
        method, constant(8.0, -12.0), str(photos), out=out, compare=compare, progress=lambda *n: seen.append(n)
    )
    assert seen == [(n, 11) for n in range(1, 12)]
    return out, record.flat(), record.skipped


class TestFiles:
    def test_nothing_else_is_left(self, results):
        assert sorted(p.name for p in results[0].iterdir()) == ["metrics.json", "per_image.csv", "sheet.png"]

    def test_json_holds_the_result(self, results, photos):
        out, metrics, _ = results
        record = json.loads((out / "metrics.json").read_text())
        assert read_record(out).flat() == metrics
        assert record["config"]["image_size"] == 48 and record["source"] == str(photos)
        assert {"tfssl", "tensorflow", "scikit-image"} <= set(record["versions"])

    def test_table_averages_to_the_result(self, results):
        out, metrics, _ = results
        rows = [row for row in read_table(out) if row["status"] == "measured"]
        assert len(rows) == metrics["images"] == 8
        pixels = [float(row["pixels"]) for row in rows]
        assert sum(pixels) == metrics["pixels"]
        for prefix in ("", "gray_", "vivid_"):
            column = {
                name: [float(row[prefix + name]) for row in rows] for name in ("auc_raw", "rmse_ab", "mse", "psnr")
            }
            assert np.average(column["auc_raw"], weights=pixels) == pytest.approx(metrics[f"{prefix}auc_raw"])
            pooled = np.sqrt(np.average(np.square(column["rmse_ab"]), weights=pixels))
            assert pooled == pytest.approx(metrics[f"{prefix}rmse_ab"])
            assert np.mean(column["psnr"]) == pytest.approx(metrics[f"{prefix}psnr"])
            mean_mse = 10 * np.log10(255**2 / np.mean(column["mse"]))
            assert mean_mse == pytest.approx(metrics[f"{prefix}psnr_of_mean_mse"])
            for name in ("ssim", "ciede2000", "colorfulness"):
                assert np.mean([float(row[prefix + name]) for row in rows]) == pytest.approx(metrics[prefix + name])
        true = np.mean([float(row["colorfulness_true"]) for row in rows])
        assert metrics["colorfulness"] / true == pytest.approx(metrics["colorfulness_ratio"])

    def test_left_out_images_are_named(self, results):
        out, metrics, skipped = results
        status = {row["name"].rpartition("/")[2]: row["status"] for row in read_table(out)}
        assert status["gray.png"] == "gray" and status["empty.png"] == "unreadable: the file is empty"
        assert status["a_damaged.jpg"].startswith("unreadable: ")
        assert metrics["images_gray"] == 1 and metrics["images_skipped"] == 2 and len(status) == 11
        assert {name.rpartition("/")[2] for name in skipped} == {"a_damaged.jpg", "empty.png"}

    def test_each_predictor_is_measured_apart(self, results, method, photos):
        _, metrics, _ = results
        alone = evaluate(method, constant(20.0, 40.0), str(photos)).flat()
        names = [name[len("vivid_") :] for name in metrics if name.startswith("vivid_")]
        assert len(names) >= 12 and all(metrics[f"vivid_{name}"] == alone[name] for name in names)
        assert metrics["auc_raw_gain"] == metrics["auc_raw"] - metrics["gray_auc_raw"]

    def test_sheet_shows_gray_compared_ours_truth(self, results):
        sheet = np.asarray(Image.open(results[0] / "sheet.png")).astype(int)
        spread = np.ptp(sheet, axis=-1)
        columns = np.array_split(spread[:, -4 * (192 + 8) :], 4, axis=1)
        gray, vivid, ours, truth = (np.mean(column > 20) for column in columns)
        assert gray == 0 and min(vivid, ours, truth) > 0.1


class TestNetworkInput:
    def test_equals_predict_ab_where_nothing_is_scaled(self, classifier):
        method, model = classifier
        rgb = np.asarray(decode_image(str(builtin_photographs()[1])).resize((67, 48)))
        lab = rgb2lab(rgb)
        expected = predict_ab(method, model, lab[None, ..., :1].astype(np.float32)).numpy()[0]
        found = Colorizer(method, model, {"": None})(Photograph(0, "x", rgb, lab))[""]
        np.testing.assert_allclose(found, expected, atol=1e-3)

    def test_colors_land_where_they_belong(self, method):
        # A network that answers with its cell's own position: at full size each pixel must get its own.
        def position(cells):
            y, x = tf.meshgrid(tf.range(tf.shape(cells)[1]), tf.range(tf.shape(cells)[2]), indexing="ij")
            return tf.cast(4 * tf.stack([y, x], axis=-1), tf.float32)[None]  # network pixels

        rgb = np.zeros((96, 160, 3), np.uint8)  # twice the network's size
        photograph = Photograph(0, "x", rgb, rgb2lab(rgb))
        ab = Colorizer(method, Fake(position), {"": None})(photograph)[""]
        y, x = np.mgrid[:96, :160]
        inside = (y >= 1) & (y < 88) & (x >= 1) & (x < 152)  # beyond the last cells their values are repeated
        np.testing.assert_allclose(ab[inside], (np.stack([y, x], axis=-1)[inside] + 0.5) / 2 - 0.5, atol=1e-5)

    @pytest.mark.parametrize("shape, expected", [((90, 60), (72, 48)), ((20, 40), (48, 96)), ((4, 400), (2, 192))])
    def test_size(self, shape, expected):
        assert network_lightness(np.zeros((*shape, 3), np.uint8), 48).shape == expected


class TestTemperatures:
    def test_decodes_the_cards_example(self, classifier):
        # z = (.6, .3, .1) at (0, 0), (40, 0), (0, 60): T = 1 -> (12, 6), T = .38 -> (5.5153, .4593).
        logits = np.full(NUM_BINS, -1e4, np.float32)
        logits[nearest_bin([(0, 0), (40, 0), (0, 60)])] = np.log([0.6, 0.3, 0.1])
        model = Fake(lambda cells: tf.ones_like(cells)[..., None] * logits)
        red = np.full((2, 40, 30, 3), (255, 0, 0), np.uint8)
        true = rgb2lab(red)[0, 0, 0, 1:]
        for temperature, ab in ((1.0, (12.0, 6.0)), (0.38, (5.5153, 0.4593))):
            found = evaluate(classifier[0], model, red, temperature=temperature).flat()
            assert found["rmse_ab"] == pytest.approx(np.linalg.norm(true - ab), abs=1e-3)

    def test_default_is_the_methods(self, classifier, photos):
        method, model = classifier
        metrics = evaluate(method, model, str(photos), limit=5).flat()
        assert metrics["temperature"] == 0.38
        assert metrics["auc_raw"] == evaluate(method, model, str(photos), limit=5, temperature=0.38)["auc_raw"].value

    def test_regression_has_none(self, method, photos):
        assert "temperature" not in evaluate(method, constant(0.0, 0.0), str(photos))


class TestCompare:
    def test_a_list_is_named_after_the_objectives(self, method, photos):
        others = [(method, constant(float(n), 0.0)) for n in range(3)]
        metrics = evaluate(method, constant(2.0, 0.0), str(photos), compare=others).flat()
        for name in ("auc_raw", "colorfulness", "ssim"):
            assert metrics[f"regression_{name}"] == metrics[f"gray_{name}"]
            assert metrics[f"regression-3_{name}"] == metrics[name] != metrics[f"regression-2_{name}"]

    @pytest.mark.parametrize("name", ["gray", "", "a/b"])
    def test_wrong_names(self, method, photos, name):
        with pytest.raises(ConfigError, match="`compare`"):
            evaluate(method, constant(0.0, 0.0), str(photos), compare={name: (method, constant(0.0, 0.0))})

    @pytest.mark.parametrize("compare", [["runs/other"], [("a", "b")], {"other": "runs/other"}])
    def test_wrong_models(self, method, photos, compare):
        with pytest.raises(ConfigError, match=r"`compare` takes .*tfssl.load"):
            evaluate(method, constant(0.0, 0.0), str(photos), compare=compare)


class TestWrongUse:
    @pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 1.5}, {"limit": 0}])
    def test_options(self, method, photos, options):
        with pytest.raises(ConfigError, match=f"`{next(iter(options))}`.*Received"):
            evaluate(method, constant(0.0, 0.0), str(photos), **options)

    def test_only_gray_images(self, method, tmp_path):
        gray = np.random.default_rng(0).integers(0, 256, (2, 30, 30)).astype(np.uint8)
        with pytest.raises(SourceError, match=r"no readable image in color among 2 \(2 gray"):
            evaluate(method, constant(0.0, 0.0), gray, out=tmp_path)
        assert not list(tmp_path.iterdir())

    def test_mostly_unreadable(self, method, tmp_path):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "good.png")
        for number in range(3):
            (tmp_path / f"{number}.jpg").write_bytes(b"bad")
        with pytest.raises(SourceError, match="mostly unreadable"):
            evaluate(method, constant(0.0, 0.0), str(tmp_path))

    def test_nan(self, method, photos):
        with pytest.raises(ModelError, match=r"predicts NaN for .*photo_0\.png"):
            evaluate(method, constant(float("nan"), 0.0), str(photos))


class TestSampleSheet:
    def test_rows_and_bad_files(self, method, photos, tmp_path):
        write_sheet(method, constant(30.0, 30.0), str(photos), tmp_path / "sheet.png", count=4)
        sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
        gray, predicted, truth = np.array_split(sheet[8:, -4 * (96 + 8) :], 3)
        assert np.ptp(gray, axis=-1).max() <= 2  # rounding of 8-bit neutral colors
        assert np.mean(np.ptp(predicted, axis=-1) > 40) > 0.5 < np.mean(np.ptp(truth, axis=-1) > 5)

    def test_same_image_again(self, method, photos, tmp_path):
        for name in ("a.png", "b.png"):
            write_sheet(method, constant(5.0, 5.0), str(photos), tmp_path / name)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

    def test_nothing_readable(self, method, tmp_path):
        (tmp_path / "bad.jpg").write_bytes(b"bad")
        with pytest.raises(SourceError, match="no readable images among 1"):
            write_sheet(method, constant(0.0, 0.0), str(tmp_path), tmp_path / "sheet.png")


class TestChoice:
    def test_best_median_worst_random(self):
        gains = [(float(n), 100 + n) for n in range(21)]
        chosen = choose(gains[::-1])
        assert [choice[0] for choice in chosen] == ["best"] * 2 + ["median"] * 2 + ["worst"] * 2 + ["random"] * 6
        assert [choice[2] for choice in chosen[:6]] == [120, 119, 111, 110, 100, 101]
        assert len({choice[2] for choice in chosen}) == 12
        assert chosen == choose(gains)

    def test_few_images_appear_once(self):
        chosen = choose([(0.1, 0), (0.2, 1), (0.0, 2)])
        assert sorted(index for _, _, index in chosen) == [0, 1, 2] and chosen[0][2] == 1
