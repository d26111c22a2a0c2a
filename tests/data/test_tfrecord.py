"""TFRecord shards: random access, names and labels, and shards that are damaged."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.builtin import builtin_photographs
from tfssl.data.examples import Skipped
from tfssl.data.images import image_source
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.data.tfrecord import TFRecordSource, _masked_crc32c
from tfssl.errors import SourceError


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def write(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for features in examples:
            example = tf.train.Example(
                features=tf.train.Features(feature={key: feature(value) for key, value in features.items()})
            )
            writer.write(example.SerializeToString())
    return str(path)


def photograph(number):
    return np.full((number + 1, 7, 3), 10 * number, np.uint8)


def encoded(number):
    return tf.io.encode_png(photograph(number)).numpy()


@pytest.fixture
def shards(tmp_path):
    """Shards of 3, 0 and 4 records."""
    return [
        write(tmp_path / "p-00000-of-00003.tfrecord", [{"image/encoded": encoded(i)} for i in range(3)]),
        write(tmp_path / "p-00001-of-00003.tfrecord", []),
        write(tmp_path / "p-00002-of-00003.tfrecord", [{"image/encoded": encoded(i)} for i in range(3, 7)]),
    ]


def test_random_access_across_shards(shards):
    source = TFRecordSource.from_paths(shards)
    assert len(source) == 7
    for index in (6, 0, 3, 2, 5, 1, 4):
        np.testing.assert_array_equal(np.asarray(source.example(index)["image"]), photograph(index))
        assert source.read(index) == encoded(index)
    assert source.name(2) == f"{shards[0]}#2"
    assert source.name(3) == f"{shards[2]}#0"
    assert source.label(0) is None
    with pytest.raises(IndexError):
        source[7]


def test_index_agrees_with_tensorflow(tmp_path):
    photos = [path.read_bytes() for path in builtin_photographs()]
    path = write(tmp_path / "photos.tfrecord", [{"image/encoded": photo} for photo in photos])
    source = image_source(path)
    payloads = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    assert len(source) == len(payloads)
    assert source.lengths.tolist() == [len(payload) for payload in payloads]
    assert [source.read(i) for i in range(len(source))] == photos


def test_checksum():
    assert _masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF  # RFC 3720


def test_reads_from_many_threads(shards):
    source = TFRecordSource.from_paths(shards)
    indices = np.random.default_rng(0).integers(0, 7, 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda index: source.example(index)["image"].size[1], indices))
    assert sizes == [index + 1 for index in indices]


def test_stored_names_and_labels(tmp_path):
    path = write(
        tmp_path / "a.tfrecord",
        [
            {"image/encoded": encoded(0), "image/name": b"cats/1.jpg", "image/class/label": 4},
            {"image/encoded": encoded(1), "image/filename": b"caf\xe9.jpg"},
        ],
    )
    source = image_source(path)
    assert [source.name(0), source.name(1)] == ["cats/1.jpg", "caf\\xe9.jpg"]
    assert [source.label(0), source.label(1)] == [4, None]


def test_found_by_folder_glob_and_list(shards, tmp_path):
    for given in (tmp_path, f"{tmp_path}/*.tfrecord", f"{tmp_path}/p-0000[0-2]*", shards):
        assert len(image_source(given)) == 7


def test_old_shard_names(shards, tmp_path):
    renamed = tmp_path / "old" / "train.tfrecord-00000-of-00001"
    renamed.parent.mkdir()
    renamed.write_bytes((tmp_path / "p-00000-of-00003.tfrecord").read_bytes())
    assert len(image_source(renamed)) == 3


@pytest.mark.parametrize("lost", [1, 4, 30])
def test_truncated_shard(shards, lost):
    with open(shards[2], "rb") as file:
        data = file.read()
    with open(shards[2], "wb") as file:
        file.write(data[:-lost])
    with pytest.raises(SourceError, match=r"p-00002-of-00003\.tfrecord.*truncated or damaged in record 3") as raised:
        TFRecordSource.from_paths(shards)
    assert "tfssl prepare shards" in str(raised.value)


def test_shard_cut_inside_a_header(shards, tmp_path):
    path = tmp_path / "cut.tfrecord"
    with open(shards[0], "rb") as file:
        path.write_bytes(file.read() + b"\x08\x00\x00")
    with pytest.raises(SourceError, match="record 3"):
        image_source(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"Dear Sir or Madam, this is a letter.", "no uncompressed TFRecord file"),
        (b"\x05", "no uncompressed TFRecord file"),
        (b"\x00" * 4096, "no uncompressed TFRecord file"),
        (b"", "holds no images"),
    ],
)
def test_not_a_shard(data, message, tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=rf"{message}.*") as raised:
        image_source(path)
    assert "a.tfrecord" in str(raised.value)


@pytest.mark.parametrize("name", ["b.tfrecord", "b.tfrecord.gz"])
def test_compressed_shard(shards, tmp_path, name):
    path = tmp_path / name
    with open(shards[0], "rb") as file:
        path.write_bytes(gzip.compress(file.read()))
    with pytest.raises(SourceError, match=rf"{name}.*GZIP-compressed.*gunzip"):
        image_source(path)


def test_missing_shard(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.tfrecord.*No such file"):
        image_source([str(tmp_path / "gone.tfrecord")])


def test_examples_without_the_feature(tmp_path):
    path = write(tmp_path / "a.tfrecord", [{"pixels": b"1", "depth": 3}])
    with pytest.raises(SourceError, match=r"a\.tfrecord.*no bytes feature image/encoded .*depth, pixels"):
        image_source(path)
    with tf.io.TFRecordWriter(str(tmp_path / "b.tfrecord")) as writer:
        writer.write(b"\xff\xff no example")
    with pytest.raises(SourceError, match=r"b\.tfrecord.*no tf\.train\.Example"):
        image_source(tmp_path / "b.tfrecord")


def test_bad_images_inside_a_good_shard(tmp_path):
    good = [{"image/encoded": encoded(i)} for i in range(2)]
    path = write(tmp_path / "a.tfrecord", [good[0], {"image/encoded": b"text"}, {"other": 1}, good[1]])
    source = image_source(path)
    with pytest.raises(ValueError, match="not a JPEG"):
        source.example(1)
    with pytest.raises(ValueError, match="image/encoded"):
        source.example(2)
    assert source.example(3)["image"].size == (7, 2)
    check_source(image_source(source))
    mostly = write(tmp_path / "b.tfrecord", [good[0], {"image/encoded": b"text"}, {"image/encoded": b""}])
    with pytest.raises(SourceError, match=r"2 of 3 .*b\.tfrecord#1: not a JPEG"):
        check_source(image_source(mostly))


def test_reduced_decoding(tmp_path):
    photo = Image.new("RGB", (640, 480), "green")
    photo.save(tmp_path / "a.jpg")
    path = write(tmp_path / "a.tfrecord", [{"image/encoded": (tmp_path / "a.jpg").read_bytes()}])
    assert image_source(path, min_size=100).example(0)["image"].size == (160, 120)


def flip(path, position):
    """Change one bit of a file."""
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("record", [0, 1, 3])
@pytest.mark.parametrize("place", ["first", "last", "checksum"])
def test_a_flipped_bit_is_found_when_the_record_is_read(shards, record, place):
    source = TFRecordSource.from_paths(shards[2:])
    begin, length = int(source.offsets[record]), int(source.lengths[record])
    flip(shards[2], begin + {"first": 0, "last": length - 1, "checksum": length}[place])
    found = TFRecordSource.from_paths(shards[2:])
    assert len(found) == 4 and found.name(record) == f"{shards[2]}#{record}"
    for read in (found.example, found.check, found.read):
        with pytest.raises(ValueError, match="the record is damaged, its checksum is another"):
            read(record)
    for other in {0, 1, 2, 3} - {record}:
        assert found.example(other)["image"].size == (7, other + 4)


@pytest.mark.parametrize("record", [0, 1, 3])
def test_a_damaged_checksum_of_a_length_costs_nothing(shards, record):
    flip(shards[2], int(TFRecordSource.from_paths(shards[2:]).offsets[record]) - 2)
    source = TFRecordSource.from_paths(shards[2:])
    assert [source.example(i)["image"].size[1] for i in range(4)] == [4, 5, 6, 7]


@pytest.mark.parametrize("record", [0, 1, 3])
def test_a_damaged_length_names_the_record(shards, record):
    flip(shards[2], int(TFRecordSource.from_paths(shards[2:]).offsets[record]) - 12)
    with pytest.raises(SourceError, match=f"p-00002-of-00003.tfrecord.*damaged in record {record}"):
        TFRecordSource.from_paths(shards[2:])


def test_a_record_that_claims_more_than_memory_is_named(tmp_path, shards):
    header = (200 * 10**9).to_bytes(8, "little")
    header += _masked_crc32c(header).to_bytes(4, "little")
    with open(tmp_path / "big.tfrecord", "wb") as file:
        with open(shards[0], "rb") as good:
            file.write(good.read())
        file.write(header)
        file.truncate(file.tell() + 200 * 10**9 + 4)  # holes take no room on the disk
    source = image_source(tmp_path / "big.tfrecord")
    assert len(source) == 4 and source.name(3).endswith("big.tfrecord#3")
    with pytest.raises(ValueError, match=r"claims 200.0 GB, more than the limit of 1.1"):
        source.example(3)


def test_a_damaged_first_record_is_skipped_and_named(shards):
    flip(shards[0], 20)
    source, skipped = image_source(shards), Skipped()
    dataset = batches(source, HeightOf(), 2, training=False, skipped=skipped)
    assert np.concatenate([height for (height,) in dataset.as_numpy_iterator()]).tolist() == [2, 3, 4, 5, 6, 7]
    assert list(skipped.reasons) == [f"{shards[0]}#0"]


class HeightOf:
    def __call__(self, example, rng, training):
        return (np.int32(example["image"].height),)
