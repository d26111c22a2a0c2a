"""The pipeline, settings, phases, evaluation and sheets of artifact spotting."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.config import load_config
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.methods import SpotArtifacts
from tfssl.methods.spot_artifacts import paper_optimizer
from tfssl.methods.spot_artifacts.data import adjust_saturation, change_color, cut, draw_color
from tfssl.methods.spot_artifacts.evaluate import COLUMNS, area_under_curve, judge, psnr, spotting_metrics
from tfssl.training.optimizers import build_optimizer

SMALL = SpotArtifacts(backbone="small", crop_size=32, fc6=16, dropout=0.0, theta=0.5)
NO_COLOR = np.array([0, 1, 0], np.float32)


def sample(image, rng, training=True, **fields):
    return SpotArtifacts(**fields).sample({"image": image}, rng, training)


def pictures(count, side=48, seed=0):
    """Smooth images with some detail, uint8 (count, side, side, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((side, side), Image.Resampling.BICUBIC)) for c in coarse])


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return SMALL.model()


def rngs(count):
    return [np.random.default_rng(seed) for seed in range(count)]


class TestDamage:
    def test_fraction_of_dropped_cells(self):
        """Card, test 6: 0.7 +- 0.01 over many draws; each cell by itself."""
        image = Image.new("RGB", (8, 8))
        omega = np.stack([sample(image, rng)[1] for rng in rngs(1500)])[..., 0]
        assert omega.dtype == np.uint8 and set(np.unique(omega)) == {0, 1}
        assert 1 - omega.mean() == pytest.approx(0.7, abs=0.01)
        assert np.abs(1 - omega.mean(axis=0) - 0.7).max() < 0.05
        together = np.corrcoef(omega.reshape(1500, 36).T) - np.eye(36)
        assert np.abs(together).max() < 0.13, "no two cells are dropped together"

    def test_every_visit_has_damage_of_its_own(self):
        data = list(pictures(4))
        (a, _), (b, _) = (next(iter(SMALL.dataset(data, batch_size=4, start=s, count=1))) for s in (0, 1))
        assert (a["omega"].numpy() != b["omega"].numpy()).any()

    @pytest.mark.parametrize("training", [True, False])
    def test_does_not_depend_on_batches(self, training):
        """The same positions in the stream give the same examples, whatever the batch, and from any start."""
        data = list(pictures(6))
        options = {"start": 0, "count": 3} if training else {}
        whole = list(SMALL.dataset(data, batch_size=2, training=training, seed=3, **options))
        options = {"start": 2, "count": 2} if training else {}
        single = list(SMALL.dataset(data, batch_size=1, training=training, seed=3, **options))
        single = single if training else single[2:4]
        for i, (inputs, target) in enumerate(single):
            for name in ("images", "omega"):
                np.testing.assert_allclose(inputs[name][0], whole[1][0][name][i], atol=1e-6)
            np.testing.assert_array_equal(target, inputs["images"])


