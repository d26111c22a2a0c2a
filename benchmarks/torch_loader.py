"""The input pipeline as PyTorch users write it: Pillow and scikit-image in a Dataset, batches from a DataLoader."""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch.utils.data import DataLoader, Dataset


class ColorFolder(Dataset):
    """Random crops of a folder's photographs as ``(L, ab of every stride-th pixel)``, float32 tensors."""

    def __init__(self, folder, *, resize, crop, stride):
        self.paths = sorted(Path(folder).rglob("*.jpg"))
        self.resize, self.crop, self.stride = resize, crop, stride

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with Image.open(self.paths[index]) as file:
            image = file.convert("RGB")
        scale = self.resize / min(image.size)
        if scale != 1:
            image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        left, top = (random.randint(0, side - self.crop) for side in image.size)
        pixels = np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        lab = rgb2lab(pixels).astype(np.float32)
        lightness, ab = lab[..., :1], np.ascontiguousarray(lab[:: self.stride, :: self.stride, 1:])
        return torch.from_numpy(np.ascontiguousarray(lightness)), torch.from_numpy(ab)


def loader(folder, *, resize, crop, stride, batch_size, workers):
    """A shuffled DataLoader whose workers stay alive between epochs."""
    return DataLoader(
        ColorFolder(folder, resize=resize, crop=crop, stride=stride),
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
        # A fork of a process in which TensorFlow's threads run can hang.
        multiprocessing_context="spawn",
    )
