"""A map of pictures on which neighbors in a network's features lie together (t-SNE)."""

from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.visualization.gallery import file_stem, write_gallery
from tfssl.visualization.line_plot import COLORS
from tfssl.visualization.maps import pick_tap, vectors
from tfssl.visualization.pictures import read_pictures
from tfssl.visualization.sheet import save_png
from tfssl.visualization.tile import tile

DIMENSIONS, PERPLEXITY, ITERATIONS, EXAGGERATION = 50, 30.0, 1000, 12.0
"""PCA before t-SNE, and t-SNE itself (van der Maaten and Hinton, 2008; defaults of scikit-learn)."""

_CANVAS, _THUMBNAIL, _GRID_CELL = 1200, 40, 48  # pixels

_TEXT = (
    "Features (a tap's map averaged over {cells}x{cells} cells) are standardized, reduced to {dimensions} dimensions "
    "by PCA and laid out by t-SNE with perplexity {perplexity:g}. On the map a picture lies where t-SNE put it; on "
    "the grid every picture is moved to a cell, all together as little as possible, so that none covers another. "
    "Near means alike; distances between groups, and their sizes, mean nothing.{frames}"
)
_FRAMES = (
    " Frames: the classes, in repeating colors.\n\nSilhouette: how much nearer a picture lies to its own class than "
    "to the next, from -1 to 1, on the map and in the {dimensions} dimensions; shuffled: the same map with the classes "
    "dealt out by chance."
)


