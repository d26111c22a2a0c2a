"""Labeled clips of one camera or two: one folder for each class."""

import dataclasses
import os

import numpy as np

from tfssl.data import listing
from tfssl.data.clips import EXTENSIONS, ClipSource
from tfssl.data.labeled import CACHE_BYTES, LabeledImages, class_folders, train_and_test
from tfssl.data.media import require
from tfssl.data.source import check_source
from tfssl.data.stereo import FOLDERS
from tfssl.data.stereo_clips import StereoClipSource
from tfssl.data.windows import square_frames
from tfssl.errors import SourceError, counted


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledClips(LabeledImages):
    """Clips with a class each: ``{"clip", "label"}``, or of two cameras ``{"left", "right", "label"}``.

    ``images`` is the source of the clips; the rest as in :class:`~tfssl.data.labeled.LabeledImages`.
    """

    noun = "clips"


def labeled_clips(root, *, classes=None, argument="data"):
    """List the clips of ``root/<class>/``, or the pairs of ``root/<class>/left/`` and ``right/`` with equal names.

    Args:
        root: the folder.
        classes, argument: see :func:`tfssl.data.labeled.labeled_images`.

    Raises:
        SourceError: as there; if some classes have two cameras and others one; or if PyAV is missing. A missing partner
            is named when it is read.
    """
    require("av", "video")
    root, names, known = class_folders(root, classes, argument, "clips")
    pairs = {name: listing.folder_pair(root / name, FOLDERS) for name in names}
    single = [name for name in names if pairs[name] is None]
    found = {}
    for name in names:
        if single:
            paths = listing.expand(os.fspath(root / name))
            found[name] = [path for path in paths if path.lower().endswith(EXTENSIONS)]
        else:
            folders = zip(StereoClipSource.roles, pairs[name], strict=True)
            found[name] = list(
                listing.match({r: listing.by_stem(root / name / f, EXTENSIONS) for r, f in folders}).values()
            )
        if not found[name]:
            raise SourceError(
                f"`{argument}`: class folder {str(root / name)!r} holds no clips; fill or remove it"
            )  # fmt: skip
    mixed = sorted(set(names) - set(single))
    if single and mixed:
        raise SourceError(
            f"`{argument}`: class {mixed[0]!r} has clips of two cameras, {single[0]!r} of one; give all two, or one. "
            f"Received: {argument}={str(root)!r}"
        )
    items = tuple(item for name in names for item in found[name])
    if single:
        source = ClipSource(items)
    else:
        listing.check_groups(items, root, StereoClipSource.noun)
        source = StereoClipSource(items)
    check_source(source)
    labels = tuple(known.index(name) for name in names for _ in found[name])
    return LabeledClips(str(root), source, labels, known)


def train_and_test_clips(data, test=None):
    """The two halves of a benchmark of clips, two :class:`LabeledClips`, see :func:`tfssl.data.labeled.train_and_test`.

    Sources that are open are taken as they are.
    """
    if isinstance(data, LabeledClips):
        if not isinstance(test, LabeledClips):
            raise SourceError(f"`test` must be LabeledClips, as `data` is. Received: test={listing.short(test)}")
        return data, test
    return train_and_test(data, test, listed=labeled_clips)


@dataclasses.dataclass(frozen=True)
class LabeledWindow:
    """The frames in the middle of a clip, of the left camera where there are two, beside its label, as ``sample`` of
    :func:`tfssl.data.pipeline.batches`: uint8 (frames, size, size, 3), their central squares."""

    frames: int
    size: int

    def __call__(self, example, rng, training):
        clip = example["clip"] if "clip" in example else example["left"]
        if len(clip) < self.frames:
            raise ValueError(f"has {counted(len(clip), 'frames')}, fewer than the {self.frames} that the encoder takes")
        start = (len(clip) - self.frames) // 2
        return square_frames(clip, np.arange(start, start + self.frames), self.size), example["label"]


def clip_batches(source, frames, size, *, batch_size=64, skipped=None):
    """Frames from the middle of clips, and their labels, in the order of the source; see :class:`LabeledWindow`.

    Args:
        source: :class:`LabeledClips`; of clips of two cameras the left one is taken.
        frames: of each; shorter clips, and unreadable ones, are left out into ``skipped``.
        size: of their central squares in pixels.

    Returns:
        ``tf.data.Dataset`` of uint8 (B, frames, size, size, 3), sRGB, and labels (B,). Cached as by
        :func:`tfssl.data.labeled.labeled_batches`.
    """
    from tfssl.data.pipeline import batches  # TensorFlow

    source = source.sized(size)
    dataset = batches(source, LabeledWindow(frames, size), batch_size, training=False, skipped=skipped)
    return dataset.cache() if len(source) * frames * size**2 * 3 <= CACHE_BYTES else dataset
