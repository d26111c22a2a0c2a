"""Metrics, nearest neighbors and evaluation of the context encoder."""

import json

import numpy as np
import pytest
from PIL import Image

from tfssl.errors import ConfigError, SourceError
from tfssl.methods import ContextEncoder
from tfssl.methods.context_encoder.evaluate import evaluate, gradient_energy, hole_metrics, psnr, write_sheet
from tfssl.methods.context_encoder.neighbors import feature_cells, hog_cells, nearest, visible_cells
from tfssl.ops.masks import center_mask

METHOD = ContextEncoder(network="small", mask="center", resize=32, crop_size=32, overlap=2)
HOLE = center_mask(32, 2)


def smooth(seed, side=32):
    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


class TestMetrics:
    @pytest.mark.parametrize("error, decibels", [(0.1, 20.0), (0.14, 17.077)])
    def test_uniform_error(self, error, decibels):
        """Card: values in [0, 1], the hole alone."""
        truth = np.full((32, 32, 3), 0.5)
        filled = np.where(HOLE[..., None], truth + error, 0.0)
        found = hole_metrics(truth, filled, HOLE)
        assert found["psnr"] == pytest.approx(decibels, abs=1e-3)
        assert found["l1"] == pytest.approx(100 * error) and found["l2"] == pytest.approx(100 * error**2)

    def test_perfect_fill_is_finite(self):
        assert psnr(0.0) == 100.0

    def test_gradient_energy_counts_pairs_inside(self):
        ramp = np.repeat(np.arange(8.0)[None, :, None] * 0.1, 8, axis=0).repeat(3, axis=-1)
        hole = np.zeros((8, 8), bool)
        hole[2:5, 3:6] = True
        assert gradient_energy(ramp, hole) == pytest.approx(0.01 * 6 / 12)
        spiked = ramp.copy()
        spiked[~hole] = 9
        assert gradient_energy(spiked, hole) == pytest.approx(0.01 * 6 / 12)
        assert gradient_energy(ramp, np.zeros((8, 8), bool)) == 0.0


class TestNeighbors:
    def test_finds_a_image_by_what_is_visible(self):
        bank = np.stack([smooth(seed) for seed in range(30)])
        queries = np.where(HOLE[..., None], np.uint8(120), bank[:7])
        described, visible = hog_cells(queries), visible_cells(np.stack([HOLE] * 7), 8)
        np.testing.assert_array_equal(nearest(described, visible, hog_cells(bank)), np.arange(7))
        others = nearest(described, visible, hog_cells(bank), np.arange(7))
        assert (others != np.arange(7)).all()

    def test_distance_is_that_over_visible_cells(self):
        rng = np.random.default_rng(0)
        queries, bank, visible = (
            rng.normal(size=(4, 3, 3, 5)),
            rng.normal(size=(9, 3, 3, 5)),
            rng.random((4, 3, 3)) < 0.5,
        )
        squares = np.square(queries[:, None] - bank[None]).sum(-1) * visible[:, None]
        np.testing.assert_array_equal(nearest(queries, visible, bank), squares.sum((2, 3)).argmin(1))

    def test_visible_cells_keep_a_pixel_from_the_hole(self):
        dropped = np.zeros((1, 32, 32), bool)
        dropped[0, 8, 12] = True  # the corner of cell (2, 3): cells (1, 2), (1, 3) and (2, 2) lie beside it
        assert set(zip(*np.nonzero(~visible_cells(dropped, 8)[0]), strict=True)) == {(1, 2), (1, 3), (2, 2), (2, 3)}

    def test_hog_of_visible_cells_does_not_see_the_hole(self):
        first, second = smooth(0), np.where(HOLE[..., None], smooth(1), smooth(0))
        visible = visible_cells(HOLE[None], 8)[0]
        one, other = hog_cells(np.stack([first, second]))
        np.testing.assert_allclose(one[visible], other[visible], atol=1e-6)
        assert np.abs(one - other).max() > 0.1

    def test_feature_cells(self):
        model = METHOD.model()
        cells = feature_cells(METHOD.encoder(model), np.stack([smooth(0)] * 3) / np.float32(255), batch_size=2)
        assert cells.shape == (3, 8, 8, 96)
        lengths = np.linalg.norm(cells, axis=-1)
        assert ((np.abs(lengths - 1) < 1e-4) | (lengths == 0)).all()


