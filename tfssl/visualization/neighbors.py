"""Nearest neighbors of pictures and of patches: what a network holds for alike."""

from pathlib import Path

import numpy as np

from tfssl.errors import ConfigError
from tfssl.visualization.gallery import file_stem, write_gallery
from tfssl.visualization.maps import normalized, pick_tap, vectors
from tfssl.visualization.pictures import read_pictures
from tfssl.visualization.sheet import picture_sheet
from tfssl.visualization.tile import BAD, GOOD, tile

_CELL = 96  # pixels of a picture on the sheet
_CHUNK = 512  # queries that are compared at once

_TEXT = (
    "Left the query, then its nearest neighbors by cosine distance (1 - cosine, below each) of a tap's map, averaged "
    "over a grid of {cells}x{cells} cells. A picture is no neighbor of itself, nor are patches of one picture "
    "neighbors of each other. The queries are the same for all networks.{frames}"
)
_FRAMES = (
    " Frames: the neighbor's class is the query's (green) or not (orange).\n\nPurity: share of the {k} nearest that "
    "are of the query's class, mean over all pictures or patches; by chance {chance:.3f}."
)


def cosine_neighbors(rows, k, *, groups=None):
    """The nearest rows of each row by cosine distance, ``1 - x y / (|x| |y|)``, all compared with all.

    For rows of length 1, ``|x - y|^2 = 2 (1 - cosine)``: the order is that of Euclidean distance.

    Args:
        rows: float array (N, d). A row of zeros has distance 1 to all others.
        k: neighbors of each.
        groups: int (N,): rows of one group are no neighbors of each other, so none is of itself. None: every row
            may be found, the row itself first, unless another one equals it.

    Returns:
        ``(index, distance)``: int (N, k) and float32 (N, k), the nearest first, of equals the one that comes first.

    Raises:
        ConfigError: if a row has fewer than k candidates.
    """
    rows = normalized(rows)
    most = len(rows) - (0 if groups is None else int(np.bincount(np.unique(groups, return_inverse=True)[1]).max()))
    if not 1 <= k <= most:
        raise ConfigError(f"`k` must be from 1 to {most}, the number of candidates. Received: k={k}")
    index, distance = np.empty((len(rows), k), int), np.empty((len(rows), k), np.float32)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        far = np.maximum(1.0 - rows[part] @ rows.T, 0.0)
        if groups is not None:
            far[groups[part, None] == groups[None]] = np.inf
        index[part] = np.argsort(far, axis=1, kind="stable")[:, :k]
        distance[part] = np.take_along_axis(far, index[part], axis=1)
    return index, distance


def purity_at_k(index, labels):
    """Share of neighbors that have the label of their query, mean over queries.

    Args:
        index: int (N, k), see :func:`cosine_neighbors`.
        labels: int (N,).
    """
    return float(np.mean(labels[index] == labels[:, None]))


def chance_purity(labels):
    """What :func:`purity_at_k` is for neighbors drawn blindly from the other pictures."""
    same = (labels[:, None] == labels).sum(axis=1) - 1
    return float(np.mean(same / (len(labels) - 1)))


def cut_patches(images, grid):
    """Patches of half a picture's side, on a grid over it.

    Args:
        images: uint8 (N, side, side, 3).
        grid: patches along each axis; more than 2 overlap.

    Returns:
        ``(patches, picture)``: uint8 (N * grid * grid, side // 2, side // 2, 3), the number of each one's picture.
    """
    size = images.shape[1] // 2
    starts = np.linspace(0, images.shape[1] - size, grid).round().astype(int)
    patches = [images[:, y : y + size, x : x + size] for y in starts for x in starts]
    return np.stack(patches, axis=1).reshape(-1, size, size, 3), np.arange(len(images)).repeat(grid * grid)


def neighbors(
    networks,
    data,
    *,
    out,
    tap=None,
    side=96,
    limit=500,
    k=5,
    queries=8,
    grid=3,
    cells=3,
    seed=0,
    skipped=None,
    progress=None,
):
    """Look for the nearest neighbors of pictures and of patches in each network.

    Args:
        networks: ``{name: keras.Model}``, encoders.
        data: see :func:`tfssl.data.images.image_source`; class folders give purity.
        out: folder for ``neighbors-NAME.png``, ``patches-NAME.png``, ``index.html``, ``numbers.json``.
        tap: see :func:`~tfssl.visualization.maps.pick_tap`.
        side: of the pictures in pixels; patches have half of it.
        limit: pictures to take.
        k: neighbors.
        queries: rows of a sheet.
        grid: patches along each axis of a picture.
        cells: see :func:`~tfssl.visualization.maps.vectors`.
        seed: of the queries.
        skipped: as :func:`~tfssl.visualization.pictures.read_pictures`.
        progress: called with (searches done, in all).

    Returns:
        ``{name: {"pictures_distance", "patches_distance"}}``, the median distance of the nearest; with classes also
        ``pictures_purity``, ``patches_purity`` and ``chance_purity``.

    Raises:
        SourceError: if there are too few pictures.
        ConfigError: for a tap that a network lacks, or k out of range.
    """
    taps = {name: pick_tap(network, tap, name) for name, network in networks.items()}
    pictures = read_pictures(data, side=side, limit=limit, least=k + 1, skipped=skipped)
    patches, owner = cut_patches(pictures.images, grid)
    kinds = {"pictures": (pictures.images, np.arange(len(pictures))), "patches": (patches, owner)}
    files: dict = {}
    numbers: dict = {name: {} for name in networks}
    for kind, (images, groups) in kinds.items():
        labels = None if pictures.labels is None else pictures.labels[groups]
        chosen = np.random.default_rng(seed).choice(len(images), min(queries, len(images)), replace=False)
        for name, network in networks.items():
            index, distance = cosine_neighbors(vectors(network, taps[name], images, cells=cells), k, groups=groups)
            path = Path(out) / f"{file_stem('neighbors' if kind == 'pictures' else kind, name)}.png"
            _write_sheet(images, index, distance, labels, chosen, path)
            files.setdefault(f"Neighbors of {kind}", {})[f"{name}, {taps[name]}"] = path
            numbers[name][f"{kind}_distance"] = float(np.median(distance[:, 0]))
            if labels is not None:
                numbers[name][f"{kind}_purity"] = purity_at_k(index, labels)
            if progress is not None:
                progress(sum(map(len, files.values())), 2 * len(networks))
    frames = ""
    if pictures.labels is not None:
        chance = chance_purity(pictures.labels)
        frames = _FRAMES.format(k=k, chance=chance)
        for column in numbers.values():
            column["chance_purity"] = chance
    protocol = {
        "pictures": len(pictures),
        "side": side,
        "patches": f"{len(patches)} of {patches.shape[1]} pixels",
        **{f"tap_of_{name}": layer for name, layer in taps.items()},
        "cells": cells,
        "k": k,
        "distance": "1 - cosine",
        "seed": seed,
    }
    text = _TEXT.format(cells=cells, frames=frames)
    return write_gallery(out, "Nearest neighbors", text=text, pictures=files, numbers=numbers, protocol=protocol)


def _write_sheet(images, index, distance, labels, chosen, path):
    rows = []
    for query in chosen.tolist():
        row = [tile(images[query], _CELL, text="query")]
        for found, far in zip(index[query].tolist(), distance[query].tolist(), strict=True):
            frame = None if labels is None else (GOOD if labels[found] == labels[query] else BAD)
            row.append(tile(images[found], _CELL, text=f"{far:.3f}", frame=frame))
        rows.append(row)
    picture_sheet(rows, path, cell=max(rows[0][0].size), margin=4)
