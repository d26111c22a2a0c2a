"""Photographs as files: metadata kept and made true, color profiles, whole files or none."""

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from tfssl.data.photo import decode_photo, read_header, save_photo

BASE, IFD = ExifTags.Base, ExifTags.IFD


@pytest.fixture
def photograph():
    y, x = np.mgrid[0:40, 0:60]
    return Image.fromarray(np.stack([x * 4, y * 6, 255 - x * 2], axis=-1).astype(np.uint8))


def save(image, path, **options):
    save_photo(lambda top, bottom: image.crop((0, top, image.width, bottom)), image.size, path, **options)


def rich_exif():
    exif = Image.Exif()
    exif[BASE.Artist], exif[BASE.Orientation], exif[BASE.XPTitle] = "A. Lange", 6, "Roof".encode("utf-16le")
    exif.get_ifd(IFD.Exif).update({BASE.FNumber: 2.8, BASE.ExifImageWidth: 60, BASE.ExifImageHeight: 40})
    exif.get_ifd(IFD.GPSInfo)[1] = "N"
    exif[BASE.ExifOffset], exif[BASE.GPSInfo] = dict(exif.get_ifd(IFD.Exif)), dict(exif.get_ifd(IFD.GPSInfo))
    return exif


@pytest.mark.parametrize("source, target", [("a.jpg", "b.jpg"), ("a.png", "b.png"), ("a.webp", "b.png")])
def test_exif_is_kept_and_upright(tmp_path, photograph, source, target):
    photograph.save(tmp_path / source, exif=rich_exif().tobytes(), dpi=(300, 300))
    image, metadata = decode_photo(tmp_path / source)
    assert image.size == (40, 60)  # orientation 6 is a quarter turn
    save(image, tmp_path / target, **metadata)
    with Image.open(tmp_path / target) as written:
        exif = written.getexif()
        assert exif[BASE.Artist] == "A. Lange" and exif[BASE.XPTitle] == "Roof".encode("utf-16le")
        assert exif[BASE.Orientation] == 1
        details = exif.get_ifd(IFD.Exif)
        assert details[BASE.FNumber] == pytest.approx(2.8)
        assert (details[BASE.ExifImageWidth], details[BASE.ExifImageHeight]) == (40, 60)
        assert exif.get_ifd(IFD.GPSInfo)[1] == "N"
        if source.endswith(".jpg"):
            assert written.info["dpi"] == (300, 300)


def test_thumbnail_is_dropped(tmp_path, photograph):
    """A thumbnail would show the photograph as it was. Its directory (IFD1) follows IFD0 in the TIFF structure."""
    thumbnail = b"\xff\xd8" + b"T" * 50 + b"\xff\xd9"
    ifd0 = b"\x01\x00" + b"\x3b\x01\x02\x00\x04\x00\x00\x00abc\x00" + (26).to_bytes(4, "little")
    entries = ((0x0103, 6), (0x0201, 26 + 2 + 36 + 4), (0x0202, len(thumbnail)))
    ifd1 = b"\x03\x00" + b"".join(
        tag.to_bytes(2, "little") + b"\x04\x00\x01\x00\x00\x00" + value.to_bytes(4, "little") for tag, value in entries
    )
    block = b"Exif\x00\x00II\x2a\x00\x08\x00\x00\x00" + ifd0 + ifd1 + bytes(4) + thumbnail
    photograph.save(tmp_path / "a.jpg", exif=block)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif().get_ifd(IFD.IFD1)[0x0202] == len(thumbnail)
    image, metadata = decode_photo(tmp_path / "a.jpg")
    assert b"abc" in metadata["exif"] and b"TTTT" not in metadata["exif"]


def test_tiff_storage_tags_are_dropped(tmp_path, photograph):
    photograph.save(tmp_path / "a.tif", tiffinfo={BASE.Artist: "A. Lange"}, compression="tiff_lzw")
    image, metadata = decode_photo(tmp_path / "a.tif")
    save(image, tmp_path / "b.png", **metadata)
    with Image.open(tmp_path / "b.png") as written:
        assert written.getexif()[BASE.Artist] == "A. Lange"
        assert BASE.StripOffsets not in written.getexif() and BASE.Compression not in written.getexif()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_costs_only_the_exif(tmp_path, photograph):
    photograph.save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II\x2a\x00\xff\xff\xff\x7f")
    image, metadata = decode_photo(tmp_path / "a.jpg")
    assert image.size == photograph.size and "exif" not in metadata


def test_srgb_profile_changes_nothing(tmp_path, photograph):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photograph.save(tmp_path / "a.png", icc_profile=profile)
    image, metadata = decode_photo(tmp_path / "a.png")
    assert image.tobytes() == photograph.tobytes() and "icc_profile" not in metadata


def swapped_profile():
    """sRGB with the red and blue primaries exchanged, under another name."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    table = range(132, 132 + 12 * int.from_bytes(data[128:132], "big"), 12)
    tags = {bytes(data[place : place + 4]): place for place in table}
    red, blue = tags[b"rXYZ"] + 4, tags[b"bXYZ"] + 4
    data[red : red + 8], data[blue : blue + 8] = bytes(data[blue : blue + 8]), bytes(data[red : red + 8])
    return bytes(data).replace("sRGB".encode("utf-16be"), "xRGB".encode("utf-16be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_other_profiles_are_converted(tmp_path, photograph, mode):
    source = photograph.convert(mode)
    if mode == "RGBA":
        source.putalpha(99)
    source.save(tmp_path / "a.png", icc_profile=swapped_profile())
    image, _ = decode_photo(tmp_path / "a.png", keep_alpha=True)
    assert image.mode == mode
    swapped = np.asarray(photograph)[..., ::-1].astype(int)
    assert np.abs(np.asarray(image)[..., :3] - swapped).max() <= 2
    if mode == "RGBA":
        assert image.getchannel("A").getextrema() == (99, 99)


def test_gray_may_stay_gray(tmp_path, photograph):
    gray = photograph.convert("L")
    gray.save(tmp_path / "plain.png")
    gray.save(tmp_path / "transparent.png", transparency=7)
    photograph.save(tmp_path / "color.png")
    modes = {path.name: decode_photo(path, keep_gray=True)[0].mode for path in tmp_path.glob("*.png")}
    assert modes == {"plain.png": "L", "transparent.png": "RGB", "color.png": "RGB"}
    assert decode_photo(tmp_path / "plain.png")[0].mode == "RGB"


def test_failed_write_leaves_the_old_file(tmp_path, photograph, monkeypatch):
    save(photograph, tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tfssl.files.os.replace", fail)
    with pytest.raises(PermissionError):
        save(photograph.rotate(90), tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"] and (tmp_path / "a.png").read_bytes() == before


def test_header(tmp_path, photograph):
    photograph.save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"nothing")
    header = read_header(tmp_path / "a.jpg")
    assert (header.format, header.size, header.megapixels) == ("JPEG", (60, 40), 0.0024)
    assert read_header(tmp_path / "b.jpg").format is None and read_header(tmp_path / "gone.jpg").megapixels == 0
