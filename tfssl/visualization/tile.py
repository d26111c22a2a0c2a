"""One picture of a contact sheet: a square with a colored frame and a line of text below."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GOOD, BAD = "#009e73", "#d55e00"
"""Colors of frames, told apart by color-blind readers too (Okabe and Ito)."""

_FRAME = 24  # of a picture, the share of its side that a frame takes, at least 2 pixels


def tile(picture, side, *, text="", frame=None):
    """A picture as a square of ``side`` pixels, framed, with a caption.

    Args:
        picture: uint8 array (H, W, 3), or ``PIL.Image``; made a square by stretching.
        side: height and width in pixels, without the caption.
        text: caption; cut where it is wider than the picture. None for no strip at all, ``""`` for an empty one.
        frame: color of a frame drawn over the picture's border; None for none.

    Returns:
        ``PIL.Image``, RGB.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture, np.uint8))
    resampling = Image.Resampling.BICUBIC if image.width > 16 else Image.Resampling.NEAREST
    image = image.convert("RGB").resize((side, side), resampling)
    font = ImageFont.load_default(max(10, side // 8))
    strip = 0 if text is None else sum(font.getmetrics()) + 2
    whole = Image.new("RGB", (side, side + strip), "white")
    whole.paste(image, (0, 0))
    draw = ImageDraw.Draw(whole)
    if frame is not None:
        draw.rectangle([0, 0, side - 1, side - 1], outline=frame, width=max(2, side // _FRAME))
    if text:
        while text and font.getlength(text) > side:
            text = text[:-1]
        draw.text((side // 2, side + 1), text, "black", font, anchor="ma")
    return whole
