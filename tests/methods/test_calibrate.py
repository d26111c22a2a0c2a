"""Taking back a fraction of the rebalancing, and choosing how to decode."""

import numpy as np
import pytest

from tfssl.color.prior import class_weights
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ConfigError
from tfssl.methods import Colorization
from tfssl.methods.colorization.calibrate import choose_decoding, measure_decodings, shift_scores
from tfssl.ops.ab_bins import CENTERS

FIELDS = {"backbone": "small", "resize": None, "crop_size": 32, "image_size": 32}


def test_undoing_all_gives_back_the_frequencies_of_the_photographs():
    """A network that predicts p * w exactly, the optimum of the weighted loss, predicts p afterwards."""
    method = Colorization(**FIELDS)
    model = method.model()
    prior = method.smoothed_prior()
    weights = class_weights(prior, method.rebalance_mix)
    scores = model.get_layer("scores")
    scores.kernel.assign(np.zeros(scores.kernel.shape))
    scores.bias.assign(np.log(prior * weights))
    shift_scores(method, model, 0.25)
    shift_scores(method, model, 0.75)
    logits = np.asarray(model(np.full((1, 32, 32, 1), 50.0, np.float32)))[0, 3, 3].astype(np.float64)
    probabilities = np.exp(logits - logits.max())
    np.testing.assert_allclose(probabilities / probabilities.sum(), prior, rtol=1e-3, atol=1e-8)


def test_reds_and_grays_shift_what_they_are_named_after():
    method = Colorization(**FIELDS)
    model = method.model()
    bias = model.get_layer("scores").bias
    before = np.asarray(bias).copy()
    shift_scores(method, model, 0.0, reds=0.5, grays=0.25)
    moved = dict(zip(map(tuple, CENTERS.tolist()), np.asarray(bias) - before, strict=True))
    assert moved[0, 0] == pytest.approx(0.25, abs=1e-5)
    assert moved[60, 20] == pytest.approx(-0.5, abs=0.01)  # vivid, at 18 degrees
    assert moved[10, 0] == pytest.approx(-0.5 * np.cos(np.radians(15)) ** 2 / 4 + 0.25 / 3, abs=1e-5)
    assert moved[-50, 50] == moved[-20, -20] == 0  # green and blue


@pytest.mark.slow
def test_every_combination_is_measured_and_the_model_stays():
    method = Colorization(**FIELDS)
    model = method.model()
    before = np.asarray(model.get_layer("scores").bias).copy()
    source = [str(p) for p in builtin_photographs()[:2]]
    candidates = {"image_sizes": (32, 64), "shares": (0.0, 1.0), "reds": (0.0, 0.5), "temperatures": (0.5, 1.0)}
    table = measure_decodings(method, model, source, **candidates)
    best = choose_decoding(table, {})
    assert len(table) == 16 and best is max(table, key=lambda row: row["auc_macro_gain"])
    np.testing.assert_allclose(np.asarray(model.get_layer("scores").bias), before, atol=1e-5)
    # All figures come of one run of the network; they are those of the model so calibrated.
    shift_scores(method, model, 1.0, reds=0.5)
    again = method.model_copy(update={"image_size": best["image_size"]}).evaluate(model, source, temperature=1.0).flat()
    wanted = {"image_size": best["image_size"], "share": 1.0, "reds": 0.5, "grays": 0.0, "temperature": 1.0}
    row = next(r for r in table if wanted.items() <= r.items())
    assert again["auc_macro"] - again["gray_auc_macro"] == pytest.approx(row["auc_macro_gain"], abs=1e-6)
    assert again["neutral_chroma"] == pytest.approx(row["neutral_chroma"], abs=1e-4)


def test_limits_are_kept_in_their_order():
    figures = [(0.01, 0.05, 0.6, 0.1), (0.006, 0.07, 0.7, 0.0), (0.006, 0.06, 0.8, 0.2), (-0.01, 0.09, 1.0, 0.3)]
    names = ("auc_raw_gain", "auc_macro_gain", "colorfulness_ratio", "false_reds")
    table = [dict(zip(names, row, strict=True)) for row in figures]
    assert choose_decoding(table, {}) is table[3]
    assert choose_decoding(table, {"auc_raw_gain": 0.005}) is table[1]
    assert choose_decoding(table, {"auc_raw_gain": 0.005, "colorfulness_ratio": 0.75}) is table[2]
    assert choose_decoding(table, {"auc_raw_gain": 0.005, "colorfulness_ratio": 0.75, "false_reds": 0.05}) is table[2]
    assert choose_decoding(table, {"false_reds": 0.15}) is table[1]
    assert choose_decoding(table, {"auc_raw_gain": 0.5, "colorfulness_ratio": 0.75}) is table[0]


def test_wrong_use_is_named():
    with pytest.raises(ConfigError, match="objective"):
        shift_scores(Colorization(**FIELDS, objective="classification"), Colorization(**FIELDS).model(), 0.5)
    with pytest.raises(ConfigError, match=r"`share`.*share=2"):
        shift_scores(Colorization(**FIELDS), None, 2)
    with pytest.raises(ConfigError, match=r"`reds`.*reds=-11"):
        shift_scores(Colorization(**FIELDS), None, 0, reds=-11)
    candidates = {"image_sizes": (32,), "shares": (0.0,)}
    with pytest.raises(ConfigError, match="objective='regression'"):
        measure_decodings(Colorization(**FIELDS, objective="regression"), None, [], temperatures=(0.5,), **candidates)
    with pytest.raises(ConfigError, match="temperature"):
        measure_decodings(Colorization(**FIELDS), None, [], temperatures=(1.5,), **candidates)
