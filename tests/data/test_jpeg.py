"""JPEGs in bands against ordinary ones: the same pixels for every decoder."""

import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data import photo
from tfssl.data.photo import encode_jpeg


def random_image(width, height, mode="RGB"):
    rng = np.random.default_rng(width + height)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((width, height))
    noise = rng.normal(0, 20, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)).convert(mode)


def rows_of(image):
    return lambda top, bottom: image.crop((0, top, image.width, bottom))


def ordinary(image, **options):
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=95, subsampling=0, **options)
    return encoded.getvalue()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 9), (64, 8), (200, 333), (1, 700), (700, 1)])
def test_same_pixels_as_an_ordinary_file(monkeypatch, size, threads):
    monkeypatch.setattr(photo, "_BAND_PIXELS", size[0] * 16)  # many bands, more than the eight restart markers
    image = random_image(*size)
    encoded = bytes(encode_jpeg(rows_of(image), size, threads))
    expected = Image.open(io.BytesIO(ordinary(image)))
    found = Image.open(io.BytesIO(encoded))
    assert found.size == size and found.quantization == expected.quantization
    assert found.tobytes() == expected.tobytes()
    # Another decoder than Pillow's: it must agree that no data is missing or left over.
    decoded = tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE").numpy()
    reference = tf.io.decode_jpeg(ordinary(image), dct_method="INTEGER_ACCURATE").numpy()
    np.testing.assert_array_equal(decoded, reference)


def test_full_chroma_and_metadata():
    exif = Image.Exif()
    exif[0x013B] = "A. Lange"
    image = random_image(90, 50)
    encoded = Image.open(io.BytesIO(encode_jpeg(rows_of(image), image.size, exif=exif.tobytes(), dpi=(300, 300))))
    assert {component[1:3] for component in encoded.layer} == {(1, 1)}
    assert encoded.getexif()[0x013B] == "A. Lange" and encoded.info["dpi"] == (300, 300)


def test_bands_are_encoded_to_files_of_the_system():
    """To any other file Pillow encodes with the interpreter lock held, and threads would wait for each other."""
    image, descriptors = random_image(64, 64), []

    class Watched:
        def save(self, file, *arguments, **options):
            descriptors.append(file.fileno())
            image.save(file, *arguments, **options)

    assert bytes(encode_jpeg(lambda top, bottom: Watched(), image.size)) and descriptors


def test_without_files_in_memory(monkeypatch):
    image = random_image(64, 64)
    expected = encode_jpeg(rows_of(image), image.size)
    monkeypatch.delattr(photo.os, "memfd_create", raising=False)  # as on other systems than Linux
    assert encode_jpeg(rows_of(image), image.size) == expected


def test_each_row_is_asked_for_once():
    asked = []

    def rows(top, bottom):
        asked.append((top, bottom))
        return Image.new("RGB", (4000, bottom - top))

    encode_jpeg(rows, (4000, 1000))
    assert asked[0][0] == 0 and asked[-1][1] == 1000 and len(asked) > 1
    assert all(before[1] == after[0] for before, after in itertools.pairwise(asked))


def test_too_large():
    with pytest.raises(ValueError, match="write png instead"):
        encode_jpeg(None, (70_000, 2))
