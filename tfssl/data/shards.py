"""Writing TFRecord shards, from a folder of images or any other image source."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from tfssl.data.decode import decode_image
from tfssl.data.images import FileSource, ImageSource, image_source
from tfssl.data.tfrecord import Example
from tfssl.errors import ConfigError, SourceError
from tfssl.files import cell, disk_errors, writing
from tfssl.options import as_path

_MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG"}
_CHUNK = 64  # images in memory at once
_QUALITY = 95  # and no chroma subsampling: these shards are for learning color


def write_shards(
    data,
    out: str | os.PathLike,
    *,
    shards: int = 8,
    name: str | None = None,
    labels: bool = False,
    max_size: int | None = None,
    max_bytes: int | None = None,
    progress=None,
) -> dict[str, str]:
    """Write images as TFRecord shards ``OUT/NAME-00000-of-00008.tfrecord`` and so on, all of them or none.

    JPEG and PNG files are kept byte for byte unless they are larger than ``max_bytes`` or ``max_size``; everything
    else is encoded anew. Each example holds ``image/encoded``, ``image/format``, ``image/name`` and, with ``labels``,
    ``image/class/label`` and ``image/class/text``. ``OUT/NAME-skipped.csv`` names what could not be read.

    Args:
        data: see :func:`tfssl.data.images.image_source`.
        out: folder for the shards.
        shards: number of files; images are dealt out in turn, so that each shard sees the whole source.
        name: what the shards are called; None is the name of the folder, or ``"images"``.
        labels: store the name of each file's folder as its class, numbered from 0 in alphabetical order.
        max_size: images with a longer side of more pixels are scaled down to it.
        max_bytes: larger files are encoded anew.
        progress: called with images done and in all.

    Returns:
        ``{name: reason}`` of the images that were left out.

    Raises:
        SourceError: if no image can be read, or ``labels`` have no folders to come from.
        ConfigError: if there are more shards than images, or ``out`` holds shards of that name.
    """
    source, out = image_source(data), as_path("out", out)
    folder = Path(data).expanduser() if isinstance(data, (str, os.PathLike)) else None
    root = folder if folder is not None and folder.is_dir() else None
    name = name or (root.resolve().name if root else "") or "images"
    if not 1 <= shards <= len(source):
        raise ConfigError(f"`shards` must lie in 1..{len(source)}, the number of images. Received: shards={shards}")
    if labels and not isinstance(source, FileSource):
        raise SourceError("`labels` needs files in folders, root/CLASS/FILE; leave it out for other sources")
    if any(out.glob(f"{name}-*-of-*.tfrecord")):
        raise ConfigError(f"`out` {str(out)!r} holds shards called {name!r} already; choose another name")
    classes = sorted({_folder(source, i) for i in range(len(source))}) if labels else None

    def encode(index):
        """Name, serialized example or None, reason or None."""
        title = _name(source, index, root)
        try:
            encoded, kind = _encode(source, index, max_size, max_bytes)
        except (ValueError, OSError) as error:
            return title, None, str(error)
        example = Example()
        texts = {"image/encoded": encoded, "image/format": kind.encode(), "image/name": title.encode()}
        if classes is not None:
            texts["image/class/text"] = _folder(source, index).encode()
            number = classes.index(_folder(source, index))
            example.features.feature["image/class/label"].int64_list.value.append(number)
        for key, value in texts.items():
            example.features.feature[key].bytes_list.value.append(value)
        return title, example.SerializeToString(), None

    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{name}-{shard:05d}-of-{shards:05d}.tfrecord" for shard in range(shards)]
    skipped = _write(encode, len(source), paths, progress or (lambda done, total: None))
    if classes is not None:
        with writing(out / f"{name}-labels.txt", "w") as file:
            file.writelines(f"{label}\n" for label in classes)
    with writing(out / f"{name}-skipped.csv", "w", newline="") as file:
        csv.writer(file).writerows([("file", "reason"), *(map(cell, item) for item in skipped.items())])
    return skipped


def _write(encode, total, paths, progress):
    import tensorflow as tf

    skipped, done = {}, 0
    with contextlib.ExitStack() as unfinished, ThreadPoolExecutor(os.cpu_count()) as pool:
        for first, path in enumerate(paths):
            file = unfinished.enter_context(writing(path))
            with disk_errors(path), tf.io.TFRecordWriter(file.name) as writer:
                indices = range(first, total, len(paths))
                for start in range(0, len(indices), _CHUNK):
                    chunk = indices[start : start + _CHUNK]
                    for title, example, reason in pool.map(encode, chunk):
                        if example is None:
                            skipped[title] = reason
                        else:
                            writer.write(example)
                    done += len(chunk)
                    progress(done, total)
        if len(skipped) == total:
            few = "; ".join(f"{title}: {reason}" for title, reason in list(skipped.items())[:3])
            raise SourceError(f"none of {total} images can be read ({few}); give other images")
    return skipped


def _encode(source: ImageSource, index, max_size, max_bytes):
    original = source.read(index)
    kind = next((k for magic, k in _MAGIC.items() if original and original.startswith(magic)), None)
    image = source.example(index)["image"] if original is None else decode_image(original)
    small = max_size is None or max(image.size) <= max_size
    if original and small and kind and (max_bytes is None or len(original) <= max_bytes):
        return original, kind
    if not small:
        image.thumbnail((max_size, max_size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if small and kind is None:  # from a lossless or unknown format: lose nothing more
        image.save(buffer, "PNG")
        return buffer.getvalue(), "PNG"
    image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue(), "JPEG"


def _name(source, index, root):
    """Name of an image, relative to the root where it lies in it, with forward slashes."""
    name = Path(source.name(index))
    return (name.relative_to(root) if root is not None and name.is_relative_to(root) else name).as_posix()


def _folder(source, index):
    return Path(source.name(index)).parent.name
