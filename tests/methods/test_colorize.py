"""Colorizing at full size: the join against float64 Lab, and jobs over files and folders."""

import errno
import warnings

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.methods import Colorization
from tfssl.methods.colorization import colorize
from tfssl.methods.colorization.colorize import colorize_image, colorize_paths, network_lightness
from tfssl.methods.colorization.join import Join, lightness
from tfssl.methods.colorization.predict import compiled_predictor, predict_ab

SIDE, STRIDE = 32, 4


def constant(a, b):
    """A predictor of one colour."""

    def predict(L, temperature=None):
        shape = (len(L), -(-L.shape[1] // STRIDE), -(-L.shape[2] // STRIDE), 2)
        return np.broadcast_to(np.float32([a, b]), shape)

    return predict


def patterned(L, temperature=None):
    """A predictor whose colours depend on the lightness it is given."""
    sampled = L[:, ::STRIDE, ::STRIDE, 0]
    return np.stack([sampled - 50, 30 - sampled / 2], axis=-1)


def run(inputs, out, predict=patterned, **options):
    return colorize_paths([str(i) for i in inputs], out, predict, side=SIDE, stride=STRIDE, **options)


def random_image(width, height, mode="RGB", seed=0):
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def join(image, cells, network_size, stride, threads=2):
    return Join(image, cells, network_size, stride).whole(threads)


def straightforward(image, cells, network_size):
    """The join as the definition reads, in float64: levels of 255, not rounded."""

    def weights(size, network, count):
        position = np.clip(((np.arange(size) + 0.5) * network / size - 0.5) / STRIDE, 0, count - 1)
        return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(count)))

    lab = rgb2lab(np.asarray(image.convert("RGB")))
    down = weights(image.height, network_size[1], cells.shape[0])
    across = weights(image.width, network_size[0], cells.shape[1])
    lab[..., 1:] = np.einsum("yi,ijc,xj->yxc", down, cells.astype(np.float64), across)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colours outside the gamut, which are meant
        return lab2rgb(lab) * 255


def photograph():
    return Image.open(builtin_photographs()[0]).convert("RGB")


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("reach", [0, 15, 60, 128])
def test_join_is_exact(grey, reach):
    """Random pixels, black and white among them, with colours from none to far outside the gamut."""
    image = random_image(157, 211, "L" if grey else "RGB").convert("RGB")
    pixels = np.array(image)
    pixels[:8], pixels[8:16] = 0, 255
    image = Image.fromarray(pixels)
    cells = np.random.default_rng(1).uniform(-reach, reach, (13, 10, 2)).astype(np.float32)
    joined = np.asarray(join(image, cells, (39, 52), STRIDE, threads=2).convert("RGB"), np.float64)
    assert np.abs(joined - straightforward(image, cells, (39, 52))).max() < 0.65  # 0.5 is rounding


def test_join_is_exact_on_a_photograph():
    image = photograph()
    cells = np.random.default_rng(2).normal(0, 25, (16, 16, 2)).astype(np.float32)
    joined = np.asarray(join(image, cells, (64, 64), STRIDE).convert("RGB"), np.float64)
    assert np.abs(joined - straightforward(image, cells, (64, 64))).max() < 0.65


def test_strips_and_threads_leave_no_trace():
    image, cells = random_image(301, 997), np.random.default_rng(3).normal(0, 30, (25, 8, 2))
    one = join(image, cells, (32, 100), STRIDE, threads=1)
    for threads in (2, 3, 4):
        assert join(image, cells, (32, 100), STRIDE, threads=threads).tobytes() == one.tobytes()
    rows = Join(image, cells, (32, 100), STRIDE).rows
    assert rows(5, 6).tobytes() == one.crop((0, 5, 301, 6)).tobytes()
    assert rows(100, 997).tobytes() == one.crop((0, 100, 301, 997)).tobytes()


def test_own_colours_come_back():
    """Cells that sample a smooth picture's own ab at its own size give that picture again where cells lie."""
    y, x = np.mgrid[0:64, 0:96]
    pixels = np.stack([60 + x, 200 - x - y / 4, 90 + y], axis=-1).astype(np.uint8)
    cells = rgb2lab(pixels)[::STRIDE, ::STRIDE, 1:]
    joined = np.asarray(join(Image.fromarray(pixels), cells, (96, 64), STRIDE).convert("RGB"))
    difference = np.abs(joined[::STRIDE, ::STRIDE].astype(int) - pixels[::STRIDE, ::STRIDE])
    assert difference.max() <= 1


