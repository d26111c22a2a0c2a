"""Captions: every layout gives the same examples, and what is wrong with a file is named."""

import json

import pytest
from PIL import Image

from tfssl.data.captions import captioned_source, parted
from tfssl.data.images import image_source
from tfssl.errors import SourceError

CAPTIONS = {"a.jpg": ("A dog, wet .", 'A "good" dog .'), "b.jpg": ("Ein Mädchen .",)}


@pytest.fixture
def folder(tmp_path):
    for name in (*CAPTIONS, "nobody.jpg"):
        Image.new("RGB", (64, 48), "red").save(tmp_path / name)
    return tmp_path


def layouts():
    token = "".join(f"{name}#{i}\t{c}\n" for name, cs in CAPTIONS.items() for i, c in enumerate(cs))
    tsv = "".join(f"{name}\t{c}\n" for name, cs in CAPTIONS.items() for c in cs)
    comma = 'a.jpg,"A dog, wet ."\na.jpg,"A ""good"" dog ."\nb.jpg,Ein Mädchen .\n'
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}, {"id": 9, "file_name": "no.jpg"}],
        "annotations": [
            {"image_id": 7, "caption": CAPTIONS["a.jpg"][0]},
            {"image_id": 8, "caption": CAPTIONS["b.jpg"][0]},
            {"image_id": 7, "caption": " " + CAPTIONS["a.jpg"][1] + "\n"},
        ],
    }
    return {
        "Flickr8k.token.txt": token,
        "captions.tsv": "file\tcaption\n" + tsv,
        "plain.tsv": "\ufeff" + tsv.replace("\n", "\r\n"),
        "captions.txt": "image,caption\n" + comma,
        "captions.csv": comma,
        "captions.json": json.dumps(coco),
    }


@pytest.mark.parametrize("name", layouts())
def test_layouts(folder, name):
    (folder / name).write_text(layouts()[name], encoding="utf-8", newline="")
    source = captioned_source(folder / name)
    assert {source.name(i).rpartition("/")[2]: source[i]["captions"] for i in range(len(source))} == CAPTIONS
    assert source[0]["image"].size == (64, 48)
    assert source.sized(8)[0]["image"].size == (16, 12)
    assert image_source(source)[1]["image"].mode == "RGB"
    if name != "plain.tsv":
        assert captioned_source(folder) == source


def test_coco_folders(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "val2017" / "a.jpg")
    path = tmp_path / "annotations" / "captions_val2017.json"
    path.write_text(layouts()["captions.json"])
    assert captioned_source(path)[0]["captions"] == CAPTIONS["a.jpg"]
    (tmp_path / "val2017").rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=r"`images` must be the folder of the captioned images; there is no 'a.jpg'"):
        captioned_source(path)
    assert len(captioned_source(path, images=tmp_path / "elsewhere")) == 2


def test_splits(folder):
    (folder / "captions.tsv").write_text(layouts()["captions.tsv"])
    (folder / "split.tsv").write_text("file\tsplit\nb.jpg\ttrain\na.jpg\ttest\n")
    (folder / "Flickr_8k.devImages.txt").write_text("b.jpg\nunknown.jpg\n")
    assert [e["captions"] for e in captioned_source(folder, split="train")] == [CAPTIONS["b.jpg"]]
    assert [e["captions"] for e in captioned_source(folder, split="test")] == [CAPTIONS["a.jpg"]]
    assert [e["captions"] for e in captioned_source(folder, split="dev")] == [CAPTIONS["b.jpg"]]
    assert len(captioned_source(folder, split=folder / "Flickr_8k.devImages.txt")) == 1
    with pytest.raises(SourceError, match="`split` is neither a file nor a split"):
        captioned_source(folder, split="valid")


def test_missing_image_is_named_when_read(folder):
    (folder / "captions.tsv").write_text(layouts()["captions.tsv"] + "gone.jpg\tNobody .\nb.jpg\t \n")
    source = captioned_source(folder)
    assert len(source) == 3
    assert source[1]["captions"] == CAPTIONS["b.jpg"]  # the empty one is left out
    for read in (source.check, source.example):
        with pytest.raises((ValueError, OSError), match="No such file"):
            read(2)
    assert source.name(2).endswith("gone.jpg")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions.csv", "image,caption\na.jpg,A dog, wet .\n", "line 2 has 3 columns, the first has 2; put captions"),
        ("captions.csv", 'image,caption\na.jpg,"A dog\nb.jpg,A cat\n', "is no CSV"),
        ("captions.csv", "picture,words\na.jpg,A dog\n", "has no column file or"),
        ("captions.csv", "a.jpg\nb.jpg\n", "holds no captions"),
        ("captions.tsv", "a.jpg\tA dog\nb.jpg A cat\n", "line 2 has 1 columns"),
        ("captions.tsv", b"a.jpg\tA dog\nb.jpg\tEin M\xe4dchen\n", "must be UTF-8, line 2 is not"),
        ("captions.tsv", "", "is empty"),
        ("captions.json", "{", "is no JSON"),
        ("captions.json", '{"images": []}', "must be COCO's captions"),
        ("captions.json", '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1}]}', "caption"),
        ("captions.json", '{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}', "unknown: 1"),
        ("captions.json", "[1, 2]", "must be COCO's captions"),
        ("other.txt", "a.jpg\tA dog\n", "must be a file of captions, or hold captions.tsv"),
    ],
)
def test_bad_files(folder, name, content, message):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=message) as caught:
        captioned_source(folder)
    assert "\n" not in str(caught.value)


