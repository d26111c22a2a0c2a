"""The stereo task, with filters made by hand: a patch and the same patch shifted by each disparity."""

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.data.rendered import stereogram_source
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.disparity import (
    STRENGTH,
    FilterVotes,
    PairMaps,
    ReadOut,
    Views,
    _confidence,
    coverage_curve,
    filter_pairs,
    inside,
    labels_of,
    unit_disparities,
)
from tfssl.evaluation.logistic import Rows, fit
from tfssl.evaluation.tasks.stereo import FRACTIONS, evaluate
from tfssl.methods import Synchrony
from tfssl.methods.synchrony.data import whitening_of

SIZE = 9


@pytest.fixture(scope="module")
def encoder():
    """Pairs of random filters of 5 pixels squared, one shifted against the other by -4 to 4 pixels."""
    method = Synchrony(patch_size=SIZE, units=9 * 12, components=70)
    model, rng = method.model(), np.random.default_rng(0)
    left, right = np.zeros((2, 9, 12, SIZE, SIZE))
    for place, disparity in enumerate(range(-4, 5)):
        for k in range(12):
            x = 2 + (disparity + 1) // 2
            filters = rng.normal(size=(SIZE, 5))
            left[place, k, :, x : x + 5] = filters
            right[place, k, :, x - disparity : x - disparity + 5] = filters
    back = np.linalg.pinv(whitening_of(method)[1])
    product = model.get_layer("product")
    for kernel, filters in ((product.kernel_x, left), (product.kernel_y, right)):
        kernel.assign(back @ filters.reshape(-1, SIZE * SIZE).T)
    return method.encoder(model)


