"""How many puzzles a network solves, how far off the others are, and an image of both."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.special import logsumexp

from tfssl.data.examples import Skipped, spread_examples
from tfssl.errors import ModelError
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
        method, model, data, out, limit, batch_size, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        repeats: puzzles cut from each image, at least 1.
        seed: of the puzzles; the same seed gives the same.

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
    """
    source, skipped, labels, logits = method.open(data), Skipped(), [], []
    options = {"limit": limit, "progress": progress, "seed": seed, "repeats": repeats}
    for tiles, label in method.measured(source, batch_size, skipped, **options):
        logits.append(np.asarray(model(tiles, training=False), np.float64))
        labels.append(label.numpy())
    logits, labels = np.concatenate(logits), np.concatenate(labels)
    if not np.isfinite(logits).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    metrics = puzzle_metrics(logits, labels, method.permutation_table)
    counts = {"images": len(labels) / repeats, "images_skipped": len(skipped.reasons), "puzzles": len(labels)}
    metrics |= {name: float(count) for name, count in counts.items()}
    record = method_record(method, metrics, METRICS, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def puzzle_metrics(logits, labels, permutations):
    """The metrics of :func:`evaluate`, ``{name: float}``, of logits (N, P), true labels (N,), permutations (P, 9)."""
    count = len(permutations)
    guesses = logits.argmax(axis=1)
    of_label = logits[np.arange(len(labels)), labels]
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
        "loss": float(np.mean(logsumexp(logits, axis=1) - of_label)),
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

    In the solution tiles in their true cell have a green frame, others a red one.
    """

    def cut(example, seed):
        square = crop(method, example["image"], np.random.default_rng(seed).random(2))
        return *cut_puzzle(method, example["image"], np.random.default_rng(seed)), square

    found = spread_examples(method.open(data), count, cut)
    tiles, labels, projected, crops = (np.stack(part) for part in zip(*found, strict=True))
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
    tile, gap = slots.shape[1], 6
    pitch = tile * max(1, round(60 / tile))
    board = Image.new("RGB", (GRID * pitch + (GRID + 1) * gap,) * 2, _BOARD)
    draw = ImageDraw.Draw(board)
    for index, (pixels, cell) in enumerate(zip(slots, cells, strict=True)):
        top, left = (gap + (pitch + gap) * position for position in divmod(int(cell), GRID))
        if frames is not None:
            draw.rectangle((left - 3, top - 3, left + pitch + 2, top + pitch + 2), fill=frames[index])
        board.paste(Image.fromarray(pixels).resize((pitch, pitch), Image.Resampling.NEAREST), (left, top))
    return board