def test_lightness_is_kept():
    image = photograph()
    joined = join(image, np.full((16, 16, 2), (6.0, 9.0)), (64, 64), STRIDE).convert("RGB")
    pixels, before = np.asarray(joined), rgb2lab(np.asarray(image))[..., 0]
    inside = ((pixels > 0) & (pixels < 255)).all(axis=-1)
    assert inside.mean() > 0.5  # the rest is clipped: black sky
    assert np.abs(rgb2lab(pixels)[..., 0] - before)[inside].max() < 0.5


def test_lightness_matches_scikit_image():
    pixels = np.asarray(random_image(64, 64))
    np.testing.assert_allclose(lightness(pixels), rgb2lab(pixels)[..., 0], atol=1e-3)


def test_no_colour_gives_the_grey_picture():
    image = photograph().convert("L")
    result = colorize_image(constant(0, 0), image.convert("RGB"), side=SIDE, stride=STRIDE)
    assert np.abs(np.asarray(result).astype(int) - np.asarray(image)[..., None]).max() <= 1


def test_one_colour_at_full_size_is_plain_lab():
    image = photograph()
    result = np.asarray(colorize_image(constant(12, -20), image, side=SIDE, stride=STRIDE), np.float64)
    assert np.abs(result - straightforward(image, np.full((1, 1, 2), (12, -20)), (1, 1))).max() < 0.65


@pytest.fixture(scope="module")
def small():
    method = Colorization(backbone="small", resize=None, crop_size=96)
    return method, method.model()


def test_one_to_one_equals_predict_ab(small):
    """At the network's own size, every pixel gets the ab that predict_ab gives it: nothing is shifted."""
    method, model = small
    image = photograph().resize((132, method.network_side))
    L = rgb2lab(np.asarray(image))[None, ..., :1].astype(np.float32)
    # An untrained network is flat; larger scores give the colours some structure to be shifted.
    scores = model.layers[-1]
    scores.set_weights([w * 40 for w in scores.get_weights()])
    expected = rgb2lab(np.asarray(image))
    expected[..., 1:] = np.asarray(predict_ab(method, model, L)[0])
    assert np.abs(np.diff(expected[..., 1:], axis=1)).max() > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = lab2rgb(expected) * 255
    options = {"side": method.network_side, "stride": method.output_stride}
    result = colorize_image(compiled_predictor(method, model), image, **options)
    assert np.abs(np.asarray(result, np.float64) - expected).max() < 0.75  # float32 of the network on top


def test_edges_stay_where_they_are():
    """Colour that follows an edge of the picture changes at that edge, at the left and right of it alike."""
    pixels = np.zeros((640, 960, 3), np.uint8)
    pixels[:, 480:] = 200
    result = rgb2lab(colorize_image(patterned, Image.fromarray(pixels), side=64, stride=STRIDE))
    row = result[320, 400:560, 2]
    middle = np.interp((row[0] + row[-1]) / 2, row[::-1], np.arange(560, 400, -1))
    # The step is sampled every 4 network pixels, 60 of the picture's: half of that is the sharpest it can be.
    assert abs(middle - 480) <= 30


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3000, 2), (7, 13), (129, 255), (33, 32)])
def test_any_size(size):
    image = random_image(*size)
    result = colorize_image(patterned, image, side=SIDE, stride=STRIDE)
    assert result.size == size and result.mode == "RGB"
    scaled = network_lightness(image, SIDE)
    cells = patterned(scaled[None, ..., None])[0]
    expected = straightforward(image, cells, scaled.shape[::-1])
    assert np.abs(np.asarray(result, np.float64) - expected).max() < 0.65


def test_25_megapixels():
    tile = photograph()
    image = Image.new("RGB", (6144, 4096))
    for left in range(0, 6144, 512):
        for top in range(0, 4096, 512):
            image.paste(tile, (left, top))
    result = colorize_image(constant(10, 10), image, side=SIDE, stride=STRIDE)
    corner = colorize_image(constant(10, 10), tile, side=SIDE, stride=STRIDE)
    for box in ((0, 0, 512, 512), (5632, 3584, 6144, 4096), (3072, 2048, 3584, 2560)):
        assert result.crop(box).tobytes() == corner.tobytes()


def test_alpha_is_kept():
    image = random_image(60, 50, "RGBA")
    result = colorize_image(patterned, image, side=SIDE, stride=STRIDE)
    assert result.mode == "RGBA"
    assert result.getchannel("A").tobytes() == image.getchannel("A").tobytes()


def test_temperature_reaches_the_network():
    seen = []

    def predict(L, temperature=None):
        seen.append(temperature)
        return patterned(L)

    colorize_image(predict, photograph(), side=SIDE, stride=STRIDE, temperature=0.7)
    assert seen == [0.7]


