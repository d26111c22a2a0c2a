"""Contact sheets: rows of images of any size under column titles, beside row labels, as one PNG."""

from itertools import accumulate, zip_longest

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfssl.data.decode import array_to_image
from tfssl.files import writing

_FONT_SIZE = 14
_FRAME = 24  # of an image, the fraction of its width that a frame takes, at least 2 pixels
GOOD, BAD = "#009e73", "#d55e00"  # colors of frames, told apart by color-blind readers too (Okabe and Ito)


def picture_sheet(rows, path, titles=None, labels=None, cell=192, margin=8):
    """Write images as one PNG, whole or not at all; returns the sheet, a ``PIL.Image``.

    Each image is scaled to fit a square of ``cell`` pixels, keeping its aspect ratio; a column is as wide as its
    widest image, a row as high as its highest.

    Args:
        rows: list of rows, each a list of images: ``PIL.Image``, arrays (H, W), (H, W, 1) or (H, W, 3), uint8 in
            [0, 255] or float in [0, 1], or None for an empty cell. Rows may differ in length.
        path: file to write; its folder is made.
        titles: one text for each column, or None.
        labels: one text for each row, several lines allowed, or None.
        cell: longest side of an image on the sheet, in pixels.
        margin: space around each image, in pixels.

    Raises:
        ValueError: if there is no image, or titles or labels do not match.
    """
    _check(rows, titles, labels, cell)
    fitted = [[None if image is None else _fit(image, cell) for image in row] for row in rows]
    widths = [max((image.width for image in column if image), default=cell) for column in zip_longest(*fitted)]
    heights = [max((image.height for image in row if image), default=cell) for row in fitted]
    font, texts = ImageFont.load_default(_FONT_SIZE), [str(label).splitlines() for label in labels or []]
    line = sum(font.getmetrics())
    label_width = min(cell, int(max((font.getlength(text) for lines in texts for text in lines), default=0)))
    left = margin + (label_width + margin if label_width else 0)
    top = margin + (line + margin if titles else 0)
    xs = list(accumulate((width + margin for width in widths), initial=left))
    ys = list(accumulate((height + margin for height in heights), initial=top))

    sheet = Image.new("RGB", (xs[-1], ys[-1]), "white")
    for y, height, row in zip(ys, heights, fitted, strict=False):
        for x, width, image in zip(xs, widths, row, strict=False):
            if image:
                sheet.paste(image, (x + (width - image.width) // 2, y + (height - image.height) // 2))
    draw = ImageDraw.Draw(sheet)
    for x, width, title in zip(xs, widths, titles or [], strict=False):
        draw.text((x, margin // 2), _cut(str(title), width, font, "..."), "black", font)
    for y, lines in zip(ys, texts, strict=False):
        for number, text in enumerate(lines):
            draw.text((margin, y + number * line), _cut(text, label_width, font, "..."), "black", font)
    save_png(sheet, path)
    return sheet


def save_png(image, path):
    """Write a ``PIL.Image`` as PNG, whole or not at all; makes the folder."""
    with writing(path) as file:
        image.save(file, format="PNG")


def tile(image, size, *, text="", frame=None):
    """An image as a square of ``size`` pixels, framed, with a caption below: a ``PIL.Image``, RGB.

    Args:
        image: uint8 array (H, W, 3), or ``PIL.Image``; made a square by stretching.
        size: height and width in pixels, without the caption.
        text: caption; cut where it is wider than the image. None for no strip at all, ``""`` for an empty one.
        frame: color of a frame drawn over the image's border; None for none.
    """
    image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image, np.uint8))
    resampling = Image.Resampling.BICUBIC if image.width > 16 else Image.Resampling.NEAREST
    font = ImageFont.load_default(max(10, size // 8))
    strip = 0 if text is None else sum(font.getmetrics()) + 2
    whole = Image.new("RGB", (size, size + strip), "white")
    whole.paste(image.convert("RGB").resize((size, size), resampling), (0, 0))
    draw = ImageDraw.Draw(whole)
    if frame is not None:
        draw.rectangle([0, 0, size - 1, size - 1], outline=frame, width=max(2, size // _FRAME))
    if text:
        draw.text((size // 2, size + 1), _cut(text, size, font), "black", font, anchor="ma")
    return whole


def _check(rows, titles, labels, cell):
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise ValueError("`rows` must hold at least one image. Received: an empty sheet")
    if cell < 1:
        raise ValueError(f"`cell` must be at least 1 pixel. Received: cell={cell}")
    for name, texts, count in (("titles", titles, columns), ("labels", labels, len(rows))):
        if texts is not None and len(texts) != count:
            raise ValueError(f"`{name}` must hold one text for each of {count}. Received: {len(texts)} {name}")


def _fit(image, cell):
    image = image.convert("RGB") if isinstance(image, Image.Image) else array_to_image(np.asarray(image))
    scale = cell / max(image.size)
    size = tuple(max(1, round(length * scale)) for length in image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _cut(text, width, font, mark=""):
    """As much of a text as fits, with a mark where some is missing."""
    if font.getlength(text) <= width + 1:
        return text
    while text and font.getlength(text + mark) > width:
        text = text[:-1]
    return text + mark
