"""Filling holes of photographs: one image at its own size, or any number of files."""

import itertools
import math
import os
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.decode import read_mask
from tfssl.data.jobs import run_jobs
from tfssl.data.photo import decode_photo
from tfssl.data.profiles import from_srgb, to_srgb
from tfssl.errors import ConfigError, ModelError
from tfssl.files import fitting, sha256
from tfssl.methods.context_encoder.fill import compiled_filler, hole_fraction, square_around
from tfssl.ops.masks import random_blocks
from tfssl.options import as_path
from tfssl.visualization.sheet import picture_sheet

DRAWN_MASKS = ("center", "random")
"""Masks that need no file."""

SHEETS = "sheets"
"""Folder of the images masked | filled | truth, below that of the results."""

_MARK = (255, 0, 255)  # color of the hole on sheets: one that photographs hardly have
_SHEET_CELL = 384


class Inpainter:
    """A trained :class:`~tfssl.methods.ContextEncoder` as a function of photographs of any size.

    ``model`` may be the network of an export; ModelError for the feature network, exported without its decoder.
    """

    def __init__(self, method, model):
        network = getattr(model, "inpainter", model)
        if isinstance(network.output, dict):
            raise ModelError("this export holds only an encoder; give the run directory of a context_encoder model")
        self.method = method
        self._fill = compiled_filler(method, network)

    def __call__(self, rgb, hole):
        """Fill the holes of one image.

        Each connected hole is filled by itself from a square of its surroundings, a long thin one (a scratch) in
        pieces, which would otherwise be seen from too far away. The pixels of other holes and pieces are hidden from
        the network.

        Args:
            rgb: uint8 array (H, W, 3), sRGB, as the result.
            hole: bool array (H, W); ValueError if it covers the whole image.
        """
        if hole.all():
            raise ValueError("the mask covers the whole image; leave something to continue")
        filled = rgb.copy()
        for top, left, shape in _pieces(hole, self.method.crop_size // 2):
            bottom, right = top + shape.shape[0], left + shape.shape[1]
            first, start, side = (int(n) for n in square_around(self.method, (top, left, bottom, right)))
            rows, columns = _inside(first, side, hole.shape[0]), _inside(start, side, hole.shape[1])
            own = np.zeros_like(hole[rows, columns])
            own[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = shape
            square = first - rows.start, start - columns.start, side
            part = filled[rows, columns]
            part[own] = self._fill(part, hole[rows, columns], own, square)[own]
        return filled

    def draw_mask(self, kind, size, seed):
        """A mask, bool ``size`` = (height, width), for an image without one, in its central square.

        Args:
            kind: ``"center"``: as large as the network takes for the whole square; ``"random"``: several blocks.
            size: of the image in pixels.
            seed: of the blocks.
        """
        shorter = min(size)
        mask, top, left = np.zeros(size, bool), (size[0] - shorter) // 2, (size[1] - shorter) // 2
        square = mask[top : top + shorter, left : left + shorter]
        if kind == "random" and shorter >= 8:
            square[:] = random_blocks(shorter, np.random.default_rng(seed))
        else:
            width = max(1, int(shorter * hole_fraction(self.method)))
            start = (shorter - width) // 2
            square[start : start + width, start : start + width] = True
        return mask


def _pieces(hole, smallest):
    """Connected holes, long thin ones cut along a grid of ``smallest`` pixels: yields (top, left, bool (h, w))."""
    from skimage.measure import label, regionprops

    for region in regionprops(label(hole, connectivity=2)):
        longest = max(region.image.shape)
        cell = max(smallest, 2 * math.ceil(region.num_pixels / longest))  # twice its mean width
        if longest <= 2 * cell:
            cell = longest
        for top, left in itertools.product(*(range(0, n, cell) for n in region.image.shape)):
            shape = region.image[top : top + cell, left : left + cell]
            if shape.any():
                yield region.bbox[0] + top, region.bbox[1] + left, shape


def _inside(first, side, size):
    return slice(max(first, 0), min(first + side, size))


def inpaint_paths(inputs, out, predictor, *, mask="center", model="", **options):
    """Fill holes of files, folders and globs into a folder, and draw masked | filled | truth of each.

    Outside of the hole every pixel is that of the input until it is encoded: PNG keeps it, JPEG changes it as it always
    does. A color profile of RGB or gray stays with them; CMYK becomes sRGB. The images beside each other are below
    ``out/sheets/``.

    Args:
        inputs, out, **options: as :func:`tfssl.data.jobs.run_jobs`, also what it returns and raises.
        predictor: an :class:`Inpainter`.
        model: text that says which model ``predictor`` has, to tell its results from those of others.
        mask: an image of the same size that is white where the hole is; a folder of such images, each named as its
            input (``photo.jpg``: ``photo.png``); or ``"center"`` or ``"random"``, see :meth:`Inpainter.draw_mask`.
    """
    mask, path = os.fspath(mask), Path(mask).expanduser()
    if mask not in DRAWN_MASKS and not path.exists():
        raise ConfigError(
            f"`mask` must be an image that is white where the hole is, a folder of such, 'center' or 'random'. "
            f"Received: mask={mask!r}, which does not exist"
        )

    out = as_path("out", out)

    def mask_file(source):
        return path / f"{source.stem}.png" if path.is_dir() else path

    def settings(source):
        file = mask_file(source)
        return f"inpaint {model} {sha256(file) if file.is_file() else mask}"

    def hole_of(source, size):
        if mask in DRAWN_MASKS and not path.exists():
            # By name, so that the same image gets the same blocks in any list.
            return predictor.draw_mask(mask, size, zlib.crc32(source.name.encode("utf-8", "replace")))
        return read_mask(mask_file(source), size)

    def work(jobs):
        for job in jobs:
            try:
                _fill_file(job, hole_of, predictor, out)
            except ModelError:
                raise
            except Exception as error:  # whatever is wrong with one image, the others are done
                yield job, error, job.source.name
            else:
                yield job, None, job.source.name

    return run_jobs(inputs, out, work, settings=settings, **options)


def _fill_file(job, hole_of, predictor, out):
    keep_alpha = job.target.suffix.lower() == ".png"
    image, metadata = decode_photo(job.source, keep_alpha=keep_alpha, keep_profile=True)
    hole = hole_of(job.source, (image.height, image.width))
    own, profile = image.convert("RGB"), metadata.get("icc_profile")
    rgb = np.asarray(to_srgb(own, profile, gray=True) if profile else own)
    filled = predictor(rgb, hole)
    result = Image.fromarray(filled)
    if profile:  # outside the hole the file's own pixels, whose colors its profile explains
        result = from_srgb(result, profile, gray=True)
        result.paste(own.convert(result.mode), mask=Image.fromarray(~hole))
    if image.mode == "RGBA":
        result.putalpha(image.getchannel("A"))
    job.save(lambda top, bottom: result.crop((0, top, result.width, bottom)), result.size, **metadata)
    masked = np.where(hole[..., None], np.uint8(_MARK), rgb)
    sheet = out / SHEETS / job.target.relative_to(out)
    picture_sheet(
        [[masked, filled, rgb]],
        sheet.with_name(fitting(sheet.name, ".png")),
        titles=["masked", "filled", "truth"],
        cell=min(_SHEET_CELL, max(result.size)),
    )
