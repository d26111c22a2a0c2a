"""Nearest neighbors of patches: what the embedding holds for alike, beside an untrained network and raw pixels."""

import numpy as np

from tfssl.data.labeled import folder_labels
from tfssl.discovery.embedding import baseline_descriptor, embed
from tfssl.errors import SourceError
from tfssl.methods.context_prediction.data import cut_patches
from tfssl.visualization.neighbors import chance_purity, cosine_neighbors, purity_at_k
from tfssl.visualization.sheet import picture_sheet

BASELINES = ("untrained", "pixels")
PATCHES_PER_IMAGE = 4
MAX_IMAGES = 500

_SHOWN_QUERIES, _SHOWN_NEIGHBORS = 5, 6


def nearest_neighbors(method, model, data, *, out=None, limit=None, seed=0):
    """Look for the nearest neighbor of each patch by the cosine of fc6, as section 4.1 of the paper.

    Patches are :data:`PATCHES_PER_IMAGE` of each of the first images, that do not overlap (cells of one grid). Two
    fractions say how good neighbors are: that come from the same image, among all other patches; and, where the
    source has a folder for each class, from an image of the same class, among the patches of all other images. The
    same patches are compared by an untrained network of the same kind and by their pixels.

    Args:
        method: the :class:`~tfssl.methods.ContextPrediction` that the model belongs to.
        model: its network.
        data: see :func:`tfssl.data.images.image_source`.
        out: PNG of a few patches and their neighbors by each descriptor; None writes nothing.
        limit: number of images, at most :data:`MAX_IMAGES`.
        seed: of the untrained network.

    Returns:
        ``{name: float}``: ``neighbor_same_picture``, with classes ``neighbor_same_class``; the same prefixed by
        ``untrained_``, ``pixels_`` and ``chance_`` (of a patch drawn blindly); and ``neighbor_patches``, their number.

    Raises:
        SourceError: if fewer than two images serve.
    """
    source = method.open(data)
    patches, owner = sample_patches(method, source, min(limit or MAX_IMAGES, MAX_IMAGES))
    names = folder_labels(source)
    labels = None if names is None else np.unique(names, return_inverse=True)[1][owner]
    descriptors = {"": embed(method, model)}
    descriptors |= {f"{name}_": baseline_descriptor(name, method, seed) for name in BASELINES}
    single, metrics, found = np.arange(len(patches)), {}, {}
    shown = min(_SHOWN_NEIGHBORS, len(patches) - int(np.bincount(owner).max()))
    for prefix, descriptor in descriptors.items():
        vectors = descriptor(patches)
        metrics[f"{prefix}neighbor_same_picture"] = purity_at_k(cosine_neighbors(vectors, 1, groups=single)[0], owner)
        found[prefix], _ = cosine_neighbors(vectors, shown, groups=owner)
        if labels is not None:
            metrics[f"{prefix}neighbor_same_class"] = purity_at_k(found[prefix][:, :1], labels)
    metrics["chance_neighbor_same_picture"] = chance_purity(owner)
    if labels is not None:
        metrics["chance_neighbor_same_class"] = chance_purity(labels, owner)
    if out is not None:
        _write_sheet(patches, found, out, seed)
    return {**metrics, "neighbor_patches": float(len(patches))}


def sample_patches(method, source, images):
    """Patches of the first images that serve, without augmentation and with their colors.

    Args:
        method: a :class:`~tfssl.methods.ContextPrediction`.
        source: an :class:`tfssl.data.images.ImageSource`.
        images: how many to take.

    Returns:
        ``(patches, owner)``: uint8 (N, s, s, 3), and the number of the image in the source of each, int (N,).
    """
    patches, owner = [], []
    for number in range(len(source)):
        if len(patches) == images:
            break
        try:
            image, rng = source.example(number)["image"], np.random.default_rng((0, 1, number))
            cut, _, _, pairs, labels = cut_patches(method, image, rng, training=False, colors=True)
        except (ValueError, OSError):
            continue
        first = _first_grid(pairs[labels >= 0])
        patches.append(cut[first[:PATCHES_PER_IMAGE]].transpose(0, 2, 3, 1))
        owner.append(np.full(len(patches[-1]), number))
    if len(patches) < 2:
        raise SourceError(f"`data` has {len(patches)} images that serve among {len(source)}; give at least 2")
    return np.concatenate(patches), np.concatenate(owner)


def _first_grid(pairs):
    """Numbers of the patches of the first grid that has pairs: those connected with the first one of them."""
    reached = {int(pairs[0, 0])} if len(pairs) else {0}
    while True:
        more = reached | {int(b) for a, b in pairs if int(a) in reached}
        if more == reached:
            return sorted(reached)
        reached = more


def _write_sheet(patches, found, path, seed):
    """Groups of rows, one for each query: neighbors by each descriptor in turn, all from other images."""
    chosen = np.random.default_rng(seed).choice(len(patches), min(_SHOWN_QUERIES, len(patches)), replace=False)
    names = {"": "fc6"} | {f"{name}_": name for name in BASELINES}
    rows, labels = [], []
    for query in chosen.tolist():
        for prefix, name in names.items():
            rows.append([patches[query] if not prefix else None, *patches[found[prefix][query]]])
            labels.append(name)
    titles = ["query", *(str(n + 1) for n in range(len(rows[0]) - 1))]
    picture_sheet(rows, path, titles=titles, labels=labels, cell=72, margin=4)