def test_a_worker_reads_without_tensorflow(folder, in_worker):
    (folder / "captions.tsv").write_text(layouts()["captions.tsv"])
    assert in_worker(captioned_source(folder), "example['captions']") == CAPTIONS["a.jpg"]


def test_flickr8k(unpack):
    folder = unpack("flickr8k_128.tar", "0.jpg", ".tsv") / "flickr8k_128"
    sizes = {split: len(captioned_source(folder, split=split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 1925, "val": 250, "test": 350}
    source = captioned_source(folder)
    assert len(source) == 2525
    assert {len(captions) for captions in source.captions} == {5}
    first = next(i for i in range(len(source)) if source.name(i).endswith("0.jpg"))
    assert min(source[first]["image"].size) == 128


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "b/../../a.jpg"])
def test_names_that_lead_out_of_the_folder_are_refused(folder, name):
    (folder / "captions.tsv").write_text(f"a.jpg\tone\n{name}\ttwo\n")
    with pytest.raises(SourceError, match=r"a file name in .*captions.tsv' leads out of the directory"):
        captioned_source(folder)


def test_coco_of_other_types_is_named(folder):
    (folder / "captions.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": 3}], "annotations": [{"image_id": 1, "caption": "x"}]})
    )
    with pytest.raises(SourceError, match=r"file_name and caption must be text. Received: 3"):
        captioned_source(folder)


def test_hidden_and_marked_splits(folder):
    (folder / "captions.tsv").write_text("a.jpg\tone\nb.jpg\ttwo\n")
    (folder / "._x.trainImages.txt").write_bytes(b"\0\5\x16\7")
    (folder / "x.trainImages.txt").write_bytes(b"\xef\xbb\xbf b.jpg \r\n")
    source = captioned_source(folder, split="train")
    assert [source.name(i).rpartition("/")[2] for i in range(len(source))] == ["b.jpg"]


def test_a_split_in_the_name_of_the_data(folder):
    (folder / "captions.tsv").write_text(layouts()["captions.tsv"])
    (folder / "split.tsv").write_text("file\tsplit\nb.jpg\ttrain\na.jpg\ttest\n")
    assert captioned_source(f"{folder}:train") == captioned_source(folder, split="train")
    assert captioned_source(f"{folder / 'captions.tsv'}:test") == captioned_source(folder, split="test")
    assert captioned_source(f"{folder}:train", split="test") == captioned_source(folder, split="test")
    with pytest.raises(SourceError, match=r"`split` is neither a file nor a split .* split='valid'"):
        captioned_source(f"{folder}:valid")
    (folder / "like:this").mkdir()
    assert parted(str(folder / "like:this")) == (str(folder / "like:this"), None)
    assert parted("folder") == ("folder", None) and parted("folder:") == ("folder:", None)


def test_nothing_is_lost_silently(folder, caplog):
    """Nobody's image is told; empty captions are; an image of nothing else, and a missing one, are named when read."""
    lines = ["a.jpg\tdog", "a.jpg\tdog", "a.jpg\t", "b.jpg\t  ", "b.jpg\t", "gone.jpg\tcat"]
    (folder / "captions.tsv").write_text("\n".join(lines))
    source = captioned_source(folder)
    assert source.captions == (("dog", "dog"), (), ("cat",))
    assert "3 empty captions are left out" in caplog.text
    assert "left out for want of captions: 1 image (nobody.jpg)" in caplog.text
    for index, reason in ((1, "all of its captions are empty"), (2, "No such file")):
        for read in (source.example, source.check):
            with pytest.raises((ValueError, OSError), match=reason):
                read(index)
    (folder / "captions.tsv").write_text("a.jpg\t\nb.jpg\t ")
    with pytest.raises(SourceError, match="`data` holds no captions"):
        captioned_source(folder)
