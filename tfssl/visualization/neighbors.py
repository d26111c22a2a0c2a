"""Nearest neighbors of images and of patches, and distances of single images: what a network holds for alike."""

from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import pairwise_distances_chunked
from sklearn.metrics.pairwise import cosine_distances

from tfssl.data.crop import Crop
from tfssl.data.decode import decode_image
from tfssl.errors import ConfigError, SourceError
from tfssl.options import at_least_one
from tfssl.visualization.maps import pick_taps, read_images, tap_names, vectors
from tfssl.visualization.page import Table, file_stem, write_gallery
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet, tile

_CELL, _LARGE_CELL = 96, 160  # pixels of an image on the sheets of neighbors, and of distances

_TEXT = (
    "Left the query, then its nearest neighbors by cosine distance (1 - cosine, below each) of a tap's map, averaged "
    "over a grid of {cells}x{cells} cells. An image is no neighbor of itself, nor are patches of one image "
    "neighbors of each other. The queries are the same for all networks.{frames}"
)
_FRAMES = (
    " Frames: the neighbor's class is the query's (green) or not (orange).\n\nPurity: fraction of the {k} nearest that "
    "are of the query's class, mean over all images or patches; by chance {chance:.3f}."
)
_DISTANCES = (
    "The cosine distance (1 - cosine of the vectors) of the first image to each of the others, in each network: 0 "
    "the same direction, 1 nothing in common. A vector is a tap's map averaged over {cells}x{cells} cells. The frame "
    "marks the nearest. Distances of different networks have no common scale: compare the order, not the values."
)


def cosine_neighbors(rows, k, *, groups=None):
    """The nearest rows of each row by cosine distance, ``1 - x y / (|x| |y|)``, all compared with all.

    Args:
        rows: float array (N, d). A row of zeros has distance 1 to all others.
        k: neighbors of each; a ConfigError if a row has fewer candidates.
        groups: int (N,): rows of one group are no neighbors of each other, so none is of itself. None: every row
            may be found, the row itself first, unless another one equals it.

    Returns:
        ``(index, distance)``: int (N, k) and float32 (N, k), the nearest first, of equals the one that comes first.
    """
    most = len(rows) - (0 if groups is None else int(np.unique(groups, return_counts=True)[1].max()))
    if not 1 <= k <= most:
        raise ConfigError(f"`k` must be from 1 to {most}, the number of candidates. Received: k={k}")

    def nearest(far, start):
        if groups is not None:
            far[groups[start : start + len(far), None] == groups] = np.inf
        index = np.argsort(far, axis=1, kind="stable")[:, :k]
        return index, np.take_along_axis(far, index, axis=1)

    chunks = pairwise_distances_chunked(np.asarray(rows, np.float32), reduce_func=nearest, metric="cosine")
    index, distance = zip(*chunks, strict=True)
    return np.concatenate(index), np.concatenate(distance)


def purity_at_k(index, labels):
    """Fraction of neighbors, int (N, k), that have the label of their query, int (N,); mean over queries."""
    return float(np.mean(labels[index] == labels[:, None]))


def chance_purity(labels, groups=None):
    """What :func:`purity_at_k` is for neighbors drawn blindly from the other images, or those of other groups."""
    groups = np.arange(len(labels)) if groups is None else groups
    others = groups[:, None] != groups
    return float(np.mean(((labels[:, None] == labels) & others).sum(axis=1) / others.sum(axis=1)))


def cut_patches(images, grid):
    """Patches of half an image's size, on a grid of ``grid`` along each axis, where more than 2 overlap.

    Returns:
        ``(patches, owner)``: uint8 (N * grid * grid, S // 2, S // 2, 3), the number of each one's image.
    """
    size = images.shape[1] // 2
    starts = np.linspace(0, images.shape[1] - size, grid).round().astype(int)
    patches = [images[:, y : y + size, x : x + size] for y in starts for x in starts]
    return np.stack(patches, axis=1).reshape(-1, size, size, 3), np.arange(len(images)).repeat(grid * grid)


