"""Write a folder of pictures, or any other image source, as TFRecord shards.

    python tools/write_tfrecords.py photos/ shards/ --shards 8

writes shards/photos-00000-of-00008.tfrecord and so on; read them with `--data 'shards/*.tfrecord'`. JPEG and PNG
files are kept byte for byte unless they are larger than --max-bytes or --max-side; everything else is encoded anew.
Each example holds image/encoded, image/format, image/name and, with --labels, image/class/label and
image/class/text. Files that cannot be read are left out and named in shards/photos-skipped.csv.
"""

import argparse
import csv
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from PIL import Image

from tfssl.data.decode import decode_image
from tfssl.data.images import FileSource, image_source
from tfssl.errors import SourceError
from tfssl.training.progress import CountProgress

_MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG"}
_CHUNK = 64  # pictures in memory at once
_QUALITY = 95  # and no chroma subsampling: these shards are for learning color


class Encoder:
    """From image ``index`` of a source to a serialized ``tf.train.Example``.

    Args:
        source: an :class:`tfssl.data.images.ImageSource`.
        root: names are stored relative to this folder where they lie in it.
        classes: ``{folder name: label}``, or None for no labels.
        max_side: longer pictures are scaled down to this many pixels on their longer side and encoded as JPEG.
        max_bytes: larger files are encoded anew.
    """

    def __init__(self, source, *, root=None, classes=None, max_side=None, max_bytes=None):
        self.source = source
        self.root = root
        self.classes = classes
        self.max_side = max_side
        self.max_bytes = max_bytes

    def __call__(self, index):
        """``(example, None)``, or ``(None, reason)`` if the image cannot be read."""
        try:
            encoded, kind = self._encode(index)
        except (ValueError, OSError) as error:
            return None, str(error)
        features = {
            "image/encoded": _bytes(encoded),
            "image/format": _bytes(kind.encode()),
            "image/name": _bytes(self.name(index).encode()),
        }
        if self.classes is not None:
            folder = class_name(self.source, index)
            features["image/class/text"] = _bytes(folder.encode())
            features["image/class/label"] = tf.train.Feature(
                int64_list=tf.train.Int64List(value=[self.classes[folder]])
            )
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(), None

    def name(self, index):
        """Name of the image, relative to the root, with forward slashes."""
        name = Path(self.source.name(index))
        if self.root is not None and name.is_relative_to(self.root):
            name = name.relative_to(self.root)
        return name.as_posix()

    def _encode(self, index):
        original = self.source.read(index)
        kind = next((k for magic, k in _MAGIC.items() if original and original.startswith(magic)), None)
        image = self.source.open(index) if original is None else decode_image(original)
        small = self.max_side is None or max(image.size) <= self.max_side
        if small and kind and (self.max_bytes is None or len(original) <= self.max_bytes):
            return original, kind
        if not small:
            image.thumbnail((self.max_side, self.max_side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        if small and kind is None:  # from a lossless or unknown format: lose nothing more
            image.save(buffer, "PNG")
            return buffer.getvalue(), "PNG"
        image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
        return buffer.getvalue(), "JPEG"


def class_name(source, index):
    """The folder that a file lies in."""
    return Path(source.name(index)).parent.name


def find_classes(source):
    """``{folder name: label}``, numbered from 0 in alphabetical order."""
    if not isinstance(source, FileSource):
        raise SourceError("`--labels` needs files in folders, root/CLASS/FILE; leave it out for other sources")
    return {name: label for label, name in enumerate(sorted({class_name(source, i) for i in range(len(source))}))}


def write_shards(encode, out, name, shards, progress):
    """Write all shards under temporary names, then rename them. Returns ``{name: reason}`` of unreadable images."""
    total = len(encode.source)
    paths = [out / f"{name}-{shard:05d}-of-{shards:05d}.tfrecord" for shard in range(shards)]
    temporary = [path.with_suffix(".unfinished") for path in paths]
    skipped, done = {}, 0
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for shard, path in enumerate(temporary):
                indices = range(shard, total, shards)  # every shard sees the whole source
                with tf.io.TFRecordWriter(str(path)) as writer:
                    for first in range(0, len(indices), _CHUNK):
                        chunk = indices[first : first + _CHUNK]
                        for index, (example, reason) in zip(chunk, pool.map(encode, chunk), strict=True):
                            if example is None:
                                skipped[encode.name(index)] = reason
                            else:
                                writer.write(example)
                        done += len(chunk)
                        progress(done, total, f"shard {shard + 1}/{shards}")
        if len(skipped) == total:
            few = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:3])
            raise SourceError(f"none of {total} images can be read ({few})")
        for unfinished, path in zip(temporary, paths, strict=True):
            os.replace(unfinished, path)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)
    return skipped


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _at_least_one(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {value}")
    return value


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="write_tfrecords.py"
    )
    parser.add_argument("source", metavar="SRC", help="folder, glob, builtin, *.tfrecord or tfds:NAME:SPLIT")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the shards")
    parser.add_argument("--shards", type=_at_least_one, default=8)
    parser.add_argument("--name", help="what the shards are called; default: the name of the folder, or 'images'")
    parser.add_argument("--labels", action="store_true", help="store the name of each file's folder as its class")
    parser.add_argument("--max-side", type=_at_least_one, help="scale larger pictures down to this many pixels")
    parser.add_argument("--max-bytes", type=_at_least_one, help="encode larger files anew")
    return parser.parse_args(argv)


def run(arguments):
    """Exit status: 0 all written, 1 some images left out."""
    source = image_source(arguments.source)
    root = Path(arguments.source).expanduser() if Path(arguments.source).expanduser().is_dir() else None
    name = arguments.name or (root.resolve().name if root else "") or "images"
    if arguments.shards > len(source):
        raise SourceError(f"`--shards` {arguments.shards} is more than the {len(source)} images; lower it")
    classes = find_classes(source) if arguments.labels else None
    if any(arguments.out.glob(f"{name}-*-of-*.tfrecord")):
        raise SourceError(f"OUT {str(arguments.out)!r} holds shards called {name!r} already; choose another --name")
    arguments.out.mkdir(parents=True, exist_ok=True)
    encode = Encoder(source, root=root, classes=classes, max_side=arguments.max_side, max_bytes=arguments.max_bytes)
    with CountProgress("images") as progress:
        skipped = write_shards(encode, arguments.out, name, arguments.shards, progress)
    if classes is not None:
        (arguments.out / f"{name}-labels.txt").write_text("".join(f"{c}\n" for c in classes), encoding="utf-8")
    table = arguments.out / f"{name}-skipped.csv"
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "reason"), *skipped.items()])
    print(f"{len(source) - len(skipped)} images in {arguments.shards} shards: {arguments.out}/{name}-*.tfrecord")
    if skipped:
        print(f"{len(skipped)} images left out, see {table}", file=sys.stderr)
    return 1 if skipped else 0


def main(argv=None):
    try:
        return run(parse(argv))
    except (SourceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
