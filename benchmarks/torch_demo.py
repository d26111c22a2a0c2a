"""Colorizing files as PyTorch users do it with the network of Zhang, Isola and Efros: the other side of a benchmark.

What their demonstration does to a photograph, written anew from a description of its steps: Pillow reads it and makes a
copy of 256 x 256, scikit-image gives Lab of both, the network sees L of the copy, its ab are enlarged to the photograph
and joined with L of the photograph, scikit-image makes RGB of them, and Pillow writes the file.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from torch import nn
from torch_network import paper_network

SIDE = 256  # pixels of the copy that the network sees


class Eccv16(nn.Module):
    """The network of the paper and its decoding: L (B, 1, 256, 256) in [0, 100] -> ab (B, 2, 256, 256).

    The weights are random: they change nothing about how long it takes.
    """

    def __init__(self):
        super().__init__()
        self.network = paper_network()
        self.centers = nn.Conv2d(313, 2, 1, bias=False)
        self.upsample = nn.Upsample(scale_factor=4, mode="bilinear")

    def forward(self, lightness):
        scores = self.network((lightness - 50) / 100)
        return self.upsample(self.centers(scores.softmax(dim=1))) * 110


def colorize_files(network, paths, out):
    """Colorize files one after the other into a folder, each with the quality that `tfssl colorize` writes."""
    for path in paths:
        with Image.open(path) as file:
            image = file.convert("RGB")
        small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        own, seen = (rgb2lab(np.asarray(one))[..., 0] for one in (image, small))
        with torch.no_grad():
            ab = network(torch.tensor(seen, dtype=torch.float32)[None, None])
            ab = nn.functional.interpolate(ab, size=own.shape, mode="bilinear")
        lab = np.concatenate([own[..., None], ab[0].numpy().transpose(1, 2, 0)], axis=-1)
        pixels = (255 * lab2rgb(lab)).round().astype(np.uint8)
        Image.fromarray(pixels).save(Path(out, path.name), quality=95, subsampling=0)