def neighbors(
    networks, data, *, out, tap=None, image_size=96, limit=500, k=5, queries=8, grid=3, cells=3, seed=0, skipped=None,
    progress=None,
):  # fmt: skip
    """Look for the nearest neighbors of images and of patches in each network.

    Writes ``neighbors-NAME.png``, ``patches-NAME.png``, ``index.html`` and ``numbers.json`` into ``out``.

    Args:
        networks: ``{name: keras.Model}``, encoders.
        data, limit, skipped: see :func:`~tfssl.visualization.maps.read_images`; class folders give purity.
        tap, cells: see :func:`~tfssl.visualization.maps.pick_tap`, :func:`~tfssl.visualization.maps.vectors`.
        image_size: of the images in pixels; patches have half of it.
        k: neighbors.
        queries: rows of a sheet, drawn with ``seed``.
        grid: patches along each axis of an image.
        progress: called with (searches done, in all).

    Returns:
        ``{name: {"images_distance", "patches_distance"}}``, the median distance of the nearest; with classes also
        ``images_purity``, ``patches_purity`` and ``chance_purity``.
    """
    at_least_one(image_size=image_size, limit=limit, k=k, queries=queries, grid=grid, cells=cells)
    taps = pick_taps(networks, tap)
    found = read_images(data, image_size=image_size, limit=limit, least=k + 1, skipped=skipped)
    patches, owner = cut_patches(found.images, grid)
    files: dict = {}
    numbers: dict = {name: {} for name in networks}
    for kind, images, groups in (("images", found.images, np.arange(len(found))), ("patches", patches, owner)):
        labels = None if found.labels is None else found.labels[groups]
        chosen = np.random.default_rng(seed).choice(len(images), min(queries, len(images)), replace=False)
        for name, network in networks.items():
            index, distance = cosine_neighbors(vectors(network, taps[name], images, cells=cells), k, groups=groups)
            path = Path(out) / f"{file_stem('neighbors' if kind == 'images' else kind, name)}.png"
            _write_sheet(images, index, distance, labels, chosen, path)
            files.setdefault(f"Neighbors of {kind}", {})[f"{name}, {taps[name]}"] = path
            numbers[name][f"{kind}_distance"] = float(np.median(distance[:, 0]))
            if labels is not None:
                numbers[name][f"{kind}_purity"] = purity_at_k(index, labels)
            if progress is not None:
                progress(sum(map(len, files.values())), 2 * len(networks))
    frames = ""
    if found.labels is not None:
        chance = chance_purity(found.labels)
        frames = _FRAMES.format(k=k, chance=chance)
        numbers = {name: {**column, "chance_purity": chance} for name, column in numbers.items()}
    cut = f"{len(patches)} of {patches.shape[1]} pixels"
    protocol = {"images": len(found), "image_size": image_size, "patches": cut} | tap_names(taps)
    protocol |= {"cells": cells, "k": k, "distance": "1 - cosine", "seed": seed}
    text = _TEXT.format(cells=cells, frames=frames)
    return write_gallery(out, "Nearest neighbors", text=text, images=files, numbers=numbers, protocol=protocol)


def _write_sheet(images, index, distance, labels, chosen, path):
    rows = []
    for query in chosen.tolist():
        rows.append([tile(images[query], _CELL, text="query")])
        for found, far in zip(index[query], distance[query], strict=True):
            frame = None if labels is None else (GOOD if labels[found] == labels[query] else BAD)
            rows[-1].append(tile(images[found], _CELL, text=f"{far:.3f}", frame=frame))
    picture_sheet(rows, path, cell=max(rows[0][0].size), margin=4)


def distance(networks, photo, *, out, tap=None, image_size=96, cells=3):
    """Compare an image with others in each network: ``{name: {"1_to_2": distance, ...}}``, numbered as given.

    Writes ``distance.png``, ``index.html`` and ``numbers.json`` into ``out``.

    Args:
        photo: at least two images, each a path, encoded bytes or ``PIL.Image``: the query, then the others.
        image_size: of the squares that the networks see, in pixels; the others are as of :func:`neighbors`.
    """
    if len(photo) < 2:
        raise ConfigError(f"`photo` must be given at least twice, the query first. Received: {len(photo)} images")
    at_least_one(image_size=image_size, cells=cells)
    taps = pick_taps(networks, tap)
    names = [
        str(getattr(one, "filename", f"image {n}") if isinstance(one, (bytes, Image.Image)) else one)
        for n, one in enumerate(photo, start=1)
    ]
    whole = [read_photo(one, name) for one, name in zip(photo, names, strict=True)]
    images = np.stack([Crop(image_size, resize=image_size, flip=False).apply(image) for image in whole])
    far = {name: cosine_distances(vectors(net, taps[name], images, cells=cells)) for name, net in networks.items()}
    rows = [_row(whole, far[name][0]) for name in networks]
    path = Path(out) / "distance.png"
    picture_sheet(rows, path, labels=[f"{name}\n{taps[name]}" for name in networks], cell=max(rows[0][0].size))
    pairs = list(combinations(range(len(photo)), 2))
    listed = [[str(n), Path(name).name] for n, name in enumerate(names, start=1)]
    return write_gallery(
        out,
        "Distances",
        text=_DISTANCES.format(cells=cells),
        images={"From the first image to the others": {"": path}},
        numbers={name: {f"{i + 1}_to_{j + 1}": far[name][i, j] for i, j in pairs} for name in networks},
        protocol={"image_size": image_size, "cells": cells} | tap_names(taps),
        blocks=[Table(["Number", "Image"], listed)],
    )


def read_photo(photo, name):
    """A ``PIL.Image`` in RGB of a path, encoded bytes or ``PIL.Image``, which errors call ``name``."""
    try:
        return decode_image(photo)
    except (ValueError, OSError) as error:
        raise SourceError(f"`photo` cannot be read ({error}). Received: photo={str(name)!r}") from None


def _row(whole, far):
    crop = Crop(_LARGE_CELL, resize=_LARGE_CELL, flip=False)
    row = [tile(crop.apply(whole[0]), _LARGE_CELL, text="query")]
    for image, value in zip(whole[1:], far[1:], strict=True):
        frame = GOOD if value == far[1:].min() else None
        row.append(tile(crop.apply(image), _LARGE_CELL, text=f"{value:.4f}", frame=frame))
    return row
