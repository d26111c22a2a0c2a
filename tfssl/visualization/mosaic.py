"""What a classifier is surest of, class by class: images that it is right about beside those that it is wrong about."""

from pathlib import Path

from PIL import Image

from tfssl.visualization import page
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet, tile

_CELL, _GAP = 96, 12  # pixels of an image, and between right and wrong ones


def write_mosaics(folder, title, classes):
    """Write ``mosaics.png``, a row for each class, and ``mosaics.html``, a section for each.

    Args:
        folder: where to.
        title: of the page.
        classes: ``{name: (right, wrong)}``, lists of ``(image, text)``, the surest first; images are uint8 arrays
            (H, W, 3) or ``PIL.Image``, texts what an image really is.
    """
    folder = Path(folder)
    tiles = {
        name: [
            [tile(image, _CELL, text=text, frame=frame) for image, text in images]
            for images, frame in zip(pair, (GOOD, BAD), strict=True)
        ]
        for name, pair in classes.items()
    }
    width = max(len(right) for right, _ in tiles.values())
    height = max(one.height for pair in tiles.values() for images in pair for one in images)
    gap = Image.new("RGB", (_GAP, height), "white")
    rows = [[*right, *[None] * (width - len(right)), gap, *wrong] for right, wrong in tiles.values()]
    picture_sheet(rows, folder / "mosaics.png", labels=list(tiles), cell=height)
    sections = []
    for name, pair in tiles.items():
        figures = [page.Figure(one, photograph=True) for images in pair for one in images]
        sections.append(page.Section(name, [page.Row(figures, small=True)], name, name))
    text = "The images with the highest scores for each class: framed green, those that have the label; orange, others."
    page.write_page(folder / "mosaics.html", title, sections, text=text)
