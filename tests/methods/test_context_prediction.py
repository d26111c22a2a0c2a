"""Configuration, sampling and preparation of patches for context prediction."""

import math

import numpy as np
import pytest
from PIL import Image

from tfssl.data.builtin import builtin_photographs
from tfssl.data.examples import Skipped
from tfssl.errors import ConfigError
from tfssl.methods import ContextPrediction
from tfssl.methods.context_prediction.data import cut_patches, draw_grids, draw_size, draw_starts, prepare, to_batch
from tfssl.ops.patches import OFFSETS, projection_matrix

SMALL = {
    "patch_size": 24, "gap": 12, "jitter": 2, "area": (9_400, 28_000), "patches_per_image": 24, "downsample_size": 3,
    "backbone": "small", "embedding": 16, "head": (16, 16),
}  # fmt: skip


def coordinates(width, height):
    """An image whose red is x and whose green is y."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8))


def small(**fields):
    return ContextPrediction(**{**SMALL, **fields})


def cut(image, seed=0, training=True, colors=None, **fields):
    return cut_patches(small(**fields), image, np.random.default_rng(seed), training, colors)


@pytest.mark.parametrize(
    "fields, name",
    [
        ({"area": (1000, 20_000)}, "area"),  # 247 x 247 do not fit
        ({"area": (450_000, 150_000)}, "area"),
        ({"downsample_size": 95}, "downsample_size"),
        ({"jitter": 25}, "jitter"),
        ({"head": (0, 8)}, "head"),
        ({"color": "gray"}, "color"),
        ({"rms": -1}, "rms"),
    ],
)
def test_wrong_fields_name_themselves(fields, name):
    with pytest.raises(ConfigError, match=name) as caught:
        ContextPrediction(**fields)
    assert "\n" not in str(caught.value)


def test_defaults_are_the_papers():
    method = ContextPrediction()
    assert (method.patch_size, method.gap, method.jitter, method.area) == (96, 48, 7, (150_000, 450_000))
    assert method.baseline == pytest.approx(2.0794415)


def test_sizes_keep_the_aspect_and_leave_room_for_a_grid():
    method, rng = ContextPrediction(), np.random.default_rng(0)
    areas = []
    for _ in range(500):
        width, height = draw_size(method, 640, 480, rng)
        areas.append(width * height)
        assert width / height == pytest.approx(4 / 3, rel=0.01)
    assert 148_000 < min(areas) < 160_000 and 440_000 < max(areas) <= 450_000
    assert np.mean(areas) == pytest.approx(300_000, rel=0.03)
    assert (
        min(min(draw_size(method, 2000, 500, rng)) for _ in range(500)) > 247
    )  # the smallest areas would be too narrow


def test_narrow_images_do_not_serve():
    with pytest.raises(ValueError, match="800x100 is too narrow"):
        ContextPrediction().sample({"image": Image.new("RGB", (800, 100))}, np.random.default_rng(0), True)


def test_grids_follow_one_another_until_there_are_enough_patches():
    for seed in range(20):
        positions, pairs, labels = draw_grids(ContextPrediction(), 640, 480, np.random.default_rng(seed))
        assert positions.shape == (48, 2) and (positions >= 0).all() and (positions <= [544, 384]).all()
        step = positions[pairs[:, 1]] - positions[pairs[:, 0]]
        expected = 144 * np.array(OFFSETS)[labels]
        assert np.abs(step - expected).max() <= 14  # jitter of both; clamping only moves patches less
        assert len(np.unique(pairs, axis=0)) == len(pairs)
        assert 3.5 * 48 < len(pairs) < 4.9 * 48


@pytest.mark.parametrize("seed", range(5))
def test_labels_tell_where_the_second_patch_lies(seed):
    image = coordinates(160, 120)
    options = {"area": (160 * 120, 160 * 120), "color": "none"}  # no scaling, no blur, no noise
    planes, _, _, pairs, labels = cut(image, seed, training=False, **options)
    where = planes[:, :2].mean(axis=(2, 3)) - 11.5  # left, top
    valid = labels >= 0
    step = where[pairs[valid, 1]] - where[pairs[valid, 0]]
    assert np.abs(step - 36 * np.array(OFFSETS)[labels[valid]]).max() <= 4
    np.testing.assert_array_equal(planes[0, 0], np.tile(planes[0, 0, 0], (24, 1)))


def test_pairs_are_filled_up_or_drawn():
    image = coordinates(160, 120)
    *_, pairs, labels = cut(image)
    count = int((labels >= 0).sum())
    assert pairs.shape == (6 * 24, 2) and (labels[count:] == -1).all()
    np.testing.assert_array_equal(pairs[count:], pairs[: 6 * 24 - count])
    many = {"area": (180 * 180, 180 * 180), "patch_size": 12, "gap": 6, "jitter": 0, "patches_per_image": 100}
    *_, pairs, labels = cut(Image.new("RGB", (180, 180)), seed=1, **many)
    assert pairs.shape == (600, 2) and (labels >= 0).all()  # 10 x 10 patches have 684 pairs
    assert len(np.unique(pairs, axis=0)) == 600


def test_an_example_follows_from_its_generator():
    image = Image.open(builtin_photographs()[0]).convert("RGB")
    first, again, other = (cut(image, seed) for seed in (5, 5, 6))
    for ours, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, same)
    assert (first[0] != other[0]).any() and (first[3] != other[3]).any()
    shapes = [((24, 24, 24), np.uint8), ((24,), np.int32), ((24,), np.int32), ((144, 2), np.int32), ((144,), np.int32)]
    assert [(array.shape, array.dtype) for array in first] == shapes


def test_a_third_of_the_training_patches_is_blurred():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))
    fields = {"area": (160 * 120, 160 * 120), "color": "none"}
    changed = []
    for seed in range(60):
        blurred, sharp = (cut(noise, seed, training, **fields)[0] for training in (True, False))
        changed.extend((blurred != sharp).any(axis=(1, 2, 3)))
        assert blurred.std(axis=(2, 3)).mean() < sharp.std(axis=(2, 3)).mean()
    assert np.mean(changed) == pytest.approx(0.33, abs=0.04)


@pytest.fixture(scope="module")
def colored():
    """Patches of a photograph, uint8 (24, 24, 24, 3)."""
    image = Image.open(builtin_photographs()[1]).convert("RGB")
    planes, *_ = cut(image, training=False, colors=True)
    return planes.transpose(0, 2, 3, 1)


KEPT = np.arange(24) % 3


def drop(patches, kept=KEPT, *, noise="code", rms=50.0, seed=0):
    planes = np.take_along_axis(patches, kept[:, None, None, None], axis=3)[..., 0]
    starts = draw_starts(np.random.default_rng(seed), len(patches), patches.shape[1])
    return prepare(planes, kept, starts, color="dropping", noise=noise, rms=rms)


def keep(patches, color):
    return prepare(patches.transpose(0, 3, 1, 2), None, None, color=color, noise="code", rms=50.0)


@pytest.mark.parametrize("training", [True, False])
def test_one_channel_is_that_of_the_patch_in_color(training):
    image = Image.open(builtin_photographs()[1]).convert("RGB")
    planes, kept, *others = cut(image, training=training)
    colors, *again = cut(image, training=training, colors=True)
    for ours, theirs in zip([kept, *others], again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.abs(planes.astype(int) - colors[np.arange(24), kept]).max() <= 1  # rounding of blurred ones


@pytest.mark.parametrize("color", ["dropping", "projection", "none"])
def test_dataset_prepares_what_is_cut(color):
    method = small(color=color)
    image = np.asarray(Image.open(builtin_photographs()[1]).convert("RGB").resize((160, 120)))
    (inputs, labels), *_ = method.dataset(image[None], batch_size=1, training=False)
    rng = np.random.default_rng((0, 1, 0))
    planes, kept, starts, pairs, expected = cut_patches(method, Image.fromarray(image), rng, training=False)
    patches = to_batch(method, planes[None], kept[None], starts[None])
    np.testing.assert_allclose(inputs["patches"], patches, atol=1e-4)
    np.testing.assert_array_equal(inputs["pairs"][0], pairs)
    np.testing.assert_array_equal(labels[0], expected)


def test_color_dropping(colored):
    x = drop(colored)
    np.testing.assert_allclose(np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=(1, 2, 3))), 50, atol=1e-3)
    deviation = x.std(axis=(1, 2))
    assert (np.sort(deviation, axis=1)[:, 1] < 0.5 * deviation.max(axis=1)).all(), "one channel has the variance"
    np.testing.assert_array_equal(np.argmax(deviation, axis=1), KEPT)
    for patch, channel, original in zip(x, KEPT, colored, strict=True):
        assert patch[..., channel].mean() == pytest.approx(0, abs=1e-3)
        seen = np.corrcoef(patch[..., channel].ravel(), original[..., channel].ravel())[0, 1]
        assert seen == pytest.approx(1, abs=1e-5)
        assert abs(np.corrcoef(patch[..., channel - 1].ravel(), original[..., channel - 1].ravel())[0, 1]) < 0.25


def test_noise_of_the_code_and_of_the_paper(colored):
    others = ~np.eye(3, dtype=bool)[KEPT]  # (P, 3)
    code = drop(colored, rms=None).transpose(0, 3, 1, 2)
    assert np.abs(code[others]).max() <= 0.5
    assert code[others].std() == pytest.approx(1 / math.sqrt(12), rel=0.02)
    paper = drop(colored, rms=None, noise="paper").transpose(0, 3, 1, 2)
    fraction = paper[others].reshape(24, -1).std(axis=1) / paper[~others].reshape(24, -1).std(axis=1)
    assert fraction.mean() == pytest.approx(0.01, rel=0.02)
    np.testing.assert_array_equal(code[~others], paper[~others])


def test_noise_is_new_in_each_patch_and_draw(colored):
    same = np.repeat(colored[:1], 24, axis=0)
    noise = drop(same, np.zeros(24, int), rms=None)[..., 1].reshape(24, -1)
    again = drop(same, np.zeros(24, int), rms=None, seed=1)[..., 1].reshape(24, -1)
    correlation = np.corrcoef(np.concatenate([noise, again]))[np.triu_indices(48, 1)]
    assert np.abs(correlation).max() < 0.25 and abs(correlation.mean()) < 0.01


@pytest.mark.parametrize("color", ["projection", "none"])
def test_all_channels_stay(colored, color):
    x = keep(colored, color)
    np.testing.assert_allclose(np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=(1, 2, 3))), 50, atol=1e-3)
    np.testing.assert_allclose(x.mean(axis=(1, 2)), 0, atol=1e-3)
    pixels = colored.astype(np.float64)
    pixels = pixels @ projection_matrix() if color == "projection" else pixels
    pixels = pixels - pixels.mean(axis=(1, 2), keepdims=True)
    scale = 50 / np.sqrt(np.mean(pixels**2, axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(x, pixels * scale, atol=2e-3)


@pytest.mark.parametrize("color", ["dropping", "projection", "none"])
@pytest.mark.parametrize("noise", ["code", "paper"])
def test_flat_patches_stay_finite(color, noise):
    flat = np.full((2, 24, 24, 3), 90, np.uint8)
    x = drop(flat, np.zeros(2, int), noise=noise) if color == "dropping" else keep(flat, color)
    assert np.isfinite(x).all()
    level = np.sqrt(np.mean(np.square(x), axis=(1, 2, 3)))
    np.testing.assert_allclose(level, 50 if (color, noise) == ("dropping", "code") else 0, atol=1e-3)


def test_dataset_skips_images_that_do_not_serve(tmp_path):
    Image.open(builtin_photographs()[0]).convert("RGB").resize((160, 120)).save(tmp_path / "good.png")
    Image.new("RGB", (900, 60)).save(tmp_path / "narrow.png")
    skipped, method = Skipped(), small()
    (inputs, labels), *more = method.dataset(str(tmp_path), batch_size=4, training=False, skipped=skipped)
    assert not more and inputs["patches"].shape == (1, 24, 24, 24, 3) and labels.shape == (1, 144)
    assert [name.endswith("narrow.png") for name in skipped.reasons] == [True]