def test_nan_is_an_error(tmp_path):
    photograph().save(tmp_path / "a.png")
    with pytest.raises(ModelError, match="NaN"):
        run([tmp_path], tmp_path / "out", constant(np.nan, 0))


def test_folder(tmp_path):
    """Every kind of picture in nested folders; files equal one call for each; damaged ones are named."""
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep" / "er").mkdir(parents=True)
    random_image(200, 100).save(source / "b.jpg", quality=95)
    random_image(200, 100, "L").save(source / "grey.png")
    random_image(90, 70, "CMYK").save(source / "deep" / "cmyk.JPEG")
    random_image(64, 65, "RGBA").save(source / "deep" / "er" / "alpha.png")
    Image.fromarray((np.arange(4096) * 16).astype(np.uint16).reshape(64, 64)).save(source / "deep" / "sixteen.tif")
    whole = (source / "b.jpg").read_bytes()
    (source / "deep" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (source / "notes.txt").write_text("no picture")
    report = run([source], out)
    outputs = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert outputs == {"b.jpg", "grey.png", "deep/cmyk.JPEG", "deep/er/alpha.png", "deep/sixteen.png"}
    assert list(report.failed) == [str(source / "deep" / "cut.jpg")]
    assert "truncated" in report.failed[str(source / "deep" / "cut.jpg")]
    assert list(report.done) == sorted(report.done, key=lambda path: (path.count("/"), path))
    for name in ("grey.png", "deep/er/alpha.png"):
        with Image.open(source / name) as image:
            image = image.convert("RGBA" if "alpha" in name else "RGB")
        expected = colorize_image(patterned, image, side=SIDE, stride=STRIDE)
        with Image.open(out / name) as written:
            assert written.mode == image.mode and written.tobytes() == expected.tobytes()


def test_large_jpeg_and_batches_agree_with_single_calls(tmp_path):
    """The reduced decoding of a large JPEG and the sharing of calls change results by no more than a shade."""
    for i in range(11):
        photograph().resize((320, 300 if i % 5 else 280)).rotate(i).save(tmp_path / f"{i:02d}.jpg", quality=95)
    assert min(300, 280) >= 8 * SIDE
    sizes = []

    def predict(L, temperature=None):
        sizes.append(len(L))
        return patterned(L)

    run([tmp_path], tmp_path / "out", predict, format="png")
    assert sizes == [1, 4, 1, 4, 1]
    for path in sorted(tmp_path.glob("*.jpg")):
        with Image.open(path) as image, Image.open(tmp_path / "out" / f"{path.stem}.png") as written:
            expected = colorize_image(patterned, image.convert("RGB"), side=SIDE, stride=STRIDE)
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


def test_failures_are_reported_and_the_rest_is_done(tmp_path):
    random_image(40, 40).save(tmp_path / "good.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text").write_text("hello")
    (tmp_path / "out" / "taken.png").mkdir(parents=True)
    random_image(40, 40).save(tmp_path / "taken.png")
    names = ["empty.jpg", "text", "missing.jpg", "taken.png", "good.png"]
    report = run([tmp_path / name for name in names], tmp_path / "out", overwrite=True)
    assert list(report.done) == [str(tmp_path / "good.png")]
    assert set(report.failed) == {str(tmp_path / name) for name in names[:4]}
    assert "empty" in report.failed[str(tmp_path / "empty.jpg")]
    assert "directory" in report.failed[str(tmp_path / "taken.png")]
    assert all("\n" not in reason for reason in report.failed.values())
    assert not list((tmp_path / "out").glob(".*"))


def test_full_disk_stops_and_leaves_no_half_file(tmp_path, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(5):
        random_image(40, 40).save(source / f"{i}.png")
    written = []

    def replace(temporary, path, original=colorize.save_photo.__globals__["os"].replace):
        written.append(path)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(temporary, path)

    monkeypatch.setattr("tfssl.data.photo.os.replace", replace)
    with pytest.raises(OSError, match="No space left on device after 2 of 5 pictures"):
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
    """No more megapixels in work than allowed, though every picture is done."""
    for i in range(12):
        random_image(100, 100).save(tmp_path / f"{i:02d}.png")
    monkeypatch.setattr(colorize, "MAX_MEGAPIXELS", 0.03)
    most = []
    original = colorize._Line._predict_batch

    def watched(line):
        most.append(len(line.decoding) + len(line.writing))
        original(line)

    monkeypatch.setattr(colorize._Line, "_predict_batch", watched)
    assert len(run([tmp_path], tmp_path / "out").done) == 12
    assert max(most) == 3


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
    with pytest.raises(SourceError, match="no pictures"):
        run([tmp_path / "nothing"], tmp_path / "out")
