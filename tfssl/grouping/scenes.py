"""The scenes of a clip: frames grouped by a learned affinity."""

import dataclasses

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.grouping.spectral import spectral_groups
from tfssl.ops.arguments import check_integers
from tfssl.options import check


@dataclasses.dataclass(frozen=True)
class SceneGrouper:
    """Settings of a grouping of frames, and the function that groups those of a clip by them.

    Args:
        groups: of scenes, at least 1.
        frames: of the clip that are looked at, at equal distances.
        seed: of k-means.

    Raises:
        ConfigError: for a value that there cannot be.
    """

    groups: int = 4
    frames: int = 60
    seed: int = 0

    def __post_init__(self):
        check_integers(1, groups=self.groups)
        check_integers(2, frames=self.frames)
        check_integers(0, 2**32 - 1, seed=self.seed)

    def __call__(self, clip, affinities):
        """Group the frames of a clip.

        Args:
            clip: :class:`tfssl.data.clips.Clip`.
            affinities: function of a list of ``PIL.Image`` that gives the affinity of each two, float (n, n).

        Returns:
            :class:`Scenes`.

        Raises:
            ConfigError: if there are more groups than frames.
        """
        count = min(self.frames, len(clip))
        if self.groups > count:
            raise ConfigError(f"`groups` must be at most the number of frames, {count}. Received: groups={self.groups}")
        numbers = np.linspace(0, len(clip) - 1, count).round().astype(int)
        frames = [Image.fromarray(frame) for frame in clip.frames(numbers)]
        matrix = affinities(frames)
        found = spectral_groups(matrix, self.groups, self.seed)
        _, first = np.unique(found, return_index=True)
        order = np.argsort(np.argsort(first))  # scenes are numbered as they appear
        return Scenes(frames, np.asarray(clip.times)[numbers], order[found], matrix, self)


def read_scene_grouper(options):
    """A :class:`SceneGrouper` of ``{name: value}``; errors as :func:`tfssl.grouping.group.read_grouper`."""
    check(options, {field.name: field.default for field in dataclasses.fields(SceneGrouper)}, "group of a clip")
    return SceneGrouper(**options)


@dataclasses.dataclass(frozen=True)
class Scenes:
    """The scenes of a clip.

    Args:
        frames: list of ``PIL.Image``.
        times: of them in seconds, float (n,).
        labels: number of the scene of each, int (n,), in the order in which they appear.
        affinities: float (n, n).
        settings: the :class:`SceneGrouper`.
    """

    frames: list
    times: np.ndarray
    labels: np.ndarray
    affinities: np.ndarray
    settings: SceneGrouper

    @property
    def shots(self):
        """Stretches of one scene: list of (seconds of its first frame, of its last, number of the scene)."""
        starts = np.flatnonzero(np.diff(self.labels, prepend=-1))
        ends = [*starts[1:] - 1, len(self.labels) - 1]
        return [
            (float(self.times[start]), float(self.times[end]), int(self.labels[start]))
            for start, end in zip(starts, ends, strict=True)
        ]