@pytest.fixture(scope="module")
def model():
    return METHOD.model()


class TestEvaluate:
    def test_report(self, model, tmp_path):
        photos = [smooth(seed) for seed in range(6)]
        calls = []
        found = evaluate(
            METHOD, model, photos, out=tmp_path, progress=lambda *call: calls.append(call), batch_size=4
        ).flat()
        assert calls == [(4, 6), (6, 6)] and found["images"] == 6 and found["bank"] == 5
        assert found["mean_fill_gradient_energy"] == found["surround_fill_gradient_energy"] == 0
        assert found["psnr_gain"] == pytest.approx(found["psnr"] - found["mean_fill_psnr"])
        best = max(found["nn_hog_psnr"], found["nn_features_psnr"])
        assert found["psnr_gain_nn"] == pytest.approx(found["psnr"] - best)
        assert found["psnr"] >= found["psnr_of_mean"]
        written = json.loads((tmp_path / "metrics.json").read_text())
        assert written["metrics"]["psnr"]["value"] == found["psnr"] and written["config"]["method"] == "context_encoder"
        assert (tmp_path / "sheet.png").stat().st_size > 1000

    def test_numbers_are_those_of_the_mean_color(self, model):
        """Against a computation of its own, from the photographs alone."""
        photos = [smooth(seed) for seed in range(3)]
        found = evaluate(METHOD, model, photos).flat()
        errors = [np.square(p[HOLE] / 255 - np.array([123, 117, 104]) / 255).mean() for p in photos]
        assert found["mean_fill_psnr"] == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-3)
        assert found["mean_fill_l2"] == pytest.approx(100 * np.mean(errors), rel=1e-4)
        errors = [np.square(p[HOLE] / 255 - p[~HOLE].mean(axis=0) / 255).mean() for p in photos]
        assert found["surround_fill_l2"] == pytest.approx(100 * np.mean(errors), rel=1e-4)

    def test_bank_that_holds_the_answer(self, model):
        """Neighbors come from the bank: where it holds the images themselves, their fill is perfect."""
        photos = [smooth(seed) for seed in range(4)]
        found = evaluate(METHOD, model, photos, bank=[*photos, *(smooth(seed) for seed in range(10, 20))]).flat()
        assert found["bank"] == 14 and found["nn_hog_psnr"] == pytest.approx(100.0)

    def test_one_image_has_no_neighbors(self, model):
        found = evaluate(METHOD, model, [smooth(0)]).flat()
        assert "nn_hog_psnr" not in found and "psnr_gain_nn" not in found

    def test_limit_and_skipped(self, model, tmp_path):
        for seed in range(3):
            Image.fromarray(smooth(seed)).save(tmp_path / f"{seed}.png")
        (tmp_path / "1.png").write_bytes(b"damaged")
        found = METHOD.evaluate(model, str(tmp_path))
        assert found["images"].value == 2 and found["images_skipped"].value == 1 and len(found.skipped) == 1
        assert METHOD.evaluate(model, str(tmp_path), limit=1)["images"].value == 1
        with pytest.raises(ConfigError, match="`limit`"):
            METHOD.evaluate(model, str(tmp_path), limit=0)
        for seed in (0, 2):
            (tmp_path / f"{seed}.png").write_bytes(b"damaged")
        with pytest.raises(SourceError):
            METHOD.evaluate(model, str(tmp_path))

    def test_sheet(self, model, tmp_path):
        write_sheet(METHOD, model, [smooth(seed) for seed in range(3)], tmp_path / "sheet.png")
        assert Image.open(tmp_path / "sheet.png").height > 3 * 96
