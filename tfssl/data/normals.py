"""Pictures with the direction of the surface seen at each pixel: where they lie, and how directions are stored."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from tfssl.data.images import EXTENSIONS
from tfssl.errors import SourceError


@dataclasses.dataclass(frozen=True)
class NormalSet:
    """One split of a set of pictures with surface normals.

    Args:
        root: its folder.
        split: name of the split.
        paths: picture files.
        normals: files of their normals, in the same order.
    """

    root: str
    split: str
    paths: tuple[str, ...]
    normals: tuple[str, ...]

    def __len__(self):
        return len(self.paths)

    def read_normals(self, index):
        """Normals of a picture, see :func:`read_normals`."""
        return read_normals(self.normals[index])


def normal_set(root, split):
    """List a folder that holds ``SPLIT/`` with pictures and ``SPLITnormals/`` with files of the same names.

    Args:
        root: the folder.
        split: such as ``"train"``.

    Returns:
        :class:`NormalSet`.

    Raises:
        SourceError: in one line, if a folder or a file is missing, or there are no pictures.
    """
    root = Path(root).expanduser()
    pictures, folder = root / split, root / f"{split}normals"
    for needed in (pictures, folder):
        if not needed.is_dir():
            raise SourceError(f"`data` must hold {split}/ and {split}normals/; there is no {str(needed)!r}")
    paths = sorted(p for p in pictures.iterdir() if p.suffix.lower() in EXTENSIONS)
    if not paths:
        raise SourceError(f"`data`: {str(pictures)!r} holds no pictures")
    files = []
    for path in paths:
        found = next((f for end in (".npy", ".png") if (f := folder / f"{path.stem}{end}").is_file()), None)
        if found is None:
            raise SourceError(
                f"`data`: {str(path)!r} has neither {path.stem}.npy nor {path.stem}.png in {str(folder)!r}"
            )
        files.append(str(found))
    return NormalSet(str(root), split, tuple(map(str, paths)), tuple(files))


def read_normals(path):
    """Read a map of normals.

    Args:
        path: ``.npy`` of floats (H, W, 3), or an RGB PNG of 8 or 16 bits that holds ``(n + 1) / 2`` of its range.

    Returns:
        float32 (H, W, 3), vectors of length 1; zeros where nothing is known: where the file's vector is shorter than
        0.5 (zeros; mid-gray in a PNG), longer than 1.5 (black or white in a PNG), or not finite.

    Raises:
        SourceError: if it is no such file.
    """
    vectors = _read_array(path) if str(path).lower().endswith(".npy") else _read_png(path)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        known = (length > 0.5) & (length < 1.5)
    return np.where(known, vectors / np.where(known, length, 1.0), 0.0).astype(np.float32)


def write_normals(path, normals):
    """Write normals as a 16-bit PNG, whole or not at all; zeros become mid-gray.

    Args:
        path: file to write.
        normals: float (H, W, 3), vectors of length 1, or 0 where nothing is known.
    """
    import tensorflow as tf

    values = np.round((np.asarray(normals, np.float64) + 1.0) * 32767.5).astype(np.uint16)
    temporary = f"{path}.tmp"
    Path(temporary).write_bytes(tf.io.encode_png(values).numpy())
    os.replace(temporary, path)


def _read_array(path):
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"normals {str(path)!r} cannot be read: {error}") from None
    if vectors.ndim != 3 or vectors.shape[-1] != 3 or vectors.dtype.kind != "f":
        raise SourceError(f"normals {str(path)!r} must be floats (H, W, 3); found {vectors.dtype} {vectors.shape}")
    return vectors.astype(np.float64)


def _read_png(path):
    import tensorflow as tf  # Pillow cuts RGB of 16 bits to 8

    try:
        values = tf.io.decode_png(Path(path).read_bytes(), channels=3, dtype=tf.uint16).numpy()
    except (OSError, tf.errors.InvalidArgumentError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no PNG"
        raise SourceError(f"normals {str(path)!r} cannot be read: {reason}") from None
    return values / 32767.5 - 1.0
