"""Colorizing files and folders: what is written where, what goes wrong, what is in work at once."""

import errno
import os
import time

import numpy as np
import pytest
from PIL import Image

from tfssl.color import colorize
from tfssl.color.colorize import colorize_image, colorize_paths
from tfssl.data import job
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ConfigError, ModelError, SourceError

IMAGE_SIZE, STRIDE = 32, 4


def patterned(L, temperature=None):
    """A predictor whose colors depend on the lightness it is given."""
    sampled = L[:, ::STRIDE, ::STRIDE, 0]
    return np.stack([sampled - 50, 30 - sampled / 2], axis=-1)


def run(inputs, out, predict=patterned, **options):
    return colorize_paths([str(i) for i in inputs], out, predict, image_size=IMAGE_SIZE, stride=STRIDE, **options)


def random_image(width, height, mode="RGB", seed=0):
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def photograph():
    return Image.open(builtin_photographs()[0]).convert("RGB")


def test_folder(tmp_path):
    """Every kind of image in nested folders; files equal one call for each; damaged ones are named."""
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep" / "er").mkdir(parents=True)
    random_image(200, 100).save(source / "b.jpg", quality=95)
    random_image(200, 100, "L").save(source / "gray.png")
    random_image(90, 70, "CMYK").save(source / "deep" / "cmyk.JPEG")
    random_image(64, 65, "RGBA").save(source / "deep" / "er" / "alpha.png")
    Image.fromarray((np.arange(4096) * 16).astype(np.uint16).reshape(64, 64)).save(source / "deep" / "sixteen.tif")
    whole = (source / "b.jpg").read_bytes()
    (source / "deep" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (source / "notes.txt").write_text("no image")
    (source / "deep" / "phone.HEIC").touch()
    report = run([source], out)
    assert report.ignored == {".heic": 1, ".txt": 1}
    outputs = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert outputs == {"b.jpg", "gray.png", "deep/cmyk.JPEG", "deep/er/alpha.png", "deep/sixteen.png"}
    assert list(report.failed) == [str(source / "deep" / "cut.jpg")]
    assert "truncated" in report.failed[str(source / "deep" / "cut.jpg")]
    assert list(report.done) == sorted(report.done, key=lambda path: (path.count("/"), path))
    for name in ("gray.png", "deep/er/alpha.png"):
        with Image.open(source / name) as image:
            image = image.convert("RGBA" if "alpha" in name else "RGB")
        expected = colorize_image(patterned, image, image_size=IMAGE_SIZE, stride=STRIDE)
        with Image.open(out / name) as written:
            assert written.mode == image.mode and written.tobytes() == expected.tobytes()


def test_large_jpeg_and_batches_agree_with_single_calls(tmp_path):
    """The reduced decoding of a large JPEG and the sharing of calls change results by no more than a shade."""
    for i in range(11):
        photograph().resize((320, 300 if i % 5 else 280)).rotate(i).save(tmp_path / f"{i:02d}.jpg", quality=95)
    assert min(300, 280) >= 8 * IMAGE_SIZE
    sizes = []

    def predict(L, temperature=None):
        sizes.append(len(L))
        return patterned(L)

    run([tmp_path], tmp_path / "out", predict, format="png")
    assert sizes == [1, 4, 1, 4, 1]
    for path in sorted(tmp_path.glob("*.jpg")):
        with Image.open(path) as image, Image.open(tmp_path / "out" / f"{path.stem}.png") as written:
            expected = colorize_image(patterned, image.convert("RGB"), image_size=IMAGE_SIZE, stride=STRIDE)
            difference = np.abs(np.asarray(written).astype(int) - np.asarray(expected))
        assert difference.mean() < 1.5


def test_existing_outputs(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "b.png"):
        random_image(40, 40).save(source / name)
    assert len(run([source], out).done) == 2
    (out / "a.png").write_bytes(b"mine")
    again = run([source], out)
    assert (len(again.done), len(again.skipped)) == (0, 2) and (out / "a.png").read_bytes() == b"mine"
    (out / "b.png").unlink()
    assert list(run([source], out).done) == [str(source / "b.png")]
    assert len(run([source], out, overwrite=True).done) == 2 and (out / "a.png").read_bytes() != b"mine"


def test_a_name_of_another_image_is_left_to_it(tmp_path):
    """An output says which image it was made from, and how: a second photo.jpg, a photo.png where photo.tif was."""
    out = tmp_path / "out"
    for seed, name in enumerate(["x/photo.jpg", "y/photo.jpg", "z/photo.tif", "z/photo.bmp"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        random_image(40, 40, seed=seed).save(tmp_path / name)
    x, y, tif, bmp = (tmp_path / name for name in ("x/photo.jpg", "y/photo.jpg", "z/photo.tif", "z/photo.bmp"))
    assert run([x], out).done == {str(x): str(out / "photo.jpg")}
    first = (out / "photo.jpg").read_bytes()
    report = run([y], out)
    assert report.done == report.renamed == {str(y): str(out / "photo-2.jpg")}
    assert run([bmp], out).done == {str(bmp): str(out / "photo.png")}
    assert run([tif], out).renamed == {str(tif): str(out / "photo.tif.png")}
    again = run([tif, y, x, bmp], out)
    assert len(again.skipped) == 4 and not (again.done or again.outdated or again.failed)
    assert len(run([y], out, overwrite=True).done) == 1 and len(list(out.iterdir())) == 4
    assert (out / "photo.jpg").read_bytes() == first
    moved = x.rename(tmp_path / "photo.jpg")
    assert run([moved], out).skipped == {str(moved): str(out / "photo.jpg")}


def test_results_of_other_settings_are_told(tmp_path):
    source, out = tmp_path / "a.png", tmp_path / "out"
    random_image(40, 40).save(source)
    run([source], out, temperature=0.5)
    assert not run([source], out, temperature=0.5).outdated
    assert run([source], out, temperature=0.4).outdated == {str(source): "made with other settings"}
    assert run([source], out, temperature=0.5, model="other").outdated == {str(source): "made with other settings"}
    random_image(40, 40, seed=1).save(source)
    assert run([source], out, temperature=0.5).outdated == {str(source): "made before the image was changed"}
    (out / "a.png").write_bytes(b"mine")
    assert run([source], out, temperature=0.5).outdated == {str(source): "of unknown origin"}
    run([source], out, temperature=0.4, overwrite=True)
    assert not run([source], out, temperature=0.4).outdated


def test_two_commands_in_one_folder_share_the_work_and_the_names(tmp_path):
    """What another command wrote after this one had planned its names."""
    source, other, out = tmp_path / "in", tmp_path / "other", tmp_path / "out"
    for folder, seed in ((source, 0), (other, 1)):
        folder.mkdir()
        random_image(40, 40, seed=seed).save(folder / "b.png")
    random_image(40, 40).save(source / "a.png")

    def predict(L, temperature=None):
        if not any(out.iterdir()):
            run([source / "a.png", other / "b.png"], out)
        return patterned(L)

    report = run([source], out, predict)
    assert not report.failed and report.renamed == {str(source / "b.png"): str(out / "b-2.png")}
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b-2.png", "b.png"]


def test_long_names_are_cut_where_they_grow(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for ending in (".bmp", ".png", ".tif"):
        random_image(40, 40).save(source / ("ä" * 125 + "n" + ending))
    assert len(run([source], out).done) == 3 and len(run([source], out).skipped) == 3
    names = [path.name for path in out.iterdir()]
    assert len(names) == 3 and all(name.endswith(".png") and len(os.fsencode(name)) <= 255 for name in names)


def test_a_link_to_nothing_says_where_it_leads(tmp_path):
    (tmp_path / "photo.jpg").symlink_to("moved.jpg")
    report = run([tmp_path / "photo.jpg"], tmp_path / "out")
    assert report.failed == {str(tmp_path / "photo.jpg"): "a link to 'moved.jpg', which is not there"}


def test_failures_are_reported_and_the_rest_is_done(tmp_path):
    random_image(40, 40).save(tmp_path / "good.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text").write_text("hello")
    (tmp_path / "out" / "taken.png").mkdir(parents=True)
    random_image(40, 40).save(tmp_path / "taken.png")
    names = ["empty.jpg", "text", "missing.jpg", "taken.png", "good.png"]
    report = run([tmp_path / name for name in names], tmp_path / "out", overwrite=True)
    assert list(report.done) == [str(tmp_path / name) for name in names[3:]]
    assert report.renamed == {str(tmp_path / "taken.png"): str(tmp_path / "out" / "taken-2.png")}
    assert set(report.failed) == {str(tmp_path / name) for name in names[:3]}
    assert "empty" in report.failed[str(tmp_path / "empty.jpg")]
    assert all("\n" not in reason for reason in report.failed.values())
    assert not list((tmp_path / "out").glob(".*"))


def test_full_disk_stops_and_leaves_no_half_file(tmp_path, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(5):
        random_image(40, 40).save(source / f"{i}.png")
    written = []

    def fsync(descriptor):
        written.append(descriptor)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tfssl.files.os.fsync", fsync)
    with pytest.raises(OSError, match="No space left on device; make room"):
        run([source], out)
    assert len(list(out.iterdir())) == 2


def test_interrupt_ends_cleanly_and_can_go_on(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(30):
        random_image(40, 40, seed=i).save(source / f"{i:02d}.png")
    calls = []

    def predict(L, temperature=None):
        calls.append(len(L))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return patterned(L)

    with pytest.raises(KeyboardInterrupt):
        run([source], out, predict)
    assert all(path.suffix == ".png" and Image.open(path).getbbox() for path in out.iterdir())
    report = run([source], out)
    assert len(report.done) + len(report.skipped) == 30 and report.done


def test_memory_is_bounded(tmp_path, monkeypatch):
    """No more megapixels in work than allowed, though every image is done."""
    for i in range(12):
        random_image(100, 100).save(tmp_path / f"{i:02d}.png")
    monkeypatch.setattr(colorize, "MAX_MEGAPIXELS", 0.03)
    monkeypatch.setattr(colorize, "_BATCH_MEGAPIXELS", 0.02)
    in_work = []
    original = colorize._Line._admit

    def watched(line, *arguments):
        original(line, *arguments)
        in_work.append(sum(map(len, line.decoding)) + len(line.writing))

    monkeypatch.setattr(colorize._Line, "_admit", watched)
    assert len(run([tmp_path], tmp_path / "out").done) == 12
    assert max(in_work) == 3


def test_batches_follow_from_the_list_alone(tmp_path, monkeypatch):
    """However long writing takes, and however little room there is, the network sees the same batches."""
    for i in range(21):
        random_image(64, 40 if i == 10 else 48, seed=i).save(tmp_path / f"{i:02d}.png")
    save_photo, batches = job.save_photo, []

    def predict(L, temperature=None):
        batches[-1].append(len(L))
        return patterned(L)

    for room, delay in ((64, 0), (0.03, 0), (0.03, 0.02)):

        def slow(*arguments, delay=delay, **options):
            time.sleep(delay)
            save_photo(*arguments, **options)

        monkeypatch.setattr(colorize, "MAX_MEGAPIXELS", room)
        monkeypatch.setattr(job, "save_photo", slow)
        batches.append([])
        assert len(run([tmp_path], tmp_path / "out", predict, overwrite=True).done) == 21
    assert batches == [[8, 2, 1, 8, 2]] * 3


def test_progress(tmp_path):
    for i in range(3):
        random_image(40, 40).save(tmp_path / f"{i}.png")
    calls = []
    run([tmp_path], tmp_path / "out", progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(1, 3), (2, 3), (3, 3)]
    assert all("megapixels/s" in note and note.endswith(".png") for *_, note in calls)


def test_wrong_use(tmp_path):
    random_image(40, 40).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="`format`"):
        run([tmp_path], tmp_path / "out", format="webp")
    with pytest.raises(SourceError, match="must be a folder"):
        run([tmp_path], tmp_path / "a.png")
    with pytest.raises(SourceError, match="cannot be made"):
        run([tmp_path], tmp_path / "a.png" / "out")
    with pytest.raises(SourceError, match="would replace the input"):
        run([tmp_path], tmp_path)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceError, match="no images"):
        run([tmp_path / "nothing"], tmp_path / "out")


def test_nan_is_an_error(tmp_path):
    random_image(40, 40).save(tmp_path / "a.png")
    with pytest.raises(ModelError, match="NaN"):
        run([tmp_path], tmp_path / "out", lambda L, temperature: patterned(L) * np.nan)
