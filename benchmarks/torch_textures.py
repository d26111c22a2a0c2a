"""Gatys' texture loss as PyTorch users write it: the other side of a benchmark."""

import numpy as np
import torch
from torch import nn

POOL_AFTER = (2, 4, 7, 10)  # convolutions of VGG-16 up to pool4


class Textures(nn.Module):
    """VGG-16 up to pool4 with average pooling; Gram matrices of conv1_1 and the four poolings.

    Args:
        arrays: ``[(kernel (3, 3, in, out), bias), ...]`` of the convolutions.
        mean, deviation: of the images that the network was trained on.
        units: of the channels of each Gram matrix, five arrays (C,).
    """

    def __init__(self, arrays, mean, deviation, units):
        super().__init__()
        layers = []
        for number, (kernel, bias) in enumerate(arrays[: POOL_AFTER[-1]], start=1):
            convolution = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            convolution.weight.data = torch.tensor(np.transpose(kernel, (3, 2, 0, 1)).copy())
            convolution.bias.data = torch.tensor(np.array(bias))
            layers += [convolution, nn.ReLU()]
            layers += [nn.AvgPool2d(2)] if number in POOL_AFTER else []
        self.layers = nn.Sequential(*layers).requires_grad_(False)
        taps = [i for i, layer in enumerate(layers) if i == 1 or isinstance(layer, nn.AvgPool2d)]
        self.units = {tap: torch.tensor(unit)[None, :, None, None] for tap, unit in zip(taps, units, strict=True)}
        self.mean, self.deviation = (torch.tensor(v).float()[None, :, None, None] for v in (mean, deviation))

    def forward(self, image):
        x, grams = (image - self.mean) / self.deviation, []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.units:
                flat = (x / self.units[i]).flatten(2)[0]
                grams.append(flat @ flat.T / flat.shape[1])
        return grams


def objective(network, reference):
    """Function of an image (H, W, 3) to ``(value, gradient)``, both as :mod:`tfssl.synthesis` has them."""
    with torch.no_grad():
        targets = network(_tensor(reference))

    def evaluate(image):
        x = _tensor(image).requires_grad_()
        pairs = zip(network(x), targets, strict=True)
        loss = sum((found - wanted).square().mean() / 4 for found, wanted in pairs) / len(targets)
        loss.backward()
        return loss.item(), x.grad[0].permute(1, 2, 0).numpy()

    return evaluate


def _tensor(image):
    return torch.tensor(np.asarray(image, np.float32)).permute(2, 0, 1)[None].contiguous()
