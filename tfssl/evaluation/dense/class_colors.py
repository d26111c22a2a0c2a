"""Colors of classes: those that PASCAL VOC gives them."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfssl.data.voc import IGNORE

_FONT_SIZE = 14


def palette():
    """VOC's color map, uint8 (256, 3): from the highest bit down, red, green and blue each take one of the number's.

    Class 1 is (128, 0, 0), 2 (0, 128, 0), 4 (0, 0, 128), 8 (64, 0, 0); 255, which counts for nothing, is white here,
    where VOC has cream.
    """
    numbers, colors = np.arange(256), np.zeros((256, 3), np.uint8)
    for bit in range(7, -1, -1):
        colors |= ((numbers[:, None] >> np.arange(3) & 1) << bit).astype(np.uint8)
        numbers = numbers >> 3
    colors[IGNORE] = 255
    return colors


def painted(mask):
    """A mask, int (H, W), in the colors of its classes, uint8 (H, W, 3)."""
    return palette()[mask]


def legend(classes, width=160):
    """A picture of the classes' colors and names.

    Args:
        classes: names, in the order of their numbers.
        width: in pixels; longer names are cut.

    Returns:
        ``PIL.Image``, one line for each class.
    """
    font = ImageFont.load_default(_FONT_SIZE)
    line = sum(font.getmetrics()) + 2
    picture = Image.new("RGB", (width, line * len(classes)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (name, color) in enumerate(zip(classes, palette().tolist(), strict=False)):
        top = number * line
        draw.rectangle((0, top, line - 3, top + line - 3), fill=tuple(color))
        draw.text((line + 4, top), name, "black", font)
    return picture
