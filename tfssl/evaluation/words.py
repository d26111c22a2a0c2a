"""Bags of visual words of clips: codes of space-time blocks, super-blocks of them, words, histograms, a kernel of them.

The way of Le, Zou, Yeung and Ng (Learning Hierarchical Invariant Spatio-Temporal Features for Action Recognition with
Independent Subspace Analysis. CVPR 2011), as Konda and Memisevic (2013) took it for Hollywood 3D; sizes recalled.
"""

import dataclasses

import numpy as np
from PIL import Image

from tfssl.data.crop import scaled
from tfssl.errors import ConfigError, ModelError, SourceError, counted

STRENGTHS = (1.0, 10.0, 100.0)  # values of C among which the held-out clips choose


class BlockCodes:
    """Codes of a network at the blocks of a clip, on a grid in space and time.

    Args:
        network: an encoder of modality ``"clip"``, T frames, or ``"pair"``, T of the left camera and T of the right.
        tap: its tap that counts, a map.
        space_step, time_step: distance of the blocks in pixels and in frames.
        resize: frames are scaled so that their shorter side has so many pixels; None keeps their size.
    """

    def __init__(self, network, tap, *, space_step, time_step, resize=None):
        import tensorflow as tf

        self.cameras, self.frames = cameras_and_frames(network)
        self._name, self._tap, self._time_step, self._resize = network.name, tap, time_step, resize
        spec = tf.TensorSpec((1, self.cameras * self.frames, None, None, 3), tf.float32)

        def codes(views):
            return network(views, training=False)[tap][0, ::space_step, ::space_step]

        self._codes = tf.function(codes, [spec], autograph=False)

    def __call__(self, clips):
        """float32 (times, rows, columns, units) of the clips of :func:`clips_of`, as many as the network has cameras.

        ValueError if they are too short or too small for a single block.
        """
        length = len(clips[0])
        if length < self.frames:
            raise ValueError(f"a clip of {counted(length, 'frames')} is shorter than a block of {self.frames}")
        frames = np.concatenate([self._scaled(clip) for clip in clips[: self.cameras]])
        starts = range(0, length - self.frames + 1, self._time_step)
        sides = [camera * length for camera in range(self.cameras)]
        found = []
        for start in starts:
            chosen = [side + start + t for side in sides for t in range(self.frames)]
            found.append(np.asarray(self._codes(frames[None, chosen])))
        found = np.stack(found)
        if not np.isfinite(found).all():
            raise ModelError(f"tap {self._tap!r} of {self._name!r} holds NaN or infinity; its training has failed")
        return found

    def _scaled(self, clip):
        frames = clip.frames(np.arange(len(clip)))
        if self._resize is not None:
            frames = np.stack([np.asarray(scaled(Image.fromarray(frame), self._resize)) for frame in frames])
        return frames.astype(np.float32) / 255


def cameras_and_frames(network):
    """How many cameras an encoder of clips or of pairs sees, and how many frames of each; ConfigError for others."""
    shape, cameras = tuple(network.input.shape), {"clip": 1, "pair": 2}[network.modality]
    if len(shape) != 5 or shape[1] is None or shape[1] % cameras or shape[2:] != (None, None, 3):
        raise ConfigError(
            f"the task measures encoders of frames of any size, of one camera or two. Received: {network.name!r}, "
            f"{network.takes}"
        )
    return cameras, shape[1] // cameras


def clips_of(example, cameras):
    """Clips of an example, the left one first; ValueError if there are fewer than ``cameras``, or of two lengths."""
    clips = [example[role] for role in (("left", "right") if "left" in example else ("clip",))]
    if len(clips) < cameras:
        raise ValueError("the clip has one camera, an encoder under comparison needs two")
    if len({len(clip) for clip in clips[:cameras]}) > 1:
        raise ValueError(f"the left clip has {len(clips[0])} frames, the right one {len(clips[1])}; cut them alike")
    return clips[:cameras]


def super_blocks(codes, cells):
    """Descriptors of all super-blocks of ``cells`` blocks along each axis: (T, H, W, K) -> (N, cells^3 K).

    ValueError if the grid is smaller.
    """
    if min(codes.shape[:3]) < cells:
        times, rows, columns = codes.shape[:3]
        raise ValueError(
            f"{times}x{rows}x{columns} blocks (frames, rows, columns) hold no super-block of {cells} along each axis"
        )
    windows = np.lib.stride_tricks.sliding_window_view(codes, (cells,) * 3, axis=(0, 1, 2))
    return np.moveaxis(windows, 3, -1).reshape(np.prod(windows.shape[:3]), -1)


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words of descriptors: principal components, and centers found by k-means in them."""

    components: object
    centers: object

    @classmethod
    def fit(cls, descriptors, words, components, seed):
        """Of descriptors, float (N, d): ``words`` centers, in at most ``components`` directions."""
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.decomposition import PCA

        if len(descriptors) < words:
            raise SourceError(f"`words` must be at most the {len(descriptors)} super-blocks. Received: words={words}")
        kept = min(components, *descriptors.shape)
        pca = PCA(kept, svd_solver="covariance_eigh").fit(descriptors)
        means = MiniBatchKMeans(words, random_state=seed, batch_size=4096, n_init=3)
        return cls(pca, means.fit(pca.transform(descriptors)))

    def histogram(self, descriptors):
        """Fractions of the descriptors that are nearest to each word, float64 (words,)."""
        found = self.centers.predict(self.components.transform(descriptors))
        return np.bincount(found, minlength=self.centers.n_clusters) / len(found)


def chi_square(train, rows):
    """``exp(-D / A)``, D the chi-square distances of rows from training rows and A their mean among the latter.

    Args:
        train: histograms, float (N, words).
        rows: float (M, words).

    Returns:
        float64 (M, N).
    """
    from sklearn.metrics.pairwise import additive_chi2_kernel

    within = -additive_chi2_kernel(train)
    return np.exp(additive_chi2_kernel(rows, train) / max(within.mean(), 1e-12))


def kernel_scores(kernel, labels, rows, classes, strength):
    """Decision values of a support vector machine for each class against the rest, float64 (M, classes).

    Args:
        kernel: of the training clips among each other, (N, N).
        labels: class numbers of theirs, (N,).
        rows: kernel of the clips that are scored with the training clips, (M, N).
        classes: how many there are; one that no training clip has gets the lowest score.
        strength: C.
    """
    from sklearn.svm import SVC

    scores = np.full((len(rows), classes), -np.inf)
    for label in np.unique(labels):
        machine = SVC(C=strength, kernel="precomputed").fit(kernel, labels == label)
        scores[:, label] = machine.decision_function(rows)
    return scores
