"""The patch pipeline as PyTorch users write it: Pillow and NumPy in a Dataset, batches from a DataLoader."""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

PLACES = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dx, dy) != (0, 0)]


class PatchFolder(Dataset):
    """What both datasets share: pictures of a folder at a random size, patches of a grid, prepared one by one.

    Args:
        folder: searched for .jpg files.
        fields: of a ``ContextPrediction`` with color dropping and the noise of the released code, as a dict.
    """

    def __init__(self, folder, fields):
        self.paths = sorted(Path(folder).rglob("*.jpg"))
        for name in (
            "area",
            "patch_size",
            "gap",
            "jitter",
            "patches_per_image",
            "downsample_fraction",
            "downsample_size",
        ):
            setattr(self, name, fields[name])
        self.rms = fields["rms"]

    def __len__(self):
        return len(self.paths)

    def picture(self, index):
        """A photograph scaled to a random area."""
        with Image.open(self.paths[index]) as file:
            image = file.convert("RGB")
        scale = (random.randint(*self.area) / (image.width * image.height)) ** 0.5
        return image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BILINEAR)

    def grid(self, image):
        """Origin and numbers of columns and rows of a random grid."""
        pitch = self.patch_size + self.gap
        gx, gy = random.randrange(pitch), random.randrange(pitch)
        return gx, gy, (image.width + self.gap - gx) // pitch, (image.height + self.gap - gy) // pitch

    def patch(self, image, gx, gy, x, y):
        """A jittered patch of a cell, down-sampled and up-sampled at times, one channel kept, RMS set."""
        pitch, side = self.patch_size + self.gap, self.patch_size
        left = min(max(gx + pitch * x + random.randint(-self.jitter, self.jitter), 0), image.width - side)
        top = min(max(gy + pitch * y + random.randint(-self.jitter, self.jitter), 0), image.height - side)
        patch = image.crop((left, top, left + side, top + side))
        if random.random() < self.downsample_fraction:
            low, high = self.downsample_size**2, (side - 1) ** 2
            small = int((random.random() * (high - low) + low) ** 0.5)
            patch = patch.resize((small, small), Image.Resampling.BILINEAR)
            patch = patch.resize((side, side), Image.Resampling.BILINEAR)
        pixels = np.asarray(patch, np.float32)
        kept = random.randrange(3)
        prepared = np.random.uniform(-0.5, 0.5, pixels.shape).astype(np.float32)
        prepared[..., kept] = pixels[..., kept] - pixels[..., kept].mean()
        return self.rms * prepared / np.sqrt(np.mean(prepared**2))


class PictureDataset(PatchFolder):
    """An item is a picture: P patches of several grids, all pairs of neighbors in them, their labels."""

    def __getitem__(self, index):
        image = self.picture(index)
        patches, pairs, labels = [], [], []
        while len(patches) < self.patches_per_image:
            gx, gy, columns, rows = self.grid(image)
            cells = {}
            for y in range(rows):
                for x in range(columns):
                    if len(patches) < self.patches_per_image:
                        cells[x, y] = len(patches)
                        patches.append(self.patch(image, gx, gy, x, y))
            for (x, y), first in cells.items():
                for label, (dx, dy) in enumerate(PLACES):
                    if (x + dx, y + dy) in cells:
                        pairs.append((first, cells[x + dx, y + dy]))
                        labels.append(label)
        places = 6 * self.patches_per_image
        missing = places - len(pairs)
        pairs, labels = pairs[:places] + [(0, 0)] * missing, labels[:places] + [-1] * missing
        return torch.from_numpy(np.stack(patches)), torch.tensor(pairs), torch.tensor(labels)


class PairDataset(PatchFolder):
    """An item is one pair: the naive dataset, which opens a picture for each."""

    def __getitem__(self, index):
        image = self.picture(index)
        while True:
            gx, gy, columns, rows = self.grid(image)
            x, y, label = random.randrange(columns), random.randrange(rows), random.randrange(8)
            dx, dy = PLACES[label]
            if 0 <= x + dx < columns and 0 <= y + dy < rows:
                pair = [self.patch(image, gx, gy, x, y), self.patch(image, gx, gy, x + dx, y + dy)]
                return torch.from_numpy(np.stack(pair)), label


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
