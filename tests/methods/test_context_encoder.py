"""Settings, examples and baseline of the context encoder."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.config import load_config
from tfssl.errors import ConfigError
from tfssl.methods import ContextEncoder
from tfssl.methods.context_encoder.data import load_shapes, to_example
from tfssl.methods.context_encoder.loss import MaskedL2
from tfssl.ops.masks import FILL, center_mask

SMALL = {"network": "small", "resize": 40, "crop_size": 32, "overlap": 2}
PHOTOS = [np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8) for seed in range(6)]


def method(mask="blocks", **fields):
    return ContextEncoder(mask=mask, **{**SMALL, **fields})


def batch(configured, number=0, **options):
    data = configured.dataset(PHOTOS, batch_size=3, start=number, count=1, **options)
    return [part.numpy() for part in next(iter(data))]


class TestExamples:
    def test_fill_has_the_right_channel_order(self):
        """ImageNet's mean color is R 123, G 117, B 104; card: the same in [-1, 1]."""
        assert pytest.approx((-0.03529, -0.08235, -0.18431), abs=1e-5) == FILL

    @pytest.mark.parametrize("mask", ["center", "blocks", "regions", "pattern"])
    def test_dropped_pixels_have_the_mean_color_and_others_their_own(self, mask):
        configured = method(mask, crop_size=64, resize=64) if mask == "pattern" else method(mask)
        inputs, targets = batch(configured)
        side, part = configured.crop_size, slice(None)
        if not configured.whole:
            part = slice(side // 4, side // 4 + side // 2)
        seen = inputs[:, part, part]
        assert seen.shape[:3] == targets.shape[:3] and targets.shape[-1] == 4
        hole = targets[..., 3] == 1
        assert set(np.unique(targets[..., 3])) == {0.0, 1.0}
        np.testing.assert_array_equal(seen[hole], np.broadcast_to(np.float32(FILL), seen[hole].shape))
        np.testing.assert_array_equal(seen[~hole], targets[..., :3][~hole])
        assert np.abs(targets[..., :3][hole] - np.float32(FILL)).mean() > 0.1, "targets are not masked"

    def test_central_target_is_the_middle(self):
        pixels = tf.constant(PHOTOS[0][None, :32, :32])
        inputs, targets = to_example(pixels, tf.constant(center_mask(32, 2)[None]), whole=False)
        np.testing.assert_allclose(targets[0, ..., :3], PHOTOS[0][8:24, 8:24] / 127.5 - 1, atol=1e-6)
        assert targets[0, ..., 3].numpy().sum() == 12 * 12
        assert (inputs.numpy() == np.float32(FILL)).all(-1).sum() == 12 * 12

    def test_masks_differ_between_images_or_are_shared_by_a_batch(self):
        own, shared = (batch(method(mask_per=per))[1][..., 3] for per in ("image", "batch"))
        assert (own[0] != own[1]).any() and (own[1] != own[2]).any()
        assert (shared == shared[:1]).all() and shared.any()
        assert (batch(method(mask_per="batch"), 1)[1][..., 3] != shared).any(), "another batch, another mask"

    @pytest.mark.parametrize("per", ["image", "batch"])
    def test_stream_is_the_same_from_any_start(self, per):
        configured = method(mask_per=per)
        several = list(configured.dataset(PHOTOS, batch_size=3, start=0, count=4, seed=3))
        for ours, theirs in zip(batch(configured, 2, seed=3), several[2], strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_evaluation_is_always_the_same(self):
        first, second = (
            [part.numpy() for part in next(iter(method().dataset(PHOTOS, batch_size=n, training=False)))]
            for n in (3, 6)
        )
        for ours, theirs in zip(first, second, strict=True):
            np.testing.assert_array_equal(ours, theirs[:3])
        np.testing.assert_allclose(second[1][0, ..., :3], PHOTOS[0][4:36, 8:40] / 127.5 - 1, atol=0.02)


class TestShapes:
    @pytest.fixture
    def folder(self, tmp_path):
        """Masks as PASCAL VOC has them: indexed, 255 around objects."""
        numbers = np.zeros((100, 300), np.uint8)
        numbers[20:60, 30:80], numbers[10:90, 150:260], numbers[15:20, 30:80] = 3, 7, 255
        image = Image.fromarray(numbers, "P")
        image.putpalette([255, 0, 0] * 256)
        (tmp_path / "sub").mkdir()
        image.save(tmp_path / "sub" / "a.png")
        return tmp_path

    def test_one_for_each_class(self, folder):
        shapes = load_shapes(str(folder))
        assert [shape.shape for shape in shapes] == [(40, 50), (80, 110)]
        assert all(shape.all() for shape in shapes)

    def test_are_used(self, folder):
        masks = batch(method("regions", shapes=str(folder)))[1][..., 3]
        assert masks.mean() < 0.25 and (masks != batch(method("regions"))[1][..., 3]).any()

    def test_empty_or_missing_folder(self, tmp_path):
        with pytest.raises(ConfigError, match="no object in the PNG files"):
            load_shapes(str(tmp_path))
        with pytest.raises(ConfigError, match="must be a folder"):
            load_shapes(str(tmp_path / "none"))


class TestSettings:
    @pytest.mark.parametrize(
        "fields, message",
        [
            ({"crop_size": 96}, "`crop_size` must be 128"),
            ({"network": "small", "crop_size": 72}, "multiple of 16"),
            ({"network": "features", "crop_size": 64, "reconstruction_weight": 1}, "at least 67"),
            ({"network": "features", "crop_size": 227}, "without discriminator"),
            ({"resize": 100}, "`resize` must be at least crop_size"),
            ({"overlap": 32}, "`overlap` leaves nothing"),
            ({"shapes": "voc"}, "`shapes` needs mask='regions'"),
            ({"mask": "middle"}, "`mask`"),
        ],
    )
    def test_wrong_ones_are_named(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            ContextEncoder(**fields)

    def test_random_masks_as_in_the_released_command(self):
        """useOverlapPred=0: the plain mean square error of the whole image, one mask for a batch."""
        config = load_config("context_encoder/random")
        random = config.method
        assert (random.mask, random.mask_per, random.whole, random.visible_weight) == ("pattern", "batch", True, 1.0)
        assert random == ContextEncoder(mask="pattern", mask_per="batch", visible_weight=1.0)
        truth = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 4)).astype("float32")
        truth[..., 3] = truth[..., 3] > 0
        loss = MaskedL2(random.visible_weight)(truth, truth[..., :3] + 0.1)
        assert float(loss) == pytest.approx(0.01, rel=1e-5)
        center = load_config("context_encoder/paper")
        assert config.settings == center.settings and center.method.visible_weight == 10

    def test_configurations(self):
        cpu, paper, features = (load_config(f"context_encoder/{n}").method for n in ("cpu", "paper", "features"))
        assert cpu.network == "small" and cpu.adversarial
        assert paper == ContextEncoder(), "the defaults are the paper's"
        assert (features.network, features.crop_size, features.adversarial) == ("features", 227, False)

    @pytest.mark.parametrize("fields", [{"mask": "center"}, {"mask": "blocks"}, {"mask": "regions"}])
    def test_baseline_is_the_loss_of_the_mean_color(self, fields):
        """On images whose pixels differ from the mean color as much as those of photographs do."""
        configured = method(**fields, reconstruction_weight=1.0)
        far = np.sqrt(0.31)
        data = configured.dataset(PHOTOS, batch_size=6, training=False)
        targets = next(iter(data))[1].numpy()
        targets[..., :3] = np.float32(FILL) + far
        predicted = np.broadcast_to(np.float32(FILL), targets[..., :3].shape)
        loss = float(MaskedL2(configured.visible_weight)(targets, predicted))
        assert configured.baseline == pytest.approx(loss, rel=0.05)
        joint = method(**fields).baseline
        assert joint == pytest.approx(0.999 * configured.baseline + 0.001 * np.log(2))