class TestPictures:
    def test_range_and_shapes(self):
        inputs, target = next(iter(SMALL.dataset("builtin", batch_size=3)))
        assert inputs["images"].shape == target.shape == (3, 32, 32, 3) and inputs["omega"].shape == (3, 4, 4, 1)
        assert inputs["images"].dtype == tf.float32
        assert float(tf.reduce_max(tf.abs(target))) <= 1 and float(tf.reduce_min(target)) < -0.3

    def test_boxes(self):
        """1/3 to all of the area, aspect 3:4 to 4:3: read off ramps in x and y."""
        ramps = np.zeros((240, 240, 3), np.uint8)
        ramps[..., 0], ramps[..., 1] = np.arange(240), np.arange(240)[:, None]
        image, sizes, lefts = Image.fromarray(ramps), [], []
        for rng in rngs(400):
            crop = cut(SpotArtifacts(crop_size=48), image, rng, True).astype(float)
            x, y = crop[:, 4:-4, 0].mean(axis=0), crop[4:-4, :, 1].mean(axis=1)
            sizes.append((48 * abs(x[-1] - x[0]) / 39, 48 * (y[-1] - y[0]) / 39))
            lefts.append(x[0] > x[-1])
        width, height = np.array(sizes).T
        area, aspect = width * height / 240**2, width / height
        assert area.min() > 0.31 and area.max() < 1.04 and area.min() < 0.37 and area.max() > 0.9
        assert aspect.min() > 0.72 and aspect.max() < 1.38 and aspect.min() < 0.8 and aspect.max() > 1.25
        assert np.mean(lefts) == pytest.approx(0.5, abs=0.1), "half are mirrored"

    def test_both_filters(self):
        """Bicubic overshoots beside an edge, bilinear does not."""
        edge = np.full((40, 40, 3), 60, np.uint8)
        edge[:, 20:] = 180
        crops = [cut(SpotArtifacts(), Image.fromarray(edge), rng, True) for rng in rngs(200)]
        overshoots = [crop.max() > 180 for crop in crops if np.ptp(crop) > 100]
        assert np.mean(overshoots) == pytest.approx(0.5, abs=0.12)

    def test_evaluation_is_the_central_square(self):
        ramp = np.zeros((160, 220, 3), np.uint8)
        ramp[..., 0] = np.arange(220)
        crop = cut(SpotArtifacts(backbone="small", crop_size=136), Image.fromarray(ramp), None, False)
        np.testing.assert_allclose(crop[40, :, 0], 42 + np.arange(136), atol=1.01)

    @pytest.mark.parametrize("area, size", [((1 / 3, 1.0), 167), ((0.9, 1.0), 113)])
    def test_decoding_keeps_what_training_and_evaluation_need(self, area, size):
        assert SpotArtifacts(crop_area=area).min_size == size

    @pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.5, 4.0])
    def test_saturation(self, factor):
        x = np.random.default_rng(0).uniform(0, 1, (2, 5, 6, 3)).astype(np.float32)
        x[0, 0] = 0.4
        x[0, 1] = 0.0
        ours = adjust_saturation(tf.constant(x), tf.fill((2, 1, 1, 1), factor))
        np.testing.assert_allclose(ours, tf.image.adjust_saturation(x, factor), atol=1e-5)

    def test_each_image_has_its_own_color(self):
        x = np.random.default_rng(0).uniform(0.1, 0.9, (4, 5, 6, 3)).astype(np.float32)
        colors = np.array([NO_COLOR, [0.1, 1, 0], [0.1, 0.5, 1], [0.1, 0.5, 0]], np.float32)
        found = change_color(tf.constant(x), tf.constant(colors)).numpy()
        np.testing.assert_allclose(found[0], 2 * x[0] - 1, atol=1e-6)
        np.testing.assert_allclose(found[1], 2 * np.minimum(x[1] + 0.1, 1) - 1, atol=1e-5)
        first = 2 * tf.image.adjust_saturation(x[2] + 0.1, 0.5) - 1
        last = 2 * (tf.image.adjust_saturation(x[3], 0.5) + 0.1) - 1
        np.testing.assert_allclose(found[2], np.clip(first, -1, 1), atol=1e-5)
        np.testing.assert_allclose(found[3], np.clip(last, -1, 1), atol=1e-5)

    def test_drawn_colors(self):
        drawn = np.stack([draw_color(rng) for rng in rngs(500)])
        low, high = drawn.min(axis=0), drawn.max(axis=0)
        np.testing.assert_allclose(low[:2], [-32 / 255, 0.5], atol=0.01)
        np.testing.assert_allclose(high[:2], [32 / 255, 1.5], atol=0.01)
        assert drawn[:, 2].mean() == pytest.approx(0.5, abs=0.08), "either order"
        image, on = Image.new("RGB", (96, 96)), np.random.default_rng(0)
        assert (sample(image, on)[2] != NO_COLOR).any()
        for off in ({"color_jitter": False}, {"training": False}):
            np.testing.assert_array_equal(sample(image, np.random.default_rng(0), **off)[2], NO_COLOR)


