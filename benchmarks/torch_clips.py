"""Windows of clips as PyTorch users write it: PyAV and Pillow in a Dataset, batches from a DataLoader."""

import random
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class ClipFolder(Dataset):
    """A random window of each clip: ``frames`` successive frames, uint8 (frames, size, size, 3).

    The file is entered at the key frame before the window and decoded from there on. Times are counted once, by
    packets, when the dataset is made. Of fewer than ``least`` clips there are several windows each.
    """

    def __init__(self, folder, *, frames, size, least):
        self.frames, self.size = frames, size
        times = {path: packet_times(path) for path in sorted(Path(folder).rglob("*.mp4"))}
        self.times = {path: found for path, found in times.items() if len(found) >= frames}
        self.paths = list(self.times) * -(-least // len(self.times))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        times = self.times[self.paths[index]]
        start = times[random.randint(0, len(times) - self.frames)]
        found = []
        with av.open(str(self.paths[index])) as container:
            stream = container.streams.video[0]
            container.seek(start, stream=stream)
            for frame in container.decode(stream):
                if frame.pts >= start:
                    found.append(self.cropped(frame.to_image()))
                if len(found) == self.frames:
                    break
        return torch.from_numpy(np.stack(found))

    def cropped(self, image):
        scale = self.size / min(image.size)
        image = image.resize([max(round(side * scale), self.size) for side in image.size], Image.Resampling.BILINEAR)
        left, top = ((side - self.size) // 2 for side in image.size)
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)))


def packet_times(path):
    """Time stamps of the frames of a clip, in their order."""
    with av.open(str(path)) as container:
        return sorted(packet.pts for packet in container.demux(video=0) if packet.size)


def loader(folder, *, frames, size, least, batch_size, workers):
    """A shuffled DataLoader whose workers stay alive between epochs."""
    return DataLoader(
        ClipFolder(folder, frames=frames, size=size, least=least),
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
        # A fork of a process in which TensorFlow's threads run can hang.
        multiprocessing_context="spawn",
    )
