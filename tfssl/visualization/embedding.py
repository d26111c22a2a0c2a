"""A map of images on which neighbors in a network's features lie together (t-SNE)."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler, minmax_scale

from tfssl.errors import ConfigError
from tfssl.options import at_least_one
from tfssl.visualization.line_plot import COLORS, save_figure
from tfssl.visualization.maps import pick_taps, read_images, tap_names, vectors
from tfssl.visualization.page import file_stem, write_gallery
from tfssl.visualization.sheet import save_png, tile

DIMENSIONS, PERPLEXITY, ITERATIONS, EXAGGERATION = 50, 30.0, 1000, 12.0
"""PCA before t-SNE, and t-SNE itself (van der Maaten and Hinton, 2008; defaults of scikit-learn)."""

_THUMBNAIL, _PIXELS = 1 / 28, 40  # of a thumbnail: fraction of the map, and pixels
_GRID_CELL = 48  # pixels

_TEXT = (
    "Features (a tap's map averaged over {cells}x{cells} cells) are standardized, reduced to {dimensions} dimensions "
    "by PCA and laid out by t-SNE with perplexity {perplexity:g}. On the map an image lies where t-SNE put it; on "
    "the grid every image is moved to a cell, all together as little as possible, so that none covers another. "
    "Near means alike; distances between groups, and their sizes, mean nothing.{frames}"
)
_FRAMES = (
    " Frames: the classes, in repeating colors.\n\nSilhouette: how much nearer an image lies to its own class than "
    "to the next, from -1 to 1, on the map and in the {dimensions} dimensions; shuffled: the same map with the classes "
    "dealt out by chance."
)


def project(rows, *, perplexity=None, seed=0):
    """Standardize, reduce by PCA, lay out by t-SNE.

    Args:
        rows: float array (N, d), N at least 6; columns that do not vary are left out.
        perplexity: effective number of neighbors, in [1, N / 3); None for :data:`PERPLEXITY`, or as much below it as
            N asks for.

    Returns:
        ``(points, reduced, perplexity, divergence)``: float64 (N, 2), float64 (N, min(50, N - 1, d)), the perplexity
        used, and KL(P || Q) at the end.

    Reference:
        L. van der Maaten, G. Hinton: Visualizing Data using t-SNE. JMLR, 2008.
    """
    rows = np.asarray(rows, np.float64)
    if len(rows) < 6:
        raise ConfigError(f"`data` must hold at least 6 images for a map. Received: {len(rows)}")
    if perplexity is None:
        perplexity = min(PERPLEXITY, (len(rows) - 1) // 3)
    if not 1 <= perplexity < len(rows) / 3:
        raise ConfigError(
            f"`perplexity` must be at least 1 and below a third of the {len(rows)} images. Received: "
            f"perplexity={perplexity}"
        )
    rows = rows[:, np.ptp(rows, axis=0) > 0]
    if not rows.shape[1]:
        raise ConfigError("`tap`: the network answers the same to all images; choose another tap")
    rows = StandardScaler().fit_transform(rows)
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
    points = layout.fit_transform(reduced)
    return np.asarray(points, np.float64), reduced, float(perplexity), float(layout.kl_divergence_)


def snap_to_grid(points):
    """Move points (x, y) to the cells of a grid, each to another one, the sum of squared distances as small as can be.

    Returns:
        ``(cells, columns, rows)``: int (N, 2), (column, row) of each, and the size of the grid.
    """
    columns = int(np.ceil(np.sqrt(len(points))))
    rows = -(-len(points) // columns)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    _, chosen = linear_sum_assignment(cdist(minmax_scale(points) * [columns - 1, rows - 1], grid, "sqeuclidean"))
    return grid[chosen], columns, rows


def embedding(
    networks, data, *, out, tap=None, image_size=96, limit=400, cells=3, perplexity=None, seed=0, skipped=None,
    progress=None,
):  # fmt: skip
    """Lay out images by the features of each network.

    Writes ``embedding-NAME.png``, ``grid-NAME.png``, ``index.html`` and ``numbers.json`` into ``out``.

    Args:
        networks: ``{name: keras.Model}``, encoders.
        data, limit, skipped: see :func:`~tfssl.visualization.maps.read_images`; class folders give frames, silhouettes.
        tap, cells: see :func:`~tfssl.visualization.maps.pick_tap`, :func:`~tfssl.visualization.maps.vectors`.
        image_size: of the images in pixels.
        perplexity: see :func:`project`.
        seed: of t-SNE, and of the shuffled classes.
        progress: called with (networks done, in all).

    Returns:
        ``{name: {"divergence": KL(P || Q)}}``, with classes also ``silhouette_map``, ``silhouette_features`` and
        ``silhouette_shuffled``.
    """
    at_least_one(image_size=image_size, limit=limit, cells=cells)
    taps = pick_taps(networks, tap)
    images = read_images(data, image_size=image_size, limit=limit, least=6, skipped=skipped)
    shown: dict = {"Map": {}, "Grid": {}}
    numbers, used = {}, 0.0
    for done, (name, network) in enumerate(networks.items(), start=1):
        rows = vectors(network, taps[name], images.images, cells=cells)
        points, reduced, used, divergence = project(rows, perplexity=perplexity, seed=seed)
        numbers[name] = {"divergence": divergence, **_silhouettes(points, reduced, images.labels, seed)}
        for heading, stem, draw in (("Map", "embedding", _draw_map), ("Grid", "grid", _draw_grid)):
            path = Path(out) / f"{file_stem(stem, name)}.png"
            draw(images, points, path)
            shown[heading][f"{name}, {taps[name]}"] = path
        if progress is not None:
            progress(done, len(networks))
    dimensions = min(DIMENSIONS, len(images) - 1)
    frames = "" if images.labels is None else _FRAMES.format(dimensions=dimensions)
    protocol = {"images": len(images), "image_size": image_size} | tap_names(taps)
    protocol |= {"cells": cells, "pca_dimensions": dimensions, "perplexity": used, "early_exaggeration": EXAGGERATION}
    protocol |= {"learning_rate": "auto: max(N / 48, 50)", "iterations": ITERATIONS, "start": "PCA", "seed": seed}
    text = _TEXT.format(cells=cells, dimensions=dimensions, perplexity=used, frames=frames)
    return write_gallery(out, "Maps of images", text=text, images=shown, numbers=numbers, protocol=protocol)


def _silhouettes(points, reduced, labels, seed):
    if labels is None or not 2 <= len(set(labels.tolist())) < len(labels):
        return {}
    shuffled = np.random.default_rng(seed).permutation(labels)
    return {
        "silhouette_map": silhouette_score(points, labels),
        "silhouette_features": silhouette_score(reduced, labels),
        "silhouette_shuffled": silhouette_score(points, shuffled),
    }


def _color(images, number):
    return None if images.labels is None else COLORS[images.labels[number] % len(COLORS)]


def _draw_map(images, points, path):
    """Thumbnails where t-SNE put them; below, the classes by the color of their frames, as long as colors differ."""
    figure = Figure((8, 8), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.set(aspect="equal", xticks=[], yticks=[])
    for number, (x, y) in enumerate(minmax_scale(points).tolist()):
        image = np.asarray(tile(images.images[number], _PIXELS, text=None, frame=_color(images, number)))
        axes.imshow(image, extent=(x, x + _THUMBNAIL, y, y + _THUMBNAIL), zorder=number)
    axes.set(xlim=(0, 1 + _THUMBNAIL), ylim=(0, 1 + _THUMBNAIL))
    if images.labels is not None and len(images.classes) <= len(COLORS):
        colors = [Patch(facecolor=color, label=name) for color, name in zip(COLORS, images.classes, strict=False)]
        figure.legend(handles=colors, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    save_figure(figure, path)


def _draw_grid(images, points, path):
    cells, columns, rows = snap_to_grid(points)
    sheet = Image.new("RGB", (columns * _GRID_CELL, rows * _GRID_CELL), "white")
    for number, (column, row) in enumerate(cells.tolist()):
        shown = tile(images.images[number], _GRID_CELL, text=None, frame=_color(images, number))
        sheet.paste(shown, (column * _GRID_CELL, row * _GRID_CELL))
    save_png(sheet, path)
