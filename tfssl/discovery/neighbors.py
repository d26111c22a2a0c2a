"""Nearest neighbors of patches: what an embedding holds for alike, beside an untrained network and raw pixels."""

import numpy as np

from tfssl.data.labeled import folder_labels
from tfssl.discovery.embedding import baseline_descriptor, embed
from tfssl.errors import SourceError
from tfssl.visualization.sheet import picture_sheet

BASELINES = ("untrained", "pixels")
PATCHES_PER_PICTURE = 4
MAX_PICTURES = 500

_SHOWN_QUERIES, _SHOWN_NEIGHBORS = 5, 6


def nearest_neighbors(method, model, source, *, out=None, limit=None, seed=0):
    """Look for the nearest neighbor of each patch by the cosine of fc6, as section 4.1 of the paper.

    Patches are :data:`PATCHES_PER_PICTURE` of each of the first pictures, that do not overlap (cells of one grid).
    Two shares say how good neighbors are: that come from the same picture, among all other patches; and, where the
    source has a folder for each class, from a picture of the same class, among the patches of all other pictures.
    The same patches are compared by an untrained network of the same kind and by their pixels.

    Args:
        method: the :class:`~tfssl.methods.ContextPrediction` that the model belongs to.
        model: its network.
        source: see :func:`tfssl.data.images.image_source`.
        out: PNG of a few patches and their neighbors by each descriptor; None writes nothing.
        limit: number of pictures, at most :data:`MAX_PICTURES`.
        seed: of the untrained network.

    Returns:
        ``{name: float}``: ``neighbor_same_picture``, with classes ``neighbor_same_class``; the same prefixed by
        ``untrained_``, ``pixels_`` and ``chance_`` (of a patch drawn blindly); and ``neighbor_patches``, their number.

    Raises:
        SourceError: if fewer than two pictures serve.
    """
    source = method.open(source)
    patches, pictures = sample_patches(method, source, min(limit or MAX_PICTURES, MAX_PICTURES))
    labels = _classes(source, pictures)
    descriptors = {"": embed(method, model)}
    descriptors |= {f"{name}_": baseline_descriptor(name, method, seed) for name in BASELINES}
    metrics, found = {}, {}
    for prefix, descriptor in descriptors.items():
        vectors = descriptor(patches)
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -np.inf)
        metrics[f"{prefix}neighbor_same_picture"] = _share(cosines, pictures)
        cosines[pictures[:, None] == pictures] = -np.inf
        if labels is not None:
            metrics[f"{prefix}neighbor_same_class"] = _share(cosines, labels)
        found[prefix] = np.argsort(-cosines, axis=1, kind="stable")[:, :_SHOWN_NEIGHBORS]
    metrics |= _chance(pictures, labels)
    if out is not None:
        _write_sheet(patches, found, out, seed)
    return {**metrics, "neighbor_patches": float(len(patches))}


def sample_patches(method, source, pictures):
    """Patches of the first pictures that serve, without augmentation and with their colors.

    Args:
        method: a :class:`~tfssl.methods.ContextPrediction`.
        source: an :class:`tfssl.data.images.ImageSource`.
        pictures: how many to take.

    Returns:
        ``(patches, index)``: uint8 (N, s, s, 3), and the number of the picture in the source of each, int (N,).
    """
    patches, index = [], []
    for number in range(len(source)):
        if len(patches) == pictures:
            break
        try:
            image, rng = source.example(number)["image"], np.random.default_rng((0, 1, number))
            cut, pairs, labels = method.colored_patches(image, rng)
        except (ValueError, OSError):
            continue
        first = _first_grid(pairs[labels >= 0])
        patches.append(cut[first[:PATCHES_PER_PICTURE]])
        index.append(np.full(len(patches[-1]), number))
    if len(patches) < 2:
        raise SourceError(f"`source` has {len(patches)} pictures that serve among {len(source)}; give at least 2")
    return np.concatenate(patches), np.concatenate(index)


def _first_grid(pairs):
    """Numbers of the patches of the first grid that has pairs: those connected with the first one of them."""
    reached = {int(pairs[0, 0])} if len(pairs) else {0}
    while True:
        more = reached | {int(b) for a, b in pairs if int(a) in reached}
        if more == reached:
            return sorted(reached)
        reached = more


def _classes(source, pictures):
    labels = folder_labels(source)
    return None if labels is None else np.unique(labels, return_inverse=True)[1][pictures]


def _share(cosines, groups):
    nearest = np.argmax(cosines, axis=1)
    return float(np.mean(groups[nearest] == groups))


def _chance(pictures, labels):
    """The shares of a patch that is drawn from the same candidates without looking."""
    same_picture = pictures[:, None] == pictures
    own = same_picture.sum(axis=1)
    chance = {"chance_neighbor_same_picture": float(np.mean((own - 1) / (len(pictures) - 1)))}
    if labels is not None:
        same_class = (labels[:, None] == labels).sum(axis=1) - own
        chance["chance_neighbor_same_class"] = float(np.mean(same_class / (len(pictures) - own)))
    return chance


def _write_sheet(patches, found, path, seed):
    """Groups of rows, one for each query: neighbors by each descriptor in turn, all from other pictures."""
    chosen = np.random.default_rng(seed).choice(len(patches), min(_SHOWN_QUERIES, len(patches)), replace=False)
    names = {"": "fc6"} | {f"{name}_": name for name in BASELINES}
    rows, labels = [], []
    for query in chosen.tolist():
        for prefix, name in names.items():
            rows.append([patches[query] if not prefix else None, *patches[found[prefix][query]]])
            labels.append(name)
    titles = ["query", *(str(n + 1) for n in range(_SHOWN_NEIGHBORS))]
    picture_sheet(rows, path, titles=titles, labels=labels, cell=72, margin=4)
