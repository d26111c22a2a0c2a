"""Random access to images in TFRecord shards.

A shard is a chain of records: length (8 bytes, little-endian), CRC of the length (4), payload, CRC of the payload
(4). Following the lengths from header to header, without reading payloads, gives the offset of each record. Payloads
are ``tf.train.Example`` messages, described here once more so that reading them does not take TensorFlow.
"""

import dataclasses
import os
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

from tfssl.data.decode import check_header, decode_image
from tfssl.data.images import ImageSource
from tfssl.errors import SourceError

_HEADER = struct.Struct("<QI")
_FOOTER_SIZE = 4
_GZIP_MAGIC = b"\x1f\x8b"
_FIX = "copy the shard again, or write it anew with `tfssl prepare shards`"

# Wire-compatible with tensorflow/core/example/example.proto.
_PROTO = """
name: "example.proto" package: "tfssl" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL type_name: ".tfssl.BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 label: LABEL_OPTIONAL type_name: ".tfssl.FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL type_name: ".tfssl.Int64List" oneof_index: 0 }
}
message_type {
  name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type_name: ".tfssl.Features.FeatureEntry" }
  nested_type {
    name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".tfssl.Feature" }
  }
}
message_type { name: "Example" field { name: "features" number: 1 label: LABEL_OPTIONAL type_name: ".tfssl.Features" } }
"""
_POOL = descriptor_pool.DescriptorPool()  # of its own: TensorFlow describes the same messages
_POOL.Add(text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto()))

Example = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("tfssl.Example"))
"""``tf.train.Example``, without TensorFlow."""


@dataclasses.dataclass(frozen=True, eq=False)
class TFRecordSource(ImageSource):
    """Images in TFRecord shards of ``tf.train.Example``: feature ``image/encoded``, with the usual names beside it.

    The index takes 16 bytes a record: ``offsets`` and ``lengths`` of payloads in their shard, in bytes; ``first`` is
    the number of each shard's first record, and of all records. Damage in a payload shows when its image is decoded.
    """

    paths: tuple[str, ...]
    first: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    min_size: int | None = None

    @classmethod
    def from_paths(cls, paths):
        """Index uncompressed shards, in their order; SourceError that names the shard which is none."""
        paths = tuple(os.fspath(p) for p in paths)
        # Threads, because following the chain is a wait for the disk or the network at each step.
        with ThreadPoolExecutor(8) as pool:
            indices = list(pool.map(_index_shard, paths))
        counts = [len(index) for index in indices]
        merged = np.concatenate([np.empty((0, 2), np.int64), *indices])
        first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        source = cls(paths, first, *np.ascontiguousarray(merged.T))
        if len(source):
            try:
                source.read(0)
            except ValueError as error:
                raise SourceError(f"{source.name(0)}: {error}") from None
        return source

    def __len__(self):
        return len(self.offsets)

    def example(self, index):
        return {"image": decode_image(self.read(index), min_size=self.min_size)}

    def check(self, index):
        check_header(self.read(index))

    def name(self, index):
        """The name stored in the record, or ``SHARD#NUMBER``, counted from 0 within the shard."""
        try:
            stored = _bytes(self._features(index), "image/name", "image/filename")
        except (ValueError, OSError):
            stored = None
        if stored:
            return stored.decode("utf-8", "backslashreplace")
        path, number = self._locate(index)
        return f"{path}#{number}"

    def read(self, index):
        features = self._features(index)
        encoded = _bytes(features, "image/encoded")
        if encoded is None:
            known = ", ".join(sorted(features)) or "none"
            raise ValueError(f"the example has no bytes feature image/encoded (its features: {known})")
        return encoded

    def label(self, index):
        """The number stored as ``image/class/label``, or None."""
        values = self._features(index).get("image/class/label")
        return values.int64_list.value[0] if values is not None and values.int64_list.value else None

    def _locate(self, index):
        shard = int(np.searchsorted(self.first, index, side="right")) - 1
        return self.paths[shard], index - int(self.first[shard])

    def _features(self, index):
        path, _ = self._locate(index)
        # A file object for each read: no position is shared between threads, and no handle kept for each shard.
        with open(path, "rb") as file:
            file.seek(int(self.offsets[index]))
            payload = file.read(int(self.lengths[index]))
        try:
            return Example.FromString(payload).features.feature
        except DecodeError:
            raise ValueError("the record is damaged, or holds no tf.train.Example") from None


def _bytes(features, *names):
    for name in names:
        if name in features and features[name].bytes_list.value:
            return features[name].bytes_list.value[0]
    return None


def _index_shard(path):
    try:
        with open(path, "rb", buffering=0) as file:
            return _follow_chain(file, path, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise SourceError(f"shard {path!r} cannot be read ({error.strerror}); check the path and its rights") from None


def _follow_chain(file, path, size):
    found, position = [], 0
    while position < size:
        file.seek(position)
        header = file.read(_HEADER.size)
        if position == 0:
            _check_first_header(header, path)
        length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
        start = position + _HEADER.size
        position = start + length + _FOOTER_SIZE
        if position > size:
            raise SourceError(f"shard {path!r} is truncated or damaged in record {len(found)}, of {size} bytes; {_FIX}")
        found.append((start, length))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _check_first_header(header, path):
    if header.startswith(_GZIP_MAGIC):
        raise SourceError(f"shard {path!r} is GZIP-compressed, which rules out random access; gunzip it first")
    if len(header) < _HEADER.size or _HEADER.unpack(header)[1] != _masked_crc32c(header[:8]):
        raise SourceError(f"shard {path!r} is no uncompressed TFRecord file; {_FIX}")


def _masked_crc32c(data):
    """The checksum of TFRecord files: CRC-32C (Castagnoli), rotated and shifted."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
