"""How far pictures lie from one another, in two or more networks."""

from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.crop import Crop
from tfssl.data.images import decode_image
from tfssl.errors import ConfigError, SourceError
from tfssl.visualization.gallery import write_gallery
from tfssl.visualization.maps import normalized, pick_tap, vectors
from tfssl.visualization.page import Section
from tfssl.visualization.sheet import picture_sheet
from tfssl.visualization.tile import GOOD, tile

_CELL = 160

_TEXT = (
    "The cosine distance (1 - cosine of the vectors) of the first picture to each of the others, in each network: 0 "
    "the same direction, 1 nothing in common. A vector is a tap's map averaged over {cells}x{cells} cells. The frame "
    "marks the nearest. Distances of different networks have no common scale: compare the order, not the values."
)


def cosine_distances(rows):
    """Distances ``1 - x y / (|x| |y|)`` of rows (N, d) to one another, float32 (N, N); 1 to a row of zeros."""
    rows = normalized(rows)
    far = np.maximum(1.0 - rows @ rows.T, 0.0)
    np.fill_diagonal(far, 0.0)
    return far


def distance(networks, photo, *, out, tap=None, side=96, cells=3):
    """Compare a picture with others in each network.

    Args:
        networks: ``{name: keras.Model}``, encoders.
        photo: at least two pictures, each a path, encoded bytes or ``PIL.Image``: the query, then the others.
        out: folder for ``distance.png``, ``index.html``, ``numbers.json``.
        tap: see :func:`~tfssl.visualization.maps.pick_tap`.
        side: of the squares that the networks see, in pixels.
        cells: see :func:`~tfssl.visualization.maps.vectors`.

    Returns:
        ``{name: {"1_to_2": distance, ...}}`` for all pairs, numbered as given.

    Raises:
        ConfigError: for fewer than two pictures, or a tap that a network lacks.
        SourceError: if a picture cannot be read.
    """
    if len(photo) < 2:
        raise ConfigError(f"`photo` must be given at least twice, the query first. Received: {len(photo)} pictures")
    taps = {name: pick_tap(network, tap, name) for name, network in networks.items()}
    names = [
        str(getattr(one, "filename", f"picture {n}") if isinstance(one, (bytes, Image.Image)) else one)
        for n, one in enumerate(photo, start=1)
    ]
    whole = [_read(one, name) for one, name in zip(photo, names, strict=True)]
    images = np.stack([Crop(side, resize=side, flip=False).apply(image) for image in whole])
    far = {
        name: cosine_distances(vectors(network, taps[name], images, cells=cells)) for name, network in networks.items()
    }
    rows = [_row(whole, far[name]) for name in networks]
    path = Path(out) / "distance.png"
    picture_sheet(rows, path, labels=[f"{name}\n{taps[name]}" for name in networks], cell=max(rows[0][0].size))
    pairs = [(i, j) for i in range(len(photo)) for j in range(i + 1, len(photo))]
    numbers = {name: {f"{i + 1}_to_{j + 1}": far[name][i, j] for i, j in pairs} for name in networks}
    listed = [["number", "picture"], *([str(n), Path(name).name] for n, name in enumerate(names, start=1))]
    protocol = {"side": side, "cells": cells, **{f"tap_of_{name}": layer for name, layer in taps.items()}}
    return write_gallery(
        out,
        "Distances",
        text=_TEXT.format(cells=cells),
        pictures={"From the first picture to the others": {"": path}},
        numbers=numbers,
        protocol=protocol,
        sections=[Section("Pictures", table=listed)],
    )


def _read(photo, name):
    try:
        return photo.convert("RGB") if isinstance(photo, Image.Image) else decode_image(photo)
    except (ValueError, OSError) as error:
        raise SourceError(f"`photo` cannot be read ({error}). Received: photo={name!r}") from None


def _row(whole, far):
    crop = Crop(_CELL, resize=_CELL, flip=False)
    nearest = 1 + int(np.argmin(far[0, 1:]))
    row = [tile(crop.apply(whole[0]), _CELL, text="query")]
    for number in range(1, len(whole)):
        frame = GOOD if number == nearest else None
        row.append(tile(crop.apply(whole[number]), _CELL, text=f"{far[0, number]:.4f}", frame=frame))
    return row
