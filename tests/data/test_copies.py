"""A test set that holds training images is told of."""

import pytest

from tfssl.data.copies import warn_of_copies
from tfssl.data.images import FileSource


@pytest.fixture
def source(tmp_path):
    """A function of ``name=content`` that writes these files and opens them."""

    def write(**files):
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        return FileSource(tuple(str(tmp_path / name) for name in files))

    return write


def test_copies_are_counted_whatever_they_are_called(source, caplog):
    train = source(a=b"1" * 9000, b=b"2" * 9000, c=b"unlike")
    test = source(x=b"2" * 9000, y=b"2" * 4000 + b"3" * 5000, z=b"other")
    assert warn_of_copies(train, test) == 1
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith("1 of 3 test images are training images too, byte for byte (") and "\n" not in message
    assert f"{test.paths[0]} is {train.paths[1]}" in message


def test_images_that_only_share_size_and_middle_are_none(source, caplog):
    middle = b"m" * 8000
    assert warn_of_copies(source(a=b"1" + middle + b"1"), source(b=b"2" + middle + b"1")) == 0
    assert not caplog.records


def test_files_that_cannot_be_read_are_no_copies(source, tmp_path):
    train = source(a=b"", b=b"1")
    gone = FileSource((str(tmp_path / "gone"), train.paths[0]))
    assert warn_of_copies(gone, gone) == 0
