"""Square crops of images."""

import dataclasses

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Crop:
    """How an image becomes a square crop.

    Args:
        size: side of the crop in pixels.
        resize: the image is first scaled so that its shorter side has this many pixels. None keeps its size,
            unless that is smaller than the crop.
        area: (smallest, largest) fraction of the image's area that a training crop covers, with an aspect
            ratio of 3:4 to 4:3, scaled to ``size``. None cuts ``size`` pixels without scaling, as Zhang et al.
        flip: mirror half of the training crops.
    """

    size: int
    resize: int | None = None
    area: tuple[float, float] | None = None
    flip: bool = True

    @property
    def min_size(self):
        """Shorter side that decoding has to keep, in pixels; None for all of it."""
        if self.resize is not None:
            return max(self.resize, self.size)
        return None if self.area is None else int(np.ceil(self.size / np.sqrt(self.area[0])))

    def box(self, width, height, rng):
        """Left, top, right, bottom of the crop in the image's own pixels; ``rng`` None means the center."""
        if self.area is not None and rng is not None:
            for _ in range(10):
                area = width * height * rng.uniform(*self.area)
                aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
                w, h = np.sqrt(area * aspect), np.sqrt(area / aspect)
                if w <= width and h <= height:
                    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
                    return left, top, min(left + w, width), min(top + h, height)  # rounding may lead out by a hair
        shorter = min(width, height)
        if self.resize is None and self.area is None:
            side = min(self.size, shorter)
        else:
            side = shorter * min(1.0, self.size / (self.resize or self.size))
        if rng is None:
            left, top = (width - side) / 2, (height - side) / 2
        else:
            left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        if side == self.size:  # no scaling: stay on the pixel grid
            left, top = int(left), int(top)
        return left, top, min(left + side, width), min(top + side, height)

    def apply(self, image, rng=None):
        """Crop ``image`` (``PIL.Image``) to a uint8 array (size, size, 3); ``rng`` None means the center."""
        box = self.box(*image.size, rng)
        if all(float(v).is_integer() for v in box) and box[2] - box[0] == self.size == box[3] - box[1]:
            image = image.crop(box)
        else:
            image = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        if self.flip and rng is not None and rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(image)

    def sample(self, example, rng, training):
        """As :meth:`tfssl.methods.base.Method.sample`: the crop of an example's image, at random in training."""
        return (self.apply(example["image"], rng if training else None),)


def scaled(image, shorter):
    """A ``PIL.Image`` whose shorter side has ``shorter`` pixels, bicubic; None: the image itself."""
    if shorter is None or min(image.size) == shorter:
        return image
    scale = shorter / min(image.size)
    return image.resize(tuple(max(shorter, round(n * scale)) for n in image.size), Image.Resampling.BICUBIC)
