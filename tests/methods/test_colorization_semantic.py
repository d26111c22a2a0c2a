"""What ``evaluate(..., semantic=True)`` adds: pretrained networks are stood in for by ones that need no package."""

import keras
import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from tfssl.color.photographs import read_photograph
from tfssl.color.predict import RandomColors
from tfssl.data.images import image_source
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import Colorization
from tfssl.methods.colorization import semantic
from tfssl.methods.colorization.evaluate import evaluate

FIRST, SECOND = "n01440764", "n01443537"


def missing(*_):
    raise ConfigError("the weights are not installed: pip install 'tfssl[pretrained]'")


def red_or_not():
    """Answers class 0 for images that are red on the whole, else class 1."""
    pictures = keras.Input((224, 224, 3))
    mean = keras.layers.GlobalAveragePooling2D()(pictures)
    logits = keras.layers.Dense(1000)
    model = keras.Model(pictures, {"logits": logits(mean), "features": mean})
    kernel = np.zeros((3, 1000), np.float32)
    kernel[:2, :2] = [[1, 0], [-1, 0]]
    bias = np.full(1000, -50, np.float32)
    bias[:2] = [0, 20]
    logits.set_weights([kernel, bias])
    return model


def mean_difference(net):
    """Stands for LPIPS: the mean absolute difference."""
    images = [keras.Input((None, None, 3)) for _ in range(2)]
    difference = keras.ops.mean(keras.ops.abs(images[0] - images[1]), axis=(1, 2, 3))
    return keras.Model(images, {"distance": difference, "layers": [difference]})


@pytest.fixture(scope="module")
def method():
    return Colorization(backbone="small", objective="regression", resize=None, crop_size=32, image_size=48)


def network(a, b):
    return lambda lightness, training=False: keras.ops.ones_like(lightness[:, ::4, ::4]) * np.float32([a, b])


@pytest.fixture
def photos(tmp_path):
    """Two red images of the first class, one green image of the second."""
    for name, color in ((f"{FIRST}_a", (200, 60, 60)), (f"{FIRST}_b", (180, 40, 50)), (f"{SECOND}_c", (60, 180, 60))):
        noise = np.random.default_rng(len(color)).integers(-20, 20, (50, 60, 1))
        Image.fromarray((np.array(color) + noise).astype(np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    monkeypatch.setattr(semantic, "imagenet_classifier", red_or_not)
    monkeypatch.setattr(semantic, "lpips", mean_difference)


def test_classifier_on_true_gray_and_predicted_colors(method, photos):
    record = evaluate(method, network(60.0, 30.0), str(photos), semantic=True)
    top1 = record["classifier_top1"]
    assert top1.value == pytest.approx(2 / 3) and top1.higher_is_better  # all red
    assert top1.baselines["true"] == 1.0 and top1.baselines["gray"] == pytest.approx(1 / 3)
    assert record["classifier_top1_recovered"].value == pytest.approx(0.5)
    worse = record.details["confusions_from_gray"]["worse"]
    assert all(set(row) == {"class", "answer", "change"} for row in worse)


def test_the_right_colors_are_nearer_than_gray_by_every_measure(method, photos, tmp_path):
    red = rgb2lab(np.uint8([[[190, 50, 55]]]))[0, 0, 1:]
    for path in photos.glob(f"{SECOND}*"):
        path.unlink()
    record = evaluate(method, network(*red), str(photos), out=tmp_path / "out", semantic=True)
    for name in ("lpips_alex", "lpips_vgg", "fd_efficientnet_lite0", "hue_distance"):
        assert record[name].value < record[name].baselines["gray"] and record[name].higher_is_better is False
    assert record["hue_distance"].baselines["gray"] == 1
    assert record["drift_darker"].value == record["drift_blurred"].value == 0  # this network knows one color
    assert record["checker_rmse_ab"].value > record["checker_rmse_ab"].baselines["gray"]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"metrics.json", "per_image.csv", "sheet.png", "stimuli.png", "answers.png"}


def bins(lightness, training=False):
    return keras.ops.zeros_like(lightness[:, ::4, ::4]) * np.zeros(313, np.float32)


def test_a_strip_over_temperature_is_drawn_of_bins(photos, tmp_path):
    method = Colorization(backbone="small", resize=None, crop_size=32, image_size=48)
    evaluate(method, bins, str(photos), out=tmp_path / "out", semantic=True, limit=2)
    sheet = Image.open(tmp_path / "out" / "temperature.png")
    assert sheet.width > 7 * 192 and sheet.height > 2 * 150


def test_names_without_a_class_give_agreement(method, photos, tmp_path):
    for path in list(photos.glob("n*.png")):
        path.rename(path.with_name(path.name[10:]))
    record = evaluate(method, network(60.0, 30.0), str(photos), semantic=True)
    assert record["agreement_top1"].value == pytest.approx(2 / 3)
    assert "classifier_top1" not in record and "agreement" in record.details["classifier"]


def test_a_missing_package_is_said_and_the_rest_is_measured(method, photos, monkeypatch):
    monkeypatch.setattr(semantic, "imagenet_classifier", missing)
    monkeypatch.setattr(semantic, "lpips", missing)
    record = evaluate(method, network(0.0, 0.0), str(photos), semantic=True)
    assert {"classifier", "lpips_alex", "lpips_vgg"} <= set(record.details)
    assert "lpips_alex" not in record and record["hue_distance"].baselines["gray"] == record["hue_distance"].value
    assert record.details["classifier"].startswith("skipped: ") and "pip install" in record.details["classifier"]
    assert record["auc_raw"].baselines["random"] < record["auc_raw"].baselines["gray"]
    assert sum("skipped" in line for line in record.lines()) >= 1


def test_random_colors_are_those_of_another_photograph(photos):
    source = image_source(str(photos))
    photograph = read_photograph(source, 0)
    colors = RandomColors(source)(photograph)["random_"]
    assert colors.shape == (50, 60, 2)
    others = [read_photograph(source, i).lab[..., 1:].mean((0, 1)) for i in (1, 2)]
    assert min(np.abs(colors.mean((0, 1)) - other).max() for other in others) < 0.5
    np.testing.assert_array_equal(colors, RandomColors(source)(photograph)["random_"])
    with pytest.raises(SourceError, match="give more"):
        RandomColors(source, 1)(photograph)


@pytest.mark.parametrize("name", ["gray", "random", "true"])
def test_names_of_baselines_are_taken(method, photos, name):
    with pytest.raises(ConfigError, match=name):
        evaluate(method, network(0, 0), str(photos), semantic=True, compare={name: (method, network(0, 0))})
