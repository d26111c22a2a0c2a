"""Training, validation and test parts of images with labels: drawn by a seed, written to a file, read again."""

import csv

import numpy as np

from tfssl.errors import SourceError
from tfssl.files import writing

PARTS = TRAIN, VALIDATION, TEST = ("train", "validation", "test")
SEED = 42  # of Karayev et al.'s split
FRACTION = 0.2  # of the images that are tested on, likewise


def split_images(source, seed=SEED):
    """Which part each image belongs to, by the rules of Karayev et al.: a list of :data:`PARTS`.

    A fifth is for the test, of each class as many images as of the others, as far as the rarest class allows: at most
    a third of it. Images with several labels are for the test too, and only there. The validation part is as large
    as the balanced part of the test, and the rest is for training. Images of one group stay together. Where the source
    says which images are ``tested``, only the validation part is drawn, a fifth of the others.

    Args:
        source: a :class:`~tfssl.data.tagged.TaggedImages`.
        seed: of the draw.

    Raises:
        SourceError: if a class has too few images of its own, or groups, for three parts.

    Reference:
        S. Karayev et al.: Recognizing Image Style. BMVC 2014; sergeyk/vislab.
    """
    labels, groups = np.stack(source.labels), np.unique(source.groups, return_inverse=True)[1]
    tested = source.tested is not None
    single = labels * (labels.sum(axis=1) == 1)[:, None]
    counts = np.zeros((groups.max() + 1, labels.shape[1]), int)  # of each group, images of each class alone
    np.add.at(counts, groups, single)
    part = np.full(len(counts), TRAIN, dtype="<U10")
    part[groups[np.asarray(source.tested) if tested else labels.sum(axis=1) > 1]] = TEST
    open_ = counts[part == TRAIN]
    quota = min(round(FRACTION * open_.sum() / labels.shape[1]), int(open_.sum(axis=0).min()) // (2 if tested else 3))
    order = np.random.default_rng(seed).permutation(len(counts))
    for name in (VALIDATION,) if tested else (TEST, VALIDATION):
        have = counts[part == name].sum(axis=0) * (name == TEST)
        for group in order:
            shown = counts[group] > 0
            if part[group] == TRAIN and shown.any() and (have[shown] < max(quota, 1)).all():
                part[group], have = name, have + counts[group]
    found = part[groups]
    for name in PARTS[:2] if tested else PARTS:
        rare = np.flatnonzero(labels[found == name].sum(axis=0) == 0)
        if len(rare):
            raise SourceError(
                f"`data`: class {source.classes[rare[0]]!r} has too few images, or groups, for a {name} part; give at "
                f"least {2 if tested else 3} with this label alone"
            )
    return found.tolist()


def balanced(labels, seed=SEED):
    """Positions of images among which each class occurs equally often, or nearly, where some have several labels.

    Of each class as many are drawn as the rarest one has that occurs at all; rising int (m,).

    Args:
        labels: int (n, classes), 1 or 0.
    """
    rng, counts = np.random.default_rng(seed), labels.sum(axis=0)
    each = int(counts[counts > 0].min(initial=len(labels)))
    drawn = [rng.permutation(np.flatnonzero(column))[:each] for column in labels.T]
    return np.unique(np.concatenate(drawn)).astype(int)


def write_splits(path, source, splits):
    """Write splits, ``{seed: list of parts}``, as a CSV file of ``seed,image,part``."""
    with writing(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("seed", "image", "part"))
        for seed, parts in splits.items():
            table.writerows((seed, source.key(index), part) for index, part in enumerate(parts))


def read_splits(path, source):
    """The splits of a file that :func:`write_splits` wrote: ``{seed: list of parts}``; other images in it do not count.

    Raises:
        SourceError: in one line, if the file cannot be read or lacks an image of the source.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found: dict = {}
        for row in rows:
            found.setdefault(int(row["seed"]), {})[row["image"]] = row["part"]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise SourceError(f"`split` {str(path)!r} holds no table of seed,image,part: {error}") from None
    keys, splits = [source.key(index) for index in range(len(source))], {}
    for seed, parts in found.items():
        odd = next((key for key in keys if parts.get(key) not in PARTS), None)
        if odd is not None:
            raise SourceError(f"`split` {str(path)!r} names no part for image {odd!r}; it is a split of other data")
        splits[seed] = [parts[key] for key in keys]
    if not splits:
        raise SourceError(f"`split` {str(path)!r} holds no rows")
    return splits
