"""Draw docs/images/shortcuts.png: the pictures without content, and puzzles of them with a guard off and on.

python benchmarks/draw_shortcuts.py
"""

import argparse
from pathlib import Path

import contentless
import numpy as np
from shortcuts import ROWS, SIDE

from tfssl.methods.jigsaw.network import MEAN_COLOR, PIXEL_SCALE
from tfssl.visualization.sheet import picture_sheet

PATH = Path(__file__).resolve().parent.parent / "docs" / "images" / "shortcuts.png"
SHOWN = (
    ("jigsaw/borders", "gap"),
    ("jigsaw/mean", "normalization"),
    ("jigsaw/aberration, red - blue", "gray"),
)
STRONG = (1.05, 1.0, 0.95)  # aberration as strong as an eye needs it
ENLARGED = 3


def board(tiles, space=2):
    """Nine tiles (9, t, t, 3) side by side, with white between them, enlarged; uint8."""
    low, high = np.percentile(tiles, (0.5, 99.5))
    tiles = np.clip((tiles - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    framed = np.pad(tiles, ((0, 0), (0, space), (0, space), (0, 0)), constant_values=255)
    side = framed.shape[1]
    joined = framed.reshape(3, 3, side, side, 3).transpose(0, 2, 1, 3, 4).reshape(3 * side, 3 * side, 3)
    return joined[:-space, :-space].repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)  # each pixel as a square


def puzzle(row, pictures):
    """The first puzzle as the network sees it, cut from the first picture."""
    tiles, _ = next(iter(row.build().dataset(pictures, batch_size=1, training=False)))
    gray = np.divide(MEAN_COLOR, PIXEL_SCALE) if row.fields.get("normalization") == "none" else 0.0
    return board(tiles.numpy()[0] + gray)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    by_name = {row.name: row for row in ROWS}
    sheet = []
    for name, guard in SHOWN:
        off, on = by_name[f"{name}/none"], by_name[f"{name}/{guard}"]
        if "aberration" in name:
            pictures = contentless.aberration(1, SIDE, 0, magnification=STRONG)
        else:
            pictures = off.pictures(1, SIDE, 0)
        sheet.append([pictures[0], puzzle(off, pictures), puzzle(on, pictures)])
    labels = [f"{name.split('/')[1].split(',')[0]}\n({guard})" for name, guard in SHOWN]
    picture_sheet(sheet, PATH, titles=["picture", "guard off", "guard on"], labels=labels, cell=120)
    print(PATH, PATH.stat().st_size)


if __name__ == "__main__":
    main()
