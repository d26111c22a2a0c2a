"""The puzzle pipeline as PyTorch users write it: Pillow and NumPy in a Dataset, batches from a DataLoader."""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class PuzzleFolder(Dataset):
    """Puzzles of a folder's photographs: nine standardized tiles, float32 (9, t, t, 3), and the permutation's number.

    Args:
        folder: searched for .jpg files.
        permutations: int array (P, 9).
        resize: pixels of the shorter side.
        crop: side of the puzzle in pixels.
        tile: side of a tile in pixels.
        jitter: largest shift between the channels of a tile in pixels.
        gray_fraction: fraction of puzzles in gray.
    """

    def __init__(self, folder, permutations, *, resize, crop, tile, jitter, gray_fraction):
        self.paths = sorted(Path(folder).rglob("*.jpg"))
        self.permutations = np.asarray(permutations)
        self.resize, self.crop, self.tile, self.jitter, self.gray_fraction = resize, crop, tile, jitter, gray_fraction

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        pixels = self.crop_of(self.paths[index])
        gray = random.random() < self.gray_fraction
        if gray:
            pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
        tiles = [self.tile_of(pixels, cell, gray) for cell in range(9)]
        label = random.randrange(len(self.permutations))
        puzzle = np.stack([tiles[cell] for cell in self.permutations[label]])
        return torch.from_numpy(puzzle), label

    def crop_of(self, path):
        """A random square of the photograph, uint8 (crop, crop, 3)."""
        with Image.open(path) as file:
            image = file.convert("RGB")
        scale = self.resize / min(image.size)
        if scale != 1:
            image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BILINEAR)
        left, top = (random.randint(0, side - self.crop) for side in image.size)
        return np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))

    def tile_of(self, pixels, cell, gray):
        """A random tile of one cell with mean 0 and standard deviation 1 in each channel."""
        side = self.crop // 3
        room = side - self.tile - self.jitter
        top, left = (side * position + random.randint(0, room) for position in divmod(cell, 3))
        tile = np.empty((self.tile, self.tile, 3), np.float32)
        for channel in range(3):
            y, x = (0, 0) if gray else (random.randint(0, self.jitter), random.randint(0, self.jitter))
            tile[..., channel] = pixels[top + y :, left + x :, channel][: self.tile, : self.tile]
        return (tile - tile.mean(axis=(0, 1))) / (tile.std(axis=(0, 1)) + 1e-6)


def loader(dataset, *, batch_size, workers):
    """A shuffled DataLoader whose workers stay alive between epochs."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
        # A fork of a process in which TensorFlow's threads run can hang.
        multiprocessing_context="spawn",
    )
