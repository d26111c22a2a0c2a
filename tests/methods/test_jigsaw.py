"""The puzzle pipeline, settings, evaluation and images of the jigsaw method."""

import json
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.config import load_config
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import Jigsaw
from tfssl.methods.jigsaw import paper_optimizer
from tfssl.methods.jigsaw.data import crop, cut_puzzle, draw_corners, standardize, to_inputs
from tfssl.methods.jigsaw.evaluate import puzzle_metrics
from tfssl.methods.jigsaw.network import MEAN_COLOR, PIXEL_SCALE
from tfssl.ops.permutations import permutation_set
from tfssl.training.optimizers import build_optimizer

SMALL = {"backbone": "small", "permutations": 12, "fc6": 16, "fc7": 24, "dropout": 0.0}
TINY = Jigsaw(resize=64, crop_size=60, tile=16, channel_jitter=2, **SMALL)

FREE = {"normalization": "none", **SMALL}


def sampler(**fields):
    """The fields that cut a puzzle, smaller than those of a network have to be."""
    options = {
        "permutation_table": permutation_set(12), "resize": 256, "crop_size": 225, "crop_position": "random",
        "tile": 64, "channel_jitter": 0, "gray_fraction": 0.0, "projection_fraction": 0.0,
    }  # fmt: skip
    options |= fields
    return SimpleNamespace(cell=options["crop_size"] // 3, **options)


def noise(side=256, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def rngs(count):
    return [np.random.default_rng(seed) for seed in range(count)]


class TestTiles:
    @pytest.mark.parametrize("crop_size, room", [(225, 11), (255, 21)])
    @pytest.mark.parametrize("jitter", [0, 2])
    def test_offsets_and_gaps(self, crop_size, room, jitter):
        """Card: offsets 0 ... 11 or 21; gaps between neighbors 0 ... 22 or 42, 11 or 21 on average."""
        cell, tile = crop_size // 3, 64
        draw = sampler(crop_size=crop_size, channel_jitter=jitter)
        corners = np.stack([draw_corners(draw, rng.random(72)) for rng in rngs(1500)]).reshape(-1, 3, 3, 3, 2)
        rows, columns = np.divmod(np.arange(9), 3)
        origins = cell * np.stack([rows, columns], axis=-1).reshape(3, 3, 1, 2)
        offsets = corners - origins
        assert offsets.min() == 0 and offsets.max() == room
        gaps = np.concatenate([
            (corners[:, 1:, ..., 0] - corners[:, :-1, ..., 0] - tile).ravel(),
            (corners[:, :, 1:, :, 1] - corners[:, :, :-1, :, 1] - tile).ravel(),
        ])  # fmt: skip
        assert gaps.min() >= 0 and gaps.max() <= 2 * room
        assert gaps.max() > 1.9 * room
        assert gaps.mean() == pytest.approx(room, abs=0.1)
        if jitter == 0:
            assert np.bincount(offsets[..., 0, :].ravel()).min() > 0, "every offset occurs"

    def test_slots_follow_the_permutation(self):
        """An image whose cell k has the value k: slot i holds the value H[i]."""
        values = np.repeat(np.repeat(np.arange(9, dtype=np.uint8).reshape(3, 3), 20, axis=0), 20, axis=1)
        picture = Image.fromarray(np.repeat(values[..., None], 3, axis=-1))
        method = Jigsaw(
            resize=60, crop_size=60, tile=16, channel_jitter=0, normalization="none", gray_fraction=0.0, **SMALL
        )
        table = method.permutation_table
        batch = method.dataset([np.asarray(picture)] * 24, batch_size=24)
        tiles, labels = next(iter(batch))
        levels = tiles.numpy() * PIXEL_SCALE + np.array(MEAN_COLOR)
        for puzzle, label in zip(levels, labels.numpy(), strict=True):
            for slot in range(9):
                np.testing.assert_allclose(puzzle[slot], table[label, slot], atol=1e-4)
        assert len(set(labels.numpy().tolist())) > 6

    def test_labels_are_uniform(self):
        draw = sampler(crop_size=24, resize=24, tile=3)
        picture = noise(24)
        labels = [int(cut_puzzle(draw, picture, rng)[1]) for rng in rngs(1200)]
        counts = np.bincount(labels, minlength=12)
        assert counts.sum() == 1200 and np.square(counts - 100).sum() / 100 < 31.3  # chi-squared, 11 degrees, 0.1 %

    def test_every_image_gets_new_puzzles(self):
        data = [np.asarray(noise(64, seed)) for seed in range(4)]
        first, second = (list(TINY.dataset(data, batch_size=4, start=s, count=1)) for s in (0, 1))
        assert (first[0][1].numpy() != second[0][1].numpy()).any()

    def test_random_and_central_crop(self):
        ramp = np.zeros((100, 300, 3), np.uint8)
        ramp[..., 0] = np.arange(300) % 256
        image = Image.fromarray(ramp)
        lefts = {int(crop(sampler(resize=100, crop_size=90), image, rng.random(2))[0, 0, 0]) for rng in rngs(60)}
        assert min(lefts) <= 10 and max(lefts) >= 200 and len(lefts) > 30, "anywhere in the image"
        central = sampler(resize=100, crop_size=90, crop_position="center")
        assert {int(crop(central, image, rng.random(2))[0, 0, 0]) for rng in rngs(5)} == {105}

    @pytest.mark.parametrize("size", [(64, 64), (500, 300), (200, 331)])
    def test_any_image_is_scaled_to_the_crop(self, size):
        picture = Image.new("RGB", size, (10, 20, 30))
        tiles, label, projected = cut_puzzle(sampler(tile=60), picture, np.random.default_rng(0))
        assert tiles.shape == (9, 60, 60, 3) and tiles.dtype == np.uint8
        assert label.dtype == np.int32 and projected.dtype == bool
        assert (tiles == [10, 20, 30]).all()


class TestColor:
    def test_gray_puzzles_have_equal_channels(self):
        tiles, _, _ = cut_puzzle(sampler(gray_fraction=1.0, channel_jitter=2), noise(), np.random.default_rng(0))
        assert (tiles == tiles[..., :1]).all() and tiles.std() > 10
        flat = Image.new("RGB", (256, 256), (30, 60, 93))
        assert (cut_puzzle(sampler(gray_fraction=1.0), flat, np.random.default_rng(0))[0] == 61).all()

    def test_share_of_gray(self):
        draw = sampler(crop_size=24, resize=24, tile=6, gray_fraction=0.3)
        picture = noise(24)
        gray = [np.ptp(cut_puzzle(draw, picture, rng)[0], axis=-1).max() == 0 for rng in rngs(2000)]
        assert np.mean(gray) == pytest.approx(0.3, abs=0.035)  # over three standard errors

    @pytest.mark.parametrize("axis", [0, 1])
    def test_channels_are_shifted_by_whole_pixels(self, axis):
        ramp = np.broadcast_to(np.arange(225, dtype=np.uint8).reshape((-1, 1) if axis == 0 else (1, -1)), (225, 225))
        picture = Image.fromarray(np.repeat(ramp[..., None], 3, axis=-1))
        draw = sampler(resize=225, channel_jitter=2)
        seen = set()
        for rng in rngs(20):
            tiles = cut_puzzle(draw, picture, rng)[0].astype(int)
            for first, second in ((0, 1), (1, 2), (0, 2)):
                difference = tiles[..., first] - tiles[..., second]
                assert (difference == difference[:, :1, :1]).all(), "one shift for the whole tile"
                seen |= set(difference[:, 0, 0].tolist())
        assert seen == {-2, -1, 0, 1, 2}

    def test_projection_takes_out_green_magenta(self):
        tiles = tf.random.stateless_uniform((2, 9, 4, 4, 3), (1, 2), 0, 255)
        plain = SimpleNamespace(projection_fraction=0.5, normalization="none")
        result = to_inputs(plain, tiles, tf.constant([True, False])).numpy() * PIXEL_SCALE + np.array(MEAN_COLOR)
        np.testing.assert_allclose(result[0] @ [-1, 2, -1], 0, atol=1e-3)
        np.testing.assert_allclose(
            result[0], tiles[0].numpy() @ (np.array([[5, 2, -1], [2, 2, 2], [-1, 2, 5]]) / 6), atol=1e-3
        )
        np.testing.assert_allclose(result[1], tiles[1], atol=1e-3)

    def test_share_of_projection(self):
        draw = sampler(crop_size=24, resize=24, tile=6, gray_fraction=0.5, projection_fraction=0.5)
        picture = noise(24)
        marked = [bool(cut_puzzle(draw, picture, rng)[2]) for rng in rngs(2000)]
        assert np.mean(marked) == pytest.approx(0.25, abs=0.03)
        data = [np.asarray(noise(64))] * 8
        plain = Jigsaw(resize=64, crop_size=60, tile=16, gray_fraction=0.0, normalization="none", **SMALL)
        all_projected = Jigsaw(**{**plain.model_dump(), "projection_fraction": 1.0})
        (a, _), (b, _) = (next(iter(m.dataset(data, batch_size=8, start=0, count=1))) for m in (plain, all_projected))
        levels = b.numpy() * PIXEL_SCALE + np.array(MEAN_COLOR)
        np.testing.assert_allclose(levels @ [-1, 2, -1], 0, atol=1e-3)
        assert np.abs(a.numpy() - b.numpy()).max() > 0.1


class TestNormalization:
    def tiles(self):
        rng = np.random.default_rng(0)
        levels = rng.integers(0, 256, (3, 9, 28, 28, 3)).astype(np.float32)
        levels[1] = 200 + levels[1] // 64  # little contrast
        levels[2, 4] = 255.0  # flat
        return levels

    def test_each_channel_of_each_tile(self):
        result = standardize(tf.constant(self.tiles()), "channel").numpy()
        assert np.abs(result.mean(axis=(2, 3), dtype=np.float64)).max() < 1e-5
        deviations = result.std(axis=(2, 3), dtype=np.float64)
        np.testing.assert_allclose(np.delete(deviations.reshape(27, 3), 22, axis=0), 1, atol=1e-5)
        assert (result[2, 4] == 0).all(), "a flat tile is zero, not NaN"

    def test_each_tile(self):
        levels = self.tiles() * np.float32([1.0, 0.5, 0.25])
        result = standardize(tf.constant(levels), "tile").numpy()
        assert np.abs(result.mean(axis=(2, 3, 4), dtype=np.float64)).max() < 1e-4
        np.testing.assert_allclose(result[:2].std(axis=(2, 3, 4), dtype=np.float64), 1, atol=1e-4)
        assert np.abs(result[0].mean(axis=(1, 2))).max() > 0.1, "channels keep their differences"

    def test_none_is_the_same_for_all(self):
        levels = self.tiles()
        expected = (levels - np.array(MEAN_COLOR)) / PIXEL_SCALE
        np.testing.assert_allclose(standardize(tf.constant(levels), "none"), expected, atol=1e-5)

    def test_dataset_standardizes(self):
        tiles, labels = next(iter(TINY.dataset("builtin", batch_size=3)))
        assert tiles.shape == (3, 9, 16, 16, 3) and tiles.dtype == tf.float32 and labels.dtype == tf.int32
        contrast = tiles.numpy().std(axis=(2, 3)) > 0
        np.testing.assert_allclose(tiles.numpy().std(axis=(2, 3))[contrast], 1, atol=1e-3)


class TestSettings:
    def test_both_variants(self):
        assert Jigsaw().cell == 75
        released = Jigsaw(crop_size=255, crop_position="center", gray_fraction=0.5, projection_fraction=0.5, fc6=1024)
        assert released.cell == 85

    def test_guards_can_be_switched_off(self):
        off = Jigsaw(
            resize=60, crop_size=60, tile=20, channel_jitter=0, normalization="none", gray_fraction=0.0, **SMALL
        )
        picture = noise(60)
        tiles, label, _ = cut_puzzle(off, picture, np.random.default_rng(0))
        cells = off.permutation_table[label]
        whole = np.zeros((60, 60, 3), np.uint8)
        for tile, cell in zip(tiles, cells.tolist(), strict=True):
            row, column = divmod(cell, 3)
            whole[20 * row : 20 * row + 20, 20 * column : 20 * column + 20] = tile
        np.testing.assert_array_equal(whole, np.asarray(picture), err_msg="without gap the tiles make up the image")

    @pytest.mark.parametrize(
        "fields, message",
        [
            ({"tile": 74}, "must fit into a cell of 75"),
            ({"tile": 75}, "channel_jitter=2"),
            ({"crop_size": 224}, "crop_size"),
            ({"resize": 200}, "resize"),
            ({"tile": 16}, "at least 23"),
            ({"permutations": 1}, "permutations"),
            ({"gray_fraction": 1.5}, "gray_fraction"),
            ({"normalization": "batch"}, "normalization"),
        ],
    )
    def test_wrong_values_are_one_line(self, fields, message):
        with pytest.raises(ConfigError, match=message) as error:
            Jigsaw(**fields)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("kind", ["max_min", "middle", "min"])
    def test_other_sets(self, kind):
        method = Jigsaw(permutations=20, permutation_set=kind, permutation_seed=4)
        np.testing.assert_array_equal(method.permutation_table, permutation_set(20, kind, seed=4))

    def test_set_from_a_file(self, tmp_path):
        file = tmp_path / "released.npy"
        np.save(file, permutation_set(30, seed=9) + 1)
        method = Jigsaw(permutations=30, permutation_set=str(file))
        np.testing.assert_array_equal(method.permutation_table, permutation_set(30, seed=9))
        with pytest.raises(ConfigError, match="`permutations` must be 30"):
            _ = Jigsaw(permutations=100, permutation_set=str(file)).permutation_table
        with pytest.raises(ConfigError, match="cannot be read"):
            Jigsaw(permutation_set="max-mean").dataset("builtin", batch_size=1)

    @pytest.mark.parametrize(
        "step, rate", [(0, 0.01), (99_999, 0.01), (100_000, 1e-3), (200_000, 1e-4), (300_000, 1e-5)]
    )
    def test_learning_rate(self, step, rate):
        schedule = paper_optimizer()._learning_rate
        assert float(schedule(step)) == pytest.approx(rate)
        settings = load_config("jigsaw/paper").settings
        configured = build_optimizer(settings, settings.steps_per_epoch * settings.epochs)
        assert float(configured._learning_rate(step)) == pytest.approx(rate)

    def test_solver(self):
        optimizer = paper_optimizer()
        assert optimizer.momentum == 0.9 and optimizer.weight_decay == 5e-4
        network = TINY.model()
        network.optimizer.build(network.trainable_variables)
        decayed = {v.path for v in network.trainable_variables if network.optimizer._use_weight_decay(v)}
        assert decayed and all(path.endswith("kernel") for path in decayed)

    def test_paper_configuration_is_the_default(self):
        config = load_config("jigsaw/paper")
        assert config.method == Jigsaw()
        assert config.settings.steps_per_epoch * config.settings.epochs == 350_000
        assert config.settings.batch_size == 256


class TestEvaluation:
    def test_metrics_of_known_answers(self):
        table = permutation_set(9)  # all nine places differ between any two
        labels = np.arange(9).repeat(2)
        right = np.eye(9)[labels] * 50.0
        solved = puzzle_metrics(right, labels, table)
        assert solved["accuracy"] == solved["tile_accuracy"] == solved["at_distance_0"] == 1.0
        assert solved["loss"] == pytest.approx(0.0, abs=1e-12) and solved["accuracy_over_chance"] == pytest.approx(9)
        assert math.isnan(solved["distance_wrong"])
        wrong = puzzle_metrics(np.roll(right, 1, axis=1), labels, table)
        assert wrong["accuracy"] == wrong["tile_accuracy"] == 0.0 and wrong["distance"] == 9.0
        assert wrong["loss"] == pytest.approx(50.0)
        second = puzzle_metrics(np.roll(right, 1, axis=1) + right / 2, labels, table)
        assert second["accuracy"] == 0.0 and second["accuracy_top5"] == 1.0
        assert second["loss"] == pytest.approx(25.0)
        guess = puzzle_metrics(np.zeros((18, 9)), labels, table)
        assert guess["loss"] == pytest.approx(math.log(9)) == guess["baseline"]
        for name in ("chance", "tile_chance", "at_distance_0_chance"):
            assert guess[name] == pytest.approx(1 / 9), name
        assert guess["accuracy_top5"] == pytest.approx(5 / 9), "equal scores win nothing"
        assert guess["distance_chance"] == pytest.approx(8.0)

    def test_chance_of_random_answers(self):
        rng = np.random.default_rng(0)
        table, labels = permutation_set(64), rng.integers(0, 64, 20_000)
        found = puzzle_metrics(rng.normal(size=(20_000, 64)), labels, table)
        assert found["accuracy"] == pytest.approx(1 / 64, abs=0.003)
        assert found["tile_accuracy"] == pytest.approx(found["tile_chance"], abs=0.003)
        assert found["distance"] == pytest.approx(found["distance_chance"], abs=0.03)
        assert sum(found[f"at_distance_{d}"] for d in range(10)) == pytest.approx(1)
        assert sum(found[f"at_distance_{d}_chance"] for d in range(10)) == pytest.approx(1)

    def test_evaluate_writes_its_results(self, tmp_path):
        keras.utils.set_random_seed(0)
        model, seen = TINY.model(), []
        images = [np.asarray(noise(64, seed)) for seed in range(5)]
        record = TINY.evaluate(
            model, images, out=tmp_path, limit=4, repeats=3, progress=lambda *done: seen.append(done)
        )
        metrics = record.flat()
        assert metrics["puzzles"] == 12 and metrics["images"] == 4 and seen[-1] == (12, 12)
        assert record.skipped == {} and metrics["chance_accuracy"] == pytest.approx(1 / 12)
        stored = json.loads((tmp_path / "metrics.json").read_text())
        assert stored["metrics"]["loss"]["value"] == metrics["loss"] and stored["config"]["method"] == "jigsaw"
        assert stored["metrics"]["loss"]["baselines"] == {"guessing": pytest.approx(math.log(12))}
        assert (tmp_path / "sheet.png").stat().st_size > 1000
        assert TINY.evaluate(model, images, limit=4, repeats=3)["loss"].value == pytest.approx(
            metrics["loss"], rel=1e-5
        )

    def test_wrong_use(self, tmp_path):
        with pytest.raises(ConfigError, match="`repeats`"):
            TINY.evaluate(None, "builtin", repeats=0)
        with pytest.raises(ConfigError, match="`limit`"):
            TINY.evaluate(None, "builtin", limit=0)
        (tmp_path / "broken.jpg").write_bytes(b"no image")
        with pytest.raises(SourceError):
            TINY.evaluate(None, str(tmp_path))

    def test_sheet_shows_the_task(self, tmp_path):
        TINY.sample_sheet(TINY.model(), "builtin", tmp_path / "sheet.png")
        with Image.open(tmp_path / "sheet.png") as sheet:
            assert sheet.width > 600 and sheet.height > 600
            colors = {color for _, color in sheet.convert("RGB").getcolors(1 << 24)}
        assert (210, 40, 40) in colors, "an untrained network has wrong tiles"