def write_pairs(folder, source):
    for number in range(len(source)):
        example = source.example(number)
        for name in ("left", "right", "disparity"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            if name == "disparity":
                Image.fromarray(np.rint(example[name] * 256).astype(np.uint16)).save(folder / name / f"{number}.png")
            else:
                example[name].save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    source = stereogram_source(count=2, size=(40, 56), disparities=(1, 5), seed=5)
    return write_pairs(tmp_path_factory.mktemp("pairs"), source)


def test_random_dots_are_read_right(encoder, pairs, tmp_path):
    record = evaluate(
        encoder, str(pairs), lowest=1, highest=5, seeds=1, positions=1500, taps=["products"],
        out=tmp_path,
    )  # fmt: skip
    assert float(record["right_interior"]) > 0.95
    assert float(record["right"]) > 0.85  # edges of the rectangles and what one view does not see, too
    assert float(record["bad_kept_half"]) < 0.01
    assert record["bad"].baselines["constant"] > 0.3
    curve = record.details["bad_by_kept"]["encoder"]
    assert len(curve) == len(FRACTIONS) and all(np.diff(curve) > -0.005), "the unsure ones are the wrong ones"
    assert (tmp_path / "sheet.png").stat().st_size > 1000 and (tmp_path / "coverage.png").is_file()


def test_maps_are_those_of_the_moved_view(encoder):
    example = stereogram_source(count=1, size=(24, 40), disparities=(3, 3)).example(0)
    views, maps = Views.of(example), PairMaps(encoder)
    moved = Views(views.left, np.roll(views.right, 3, axis=1), None)
    ours, theirs = maps(views, 3)["products"], maps(moved, 0)["products"]
    np.testing.assert_allclose(ours[:, 4:], theirs[:, 4:], atol=1e-4)
    assert ours.shape == (16, 32, 108)
    part, (top, left) = inside(views.disparity, ours.shape[:2])
    assert part.shape == (16, 32) and (top, left) == (4, 4)


def test_all_moves_at_once_are_those_one_by_one(encoder):
    """Also for an encoder of which nothing is known, and one with an offset."""
    views = Views.of(stereogram_source(count=1, size=(20, 40), disparities=(1, 3)).example(0))
    offset = Synchrony(patch_size=SIZE, units=7, components=20, offset=3)
    nested = keras.layers.Input((2, None, None, 3))
    unknown = keras.Model(nested, encoder(nested))
    for network in (encoder, unknown, offset.encoder(offset.model())):
        maps, shifts = PairMaps(network), (-2, 0, 5)
        assert (maps._joined is None) == (network is unknown)
        for shift, ours in zip(shifts, maps.moves(views, shifts), strict=True):
            theirs = maps(views, shift)
            assert ours.keys() == theirs.keys()
            for tap in ours:
                np.testing.assert_allclose(ours[tap], theirs[tap], atol=1e-4)


def test_a_read_out_says_what_its_regression_says():
    rng = np.random.default_rng(0)
    codes, residuals = rng.normal(3, 2, (400, 12)).astype(np.float32), rng.integers(-3, 4, 400)
    codes[np.arange(400), residuals + 3] += 4
    rows, labels = Rows(codes), labels_of(residuals, 2)
    theirs = np.concatenate([fit(rows, labels, 6, STRENGTH).probabilities(block) for block in rows.project(codes)])
    read_out = ReadOut.fit(codes, residuals, 2)
    ours = np.exp(read_out.log_probabilities(codes.reshape(20, 20, 12)))
    np.testing.assert_allclose(ours.reshape(5, 400).T, np.maximum(theirs[:, :-1], 1e-4), atol=1e-4)
    assert read_out.accuracy(codes, residuals) == pytest.approx(np.mean(theirs.argmax(axis=1) == labels))


def test_filters_say_what_disparity_their_unit_has(encoder):
    found = unit_disparities(*filter_pairs(encoder))
    assert np.mean(found == np.repeat(np.arange(-4, 5), 12)) > 0.95  # random filters may be like themselves moved
    with pytest.raises(ConfigError, match="`read_out` filters is for encoders of synchrony"):
        filter_pairs(keras.Sequential([keras.layers.ReLU()]))


def test_units_vote_by_their_activity():
    votes = FilterVotes(np.array([-1, 0, 0, 1, 5]), 1)
    codes = np.array([[[0.2, 0.4, 0.8, 0.2, 9.0]]], np.float32)  # the last one's disparity is out of reach
    np.testing.assert_allclose(np.exp(votes.log_probabilities(codes))[:, 0, 0], [0.2, 0.6, 0.2], rtol=1e-5)
    assert votes.accuracy(codes[0].repeat(3, axis=0), np.array([0, 1, 3])) == pytest.approx(1 / 3)


@pytest.mark.slow
def test_random_dots_are_read_from_filters_alone(encoder, pairs):
    options = {"lowest": 1, "highest": 5, "seeds": 1, "positions": 200, "taps": ["products"]}
    record = evaluate(encoder, str(pairs), read_out="filters", **options)
    assert float(record["right_interior"]) > 0.95
    assert "filters" in record.protocol["read_out"]


def test_an_offset_of_the_encoder_is_cut_off_on_the_left():
    part, cut = inside(np.arange(40)[None].repeat(20, axis=0), (10, 24))  # patches of 11 pixels, offset 6
    assert part[0, 0] == 11 and part.shape == (10, 24) and cut == (5, 11)


def test_scaling_scales_disparities_and_keeps_edges():
    example = stereogram_source(count=1, size=(40, 80), disparities=(-4, 8), seed=3).example(0)
    views = Views.of(example, 40)
    assert views.left.shape == (20, 40, 3)
    assert set(np.unique(views.disparity)) <= set(np.unique(example["disparity"]) / 2)


def test_confidence_counts_evidence_the_right_view_and_steps():
    scores = np.full((3, 5, 12), np.log(0.1), np.float32)  # disparities 1 to 3
    best = np.zeros((5, 12), int)
    best[:, 8:] = 2
    np.put_along_axis(scores, best[None], np.log(0.5).astype(np.float32), axis=0)
    scores[2, :, 8:10] = np.log(0.8)
    found = _confidence(scores, best, 1, 3)
    expected = np.full(12, 0.5)
    expected[8:10] = 0.8
    # Column 0 has no partner; 6 and 7 are hidden in the right view by 8 and 9, which win there: 6 - 1 = 8 - 3.
    expected += [0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1]
    expected += [1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1]  # the step is between 7 and 8
    np.testing.assert_allclose(found, np.tile(expected / 3, (5, 1)), atol=1e-6)


def test_labels_and_curve():
    np.testing.assert_array_equal(labels_of(np.array([-3, -2, 0.4, 2, 2.6]), 2), [5, 0, 2, 4, 5])
    errors, confidence = np.array([0.0, 1.0, 1.1, np.nan]), np.array([0.9, 0.8, 0.2, 0.1])
    assert coverage_curve(errors, confidence, [0.5, 0.75, 1.0]) == [0.0, 1 / 3, 0.5]


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"step": 5}, ConfigError, "`step` must be at most reach"),
        ({"window": 4}, ConfigError, "`window` must be odd"),
        ({"lowest": 5, "highest": 2}, ConfigError, "`lowest` must not be above `highest`"),
        ({"read_out": "votes"}, ConfigError, "`read_out` must be one of regression, filters"),
        ({"positions": 0}, ConfigError, "`positions` must be a positive integer"),
    ],
)
def test_wrong_options_are_refused(encoder, pairs, options, error, message):
    with pytest.raises(error, match=message):
        evaluate(encoder, str(pairs), **options)


def test_other_encoders_and_pairs_without_disparity_are_refused(encoder, pairs, tmp_path):
    rgb = keras.Input((None, None, 3))
    with pytest.raises(ConfigError, match="modality='pair'"):
        evaluate(keras.Model(rgb, {"a": keras.layers.ReLU()(rgb)}), str(pairs))
    four = Synchrony(form="both", frames=2, units=3, components=9)
    with pytest.raises(ConfigError, match="two views"):
        evaluate(four.encoder(four.model()), str(pairs))
    source = stereogram_source(count=1, size=(20, 20), disparities=(1, 4))
    folder = write_pairs(tmp_path / "pairs", source)
    for file in (folder / "disparity").iterdir():
        file.unlink()
    (folder / "disparity").rmdir()
    with pytest.raises(SourceError, match="no pair has one"):
        evaluate(encoder, str(folder))
