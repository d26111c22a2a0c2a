"""How many puzzles a network solves, how far off the others are, and an image of both."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation.record import method_record
from tfssl.methods.jigsaw.data import GRID, crop, cut_puzzle, to_inputs
from tfssl.ops.permutations import TILES, hamming, permutation_statistics
from tfssl.visualization.sheet import picture_sheet

_RIGHT, _WRONG, _BOARD = (40, 160, 70), (210, 40, 40), (255, 255, 255)


METRICS = {
    "accuracy": ("fraction", True, {"chance": "chance"}),
    "accuracy_over_chance": ("", True, {}),
    "accuracy_top5": ("fraction", True, {}),
    "loss": ("nats", False, {"guessing": "baseline"}),
    "tile_accuracy": ("fraction", True, {"chance": "tile_chance"}),
    "distance": ("tiles", False, {"chance": "distance_chance"}),
    "distance_wrong": ("tiles", False, {}),
    **{f"at_distance_{d}": ("fraction", None, {"chance": f"at_distance_{d}_chance"}) for d in range(TILES + 1)},
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, repeats=4, seed=0, batch_size=64, progress=None):
    """Let the network solve puzzles cut from the images of a source, drawn as in training.

    Args:
        method: the :class:`~tfssl.methods.Jigsaw` that the model belongs to.
        model: its network.
        data: photographs that it was not trained on, see :func:`tfssl.data.images.image_source`.
        out: folder for ``metrics.json`` and ``sheet.png``; None writes nothing.
        limit: use only the first so many readable images; None for all.
        repeats: puzzles cut from each image.
        seed: of the puzzles; the same seed gives the same.
        batch_size: puzzles that the network sees at a time; changes nothing but memory.
        progress: called with (puzzles done, puzzles in all) after each batch.

    Returns:
        :class:`~tfssl.evaluation.record.Record`:

        - ``accuracy``: fraction of puzzles solved; chance is 1 / P and ``accuracy_over_chance`` their ratio;
          ``accuracy_top5``: the permutation is among the five most probable;
        - ``loss``: cross-entropy, beside that of guessing, ln P;
        - ``tile_accuracy``: fraction of tiles that the chosen permutation puts into their true cell, beside chance, a
          permutation chosen from the set at random;
        - ``distance``: mean Hamming distance of the chosen from the true permutation, ``distance_wrong`` over unsolved
          puzzles only (NaN if there are none); ``at_distance_0`` ... ``9``: fraction of puzzles at each distance;
          errors that pile up at small distances are near misses;
        - ``set_mean_distance``, ``set_min_distance``: of the permutation set;
        - the counts ``images``, ``images_skipped`` and ``puzzles``.

    Raises:
        SourceError: if the source holds no readable image, or is mostly unreadable.
        ConfigError: if limit or repeats is below 1.
        ModelError: if the model predicts NaN.
    """
    for name, value in (("limit", limit), ("repeats", repeats)):
        if value is not None and value < 1:
            raise ConfigError(f"`{name}` must be at least 1. Received: {name}={value}")
    source = method.open(data)
    check_source(source)
    skipped = Skipped()
    total = repeats * min(len(source), limit or len(source))
    labels, logits, done = [], [], 0
    for repeat in range(repeats):
        options = {"training": False, "seed": seed + repeat, "skipped": skipped, "limit": limit}
        for tiles, label in method.dataset(source, batch_size=batch_size, **options):
            logits.append(np.asarray(model(tiles, training=False), np.float64))
            labels.append(label.numpy())
            done += len(label)
            if progress is not None:
                progress(done, total)
    logits, labels = np.concatenate(logits), np.concatenate(labels)
    if not np.isfinite(logits).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    metrics = puzzle_metrics(logits, labels, method.permutation_table)
    metrics |= {
        "images": float(len(labels) / repeats),
        "images_skipped": float(len(skipped.reasons)),
        "puzzles": float(len(labels)),
    }
    record = method_record(method, metrics, METRICS, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def puzzle_metrics(logits, labels, permutations):
    """The metrics of :func:`evaluate` that follow from its predictions.

    Args:
        logits: float array (N, P).
        labels: int array (N,), numbers of the true permutations.
        permutations: int array (P, 9).

    Returns:
        ``{name: float}``.
    """
    count = len(permutations)
    guesses = logits.argmax(axis=1)
    of_label = logits[np.arange(len(labels)), labels]
    largest = logits.max(axis=1, keepdims=True)
    log_sum = largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1))
    best = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    distances = hamming(permutations[guesses], permutations[labels])
    wrong = distances[distances > 0]
    # A random choice from the set is the true permutation once in P times.
    pairs = permutation_statistics(permutations)
    random = np.array(pairs["histogram"]) / sum(pairs["histogram"]) * (1 - 1 / count)
    random[0] += 1 / count
    distance_chance = float(random @ np.arange(TILES + 1))
    fractions = np.bincount(distances, minlength=TILES + 1) / len(distances)
    accuracy = float(np.mean(guesses == labels))
    return {
        "accuracy": accuracy,
        "chance": 1 / count,
        "accuracy_over_chance": accuracy * count,
        "accuracy_top5": float(np.mean((best == labels[:, None]).any(axis=1))),
        "loss": float(np.mean(log_sum - of_label)),
        "baseline": float(np.log(count)),
        "tile_accuracy": float(1 - distances.mean() / TILES),
        "tile_chance": 1 - distance_chance / TILES,
        "distance": float(distances.mean()),
        "distance_wrong": float(wrong.mean()) if len(wrong) else float("nan"),
        "distance_chance": distance_chance,
        **{f"at_distance_{d}": float(fraction) for d, fraction in enumerate(fractions)},
        **{f"at_distance_{d}_chance": float(fraction) for d, fraction in enumerate(random)},
        "set_mean_distance": pairs["mean"],
        "set_min_distance": float(pairs["min"]),
    }


def write_sheet(method, model, data, path, count=6):
    """Draw puzzles: as the network gets them, as it solves them, and the truth; one column for each image.

    In the solution tiles in their true cell have a green frame, others a red one. The images are spread evenly over
    the source and always the same; unreadable ones give way to the next.

    Args:
        method: a :class:`~tfssl.methods.Jigsaw`.
        model: its network.
        data: see :func:`tfssl.data.images.image_source`.
        path: PNG to write.
        count: number of images.

    Raises:
        SourceError: if no image is readable.
    """
    tiles, labels, projected, crops = _puzzles(method, data, count)
    guesses = np.asarray(model(to_inputs(method, tiles, projected), training=False)).argmax(axis=1)
    table = method.permutation_table.astype(int)
    rows = [[], [], [], list(crops)]
    for slots, label, guess in zip(tiles, labels, guesses, strict=True):
        frames = [_RIGHT if cell == true else _WRONG for cell, true in zip(table[guess], table[label], strict=True)]
        rows[0].append(_board(slots, range(TILES)))
        rows[1].append(_board(slots, table[guess], frames))
        rows[2].append(_board(slots, table[label]))
    solved = int(np.sum(guesses == labels))
    texts = ["shuffled", f"solved\nby network\n({solved} of {len(labels)})", "truth", "picture"]
    picture_sheet(rows, path, labels=texts, cell=200)


def _board(slots, cells, frames=None):
    """Lay tiles (9, t, t, 3) out in their cells, ``cells[i]`` for tile i, with gaps and maybe colored frames."""
    side = slots.shape[1]
    zoom = max(1, round(60 / side))
    pitch, gap = side * zoom, 6
    board = Image.new("RGB", (GRID * pitch + (GRID + 1) * gap,) * 2, _BOARD)
    draw = ImageDraw.Draw(board)
    for index, (tile, cell) in enumerate(zip(slots, cells, strict=True)):
        top, left = (gap + (pitch + gap) * position for position in divmod(int(cell), GRID))
        if frames is not None:
            draw.rectangle((left - 3, top - 3, left + pitch + 2, top + pitch + 2), fill=frames[index])
        board.paste(Image.fromarray(tile).resize((pitch, pitch), Image.Resampling.NEAREST), (left, top))
    return board


def _puzzles(method, data, count):
    """Tiles uint8 (n, 9, t, t, 3), labels, projection marks and crops that they are cut from, n at most ``count``."""

    def cut(example, seed):
        square = crop(method, example["image"], np.random.default_rng(seed).random(2))
        return *cut_puzzle(method, example["image"], np.random.default_rng(seed)), square

    found = spread_examples(method.open(data), count, cut)
    return tuple(np.stack(part) for part in zip(*found, strict=True))
