"""Filling holes of photographs of any size: the geometry, files, and the server's way."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.profiles import gray_profile, rgb_profile
from tfssl.data.decode import read_mask
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.methods import ContextEncoder
from tfssl.methods.context_encoder.fill import complete, fill_hole, square_around
from tfssl.methods.context_encoder.inpaint import SHEETS, Inpainter, _pieces, inpaint_paths
from tfssl.methods.context_encoder.serving import inpaint_rgb

FREE = ContextEncoder(network="small", mask="blocks", resize=40, crop_size=32)
CENTER = ContextEncoder(network="small", mask="center", resize=40, crop_size=32, overlap=2)
METHODS = [FREE, CENTER]


def constant(method, level):
    """A network that answers with one level of [0, 1] everywhere."""
    side = method.crop_size if method.whole else method.crop_size // 2
    return lambda images, training=False: tf.fill((images.shape[0], side, side, 3), 2 * level - 1.0)


def run_fill(method, network, rgb, hole, unknown=None):
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    square = square_around(method, (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))
    unknown = hole if unknown is None else unknown
    return fill_hole(method, network, tf.constant(rgb, tf.float32), unknown, hole, square).numpy()


def rectangle(size, top, left, height, width):
    hole = np.zeros(size, bool)
    hole[top : top + height, left : left + width] = True
    return hole


HOLES = [
    rectangle((70, 90), 20, 30, 12, 15),
    rectangle((70, 90), 0, 0, 9, 30),
    rectangle((70, 90), 5, 85, 60, 5),
    rectangle((300, 200), 40, 30, 200, 120),
    rectangle((20, 17), 3, 4, 6, 5),
    rectangle((64, 64), 31, 31, 1, 1),
]


class TestFill:
    @pytest.mark.parametrize("method", METHODS, ids=["free", "center"])
    @pytest.mark.parametrize("hole", HOLES, ids=lambda hole: f"{hole.shape} {hole.sum()}")
    def test_what_lay_under_the_hole_does_not_matter(self, method, hole):
        """An image of one color with rubbish in the hole, and a network that knows the color."""
        rgb = np.full((*hole.shape, 3), 0.25, np.float32)
        rgb[hole] = np.random.default_rng(0).random((hole.sum(), 3))
        filled = run_fill(method, constant(method, 0.25), rgb, hole)
        np.testing.assert_allclose(filled, 0.25, atol=2e-3)

    @pytest.mark.parametrize("method", METHODS, ids=["free", "center"])
    @pytest.mark.parametrize("hole", HOLES, ids=lambda hole: f"{hole.shape} {hole.sum()}")
    def test_everything_else_is_untouched(self, method, hole):
        rgb = np.random.default_rng(1).random((*hole.shape, 3)).astype(np.float32)
        filled = run_fill(method, constant(method, 0.9), rgb, hole)
        np.testing.assert_array_equal(filled[~hole], rgb[~hole])
        assert (filled[hole] != rgb[hole]).any()

    def test_network_sees_the_surroundings_in_place(self):
        """A network that shows what it is given back: a ramp comes out as a ramp, at its own place."""
        y, x = np.mgrid[:120, :160] / 160
        rgb = np.stack([x, y, (x + y) / 2], -1).astype(np.float32)
        hole = rectangle((120, 160), 50, 60, 20, 20)
        copied = fill_hole(
            FREE, lambda images, training=False: images, tf.constant(rgb), np.zeros_like(hole), hole,
            square_around(FREE, (50, 60, 70, 80)),
        ).numpy()  # fmt: skip
        np.testing.assert_allclose(copied, rgb, atol=5e-3)

    def test_seam_is_blended(self):
        """The step at the rim is gone, and far inside the prediction stands."""
        images = np.full((1, 32, 32, 3), 0.2, np.float32)
        hole = rectangle((32, 32), 4, 4, 24, 24)[None, ..., None]
        hard, soft = (complete(FREE, constant(FREE, 0.8), images, hole, blend=b).numpy()[0] for b in (False, True))
        assert hard[4, 16, 0] == pytest.approx(0.8) and soft[4, 16, 0] < 0.3
        assert np.abs(np.diff(soft[:, 16, 0])).max() < 0.12
        assert 0.8 - soft[16, 16, 0] < (0.8 - 0.2) / 4
        np.testing.assert_array_equal(soft[~hole[0, ..., 0]], images[0][~hole[0, ..., 0]])

    def test_central_network_sees_nothing_of_its_hole(self):
        seen = []

        def network(images, training=False):
            seen.append(images.numpy())
            return tf.zeros((1, 16, 16, 3))

        images = np.random.default_rng(0).random((1, 32, 32, 3)).astype(np.float32)
        hole = rectangle((32, 32), 15, 15, 2, 2)[None, ..., None]
        complete(CENTER, network, images, hole)
        assert np.ptp(seen[0][0, 10:22, 10:22], axis=(0, 1)).max() == 0
        np.testing.assert_allclose(seen[0][0, :10], images[0, :10] * 2 - 1, atol=1e-6)

    def test_other_holes_are_hidden(self):
        seen = []

        def network(images, training=False):
            seen.append(images.numpy())
            return tf.zeros_like(images)

        rgb = np.full((40, 40, 3), 0.5, np.float32)
        rgb[2:8, 2:8] = 1.0
        hole, other = rectangle((40, 40), 18, 18, 4, 4), rectangle((40, 40), 2, 2, 6, 6)
        filled = run_fill(FREE, network, rgb, hole, unknown=hole | other)
        assert seen[0].max() < 0.2, "neither the white square nor a mixture with it"
        np.testing.assert_array_equal(filled[other], rgb[other])

    @pytest.mark.parametrize("box, side", [((10, 10, 30, 50), 80), ((10, 10, 12, 12), 32)])
    def test_square_of_a_free_mask(self, box, side):
        top, left, found = (int(n) for n in square_around(FREE, box))
        assert (
            found == side and abs(2 * top + side - box[0] - box[2]) <= 1 and abs(2 * left + side - box[1] - box[3]) <= 1
        )

    def test_square_of_a_central_mask_fits_the_hole(self):
        assert int(square_around(CENTER, (0, 0, 12, 6))[2]) == 32
        assert int(square_around(CENTER, (0, 0, 120, 6))[2]) == 320
        assert int(square_around(CENTER, (0, 0, 1, 1))[2]) == 16, "pixels are enlarged twice at most"


@pytest.fixture(scope="module", params=METHODS, ids=["free", "center"])
def inpainter(request):
    return Inpainter(request.param, request.param.model())


def photo(size=(60, 44), seed=0, mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, len(mode)), np.uint8)
    return Image.fromarray(pixels, mode).resize(size, Image.Resampling.BICUBIC)


def painted(size=(60, 44), *boxes):
    mask = Image.new("L", size, 0)
    for box in boxes or [(20, 10, 34, 22)]:
        mask.paste(255, box)
    return mask


class TestInpainter:
    def test_several_holes(self, inpainter):
        rgb = np.asarray(photo())
        hole = np.asarray(painted((60, 44), (5, 5, 12, 12), (40, 20, 50, 40))) > 0
        filled = inpainter(rgb, hole)
        np.testing.assert_array_equal(filled[~hole], rgb[~hole])
        for part in (np.s_[5:12, 5:12], np.s_[20:40, 40:50]):
            assert (filled[part] != rgb[part]).any()

    def test_long_thin_holes_are_filled_in_pieces(self):
        """A scratch is cut up, a blob is not; together the pieces are the hole."""
        scratch, blob = rectangle((300, 400), 10, 20, 4, 350), rectangle((300, 400), 50, 50, 150, 200)
        pieces = list(_pieces(scratch | blob, 16))
        assert sorted(shape.shape for *_, shape in pieces)[-1] == (150, 200)
        assert len(pieces) == 1 + 22 and max(shape.shape[1] for _, _, shape in pieces[:22]) <= 16
        again = np.zeros((300, 400), int)
        for top, left, shape in pieces:
            again[top : top + shape.shape[0], left : left + shape.shape[1]] += shape
        np.testing.assert_array_equal(again, scratch | blob)

    def test_whole_image_is_refused(self, inpainter):
        with pytest.raises(ValueError, match="covers the whole image"):
            inpainter(np.asarray(photo()), np.ones((44, 60), bool))

    @pytest.mark.parametrize("size", [(44, 60), (5, 9), (200, 100)])
    def test_drawn_masks(self, inpainter, size):
        for kind in ("center", "random"):
            mask = inpainter.draw_mask(kind, size, seed=3)
            assert mask.shape == size and 0 < mask.mean() <= 0.25
        np.testing.assert_array_equal(inpainter.draw_mask("random", size, 3), inpainter.draw_mask("random", size, 3))

    def test_nan_is_an_error(self):
        model = FREE.model()
        model.inpainter.get_layer("colors_conv").bias.assign([np.nan] * 3)
        with pytest.raises(ModelError, match="NaN"):
            Inpainter(FREE, model)(np.asarray(photo()), np.asarray(painted()) > 0)

    def test_an_encoder_is_refused(self):
        with pytest.raises(ModelError, match="only an encoder"):
            Inpainter(FREE, FREE.encoder(FREE.model()))


class TestFiles:
    def test_own_mask(self, inpainter, tmp_path):
        photo(mode="RGBA").save(tmp_path / "a.png")
        painted().save(tmp_path / "mask.png")
        calls = []
        report = inpaint_paths(
            [tmp_path / "a.png"], tmp_path / "out", inpainter, mask=tmp_path / "mask.png",
            progress=lambda *call: calls.append(call),
        )  # fmt: skip
        assert list(report.done.values()) == [str(tmp_path / "out" / "a.png")] and calls == [(1, 1, "a.png")]
        before, after = (np.asarray(Image.open(p)) for p in (tmp_path / "a.png", tmp_path / "out" / "a.png"))
        hole = np.asarray(painted()) > 0
        np.testing.assert_array_equal(after[~hole], before[~hole])
        np.testing.assert_array_equal(after[..., 3], before[..., 3])
        assert (after[hole] != before[hole]).any()
        with Image.open(tmp_path / "out" / SHEETS / "a.png.png") as sheet:
            assert sheet.width > 3 * 60

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
    @pytest.mark.parametrize("ending", [".png", ".jpg"])
    def test_color_profile(self, tmp_path, mode, ending):
        """Outside the hole the pixels and the profile of the file; inside it the color that was predicted in sRGB."""
        profile = gray_profile(1.0) if mode in ("L", "LA") else rgb_profile(1.0)
        photo().convert(mode).save(tmp_path / "a.png", icc_profile=profile)
        painted().save(tmp_path / "mask.png")
        seen = []

        def predictor(rgb, hole):
            seen.append(rgb)
            return np.where(hole[..., None], np.uint8(188), rgb)

        format = ending[1:]
        report = inpaint_paths(
            [tmp_path / "a.png"], tmp_path / "out", predictor, mask=tmp_path / "mask.png", format=format
        )
        assert not report.failed
        with Image.open(tmp_path / "a.png") as before, Image.open(tmp_path / "out" / f"a{ending}") as after:
            assert after.info["icc_profile"] == profile
            before, after = np.asarray(before.convert("RGBA")).astype(int), np.asarray(after.convert("RGBA"))
        hole = np.asarray(painted()) > 0
        change = np.abs(after - before)[..., :3]
        assert change[~hole].max() == 0 if ending == ".png" else change[~hole].mean() < 2
        assert np.abs(after[hole][..., :3].mean() - 128) < 2  # linear light of 188
        assert (seen[0].astype(int) - before[..., :3]).mean() > 20, "the network sees sRGB"

    def test_masks_by_name_and_drawn_ones(self, inpainter, tmp_path):
        (tmp_path / "in").mkdir(), (tmp_path / "masks").mkdir()
        for name, size in (("a.jpg", (60, 44)), ("b.png", (30, 50)), ("c.png", (20, 20))):
            photo(size).save(tmp_path / "in" / name)
        painted().save(tmp_path / "masks" / "a.png")
        painted((30, 50), (3, 3, 20, 20)).save(tmp_path / "masks" / "b.png")
        report = inpaint_paths([tmp_path / "in"], tmp_path / "out", inpainter, mask=tmp_path / "masks")
        assert [p.rpartition("/")[2] for p in report.done] == ["a.jpg", "b.png"]
        assert "no mask" in report.failed[str(tmp_path / "in" / "c.png")]
        again = inpaint_paths([tmp_path / "in"], tmp_path / "out", inpainter, mask="random")
        assert len(again.skipped) == 2 and len(again.done) == 1
        report = inpaint_paths([tmp_path / "in"], tmp_path / "out", inpainter, mask="center", overwrite=True)
        assert len(report.done) == 3

    @pytest.mark.parametrize(
        "mask, reason",
        [
            (painted((44, 60)), "has 44x60 pixels, the image 60x44"),
            (Image.new("L", (60, 44), 0), "nowhere white"),
            (Image.new("L", (60, 44), 255), "covers the whole image"),
        ],
    )
    def test_wrong_masks_in_one_line(self, inpainter, tmp_path, mask, reason):
        photo().save(tmp_path / "a.png")
        mask.save(tmp_path / "mask.png")
        report = inpaint_paths([tmp_path / "a.png"], tmp_path / "out", inpainter, mask=tmp_path / "mask.png")
        (text,) = report.failed.values()
        assert reason in text and "\n" not in text
        assert not report.done and not list((tmp_path / "out").iterdir())

    def test_unreadable_mask(self, tmp_path):
        (tmp_path / "mask.png").write_bytes(b"none")
        with pytest.raises(ValueError, match="cannot be read"):
            read_mask(tmp_path / "mask.png", (4, 4))

    def test_failures_do_not_stop_the_rest(self, inpainter, tmp_path):
        photo().save(tmp_path / "good.png")
        (tmp_path / "empty.jpg").touch()
        report = inpaint_paths([tmp_path], tmp_path / "out", inpainter)
        assert (
            list(report.done) == [str(tmp_path / "good.png")] and "empty" in report.failed[str(tmp_path / "empty.jpg")]
        )

    def test_wrong_use(self, inpainter, tmp_path):
        photo().save(tmp_path / "a.png")
        with pytest.raises(ConfigError, match=r"`mask`.*does not exist"):
            inpaint_paths([tmp_path], tmp_path / "out", inpainter, mask="middle")
        with pytest.raises(ConfigError, match="`format`"):
            inpaint_paths([tmp_path], tmp_path / "out", inpainter, format="webp")
        with pytest.raises(SourceError, match="would replace the input"):
            inpaint_paths([tmp_path], tmp_path, inpainter)


@pytest.fixture(scope="module", params=METHODS, ids=["free", "center"])
def served(request):
    model = request.param.model()
    return request.param, model, request.param.serving(request.param.served(model))


class TestServing:
    @staticmethod
    def encoded(image, format="PNG"):
        buffer = io.BytesIO()
        image.save(buffer, format)
        return buffer.getvalue()

    def test_equals_the_command_line(self, served):
        method, model, endpoints = served
        assert list(endpoints) == ["inpaint_bytes", "predict", "features", "features_float"]
        images = [photo(), photo((90, 31), 1)]
        masks = [painted(), painted((90, 31), (30, 0, 50, 12))]
        function = tf.function(
            endpoints["inpaint_bytes"].__call__, input_signature=endpoints["inpaint_bytes"].signature
        )
        answers = function([self.encoded(p) for p in images], [self.encoded(m) for m in masks])["png_bytes"].numpy()
        for image, mask, answer in zip(images, masks, answers, strict=True):
            expected = Inpainter(method, model)(np.asarray(image), np.asarray(mask) > 0)
            found = np.asarray(Image.open(io.BytesIO(answer)))
            assert np.abs(found.astype(int) - expected).max() <= 1

    def test_predict(self, served):
        endpoints = served[2]
        images = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
        mask = np.zeros((2, 32, 32, 1), np.float32)
        mask[:, 12:20, 12:20] = 1
        filled = endpoints["predict"](tf.constant(images), tf.constant(mask))["filled"].numpy()
        hole = mask[..., 0] == 1
        np.testing.assert_array_equal(filled[~hole], images[~hole])
        assert (filled[hole] != images[hole]).all()

    def test_features_are_those_of_the_encoder(self, served):
        method, model, endpoints = served
        images = np.random.default_rng(0).random((2, 40, 57, 3)).astype(np.float32)
        found, expected = endpoints["features_float"](tf.constant(images)), method.encoder(model)(images)
        assert list(found) == list(expected)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)

    def test_a_mask_without_white_changes_nothing(self, served):
        method, model, _ = served
        rgb = tf.constant(np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8))
        np.testing.assert_array_equal(inpaint_rgb(method, method.served(model), rgb, tf.zeros_like(rgb)), rgb)

    @pytest.mark.parametrize("mask, message", [(((0, 0, 9, 9), (91, 31)), "as large as"), ((None, (90, 31)), "leave")])
    def test_wrong_masks_fail_alone_and_say_why(self, served, mask, message):
        hole, size = mask
        white = painted(size, hole) if hole else Image.new("RGB", size, "white")
        images = [self.encoded(photo((90, 31), 1))] * 2
        good = self.encoded(painted((90, 31), (30, 0, 50, 12)))
        answer = served[2]["inpaint_bytes"](tf.constant(images), tf.constant([self.encoded(white), good]))
        assert message in answer["status"].numpy()[0].decode() and answer["status"].numpy()[1] == b"ok"
        assert [bool(png) for png in answer["png_bytes"].numpy()] == [False, True]

    def test_features_are_served_as_an_encoder(self):
        method = ContextEncoder(network="features", mask="regions", resize=80, crop_size=67, reconstruction_weight=1)
        assert list(method.serving(method.served(method.model()))) == ["features", "features_float"]
