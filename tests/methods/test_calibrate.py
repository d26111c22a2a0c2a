"""Taking back a fraction of the rebalancing, and choosing how to decode."""

import numpy as np
import pytest

from tfssl.color.prior import class_weights
from tfssl.data.builtin import builtin_photographs
from tfssl.errors import ConfigError
from tfssl.methods import Colorization
from tfssl.methods.colorization.calibrate import choose_decoding, measure_decodings, undo_rebalancing

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
    undo_rebalancing(method, model, 0.25)
    undo_rebalancing(method, model, 0.75)
    logits = np.asarray(model(np.full((1, 32, 32, 1), 50.0, np.float32)))[0, 3, 3].astype(np.float64)
    probabilities = np.exp(logits - logits.max())
    np.testing.assert_allclose(probabilities / probabilities.sum(), prior, rtol=1e-3, atol=1e-8)


def test_every_combination_is_measured_and_the_model_stays():
    method = Colorization(**FIELDS)
    model = method.model()
    before = np.asarray(model.get_layer("scores").bias).copy()
    source = [str(p) for p in builtin_photographs()[:2]]
    candidates = {"image_sizes": (32, 64), "fractions": (0.0, 1.0), "temperatures": (0.5, 1.0)}
    table = measure_decodings(method, model, source, **candidates)
    best = choose_decoding(table, raw_gain=-1.0)
    assert len(table) == 8 and best is max(table, key=lambda row: row["auc_macro_gain"])
    np.testing.assert_allclose(np.asarray(model.get_layer("scores").bias), before, atol=1e-5)
    # All figures come of one run of the network; they are those of the model so calibrated.
    undo_rebalancing(method, model, 1.0)
    again = method.model_copy(update={"image_size": best["image_size"]}).evaluate(model, source, temperature=1.0).flat()
    row = next(r for r in table if (r["image_size"], r["share"], r["temperature"]) == (best["image_size"], 1.0, 1.0))
    assert again["auc_macro"] - again["gray_auc_macro"] == pytest.approx(row["auc_macro_gain"], abs=1e-6)


def test_choice_between_accuracy_and_color():
    figures = [(0.01, 0.05, 0.6), (0.006, 0.07, 0.7), (0.006, 0.06, 0.8), (-0.01, 0.09, 1.0)]
    table = [dict(zip(("auc_raw_gain", "auc_macro_gain", "colorfulness_ratio"), row, strict=True)) for row in figures]
    assert choose_decoding(table, raw_gain=0.005) is table[1]
    assert choose_decoding(table, raw_gain=0.005, colorfulness=0.75) is table[2]
    assert choose_decoding(table, raw_gain=0.008, colorfulness=0.75) is table[0]
    assert choose_decoding(table, raw_gain=0.5, colorfulness=0.75) is table[0]


def test_wrong_use_is_named():
    with pytest.raises(ConfigError, match="objective"):
        undo_rebalancing(Colorization(**FIELDS, objective="classification"), None, 0.5)
    with pytest.raises(ConfigError, match="fraction"):
        undo_rebalancing(Colorization(**FIELDS), None, 2)
    candidates = {"image_sizes": (32,), "fractions": (0.0,)}
    with pytest.raises(ConfigError, match="objective='regression'"):
        measure_decodings(Colorization(**FIELDS, objective="regression"), None, [], temperatures=(0.5,), **candidates)
    with pytest.raises(ConfigError, match="temperature"):
        measure_decodings(Colorization(**FIELDS), None, [], temperatures=(1.5,), **candidates)
