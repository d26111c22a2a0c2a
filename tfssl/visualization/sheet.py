"""Contact sheets: rows of images of any size under column titles, beside row labels, as one PNG."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfssl.data.decode import array_to_image
from tfssl.files import writing

_BACKGROUND, _INK = "white", "black"
_FONT_SIZE = 14
_FRAME = 24  # of an image, the fraction of its side that a frame takes, at least 2 pixels

GOOD, BAD = "#009e73", "#d55e00"
"""Colors of frames, told apart by color-blind readers too (Okabe and Ito)."""


def picture_sheet(rows, path, titles=None, labels=None, cell=192, margin=8):
    """Write images as one PNG, whole or not at all.

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

    Returns:
        The sheet, a ``PIL.Image``.

    Raises:
        ValueError: if there is no image, or titles or labels do not match.
    """
    _check(rows, titles, labels, cell)
    fitted = [[None if image is None else _fit(image, cell) for image in row] for row in rows]
    columns = [[row[j] for row in fitted if j < len(row)] for j in range(max(len(row) for row in fitted))]
    widths = [max((image.width for image in column if image), default=cell) for column in columns]
    heights = [max((image.height for image in row if image), default=cell) for row in fitted]
    texts = _Texts(titles or [], labels or [""] * len(rows))
    label_width = texts.label_width(limit=cell)
    left = margin + (label_width + margin if label_width else 0)
    top = margin + (texts.line + margin if titles else 0)
    xs, ys = _starts(left, widths, margin), _starts(top, heights, margin)

    sheet = Image.new("RGB", (xs[-1], ys[-1]), _BACKGROUND)
    for y, height, row in zip(ys[:-1], heights, fitted, strict=True):
        for x, width, image in zip(xs, widths, row, strict=False):
            if image:
                sheet.paste(image, (x + (width - image.width) // 2, y + (height - image.height) // 2))
    texts.draw(ImageDraw.Draw(sheet), xs, ys, widths, label_width, margin)
    save_png(sheet, path)
    return sheet


def save_png(image, path):
    """Write a ``PIL.Image`` as PNG, whole or not at all; makes the folder."""
    with writing(path) as file:
        image.save(file, format="PNG")


def tile(image, size, *, text="", frame=None):
    """An image as a square of ``size`` pixels, framed, with a caption.

    Args:
        image: uint8 array (H, W, 3), or ``PIL.Image``; made a square by stretching.
        size: height and width in pixels, without the caption.
        text: caption; cut where it is wider than the image. None for no strip at all, ``""`` for an empty one.
        frame: color of a frame drawn over the image's border; None for none.

    Returns:
        ``PIL.Image``, RGB.
    """
    image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image, np.uint8))
    resampling = Image.Resampling.BICUBIC if image.width > 16 else Image.Resampling.NEAREST
    image = image.convert("RGB").resize((size, size), resampling)
    font = ImageFont.load_default(max(10, size // 8))
    strip = 0 if text is None else sum(font.getmetrics()) + 2
    whole = Image.new("RGB", (size, size + strip), "white")
    whole.paste(image, (0, 0))
    draw = ImageDraw.Draw(whole)
    if frame is not None:
        draw.rectangle([0, 0, size - 1, size - 1], outline=frame, width=max(2, size // _FRAME))
    if text:
        while text and font.getlength(text) > size:
            text = text[:-1]
        draw.text((size // 2, size + 1), text, "black", font, anchor="ma")
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


def _starts(first, sizes, margin):
    """Where each of a line of boxes starts, and where the next one would."""
    starts = [first]
    for size in sizes:
        starts.append(starts[-1] + size + margin)
    return starts


class _Texts:
    """Column titles above the first row and labels beside each row, in Pillow's own font."""

    def __init__(self, titles, labels):
        self.titles = [str(title) for title in titles]
        self.labels = [str(label).splitlines() for label in labels]
        self.font = ImageFont.load_default(_FONT_SIZE)
        self.line = sum(self.font.getmetrics())

    def label_width(self, limit):
        """Pixels that the widest label needs, at most ``limit``."""
        return min(limit, int(max((self.font.getlength(text) for lines in self.labels for text in lines), default=0)))

    def draw(self, draw, xs, ys, widths, label_width, margin):
        """Write all texts, cut to the width of their column."""
        for x, width, title in zip(xs, widths, self.titles, strict=False):
            draw.text((x, margin // 2), self._cut(title, width), _INK, self.font)
        for y, lines in zip(ys, self.labels, strict=False):
            for number, text in enumerate(lines):
                draw.text((margin, y + number * self.line), self._cut(text, label_width), _INK, self.font)

    def _cut(self, text, width):
        if self.font.getlength(text) <= width + 1:
            return text
        while text and self.font.getlength(text + "...") > width:
            text = text[:-1]
        return text + "..."
