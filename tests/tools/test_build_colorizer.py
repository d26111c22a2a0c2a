"""Which photographs the build of the colorizer keeps out, and how it balances the others."""

import io
import tarfile

import pytest
from PIL import Image

from tools import build_colorizer
from tools.build_colorizer import by_hash, groups, prepare, stratified


def test_stratified_choice_follows_the_themes():
    themes = {"people": 60, "snow": 35, "night": 5}
    names = [f"photos_128/{theme}/{i}.jpg" for theme, count in themes.items() for i in range(count)]
    chosen = stratified(names, 21)
    counts = [sum(f"/{theme}/" in name for name in chosen) for theme in themes]
    assert len(set(chosen)) == sum(counts) == 21
    assert counts == [13, 7, 1]
    assert chosen == stratified(names[::-1], 21)


def test_choice_by_hash_depends_on_names_alone():
    names = [f"n{i}.jpg" for i in range(20)]
    assert by_hash(names) == by_hash(names[::-1]) != names
    assert [n for n in by_hash(names) if n != "n3.jpg"] == by_hash([n for n in names if n != "n3.jpg"])


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """Archives as the shared ones, a few photographs each."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(stream, "JPEG")
    members = {
        "photos_128_a.tar": [f"photos_128/coast/a{i}.jpg" for i in range(30)],
        "photos_128_c.tar": [f"photos_128/people/c{i}.jpg" for i in range(10)],
        "imagenet_sample_256.tar": [f"imagenet_sample_256/n{i}.jpg" for i in range(4)],
        "caltech101_96.tar": ["caltech101_96/train/cup/1.jpg", "caltech101_96/test/cup/2.jpg"],
    }
    for name, files in members.items():
        with tarfile.open(tmp_path / name, "w") as archive:
            for file in files:
                info = tarfile.TarInfo(file)
                info.size = len(stream.getvalue())
                archive.addfile(info, io.BytesIO(stream.getvalue()))
    (tmp_path / build_colorizer.NATURE_KEPT_OUT).write_text("photos_128/coast/a3.jpg\nphotos_128/coast/a7.jpg\n")
    monkeypatch.setattr(build_colorizer, "TRAINING_ARCHIVES", tuple(members))
    monkeypatch.setattr(build_colorizer, "VARIED", 4)
    monkeypatch.setattr(build_colorizer, "IMAGENET", 2)
    return tmp_path


def test_kept_out_photographs_are_in_no_training_folder(shared, tmp_path):
    train, heldout = prepare(shared, tmp_path / "work")
    kept = {name: {p.name for p in (heldout / name).rglob("*.jpg")} for name in build_colorizer.HELD_OUT}
    assert kept["nature"] == {"a3.jpg", "a7.jpg"}
    assert {name: len(files) for name, files in kept.items()} == {"nature": 2, "varied": 4, "imagenet": 2}
    trained = {p.name.removeprefix("again_") for p in train.rglob("*.jpg")}
    assert not trained & set.union(*kept.values())
    assert "2.jpg" not in trained
    assert len(trained) == 30 - 2 + 10 - 4 + 4 - 2 + 1


def test_small_groups_are_shown_twice(shared, tmp_path):
    train, _ = prepare(shared, tmp_path / "work")
    counts = {group: len(files) for group, files in groups(train).items() if files}
    # 28 and 6 of 37 are shown once; 2 of ImageNet, 1 of Caltech are fewer than a tenth.
    assert counts == {"nature": 28, "people": 6, "mixed": 4, "objects": 2}
    assert prepare(shared, tmp_path / "work")[0] == train  # a second call leaves what there is
    assert sum(len(files) for files in groups(train).values()) == sum(counts.values())
