"""What a classifier answers on predicted colors: accuracy, agreement, the fraction of the way, confusions."""

import numpy as np
import pytest

from tfssl.color.semantic import TOP, AnswerTally


def logits(*answers):
    """Scores of 20 classes whose first answers are these, in order."""
    scores = np.zeros(20)
    scores[list(answers)] = np.arange(len(answers), 0, -1)
    return scores


def tally(rows):
    """Of (label, first answer on true, gray, predicted colors) of each image; the second to fifth are 15 ... 18."""
    found = AnswerTally()
    for label, *answers in rows:
        versions = zip(("true_", "gray_", ""), answers, strict=True)
        found.add(label, {version: logits(answer, 15, 16, 17, 18) for version, answer in versions})
    return found


ROWS = [(1, 1, 1, 1), (2, 2, 9, 2), (3, 3, 9, 9), (4, 4, 9, 9), (16, 8, 8, 8)]


def test_accuracy_and_the_fraction_of_the_way():
    values = tally(ROWS).result()
    assert [values[f"{v}classifier_top1"] for v in ("true_", "gray_", "")] == [0.8, 0.2, 0.4]
    assert values["classifier_top1_recovered"] == pytest.approx(0.2 / 0.6)
    assert [values[f"{v}classifier_top5"] for v in ("true_", "gray_", "")] == [1.0, 0.4, 0.6]  # 16 is the third answer
    assert "gray_classifier_top1_recovered" not in values
    assert values["images_classified"] == 5


def test_the_error_of_the_fraction_is_that_of_resampled_images():
    rng = np.random.default_rng(0)
    rows = [(1, 1, 1 + (g < 0.5), 1 + (p < 0.3)) for g, p in rng.random((400, 2))]
    values = tally(rows).result()
    gray, ours = (np.array([row[i] == 1 for row in rows], float) for i in (2, 3))
    found = []
    for _ in range(2000):
        chosen = rng.integers(0, 400, 400)
        found.append((ours - gray)[chosen].mean() / (1 - gray)[chosen].mean())
    assert values["classifier_top1_recovered_error"] == pytest.approx(np.std(found), rel=0.1)


def test_without_classes_it_is_agreement_with_the_answer_on_true_colors():
    values = tally([(None, *answers) for _, *answers in ROWS]).result()
    assert [values[f"{v}agreement_top1"] for v in ("true_", "gray_", "")] == [1.0, 0.4, 0.6]
    assert values["agreement_top1_recovered"] == pytest.approx(0.2 / 0.6)


def test_images_without_a_class_do_not_count_beside_others_that_have_one():
    found = tally([*ROWS, (None, 1, 1, 9)])
    assert found.result() == tally(ROWS).result()
    assert found.turned(1, "gray_") == 1 and found.turned(5, "gray_") == 0


def test_where_gray_is_as_good_as_true_there_is_no_way_to_go():
    assert np.isnan(tally([(1, 1, 1, 9)]).result()["classifier_top1_recovered"])


def test_confusions_that_come_and_go():
    found = tally([(2, 2, 9, 2), (2, 2, 9, 2), (3, 3, 3, 7), (3, 3, 3, 3)])
    changes = found.confusions("gray_")
    assert changes["better"] == [(2, 9, -1.0)]
    assert changes["worse"] == [(3, 7, 0.5)]
    assert found.confusions("true_")["better"] == []


def test_answers_are_the_first_ones_with_their_probabilities():
    found = AnswerTally()
    scores = np.log([0.5, 0.3, 0.1, 0.05, 0.04, 0.01])
    found.add(0, {"true_": scores, "gray_": scores[::-1]})
    assert found.answer(0, "true_") == (0, pytest.approx(0.5)) and found.answer(0, "gray_")[0] == 5
    assert TOP == 5
