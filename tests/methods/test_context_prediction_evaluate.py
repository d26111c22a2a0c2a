"""Evaluation of context prediction: accuracy, neighbors, drawings; and that it learns."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.data.images import image_source
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import ContextPrediction
from tfssl.methods.context_prediction.evaluate import (
    accuracy_metrics,
    count_answers,
    nearest_neighbors,
    sample_patches,
)
from tfssl.methods.context_prediction.sheets import draw_board

METHOD = ContextPrediction(
    area=(76 * 76, 82 * 82), patch_size=12, gap=6, jitter=1, patches_per_image=12, downsample_size=4,
    downsample_fraction=0.1, color="none", backbone="small", embedding=32, head=(48, 32),
)  # fmt: skip


def layout(count, seed=0):
    """Images that all have the same coarse colors in the same places, each with noise of its own."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
    pixels = np.asarray(coarse.resize((76, 76), Image.Resampling.BICUBIC), np.int16)
    noise = np.random.default_rng(seed).integers(-20, 21, (count, 76, 76, 3), np.int16)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def train(labels_of, steps=300):
    keras.utils.set_random_seed(0)
    model = METHOD.model(keras.optimizers.Adam(3e-3))
    batches = METHOD.dataset(layout(64), batch_size=4, seed=0, start=0, count=steps)
    rng = np.random.default_rng(0)
    for inputs, labels in batches:
        model.train_on_batch(inputs, labels_of(labels.numpy(), rng))
    return model


@pytest.fixture(scope="module")
def trained():
    return train(lambda labels, rng: labels)


@pytest.fixture(scope="module")
def held_out():
    return layout(24, seed=1)


@pytest.mark.slow
def test_learns_a_fixed_layout(trained, held_out, tmp_path):
    found = METHOD.evaluate(trained, held_out, out=tmp_path)
    metrics = found.flat()
    assert metrics["accuracy"] > 0.6
    assert metrics["loss"] < 1.2 < METHOD.baseline
    assert metrics["chance_accuracy"] == 0.125 <= metrics["constant_accuracy"] < 0.2
    assert metrics["images"] == 24 and metrics["images_skipped"] == 0
    of_direction = [float(v) for k, v in found.items() if k.startswith("accuracy_")]
    assert len(of_direction) == 8 and min(of_direction) > 0.3
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["metrics"]["accuracy"]["value"] == metrics["accuracy"]
    assert np.sum(record["details"]["confusion"]) == metrics["pairs"]
    for name in ("confusion.png", "neighbors.png"):
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.slow
def test_learns_nothing_from_shuffled_labels(held_out):
    def shuffled(labels, rng):
        labels = labels.copy()
        labels[labels >= 0] = rng.permutation(labels[labels >= 0])
        return labels

    metrics = METHOD.evaluate(train(shuffled, 60), held_out).flat()
    assert metrics["accuracy"] < 0.2  # always the commonest answer: 0.15


def test_counts_each_pair_once(trained, held_out):
    seen = []
    confusion, loss, images, skipped = count_answers(
        METHOD, trained, image_source(held_out), limit=10, progress=lambda *done: seen.append(done)
    )
    assert images == 10 and not skipped and seen[-1] == (10, 10)
    batches = METHOD.dataset(held_out, batch_size=24, training=False)
    inputs, labels = next(iter(batches))
    labels = labels.numpy()[:10]
    assert confusion.sum() == (labels >= 0).sum()
    logits = np.asarray(trained(inputs, training=False))[:10]
    right = (np.argmax(logits, -1) == labels)[labels >= 0]
    assert np.trace(confusion) == right.sum()
    assert 0 < loss < METHOD.baseline


def test_accuracy_metrics_by_hand():
    confusion = np.zeros((8, 8), int)
    confusion[0, 0], confusion[0, 1], confusion[4, 4] = 3, 1, 6
    metrics = accuracy_metrics(confusion, 0.5)
    assert metrics["accuracy"] == 0.9 and metrics["accuracy_constant"] == 0.6 and metrics["pairs"] == 10
    assert metrics["accuracy_above_left"] == 0.75 and metrics["accuracy_right"] == 1.0


def test_wrong_use_is_named(trained):
    with pytest.raises(ConfigError, match="limit"):
        METHOD.evaluate(trained, layout(2), limit=0)
    with pytest.raises(SourceError, match="too narrow"):
        METHOD.evaluate(trained, np.zeros((3, 10, 400, 3), np.uint8))


def test_neighbors_come_from_where_they_should(tmp_path, trained):
    """Images of one color texture each, in two folders: every neighbor is of the same image, or class."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    for label, spread in (("fine", 40), ("coarse", 8)):
        (folder / label).mkdir(parents=True)
        for number in range(5):
            small = Image.fromarray(rng.integers(0, 256, (spread, spread, 3), np.uint8))
            small.resize((120, 120), Image.Resampling.NEAREST).save(folder / label / f"{number}.png")
    metrics = nearest_neighbors(METHOD, trained, str(folder), out=tmp_path / "sheet.png")
    assert metrics["neighbor_patches"] == 40
    assert metrics["chance_neighbor_same_picture"] == pytest.approx(3 / 39)
    assert metrics["chance_neighbor_same_class"] == pytest.approx(16 / 36)
    for name in ("", "untrained_", "pixels_"):
        assert 0 <= metrics[f"{name}neighbor_same_picture"] <= 1
    assert metrics["neighbor_same_class"] > 0.7
    assert metrics == nearest_neighbors(METHOD, trained, str(folder))


def test_patches_of_neighbors_do_not_overlap():
    y, x = np.mgrid[:100, :100]
    image = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    method = METHOD.model_copy(update={"area": (10_000, 10_000)})
    patches, pictures = sample_patches(method, image_source(image[None].repeat(3, 0)), 3)
    assert np.bincount(pictures).tolist() == [4, 4, 4]
    corner = patches[:, 0, 0, :2].astype(int)
    for number in range(3):
        own = corner[pictures == number]
        distance = np.abs(own[:, None] - own).max(axis=-1)[np.triu_indices(4, 1)]
        assert distance.min() >= 12


def test_sample_sheet(trained, held_out, tmp_path):
    METHOD.sample_sheet(trained, held_out, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 900 and sheet.height > 600


@pytest.mark.parametrize("predicted, frame", [(4, (30, 150, 60)), (6, (200, 40, 40))])
def test_board(predicted, frame):
    first, second = np.full((16, 16, 3), 10, np.uint8), np.full((16, 16, 3), 250, np.uint8)
    board = np.asarray(draw_board(first, second, 4, predicted))
    cell, gap = 44, 8
    middle = [gap + cell // 2 + i * (cell + gap) for i in range(3)]
    assert (board[middle[1], middle[1]] == 10).all() and (board[middle[1], middle[2]] == 250).all()
    column, row = {4: (2, 1), 6: (1, 2)}[predicted]
    assert tuple(board[middle[row], gap - 2 + column * (cell + gap)]) == frame
