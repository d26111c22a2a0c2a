"""Random access to images in TFRecord shards.

A shard is a chain of records: length (8 bytes, little-endian), CRC of the length (4), payload, CRC of the payload
(4). Following the lengths from header to header, without reading payloads, gives the offset of each record; both
checksums are compared, that of a payload whenever it is read. Payloads are ``tf.train.Example`` messages, described
here once more so that reading them does not take TensorFlow.
"""

import dataclasses
import os
import struct
from concurrent.futures import ThreadPoolExecutor

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

from tfssl.data.decode import check_header, decode_image
from tfssl.data.images import ImageSource
from tfssl.errors import SourceError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MAX_RECORD = 2**30  # bytes; a damaged or hostile shard may claim any number
_SPREAD = 8  # records that are tried before a source is said to hold no images
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
    the number of each shard's first record, and of all records. Damage in a payload shows when it is read.
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
        source._check_some()
        return source

    def _check_some(self):
        """Refuse shards of something else; single records that are damaged are left to whoever reads them."""
        reasons = {}
        for index in np.unique(np.linspace(0, len(self) - 1, min(_SPREAD, len(self))).astype(int)).tolist():
            try:
                self.read(index)
                return
            except (ValueError, OSError) as error:
                reasons[self.name(index)] = error
        if reasons:
            raise SourceError("{}: {}".format(*next(iter(reasons.items()))))

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
        (path, _), length = self._locate(index), int(self.lengths[index])
        if length > _MAX_RECORD:
            raise ValueError(f"the record claims {length / 1e9:.1f} GB, more than the limit of {_MAX_RECORD / 1e9:.1f}")
        # A file object for each read: no position is shared between threads, and no handle kept for each shard.
        with open(path, "rb") as file:
            file.seek(int(self.offsets[index]))
            record = file.read(length + _FOOTER.size)
        payload, checksum = record[:length], record[length:]
        if len(checksum) < _FOOTER.size or _FOOTER.unpack(checksum)[0] != _masked_crc32c(payload):
            raise ValueError(f"the record is damaged, its checksum is another; {_FIX}")
        try:
            return Example.FromString(payload).features.feature
        except DecodeError:
            raise ValueError("the record holds no tf.train.Example") from None


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
        length, intact = _header(file, position)
        if position == 0:
            _check_first(file, path)
        start = position + _HEADER.size
        following = start + length + _FOOTER.size
        # Where only the checksum of a length is damaged, the length leads to the next header all the same.
        if following > size or not (intact or _leads_on(file, following, size)):
            if not found:
                raise SourceError(f"shard {path!r} is no uncompressed TFRecord file, or damaged in record 0; {_FIX}")
            raise SourceError(f"shard {path!r} is truncated or damaged in record {len(found)}, of {size} bytes; {_FIX}")
        found.append((start, length))
        position = following
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _header(file, position):
    """Length of the record that begins at a position, and whether its checksum says the same."""
    file.seek(position)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return 2**63, False  # leads out of any file
    length, checksum = _HEADER.unpack(header)
    return length, checksum == _masked_crc32c(header[:8])


def _leads_on(file, position, size):
    return position == size or _header(file, position)[1]


def _check_first(file, path):
    file.seek(0)
    if file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC:
        raise SourceError(f"shard {path!r} is GZIP-compressed, which rules out random access; gunzip it first")


def _masked_crc32c(data):
    """The checksum of TFRecord files: CRC-32C (Castagnoli), rotated and shifted."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