class TestSettings:
    @pytest.mark.parametrize(
        "fields, message",
        [
            ({"crop_size": 100}, "multiple of 16"),
            ({"backbone": "small", "crop_size": 36}, "multiple of 8"),
            ({"crop_area": (0.5, 0.2)}, "crop_area"),
            ({"local_mean": 4}, "odd"),
            ({"theta": 1.0}, "theta"),
            ({"real": "true"}, "real"),
            ({"objective": "clean"}, "objective"),
            ({"crop_size": 32, "pool5": True}, "pool5"),
        ],
    )
    def test_wrong_values_are_one_line(self, fields, message):
        with pytest.raises(ConfigError, match=message) as error:
            SpotArtifacts(**fields)
        assert "\n" not in str(error.value)

    def test_paper_configuration_is_the_released_code(self):
        config = load_config("spot_artifacts/paper")
        assert config.method == SpotArtifacts(objective="confusion"), "the default is what the paper describes"
        settings = config.settings
        assert settings.batch_size == 256 and settings.epsilon == 1e-5 and settings.schedule == "linear"
        steps = settings.steps_per_epoch * settings.epochs * config.method.autoencoder_fraction
        assert steps == pytest.approx(195_250, rel=1e-3)

    @pytest.mark.parametrize("step, rate", [(0, 3e-4), (87_862, 1.515e-4), (175_725, 3e-6), (195_249, 3e-6)])
    def test_released_optimizer(self, step, rate):
        configured = build_optimizer(load_config("spot_artifacts/paper").settings, 195_250)
        for optimizer in (paper_optimizer(), configured):
            assert float(optimizer._learning_rate(step)) == pytest.approx(rate, rel=1e-3)
            assert optimizer.beta_1 == 0.5 and optimizer.epsilon == 1e-5

    def test_phases(self):
        method = SpotArtifacts(
            **{**SMALL.model_dump(), "autoencoder_fraction": 0.25, "autoencoder_learning_rate_scale": 3.0}
        )
        first, last = method.phases
        assert (first.name, first.fraction, first.learning_rate_scale) == ("autoencoder", 0.25, 3.0)
        assert (last.name, last.fraction, last.learning_rate_scale) == ("adversarial", 0.75, 1.0)
        assert first.baseline == pytest.approx(6.13, abs=0.01) and last.baseline == method.baseline
        autoencoder = first.model(keras.optimizers.Adam(1e-3), None)
        both = last.model(keras.optimizers.Adam(1e-3), autoencoder)
        batch = next(iter(method.dataset("builtin", batch_size=2)))
        for model in (autoencoder, both):
            assert np.isfinite(model.evaluate(*batch, verbose=0)).all()


class TestLearning:
    def train(self, model, start, steps):
        """Mean metrics over the first and the last five of some steps."""
        found = []
        for batch in SMALL.dataset(list(pictures(48)), batch_size=16, start=start, count=steps):
            model.reset_metrics()
            found.append(model.train_on_batch(*batch, return_dict=True))
        return ({name: np.mean([x[name] for x in part]) for name in found[0]} for part in (found[:5], found[-5:]))

    @pytest.mark.slow
    def test_autoencoder_and_each_network(self):
        """Either network wins against an opponent that does not learn; together they only show who is faster."""
        keras.utils.set_random_seed(0)
        autoencoder = SMALL.autoencoder(keras.optimizers.Adam(5e-3))
        first, last = self.train(autoencoder, 0, 60)
        assert last["loss"] < first["loss"] / 2
        alone = SpotArtifacts(**{**SMALL.model_dump(), "repair": False})
        first, last = self.train(alone.adversarial(keras.optimizers.Adam(1e-3), autoencoder), 60, 30)
        assert last["loss"] < min(0.7 * first["loss"], SMALL.baseline) and last["accuracy"] > 0.7
        against_none = SpotArtifacts(**{**SMALL.model_dump(), "discriminator_learning_rate_scale": 1e-9})
        first, last = self.train(against_none.adversarial(keras.optimizers.Adam(1e-3), autoencoder), 60, 30)
        assert last["intact_error"] < 0.9 * first["intact_error"]