def project(rows, *, perplexity=None, seed=0):
    """Standardize, reduce by PCA, lay out by t-SNE.

    Args:
        rows: float array (N, d); columns that do not vary are left out.
        perplexity: effective number of neighbors, below N / 3; None for :data:`PERPLEXITY`, or as much below it as
            N asks for.
        seed: of t-SNE.

    Returns:
        ``(places, reduced, perplexity, divergence)``: float64 (N, 2), float64 (N, min(50, N - 1, d)), the perplexity
        used, and KL(P || Q) at the end.

    Raises:
        ConfigError: if the perplexity is not in [1, N / 3), N is less than 6, or no column varies.

    Reference:
        L. van der Maaten, G. Hinton: Visualizing Data using t-SNE. JMLR, 2008.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = np.asarray(rows, np.float64)
    if len(rows) < 6:
        raise ConfigError(f"`data` must hold at least 6 pictures for a map. Received: {len(rows)}")
    if perplexity is None:
        perplexity = min(PERPLEXITY, (len(rows) - 1) // 3)
    if not 1 <= perplexity < len(rows) / 3:
        raise ConfigError(
            f"`perplexity` must be at least 1 and below a third of the {len(rows)} pictures. Received: "
            f"perplexity={perplexity}"
        )
    spread = rows.std(axis=0)
    if not (spread > 0).any():
        raise ConfigError("`tap`: the network answers the same to all pictures; choose another tap")
    rows = ((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    reduced = PCA(min(DIMENSIONS, len(rows) - 1, rows.shape[1]), svd_solver="full").fit_transform(rows)
    layout = TSNE(
        init="pca" if reduced.shape[1] > 1 else "random",
        perplexity=perplexity,
        early_exaggeration=EXAGGERATION,
        learning_rate="auto",
        max_iter=ITERATIONS,
        random_state=seed,
        n_jobs=1,
    )
    places = layout.fit_transform(reduced)
    return np.asarray(places, np.float64), reduced, float(perplexity), float(layout.kl_divergence_)


def snap_to_grid(places):
    """Move points to the cells of a grid, each to another one, the sum of squared distances as small as can be.

    Args:
        places: float array (N, 2): (x, y).

    Returns:
        ``(cells, columns, rows)``: int (N, 2), (column, row) of each, and the size of the grid.
    """
    from scipy.optimize import linear_sum_assignment

    columns = int(np.ceil(np.sqrt(len(places))))
    rows = -(-len(places) // columns)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    wanted = _unit(places) * [columns - 1, rows - 1]
    cost = ((wanted[:, None] - grid[None]) ** 2).sum(axis=-1)
    _, chosen = linear_sum_assignment(cost)
    return grid[chosen], columns, rows


def embedding(
    networks,
    data,
    *,
    out,
    tap=None,
    side=96,
    limit=400,
    cells=3,
    perplexity=None,
    seed=0,
    skipped=None,
    progress=None,
):
    """Lay out pictures by the features of each network.

    Args:
        networks: ``{name: keras.Model}``, encoders.
        data: see :func:`tfssl.data.images.image_source`; class folders give frames and silhouettes.
        out: folder for ``embedding-NAME.png``, ``grid-NAME.png``, ``index.html``, ``numbers.json``.
        tap: see :func:`~tfssl.visualization.maps.pick_tap`.
        side: of the pictures in pixels.
        limit: pictures to take.
        cells: see :func:`~tfssl.visualization.maps.vectors`.
        perplexity: see :func:`project`.
        seed: of t-SNE, and of the shuffled classes.
        skipped: as :func:`~tfssl.visualization.pictures.read_pictures`.
        progress: called with (networks done, in all).

    Returns:
        ``{name: {"divergence": KL(P || Q)}}``, with classes also ``silhouette_map``, ``silhouette_features`` and
        ``silhouette_shuffled``.

    Raises:
        SourceError: if there are too few pictures.
        ConfigError: for a tap that a network lacks, or a perplexity out of range.
    """
    taps = {name: pick_tap(network, tap, name) for name, network in networks.items()}
    pictures = read_pictures(data, side=side, limit=limit, least=6, skipped=skipped)
    maps, grids, numbers, used = {}, {}, {}, 0.0
    for done, (name, network) in enumerate(networks.items(), start=1):
        rows = vectors(network, taps[name], pictures.images, cells=cells)
        places, reduced, used, divergence = project(rows, perplexity=perplexity, seed=seed)
        numbers[name] = {"divergence": divergence, **_silhouettes(places, reduced, pictures.labels, seed)}
        maps[f"{name}, {taps[name]}"] = _draw_map(pictures, places, Path(out) / f"{file_stem('embedding', name)}.png")
        grids[f"{name}, {taps[name]}"] = _draw_grid(pictures, places, Path(out) / f"{file_stem('grid', name)}.png")
        if progress is not None:
            progress(done, len(networks))
    dimensions = min(DIMENSIONS, len(pictures) - 1)
    frames = "" if pictures.labels is None else _FRAMES.format(dimensions=dimensions)
    protocol = {
        "pictures": len(pictures),
        "side": side,
        **{f"tap_of_{name}": layer for name, layer in taps.items()},
        "cells": cells,
        "pca_dimensions": dimensions,
        "perplexity": used,
        "early_exaggeration": EXAGGERATION,
        "learning_rate": "auto: max(N / 48, 50)",
        "iterations": ITERATIONS,
        "start": "PCA",
        "seed": seed,
    }
    text = _TEXT.format(cells=cells, dimensions=dimensions, perplexity=used, frames=frames)
    pages = {"Map": maps, "Grid": grids}
    return write_gallery(out, "Maps of pictures", text=text, pictures=pages, numbers=numbers, protocol=protocol)


def _silhouettes(places, reduced, labels, seed):
    from sklearn.metrics import silhouette_score

    if labels is None or not 2 <= len(set(labels.tolist())) < len(labels):
        return {}
    shuffled = np.random.default_rng(seed).permutation(labels)
    return {
        "silhouette_map": silhouette_score(places, labels),
        "silhouette_features": silhouette_score(reduced, labels),
        "silhouette_shuffled": silhouette_score(places, shuffled),
    }


def _unit(places):
    """Places brought to [0, 1] along each axis."""
    low, high = places.min(axis=0), places.max(axis=0)
    return (places - low) / np.where(high > low, high - low, 1.0)


def _draw_map(pictures, places, path):
    canvas = Image.new("RGB", (_CANVAS, _CANVAS), "white")
    for number, (x, y) in enumerate(_unit(places) * (_CANVAS - _THUMBNAIL)):
        canvas.paste(_thumbnail(pictures, number, _THUMBNAIL), (round(x), round(y)))
    save_png(canvas, path)
    return path


def _draw_grid(pictures, places, path):
    cells, columns, rows = snap_to_grid(places)
    canvas = Image.new("RGB", (columns * _GRID_CELL, rows * _GRID_CELL), "white")
    for number, (column, row) in enumerate(cells.tolist()):
        canvas.paste(_thumbnail(pictures, number, _GRID_CELL), (column * _GRID_CELL, row * _GRID_CELL))
    save_png(canvas, path)
    return path


def _thumbnail(pictures, number, side):
    frame = None if pictures.labels is None else COLORS[pictures.labels[number] % len(COLORS)]
    return tile(pictures.images[number], side, text=None, frame=frame)
