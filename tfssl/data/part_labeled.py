"""Clips without labels beside a few labeled images: what is learned with little supervision."""

import dataclasses
import math
import os
import threading
from pathlib import Path

import numpy as np

from tfssl.data.clips import clip_source
from tfssl.data.labeled import LabeledImages, labeled_images
from tfssl.data.listing import short
from tfssl.data.rendered import FrameClip
from tfssl.data.source import PartError, Source
from tfssl.errors import SourceError
from tfssl.files import writing

CLIPS, LABELED = "clips", "labeled"
"""Names of the two folders."""

KEPT_BYTES = 2**27
"""Decoded frames of clips that stay in memory, at most (128 MiB); further clips are decoded each time anew."""

_MAX_ITEMS = 2**22  # an order of all of them is kept in memory
_BUILTIN = {"objects": 10, "count": 10, "seed": 0}


@dataclasses.dataclass(frozen=True, eq=False)
class PartLabeledClips(Source):
    """Each clip with each labeled image: ``{"clip": Clip, "image": PIL.Image, "label": int32}``.

    All combinations are items, so that both come equally often, in ever other company; neighboring items have no file
    in common, and one that cannot be read is told under its own name (:class:`~tfssl.data.source.PartError`).

    Args:
        clips: source of examples with ``clip``.
        labeled: :class:`~tfssl.data.labeled.LabeledImages`.
    """

    clips: Source
    labeled: LabeledImages

    noun = "pairs of a clip and a labeled image"

    def __len__(self):
        return max(min(len(self.clips) * len(self.labeled), _MAX_ITEMS), len(self.clips), len(self.labeled))

    def example(self, index):
        clip, image = self._both(index, lambda source, number: source.example(number))
        return {"clip": clip["clip"], "image": image["image"], "label": image["label"]}

    def name(self, index):
        """That of the clip: what samplers find wrong with an example is about its frames."""
        return self.clips.name(index % len(self.clips))

    def check(self, index):
        self._both(index, lambda source, number: source.check(number))

    def sized(self, min_size):
        return dataclasses.replace(self, clips=self.clips.sized(min_size), labeled=self.labeled.sized(min_size))

    def _parts(self, index):
        clips, labels = len(self.clips), len(self.labeled)
        # After so many steps along both the same pairs would come again: from then on along one of them alone.
        turn = index // math.lcm(clips, labels)
        return (self.clips, index % clips), (self.labeled, (index + turn) % labels)

    def _both(self, index, read):
        found = []
        for source, number in self._parts(index):
            try:
                found.append(read(source, number))
            except (ValueError, OSError) as error:
                raise PartError(source.name(number), str(error)) from error
        return found


class KeptClips(Source):
    """A source of clips that keeps decoded frames in memory while there is room, and decodes the rest as ever.

    For small frames of which many tuples are drawn: seeking in a file costs more than all else. A clip of which some
    frame cannot be decoded is never kept.

    Args:
        source: of examples with ``clip``, a :class:`tfssl.data.clips.Clip`; bound to a ``min_size``.
        limit: bytes for all of them.
    """

    def __init__(self, source, limit=KEPT_BYTES):
        self.source, self.limit = source, limit
        self.noun = source.noun
        self._kept, self._bytes, self._lock = {}, 0, threading.Lock()

    def __reduce__(self):
        return KeptClips, (self.source, self.limit)

    def __len__(self):
        return len(self.source)

    def name(self, index):
        return self.source.name(index)

    def check(self, index):
        self.source.check(index)

    def sized(self, min_size):
        return KeptClips(self.source.sized(min_size), self.limit)

    def example(self, index):
        kept = self._kept.get(index)
        return self._keep(index) if kept is None else kept

    def _keep(self, index):
        example = self.source.example(index)
        clip, needed, used = example["clip"], 0, 0
        count = len(clip)
        try:
            needed = count * clip.frames([0]).nbytes
            with self._lock:
                if self._bytes + needed > self.limit:
                    return example
                self._bytes += needed
            example = {"clip": FrameClip(clip.frames(np.arange(count)), clip.times)}
            used = needed
        except ValueError:  # what can be decoded of it still serves
            pass
        with self._lock:
            used = 0 if index in self._kept else used  # another thread was faster
            self._bytes -= needed - used
            return self._kept.setdefault(index, example)


def part_labeled_clips(data, *, classes=None, min_size=None):
    """Clips of ``data/clips/`` beside the labeled images of ``data/labeled/<class>/``: a :class:`PartLabeledClips`.

    Args:
        data: the folder; ``"builtin"``, for a try: rendered objects that turn, with two labeled views of each; or an
            open source.
        classes: names of the classes in the order of their numbers, see :func:`tfssl.data.labeled.labeled_images`.
        min_size: frames and images are decoded no smaller than that, in pixels of the shorter side.

    Raises:
        SourceError: if a folder is missing, or as :func:`tfssl.data.clips.clip_source` and ``labeled_images``.
    """
    if isinstance(data, Source) and not isinstance(data, PartLabeledClips):
        return data  # read by worker processes
    if isinstance(data, PartLabeledClips):
        source = data
    elif isinstance(data, (str, os.PathLike)) and os.fspath(data) == "builtin":
        from tfssl.data.turntables import turned_views, turning_clips

        source = PartLabeledClips(
            turning_clips(**_BUILTIN), turned_views(objects=_BUILTIN["objects"], seed=_BUILTIN["seed"])
        )
    else:
        source = _from_folder(data, classes)
    source = source if min_size is None else source.sized(min_size)
    if isinstance(source.clips, KeptClips):
        return source
    return dataclasses.replace(source, clips=KeptClips(source.clips))


def _from_folder(data, classes):
    layout = f"give a folder that holds {CLIPS}/ with clips and {LABELED}/<class>/ with images"
    if not isinstance(data, (str, os.PathLike)):
        raise SourceError(f"`data`: {layout}. Received: data={short(data)}")
    root = Path(data).expanduser()
    missing = [name for name in (CLIPS, LABELED) if not (root / name).is_dir()]
    if missing:
        raise SourceError(f"`data` has no folder {missing[0]}/; {layout}. Received: data={os.fspath(data)!r}")
    return PartLabeledClips(clip_source(root / CLIPS), labeled_images(root / LABELED, classes=classes))


def write_part_labeled(source, out):
    """Write a :class:`PartLabeledClips` as the folder that :func:`part_labeled_clips` reads.

    MKV (FFV1 in RGB) and PNG: all pixels stay what they are. Clips get their mean frame rate.
    """
    from fractions import Fraction

    from tfssl.data.media import require

    av, out = require("av", "video"), Path(out)
    for number in range(len(source.clips)):
        clip = source.clips.example(number)["clip"]
        path = out / CLIPS / f"{number:04}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rate = Fraction((len(clip) - 1) / float(clip.times[-1] - clip.times[0])).limit_denominator(1001)
        with av.open(os.fspath(path), "w") as opened:
            frames = clip.frames(np.arange(len(clip)))
            stream = opened.add_stream("ffv1", rate=rate)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "bgr0"
            for frame in frames:
                opened.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            opened.mux(stream.encode())
    for number in range(len(source.labeled)):
        example = source.labeled.example(number)
        with writing(out / LABELED / source.labeled.classes[example["label"]] / f"{number:04}.png") as file:
            example["image"].save(file, "PNG")