class TestEvaluation:
    def test_writes_its_results(self, model, tmp_path):
        seen, data = [], list(pictures(5))
        record = SMALL.evaluate(model, data, out=tmp_path, limit=4, progress=lambda *done: seen.append(done))
        metrics = record.flat()
        assert metrics["images"] == 4 and record.skipped == {} and seen[-1] == (4, 4)
        stored = json.loads((tmp_path / "metrics.json").read_text())
        assert stored["metrics"]["loss"]["value"] == metrics["loss"] and stored["config"]["method"] == "spot_artifacts"
        with open(tmp_path / "per_image.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 4 and set(rows[0]) == set(COLUMNS)
        mean = np.mean([float(row["psnr_repaired"]) for row in rows])
        assert mean == pytest.approx(metrics["psnr_repaired"])
        assert (tmp_path / "sheet.png").stat().st_size > 1000
        again = SMALL.evaluate(model, data, limit=4, batch_size=3).flat()
        assert again["loss"] == pytest.approx(metrics["loss"], rel=1e-4), "batches change nothing"
        assert SMALL.evaluate(model, data, limit=4, seed=1)["psnr_damaged"].value != metrics["psnr_damaged"]

    def test_agrees_with_the_dataset(self, model):
        data = list(pictures(6))
        metrics = SMALL.evaluate(model, data).flat()
        shown = model.evaluate(SMALL.dataset(data, batch_size=6, training=False), verbose=0, return_dict=True)
        assert metrics["loss"] == pytest.approx(shown["loss"], rel=1e-4)
        assert metrics["accuracy"] == pytest.approx(shown["accuracy"], rel=1e-4)

    def test_known_answers(self):
        rows = [dict.fromkeys(COLUMNS[2:], 1.0) | {"status": "measured"} for _ in range(4)]
        for row, real, corrupt in zip(rows, (3.0, 1.0, -1.0, 2.0), (-2.0, 0.5, -3.0, -1.0), strict=True):
            row |= {"real_logit": real, "corrupt_logit": corrupt}
        omega = np.array([[1, 1, 0, 0]] * 4)
        found = spotting_metrics(rows, omega, np.array([[3.0, 1.0, 2.0, -4.0]] * 4), SMALL)
        assert found["accuracy_real"] == found["accuracy_corrupt"] == found["accuracy"] == 0.75
        assert found["auc"] == pytest.approx(14.5 / 16) and found["mask_auc"] == pytest.approx(0.75)
        assert found["mask_accuracy"] == 0.75 and found["mask_accuracy_constant"] == 0.5
        assert found["loss"] == pytest.approx(1.1) and found["chance"] == 0.5

    def test_signal_to_noise(self):
        x = np.zeros((1, 4, 4, 3))
        assert psnr(x, x + 0.2)[0] == pytest.approx(20) and psnr(x, x)[0] == 100
        assert np.isnan(area_under_curve(np.ones(4), np.arange(4)))

    def test_unreadable_images_are_named(self, model, tmp_path):
        for i, picture in enumerate(pictures(3)):
            Image.fromarray(picture).save(tmp_path / f"{i}.png")
        (tmp_path / "3_broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:200])
        record = SMALL.evaluate(model, str(tmp_path))
        assert record["images"].value == 3 and record["images_skipped"].value == 1
        assert [name.endswith("3_broken.png") for name in record.skipped] == [True]

    def test_wrong_use(self, model, tmp_path):
        with pytest.raises(ConfigError, match="`limit`"):
            SMALL.evaluate(model, "builtin", limit=0)
        (tmp_path / "broken.jpg").write_bytes(b"no picture")
        with pytest.raises(SourceError):
            SMALL.evaluate(model, str(tmp_path))

    def test_failed_training_is_named(self):
        model = SMALL.model()
        model.discriminator.get_layer("class").bias.assign([np.nan, np.nan])
        batch = next(iter(SMALL.dataset(list(pictures(2)), batch_size=2, training=False)))[0]
        with pytest.raises(ModelError, match="NaN"):
            judge(model, batch)

    def test_sheets_of_both_phases(self, model, tmp_path):
        for name, network in (("adversarial", model), ("autoencoder", SMALL.autoencoder())):
            SMALL.sample_sheet(network, "builtin", tmp_path / f"{name}.png")
            with Image.open(tmp_path / f"{name}.png") as sheet:
                assert sheet.height > 500 and sheet.width > 4 * 144
